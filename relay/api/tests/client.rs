//! Promises of the client, kept against scripted HTTP answers on a real socket.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use api::ProblemCode;
use api::client::{Client, ClientError};
use api::events::Event;
use api::streams::StartStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with the given bytes and gives back the request.
async fn scripted_peer(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The head, and as much body as it announces.
        loop {
            let mut bytes = [0; 4096];
            let read = socket.read(&mut bytes).await.unwrap();
            request.extend_from_slice(&bytes[..read]);
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break;
            }
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, peer)
}

fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn start() -> StartStream {
    serde_json::from_str(r#"{"call": {"kind": "test"}, "name": "live/room-1"}"#).unwrap()
}

#[tokio::test]
async fn a_start_carries_its_key_and_its_token_and_a_refusal_names_its_holder() {
    let problem = r#"{"type":"/api/docs#claim_held","title":"t","status":409,"code":"claim_held","detail":"d",
        "holder":{"label":"room 1","since":"2026-01-01T00:00:00Z"}}"#;
    let (url, peer) = scripted_peer(json("409 Conflict", problem)).await;
    let client = Client::new(&url, Some("sluice_hidden".into())).unwrap();
    assert!(!format!("{client:?}").contains("hidden"));
    let Err(ClientError::Problem(problem)) = client.start_stream(&start(), "key-1").await else {
        unreachable!("the peer refuses");
    };
    assert_eq!(problem.code, ProblemCode::ClaimHeld);
    assert_eq!(problem.holder.unwrap().label, "room 1");
    let request = peer.await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /api/v1/streams http/1.1"), "{request}");
    assert!(request.contains("idempotency-key: key-1\r\n") && request.contains("bearer sluice_hidden\r\n"));
    assert!(
        request.ends_with(r#"{"call":{"kind":"test"},"name":"live/room-1","record":false}"#),
        "{request}"
    );
}

#[tokio::test]
async fn names_in_paths_are_encoded_and_a_prefix_of_the_address_is_kept() {
    let (url, peer) = scripted_peer("HTTP/1.1 204 No Content\r\n\r\n".into()).await;
    let client = Client::new(&format!("{url}sluice/"), None).unwrap();
    client.drain_recorder("a/b ?").await.unwrap();
    assert!(peer.await.unwrap().starts_with("POST /sluice/api/v1/recorders/a%2Fb%20%3F/drain HTTP/1.1"));
}

#[tokio::test]
async fn a_foreign_answer_is_told_from_the_relays_own() {
    let (url, _peer) = scripted_peer(json("502 Bad Gateway", "<html>")).await;
    let error = Client::new(&url, None).unwrap().streams().await.unwrap_err();
    assert!(matches!(error, ClientError::Status(502)) && error.is_retryable());
    let (url, _peer) = scripted_peer(json("200 OK", "{}")).await;
    let error = Client::new(&url, None).unwrap().claims().await.unwrap_err();
    assert!(matches!(error, ClientError::Answer(_)) && !error.is_retryable());
}

#[tokio::test]
async fn an_absent_relay_is_unreachable_and_worth_another_try() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::new(&format!("http://{free}"), None).unwrap().recorders().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn events_are_read_in_order_and_unknown_ones_passed_over() {
    let body = "event: novelty\ndata: {}\n\n: still here\n\nevent: claims\ndata: {\"event\":\"claims\",\"claims\":[]}\n\n\
        event: broadcasts\ndata: {\"event\":\"broadcasts\",\"broadcasts\":[]}\n\n";
    let (url, _peer) = scripted_peer(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")).await;
    let mut events = Client::new(&url, None).unwrap().events().await.unwrap();
    assert_eq!(events.next().await.unwrap(), Some(Event::Claims { claims: Vec::new() }));
    assert_eq!(events.next().await.unwrap(), Some(Event::Broadcasts { broadcasts: Vec::new() }));
    assert_eq!(events.next().await.unwrap(), None);
}

#[test]
fn what_is_no_address_or_no_token_is_refused_at_once() {
    for url in ["127.0.0.1:8080", "rtmp://relay/", "http://user@relay/", ""] {
        assert!(matches!(Client::new(url, None), Err(ClientError::Url)), "{url}");
    }
    assert!(matches!(Client::new("http://relay", Some("a b\n".into())), Err(ClientError::Token)));
}
