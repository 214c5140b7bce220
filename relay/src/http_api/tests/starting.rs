//! Promises about starting and stopping.

use super::fake_publisher::FakePublisher;
use super::*;
use std::collections::BTreeSet;
use std::time::Instant;

#[tokio::test]
async fn a_stream_is_started_watched_and_gone_within_five_seconds_of_its_stop() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    let body = json!({ "call": { "url": "https://meet.example/room#k3y" }, "name": "live/room 1", "labels": { "room": "1" } });
    let started = relay.post("/streams", &body).await;
    assert_eq!((started.status, started.text("state"), started.text("recorder")), (201, "joining", "rec-1"));
    assert_eq!(started.body["playback"]["hls"], "/hls/live/room%201/index.m3u8");
    assert_eq!(started.body["claims"].as_array().unwrap().len(), 1);
    assert!(!started.body.to_string().contains("k3y"), "the call's URL is never shown");

    let job = recorder.job().await;
    assert_eq!((job.call_url.as_deref(), job.first_incarnation), (Some("https://meet.example/room#k3y"), 1));
    assert!(job.publish_url.starts_with("rtmp://127.0.0.1:1935/live/room%201?grant="), "{}", job.publish_url);
    recorder.reports(job.stream_id, 1, "publishing").await;
    let publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    let id = started.text("id");
    relay.stream_until(id, |stream| stream["state"] == "live" && stream["incarnation"] == 1).await;

    let asked = Instant::now();
    let stopping = relay.delete(&format!("/streams/{id}")).await;
    assert_eq!((stopping.status, stopping.text("state")), (202, "stopping"));
    assert_eq!(recorder.stop().await, job.stream_id);
    assert!(asked.elapsed() >= Duration::from_secs(3), "the stop is debounced");
    assert_eq!(relay.claim("live/room 1").await, "live", "the claim is kept until the recorder is done");
    assert!(!publisher.is_cut_off());
    recorder.ended(job.stream_id, "stopped").await;
    let ended = relay.stream_until(id, |stream| stream["state"] == "ended").await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(ended["end_reason"], "stopped");
    relay.claim_is_free("live/room 1").await;
    assert!(publisher.is_cut_off());
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn parallel_requests_with_one_key_start_one_stream() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 50).await;
    let body = test_stream("live/one");
    let answers = futures_util::future::join_all((0..40).map(|_| relay.start("key-1", &body))).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.body.to_string())).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(answers[0].status, 201);
    recorder.job().await;
    assert!(recorder.hears_nothing().await, "one job");

    let other = json!({ "call": { "kind": "test" }, "name": "live/two" });
    relay.start("key-1", &other).await.is_problem(409, "idempotency_mismatch");
    assert_eq!(relay.start("key-2", &other).await.status, 201);
}

#[tokio::test]
async fn two_streams_of_one_name_are_one_stream_and_a_refusal_that_names_the_holder() {
    let relay = Relay::new().await;
    let _recorder = relay.recorder("rec-1", 5).await;
    let body = test_stream("live/one");
    let first = relay.post("/streams", &body).await;
    let second = relay.post("/streams", &body).await;
    second.is_problem(409, "claim_held");
    assert_eq!(second.body["holder"]["label"], "stream live/one");
    assert_eq!(second.body["holder"]["since"], first.body["created_at"]);

    let claimed = relay.post("/claims", &json!({ "name": "live/two", "label": "encoder" })).await;
    assert_eq!(claimed.status, 201);
    assert!(claimed.text("publish_url").starts_with("rtmp://127.0.0.1:1935/live/two?grant="));
    let refused = relay.post("/streams", &test_stream("live/two")).await;
    refused.is_problem(409, "claim_held");
    assert_eq!(refused.body["holder"]["label"], "encoder");
    let streams = relay.get("/streams").await.body;
    assert_eq!(streams["streams"].as_array().unwrap().len(), 1, "a refused start leaves no trace");
}

#[tokio::test]
async fn remove_and_add_keeps_the_running_recorder() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 5).await;
    let body = test_stream("live/one");
    let first = relay.start("a", &body).await;
    recorder.job().await;
    let id = first.text("id").to_owned();
    relay.delete(&format!("/streams/{id}")).await;
    let again = relay.start("b", &body).await;
    assert_eq!((again.status, again.text("id")), (201, id.as_str()));
    tokio::time::sleep(Duration::from_millis(3300)).await;
    assert_eq!(relay.get(&format!("/streams/{id}")).await.text("state"), "joining");
    assert!(recorder.hears_nothing().await, "it was told nothing");
    assert_eq!(relay.start("a", &body).await.body, first.body, "the old key still has its answer");
}

#[tokio::test]
async fn another_call_of_the_name_ends_the_wait_of_the_stop() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 5).await;
    let first = relay.post("/streams", &test_stream("live/one")).await;
    let job = recorder.job().await;
    relay.delete(&format!("/streams/{}", first.text("id"))).await;
    let other = json!({ "call": { "url": "https://meet.example/x" }, "name": "live/one" });
    let refused = relay.post("/streams", &other).await;
    refused.is_problem(409, "claim_held");
    assert_eq!(refused.retry_after.as_deref(), Some("3"));
    recorder.stop().await;
    recorder.ended(job.stream_id, "stopped").await;
    relay.stream_until(first.text("id"), |stream| stream["state"] == "ended").await;
    assert_eq!(relay.post("/streams", &other).await.status, 201);
}

#[tokio::test]
async fn without_a_spare_recorder_a_start_is_refused_or_waits_as_asked() {
    let relay = Relay::new().await;
    let refused = relay.post("/streams", &test_stream("live/one")).await;
    refused.is_problem(503, "no_spare_recorder");
    assert!(refused.retry_after.is_some());

    let patient = json!({ "call": { "kind": "test" }, "name": "live/one", "wait_seconds": 10 });
    let arrive = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        relay.recorder("rec-1", 1).await
    };
    let (started, mut recorder) = tokio::join!(relay.start("k", &patient), arrive);
    assert_eq!(started.status, 201, "{started:?}");
    recorder.job().await;
    relay.post("/streams", &test_stream("live/two")).await.is_problem(503, "no_spare_recorder");
}

#[tokio::test]
async fn a_kind_that_nobody_can_join_is_refused_by_name() {
    let relay = Relay::new().await;
    let _recorder = relay.recorder("rec-1", 1).await;
    let body = json!({ "call": { "url": "https://meet.example/x", "kind": "jitsi" }, "name": "live/one" });
    let refused = relay.post("/streams", &body).await;
    refused.is_problem(422, "invalid_field");
    assert_eq!(refused.text("field"), "call.kind");
}

#[tokio::test]
async fn a_start_that_cannot_be_stored_is_not_answered_as_done() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 1).await;
    relay.store.close().await;
    relay.post("/streams", &test_stream("live/one")).await.is_problem(503, "store_unavailable");
    assert!(recorder.hears_nothing().await);
}

#[tokio::test]
async fn a_restarted_relay_goes_on_with_its_streams_and_its_answers() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    let body = test_stream("live/one");
    let first = relay.start("key", &body).await;
    let job = recorder.job().await;
    let _publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    let id = first.text("id").to_owned();
    relay.stream_until(&id, |stream| stream["state"] == "live").await;

    let relay = relay.restart().await;
    assert_eq!(relay.get(&format!("/streams/{id}")).await.text("state"), "recovering");
    let mut recorder = FakeRecorder::again(relay.addr, recorder.instance).await;
    recorder.hello("rec-1", 2, &[job.stream_id]).await;
    assert_eq!(recorder.welcome().await, [job.stream_id]);
    let renewed = recorder.job().await;
    assert_eq!(renewed.stream_id, job.stream_id);
    // The worker still has the publish URL from before the restart.
    let _publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    relay.stream_until(&id, |stream| stream["state"] == "live").await;
    assert_eq!(relay.start("key", &body).await.body, first.body);
    let claims = relay.get("/claims").await.body;
    assert_eq!(claims["claims"][0]["id"], first.body["claims"][0], "the same claim");
    relay.post("/streams", &body).await.is_problem(409, "claim_held");
}

#[tokio::test]
async fn a_seized_stream_is_cut_off_and_over() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    let started = relay.post("/streams", &test_stream("live/one")).await;
    let job = recorder.job().await;
    let publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    relay.stream_until(started.text("id"), |stream| stream["state"] == "live").await;
    let claim = relay.get("/claims").await.body["claims"][0].clone();
    let path = format!("/claims/{}/seize", claim["id"].as_str().unwrap());
    let stale = json!({ "reason": "mixup", "expected_token": claim["token"].as_u64().unwrap() - 1 });
    relay.post(&path, &stale).await.is_problem(409, "stale_token");
    let seize = json!({ "reason": "mixup", "expected_token": claim["token"] });
    assert_eq!(relay.post(&path, &seize).await.status, 204);
    assert!(publisher.is_cut_off());
    assert_eq!(recorder.stop().await, job.stream_id);
    recorder.ended(job.stream_id, "stopped").await;
    let ended = relay.stream_until(started.text("id"), |stream| stream["state"] == "ended").await;
    assert_eq!(ended["end_reason"], "seized");
}

#[tokio::test]
async fn a_draining_relay_starts_nothing_and_stops_nothing() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    let first = relay.post("/streams", &test_stream("live/one")).await;
    recorder.job().await;
    relay.streams.drain().await;
    relay.post("/streams", &test_stream("live/two")).await.is_problem(503, "draining");
    assert_eq!(relay.get(&format!("/streams/{}", first.text("id"))).await.text("state"), "joining");
}
