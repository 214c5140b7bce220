//! Promises to those who watch.

use super::fake_publisher::FakePublisher;
use super::*;
use api::client::Client;
use api::events::Event;
use api::streams::StreamState;

async fn next(events: &mut api::client::Events) -> Event {
    tokio::time::timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn events_begin_with_a_snapshot_and_go_on_with_changes() {
    let relay = Relay::new().await;
    let mut recorder = relay.recorder("rec-1", 2).await;
    relay.post("/streams", &test_stream("live/before")).await;
    recorder.job().await;
    let mut events = Client::new(&format!("http://{}", relay.addr), None).unwrap().events().await.unwrap();
    match next(&mut events).await {
        Event::Snapshot { streams, recorders, .. } => {
            assert_eq!((streams.len(), recorders.len()), (1, 1));
        }
        other => panic!("{other:?}"),
    }
    let started = relay.post("/streams", &test_stream("live/after")).await;
    let job = recorder.job().await;
    let id: uuid::Uuid = started.text("id").parse().unwrap();
    let _publisher = FakePublisher::publish(&relay, &job.publish_url, 1).await.unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&StreamState::Live) {
        if let Event::Stream { stream } = next(&mut events).await
            && stream.id == id
        {
            seen.push(stream.state);
        }
    }
    seen.dedup();
    assert_eq!(seen, [StreamState::Claiming, StreamState::Joining, StreamState::Live]);
}

#[tokio::test]
async fn a_reader_that_fell_behind_gets_a_snapshot_again() {
    let relay = Relay::new().await;
    let mut events = Client::new(&format!("http://{}", relay.addr), None).unwrap().events().await.unwrap();
    assert!(matches!(next(&mut events).await, Event::Snapshot { .. }));
    // More than the backlog, before the reader's task can run.
    for _ in 0..2000 {
        relay.events.publish(Event::Broadcasts { broadcasts: Vec::new() });
    }
    let mut changes = 0;
    loop {
        match next(&mut events).await {
            Event::Snapshot { .. } => break,
            Event::Broadcasts { .. } => changes += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(changes < 2000);
}

#[tokio::test]
async fn a_widget_of_any_page_sees_a_stream_come_and_go() {
    let relay = Relay::new().await;
    let idle = relay.get("/status/live/room%201").await;
    assert_eq!(
        (idle.text("state"), idle.headers["access-control-allow-origin"].as_bytes()),
        ("idle", &b"*"[..])
    );
    assert_eq!(idle.headers["cache-control"], "public, max-age=1");
    let feed = reqwest::Client::new().get(relay.url("/status/live/room%201/events"));
    let mut feed = feed.header("Origin", "https://element.example").send().await.unwrap();
    assert_eq!(feed.headers()["access-control-allow-origin"], "*");
    assert_eq!(feed.headers()["content-type"], "text/event-stream");
    let mut heard = async |words: &str| {
        let mut text = String::new();
        while !text.contains(words) {
            let chunk = tokio::time::timeout(Duration::from_secs(5), feed.chunk()).await;
            text.push_str(std::str::from_utf8(&chunk.expect(words).unwrap().unwrap()).unwrap());
        }
        text
    };
    assert!(heard(r#""state":"idle""#).await.starts_with("event: status\n"));
    let live = json!({
        "name": "live/room 1", "live": true, "token": 7, "since": "2026-01-01T10:00:09Z",
        "media": api::streams::MediaView::default(), "playback": { "hls": "", "widget": "" }
    });
    relay.broadcasts.0.lock().unwrap().push(serde_json::from_value(live).unwrap());
    let text = heard(r#""state":"live""#).await;
    assert!(text.contains(r#""hls":"/hls/live/room%201/index.m3u8","token":7"#), "{text}");
    relay.broadcasts.0.lock().unwrap().clear();
    heard(r#""state":"idle""#).await;
}

#[tokio::test]
async fn a_stream_named_events_has_a_status_too() {
    let relay = Relay::new().await;
    assert_eq!(relay.get("/status/live/events").await.text("state"), "idle");
}
