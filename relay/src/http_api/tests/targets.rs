//! Promises about targets that come and go while a stream runs.

use super::*;

const KEY: &str = "k3y-of-the-target";

fn url(at: u16) -> Value {
    // Nobody listens at the discard port.
    json!({ "url": format!("rtmp://127.0.0.1:9/app/{KEY}-{at}") })
}

fn indices(stream: &Value) -> Vec<u64> {
    stream["targets"].as_array().unwrap().iter().map(|row| row["index"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn targets_come_and_go_while_a_stream_runs_and_are_as_durable_as_itself() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 1).await;
    let started = relay.post("/streams", &test_stream("live/one")).await;
    recorder.job().await;
    let stream = format!("/streams/{}", started.text("id"));
    let targets = format!("{stream}/targets");
    for at in 0..2 {
        let added = relay.post(&targets, &url(at)).await;
        assert_eq!((added.status, added.body["index"].as_u64()), (201, Some(at.into())), "{added:?}");
        assert_eq!(added.headers["location"], format!("/api/v1{targets}/{at}"));
        assert_eq!(added.text("url"), "rtmp://127.0.0.1:9/app/…");
    }
    let again = relay.post(&targets, &url(1)).await;
    assert_eq!((again.status, again.body["index"].as_u64()), (200, Some(1)), "it is there already");
    assert_eq!(relay.delete(&format!("{targets}/1")).await.status, 204);
    relay.delete(&format!("{targets}/1")).await.is_problem(404, "not_found");
    assert_eq!(relay.post(&targets, &url(2)).await.body["index"], 2, "a number is never another's");
    assert_eq!(indices(&relay.get(&stream).await.body), [0, 2]);

    let relay = relay.restart().await;
    assert_eq!(indices(&relay.get(&stream).await.body), [0, 2]);
    let all = relay.get(&stream).await.body.to_string() + &relay.get("/targets").await.body.to_string();
    assert!(!all.contains(KEY), "{all}");
}

#[tokio::test]
async fn a_target_that_cannot_be_added_or_removed_is_answered_with_the_reason() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 1).await;
    let started = relay.post("/streams", &test_stream("live/one")).await;
    let job = recorder.job().await;
    let targets = format!("/streams/{}/targets", started.text("id"));
    for body in
        [json!({ "url": "http://a/b/c" }), json!({ "url": "rtmp://a/k3y" }), json!({}), json!({ "urls": [] })]
    {
        let refused = relay.post(&targets, &body).await;
        assert!(matches!(refused.status, 400 | 422), "{body}: {refused:?}");
        assert!(!refused.body.to_string().contains("k3y"), "{refused:?}");
    }
    for at in 0..8 {
        assert_eq!(relay.post(&targets, &url(at)).await.status, 201);
    }
    let ninth = relay.post(&targets, &url(8)).await;
    ninth.is_problem(422, "invalid_field");
    assert_eq!(ninth.text("field"), "url");
    for path in ["/0/0", "/x", "/-1", "/4294967296"] {
        relay.delete(&format!("{targets}{path}")).await.is_problem(404, "not_found");
    }
    relay.delete("/streams/x/targets/0").await.is_problem(404, "not_found");
    let unknown = format!("/streams/{}/targets", uuid::Uuid::new_v4());
    relay.post(&unknown, &url(0)).await.is_problem(404, "not_found");

    relay.delete(&format!("/streams/{}", started.text("id"))).await;
    assert_eq!(recorder.stop().await, job.stream_id);
    relay.post(&targets, &url(0)).await.is_problem(409, "stream_ended");
}
