//! Promises about recorders.

use super::fake_publisher::FakePublisher;
use super::*;
use api::control::{FromRecorder, FromRelay};
use uuid::Uuid;

#[tokio::test]
async fn a_hello_puts_both_sides_right() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 4).await;
    let kept = relay.post("/streams", &test_stream("live/kept")).await;
    let kept_job = recorder.job().await;
    let lost = relay.post("/streams", &test_stream("live/lost")).await;
    let lost_job = recorder.job().await;
    assert_eq!((kept.status, lost.status), (201, 201));
    let instance = recorder.instance;
    recorder.vanish();

    let stray = Uuid::new_v4();
    let mut recorder = FakeRecorder::again(relay.addr, instance).await;
    recorder.hello("rec-1", 4, &[kept_job.stream_id, stray]).await;
    let mut keep = recorder.welcome().await;
    keep.sort();
    let mut both = vec![kept_job.stream_id, lost_job.stream_id];
    both.sort();
    assert_eq!(keep, both, "the stray worker is not kept");
    let mut started = Vec::new();
    let mut stopped = Vec::new();
    for _ in 0..3 {
        match recorder.hear().await {
            Some(FromRelay::Start { job }) => started.push(job.stream_id),
            Some(FromRelay::Stop { stream_id, .. }) => stopped.push(stream_id),
            other => panic!("{other:?}"),
        }
    }
    started.sort();
    assert_eq!((started, stopped), (both, vec![stray]));
}

#[tokio::test]
async fn a_recorder_out_of_reach_is_left_alone_while_media_flows_and_replaced_after_that() {
    let relay = Relay::new().await;
    let mut first = relay.recorder("rec-1", 1).await;
    let started = relay.post("/streams", &test_stream("live/one")).await;
    let job = first.job().await;
    let publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    relay.stream_until(started.text("id"), |stream| stream["state"] == "live").await;
    let mut second = relay.recorder("rec-2", 1).await;
    first.vanish();
    assert!(second.hears_nothing().await, "media flows: nothing is done");
    publisher.vanish();
    let recovering = relay.stream_until(started.text("id"), |stream| stream["state"] == "recovering").await;
    assert_eq!(recovering["recorder"], "rec-1", "it gets its time to come back");
    let moved = second.job_within(Duration::from_secs(12)).await;
    assert_eq!((moved.stream_id, moved.first_incarnation), (job.stream_id, 101));
    let _next = FakePublisher::publish(&relay, &moved.publish_url, 101).await.unwrap();
    let refused = FakePublisher::publish(&relay, &job.publish_url, 2).await.map(drop).unwrap_err();
    assert!(refused.contains("a newer process"), "{refused}");
    relay.stream_until(started.text("id"), |stream| stream["state"] == "live").await;
}

#[tokio::test]
async fn a_job_that_is_declined_goes_to_another_recorder() {
    let relay = Relay::new().await;
    let mut first = relay.recorder("rec-1", 1).await;
    relay.post("/streams", &test_stream("live/one")).await;
    let job = first.job().await;
    let mut second = relay.recorder("rec-2", 1).await;
    first.say(&FromRecorder::Declined { stream_id: job.stream_id, detail: "no display".into() }).await;
    let moved = second.job().await;
    assert_eq!((moved.stream_id, moved.first_incarnation), (job.stream_id, 101));
}

#[tokio::test]
async fn a_second_recorder_of_one_name_is_refused() {
    let relay = Relay::new().await;
    let _first = relay.recorder("rec-1", 1).await;
    let mut second = FakeRecorder::connect(relay.addr).await;
    second.hello("rec-1", 1, &[]).await;
    assert_eq!(second.hear().await, None);
    assert_eq!(relay.get("/recorders").await.body["recorders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_closes_the_connection_and_nothing_else() {
    let relay = Relay::new().await;
    let mut good = relay.recorder("rec-1", 1).await;
    for nonsense in ["{", r#"{"say":"load","stress":0.5}"#, &"x".repeat(300_000)] {
        let mut bad = FakeRecorder::connect(relay.addr).await;
        bad.say_text(nonsense).await;
        assert_eq!(bad.hear().await, None);
    }
    assert!(good.hears_nothing().await);
    assert_eq!(relay.post("/streams", &test_stream("live/one")).await.status, 201);
}

#[tokio::test]
async fn a_drained_recorder_gets_nothing_new_even_after_it_came_back() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    assert_eq!(relay.post("/recorders/rec-1/drain", &json!({})).await.status, 204);
    relay.post("/recorders/nobody/drain", &json!({})).await.is_problem(404, "not_found");
    assert_eq!(recorder.hear().await, Some(FromRelay::Drain));
    relay.post("/streams", &test_stream("live/one")).await.is_problem(503, "no_spare_recorder");
    let instance = recorder.instance;
    recorder.vanish();
    let mut recorder = FakeRecorder::again(relay.addr, instance).await;
    recorder.hello("rec-1", 2, &[]).await;
    recorder.welcome().await;
    assert_eq!(recorder.hear().await, Some(FromRelay::Drain));
    assert_eq!(relay.get("/recorders").await.body["recorders"][0]["draining"], true);
}

#[tokio::test]
async fn a_call_that_is_over_frees_its_place() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 1).await;
    let started = relay.post("/streams", &test_stream("live/one")).await;
    let job = recorder.job().await;
    recorder.reports(job.stream_id, 1, "publishing").await;
    recorder.ended(job.stream_id, "call_ended").await;
    let ended = relay.stream_until(started.text("id"), |stream| stream["state"] == "ended").await;
    assert_eq!(ended["end_reason"], "call_ended");
    assert_eq!(relay.post("/streams", &test_stream("live/two")).await.status, 201);
}
