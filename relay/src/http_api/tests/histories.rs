//! Promises to operators who ask what happened, and who block names.

use super::fake_publisher::FakePublisher;
use super::*;

async fn granted(relay: &Relay, name: &str, label: &str) -> Answer {
    relay.post("/claims", &json!({ "name": name, "label": label })).await
}

/// `what who`, oldest first.
fn story(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{page:?}");
    let rows = page.body["events"].as_array().unwrap();
    let line = |row: &Value| format!("{} {}", row["what"].as_str().unwrap(), row["who"].as_str().unwrap());
    rows.iter().rev().map(line).collect()
}

#[tokio::test]
async fn a_claim_s_history_is_told_while_it_lives_after_it_ended_and_after_a_restart() {
    let relay = Relay::new().await;
    let asked = granted(&relay, "live/room-1", "stage").await;
    let id = asked.body["claim"]["id"].as_str().unwrap().to_owned();
    let publisher = FakePublisher::publish(&relay, asked.text("publish_url"), 1).await.unwrap();
    assert_eq!(granted(&relay, "live/room-1", "intruder").await.status, 409);
    relay.history_has(&id, 4).await;
    let path = format!("/claims/{id}/events");
    let told = ["granted stage", "granted stage", "live stage", "refused intruder"];
    let page = relay.get(&path).await;
    assert_eq!(story(&page), told);
    let refused = &page.body["events"][0];
    assert!(refused.get("claim_id").is_none() && refused.get("token").is_none(), "not the holder's doing");
    assert!(refused["why"].as_str().unwrap().contains("publish refused"), "{refused}");
    assert_eq!(page.body["events"][1]["claim_id"], id.as_str());

    let token = relay.get(&format!("/claims/{id}")).await.body["token"].clone();
    let action = json!({ "reason": "wrong room", "expected_token": token });
    assert_eq!(relay.post(&format!("/claims/{id}/seize"), &action).await.status, 204);
    assert!(publisher.is_cut_off());
    granted(&relay, "live/room-1", "after").await;
    relay.history_has(&id, 5).await;
    let all = [&told[..], &["seized stage"]].concat();
    assert_eq!(story(&relay.get(&path).await), all, "nothing of the claim after it");

    let relay = relay.restart().await;
    assert_eq!(story(&relay.get(&path).await), all);
    let of_key = story(&relay.get("/claims/events?key=live/room-1").await);
    assert_eq!(of_key[..5], all);
    assert_eq!(of_key[5], "granted after");
    let unknown = "/claims/0190c0de-0000-7000-8000-000000000000/events";
    relay.get(unknown).await.is_problem(404, "not_found");
}

#[tokio::test]
async fn a_history_comes_in_bounded_pages() {
    let relay = Relay::new().await;
    for number in 0..12 {
        assert_eq!(granted(&relay, &format!("live/room-{number}"), "stage").await.status, 201);
    }
    let (mut seen, mut path) = (Vec::new(), "/claims/events?limit=5".to_owned());
    loop {
        let page = relay.get(&path).await;
        let rows = page.body["events"].as_array().unwrap();
        assert!(rows.len() <= 5);
        seen.extend(rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()));
        match page.body["next"].as_u64() {
            Some(next) => path = format!("/claims/events?limit=5&before={next}"),
            None => break,
        }
    }
    let newest_first: Vec<_> = (0..12).rev().map(|number| format!("live/room-{number}")).collect();
    assert_eq!(seen, newest_first, "each once");
    let later = relay.get("/claims/events?since=2999-01-01T00:00:00Z").await;
    assert_eq!(later.body["events"], json!([]));
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("since=yesterday", "since"),
        ("before=x", "before"),
        ("colour=red", "colour"),
    ] {
        let refused = relay.get(&format!("/claims/events?{query}")).await;
        refused.is_problem(422, "invalid_field");
        assert_eq!(refused.text("field"), field);
    }
}

#[tokio::test]
async fn a_blocked_name_is_shown_refuses_everyone_and_is_free_after_unblock() {
    let relay = Relay::new().await;
    let block = json!({ "name": "live/room-1", "reason": "wrong room", "seconds": 600 });
    assert_eq!(relay.post("/claims/block", &block).await.status, 204);
    let row = relay.get("/claims").await.body["claims"][0].clone();
    assert_eq!((&row["state"], &row["block"]["reason"]), (&json!("blocked"), &json!("wrong room")));
    assert!(row["block"]["ends_in_ms"].as_u64().unwrap() <= 600_000);
    let id = row["id"].as_str().unwrap();
    assert_eq!(story(&relay.get(&format!("/claims/{id}/events")).await), ["blocked local"]);
    let refused = granted(&relay, "live/room-1", "stage").await;
    refused.is_problem(409, "claim_held");

    let unblock = json!({ "name": "live/room-1", "reason": "settled" });
    assert_eq!(relay.post("/claims/unblock", &unblock).await.status, 204);
    relay.post("/claims/unblock", &unblock).await.is_problem(404, "not_found");
    assert_eq!(granted(&relay, "live/room-1", "stage").await.status, 201);
    let told = story(&relay.get("/claims/events?key=live/room-1").await);
    assert_eq!(told, ["blocked local", "refused stage", "unblocked local", "granted stage"]);
}

#[tokio::test]
async fn a_block_beside_a_publisher_leaves_it_alone_and_is_shown_with_it() {
    let relay = Relay::new().await;
    let asked = granted(&relay, "live/room-1", "stage").await;
    let publisher = FakePublisher::publish(&relay, asked.text("publish_url"), 1).await.unwrap();
    let block = json!({ "name": "live/room-1", "reason": "last one for today" });
    assert_eq!(relay.post("/claims/block", &block).await.status, 204);
    assert!(!publisher.is_cut_off());
    let row = relay.get("/claims").await.body["claims"][0].clone();
    assert_eq!((&row["holder"], &row["block"]["reason"]), (&json!("stage"), &json!("last one for today")));
}

#[tokio::test]
async fn a_block_says_why_for_what_and_for_how_long() {
    let relay = Relay::new().await;
    for (block, field) in [
        (json!({ "name": "live/x", "reason": " " }), "reason"),
        (json!({ "name": "nowhere", "reason": "x" }), "name"),
        (json!({ "name": "live/x", "reason": "x", "seconds": 0 }), "seconds"),
        (json!({ "name": "live/x", "reason": "x", "seconds": 604_801 }), "seconds"),
    ] {
        let refused = relay.post("/claims/block", &block).await;
        refused.is_problem(422, "invalid_field");
        assert_eq!(refused.text("field"), field);
    }
    assert_eq!(relay.get("/claims").await.body["claims"], json!([]));
}

impl Relay {
    /// Waits, within a deadline, until a claim's history has so many entries.
    async fn history_has(&self, id: &str, count: usize) {
        let path = format!("/claims/{id}/events");
        let until = async {
            while self.get(&path).await.body["events"].as_array().is_none_or(|rows| rows.len() < count) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), until).await.is_err() {
            panic!("the history is {}", self.get(&path).await.body);
        }
    }
}
