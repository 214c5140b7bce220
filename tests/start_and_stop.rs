//! A bot's start becomes a live call, once; its stop leaves nothing behind.

use anyhow::{Context, Result, ensure};
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use e2e::{Deadline, Recorder, Relay, Tab, alive, descendants, eventually, glass_to_glass_ms};

fn start(name: &str, kind: CallKind, url: Option<String>) -> StartStream {
    StartStream {
        call: Call { url, kind },
        name: name.into(),
        targets: Vec::new(),
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: std::collections::BTreeMap::new(),
        wait_seconds: Some(20),
    }
}

async fn in_state(relay: &Relay, stream: &StreamView, state: StreamState) -> Result<StreamView> {
    let view = relay.client().stream(stream.id).await?;
    ensure!(view.state == state, "it is {:?}: {:?}", view.state, view.detail);
    Ok(view)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_call_is_live_within_twenty_seconds_and_gone_within_five_of_its_stop() {
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "rec-1", 1);
    eventually(10.0, "the recorder is there", || async {
        let recorders = relay.client().recorders().await?;
        ensure!(recorders.iter().any(|it| it.connected), "{recorders:?}");
        Ok(())
    })
    .await;

    let call = relay.url("/call?recorder=1");
    let asked = Deadline::in_seconds(20.0);
    let stream = relay.client().start_stream(&start("live/call", CallKind::Web, Some(call)), "one").await;
    let stream = stream.expect("it is accepted");
    eventually(20.0, "it is live", || in_state(&relay, &stream, StreamState::Live)).await;
    assert!(!asked.has_passed(), "live within twenty seconds of the request");

    // Really a call, really close to life: the clock in the page is read from the viewer's picture.
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/call")).await;
    let latency_ms = eventually(20.0, "the clock can be read and is close", || async {
        let age = glass_to_glass_ms(&tab).await?;
        ensure!(age < 3_000.0, "the picture is {age} ms old");
        Ok(age)
    })
    .await;
    println!("glass to glass: {latency_ms:.0} ms");
    assert!(tab.picture_contrast().await.expect("a picture") > 10.0);
    drop(tab);

    let cell = descendants(recorder.process.pid());
    for program in ["sluice-worker", "Xvfb", "pulseaudio", "chrom"] {
        assert!(cell.values().any(|name| name.starts_with(program)), "{program} is in {cell:?}");
    }
    for pid in cell.keys() {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        for place in [arguments, environment] {
            assert!(
                !String::from_utf8_lossy(&place).contains("grant="),
                "a grant can be read in /proc/{pid}"
            );
        }
    }

    relay.client().stop_stream(stream.id).await.expect("the stop is accepted");
    eventually(5.0, "worker, Xvfb, PulseAudio and Chromium are gone and the claim is free", || async {
        let left: Vec<_> = cell.iter().filter(|(pid, _)| alive(**pid)).collect();
        ensure!(left.is_empty(), "still there: {left:?}");
        let claims = relay.client().claims().await?;
        ensure!(claims.is_empty(), "still claimed: {claims:?}");
        Ok(())
    })
    .await;
    let ended = in_state(&relay, &stream, StreamState::Ended).await.expect("it is over");
    assert_eq!(ended.end_reason.as_deref(), Some("stopped"));
    let work: Vec<_> = std::fs::read_dir(recorder.work_dir()).into_iter().flatten().flatten().collect();
    assert!(
        work.iter().all(|it| !it.file_name().to_string_lossy().contains(&e2e::folder_id(stream.id))),
        "{work:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_is_one_stream_even_at_the_same_time() {
    let relay = Relay::start();
    let _recorder = Recorder::start(&relay, "rec-1", 4);
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let client = relay.client();
            tokio::spawn(async move {
                client.start_stream(&start("live/once", CallKind::Test, None), "same").await
            })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for request in requests {
        ids.insert(request.await.expect("no panic").expect("each gets the stream").id);
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let again = relay.client().start_stream(&start("live/once", CallKind::Test, None), "same").await;
    assert!(ids.contains(&again.expect("and later, too").id));

    let other = relay.client().start_stream(&start("live/other", CallKind::Test, None), "same").await;
    assert!(other.expect_err("the key belongs to another request").to_string().contains("idempotency"));
    let taken = relay.client().start_stream(&start("live/once", CallKind::Test, None), "new").await;
    let taken = taken.expect_err("the name is taken").to_string();
    assert!(taken.contains("another holder") || taken.contains("held"), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_removed_and_added_again_fast_keeps_its_recorder() {
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "rec-1", 2);
    let request = start("live/widget", CallKind::Test, None);
    let first = relay.client().start_stream(&request, "a").await.expect("accepted");
    eventually(20.0, "it is live", || in_state(&relay, &first, StreamState::Live)).await;
    let worker = |cell: std::collections::BTreeMap<u32, String>| -> Option<u32> {
        cell.into_iter().find(|(_, name)| name.starts_with("sluice-worker")).map(|(pid, _)| pid)
    };
    let before = worker(descendants(recorder.process.pid())).expect("a worker");

    relay.client().stop_stream(first.id).await.expect("the stop is accepted");
    let second = relay.client().start_stream(&request, "b").await.expect("accepted again at once");
    assert_eq!(second.id, first.id, "it is the same stream");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await; // longer than the stop would have taken to act
    in_state(&relay, &first, StreamState::Live).await.expect("still live");
    assert_eq!(worker(descendants(recorder.process.pid())), Some(before), "by the same worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_recorder_a_start_is_refused_with_a_time_to_retry() {
    let relay = Relay::start();
    let mut request = start("live/nobody", CallKind::Test, None);
    request.wait_seconds = None;
    let body = serde_json::to_string(&request).expect("JSON");
    let answer = reqwest::Client::new()
        .post(relay.url("/api/v1/streams"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = answer.json().await.context("a problem").expect("JSON");
    assert_eq!(problem["code"], "no_spare_recorder");
    assert!(relay.client().claims().await.expect("an answer").is_empty(), "and holds nothing");
}
