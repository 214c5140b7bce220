//! Promises about every request.

use super::*;
use crate::http_api::ROUTES;
use crate::http_api::request::BODY_BYTES_MAX;
use reqwest::Method;

#[tokio::test]
async fn every_route_of_the_description_is_served() {
    let relay = Relay::new().await;
    for (method, path) in ROUTES {
        let path = path.replace("{app}", "live").replace("{stream}", "x");
        let path = path.replace("{id}", "0190c0de-0000-7000-8000-000000000000");
        let method: Method = method.to_uppercase().parse().unwrap();
        let response = reqwest::Client::new().request(method.clone(), relay.url(&path)).send().await.unwrap();
        let status = response.status().as_u16();
        let is_feed = path.ends_with("/events");
        let text = if is_feed { String::new() } else { response.text().await.unwrap() };
        assert!(status != 405 && !text.contains("no such path"), "{method} {path}: {status} {text}");
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let relay = Relay::new().await;
    relay.get("/nothing").await.is_problem(404, "not_found");
    relay.get("/streams/not-an-id").await.is_problem(404, "not_found");
    relay.get("/streams/0190c0de-0000-7000-8000-000000000000").await.is_problem(404, "not_found");
    relay.get("/status/live").await.is_problem(404, "not_found");
    relay.get("/recorders/connect").await.is_problem(400, "malformed");
    relay.delete("/streams").await.is_problem(405, "method_not_allowed");
    relay.post("/events", &json!({})).await.is_problem(405, "method_not_allowed");
    let outside = reqwest::get(format!("http://{}/api/v2/streams", relay.addr)).await.unwrap();
    Answer::of(outside).await.is_problem(404, "not_found");

    relay.post("/streams", &json!({ "name": "x" })).await.is_problem(400, "malformed");
    let unknown = json!({ "call": { "kind": "test" }, "name": "live/x", "colour": "red" });
    let refused = relay.post("/streams", &unknown).await;
    refused.is_problem(422, "invalid_field");
    assert_eq!(refused.text("field"), "colour");
    assert!(refused.text("detail").contains("colour") && refused.text("detail").contains("line 1 column"));
    let field = relay.post("/streams", &json!({ "call": { "kind": "test" }, "name": "nowhere" })).await;
    field.is_problem(422, "invalid_field");
    assert_eq!(field.text("field"), "name");
    let large = json!({ "call": { "kind": "test" }, "name": "x".repeat(BODY_BYTES_MAX) });
    relay.post("/streams", &large).await.is_problem(413, "too_large");
    let unknown = json!({ "reason": "mixup", "expected_token": 3 });
    let path = "/claims/0190c0de-0000-7000-8000-000000000000/seize";
    relay.post(path, &unknown).await.is_problem(404, "not_found");
    let silent = json!({ "reason": " ", "expected_token": 3 });
    let id = "/claims/0190c0de-0000-7000-8000-000000000000/release";
    assert_eq!(relay.post(id, &silent).await.text("field"), "reason");
    let unlabelled = json!({ "name": "live/x", "label": "" });
    assert_eq!(relay.post("/claims", &unlabelled).await.text("field"), "label");
}

#[tokio::test]
async fn a_body_without_a_told_length_is_bounded_too() {
    let relay = Relay::new().await;
    let chunks = futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    let request = reqwest::Client::new().post(relay.url("/streams")).body(reqwest::Body::wrap_stream(chunks));
    Answer::of(request.send().await.unwrap()).await.is_problem(413, "too_large");
}

#[tokio::test]
async fn a_foreign_page_can_do_nothing_through_the_operators_browser() {
    let relay = Relay::new().await;
    let client = reqwest::Client::new();
    let body = test_stream("live/x").to_string();
    let cross_site =
        client.post(relay.url("/streams")).header("Origin", "https://evil.example").body(body.clone());
    Answer::of(cross_site.send().await.unwrap()).await.is_problem(403, "forbidden");
    let rebound = client.get(relay.url("/streams")).header("Host", "evil.example");
    Answer::of(rebound.send().await.unwrap()).await.is_problem(403, "forbidden");
    let own =
        client.post(relay.url("/streams")).header("Origin", format!("http://{}", relay.addr)).body(body);
    Answer::of(own.send().await.unwrap()).await.is_problem(503, "no_spare_recorder");
}

#[tokio::test]
async fn a_proxy_on_this_machine_does_not_open_the_api_to_the_world() {
    let relay = Relay::new().await;
    let proxied = reqwest::Client::new().get(relay.url("/streams")).header("X-Forwarded-For", "203.0.113.9");
    Answer::of(proxied.send().await.unwrap()).await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_first_token_ends_the_freedom_and_scopes_hold() {
    let relay = Relay::new().await;
    let minted = relay.post("/tokens", &json!({ "label": "desk", "scopes": ["view"] })).await;
    assert_eq!(minted.status, 201);
    let token = minted.text("token").to_owned();
    assert!(token.starts_with("sluice_"));
    let refused = relay.get("/streams").await;
    refused.is_problem(401, "unauthenticated");
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let client = reqwest::Client::new();
    let seen = client.get(relay.url("/streams")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    let start =
        client.post(relay.url("/streams")).bearer_auth(&token).body(test_stream("live/x").to_string());
    Answer::of(start.send().await.unwrap()).await.is_problem(403, "forbidden");
    assert_eq!(relay.get("/status/live/x").await.status, 200, "viewers need no token");
    let relay = relay.restart().await;
    relay.get("/streams").await.is_problem(401, "unauthenticated");
    let seen = client.get(relay.url("/streams")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(seen.status(), 200, "tokens survive a restart");
}

#[tokio::test]
async fn an_idempotency_key_that_is_none_is_named() {
    let relay = Relay::new().await;
    let refused = relay.start(&"k".repeat(256), &test_stream("live/x")).await;
    refused.is_problem(422, "invalid_field");
    assert_eq!(refused.text("field"), "Idempotency-Key");
}

#[tokio::test]
async fn the_documents_are_served_to_people_and_programs() {
    let relay = Relay::new().await;
    assert_eq!(relay.get("/openapi.json").await.body["openapi"], "3.1.0");
    let page = reqwest::get(format!("http://{}/api/docs", relay.addr)).await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("POST /api/v1/streams"));
}
