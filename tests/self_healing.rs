//! Whatever is killed, the stream comes back by itself, and nothing is left behind.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

use anyhow::{Context, Result, ensure};
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use e2e::{Deadline, Ffmpeg, Recorder, Relay, alive, descendants, eventually, kill_9};
use std::collections::BTreeMap;

async fn start(relay: &Relay, name: &str, kind: CallKind, url: Option<String>) -> StreamView {
    let request = StartStream {
        call: Call { url, kind },
        name: name.into(),
        targets: Vec::new(),
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: BTreeMap::new(),
        wait_seconds: Some(20),
    };
    let stream = relay.client().start_stream(&request, name).await.expect("the start is accepted");
    eventually(30.0, "it is live", || live(relay, &stream)).await;
    stream
}

/// Live, with media that came just now.
async fn live(relay: &Relay, stream: &StreamView) -> Result<StreamView> {
    let view = relay.client().stream(stream.id).await?;
    ensure!(view.state == StreamState::Live, "it is {:?}: {:?}", view.state, view.detail);
    let broadcast = relay.live(&view.name).await?;
    ensure!(broadcast.media.silent_ms < 1_000, "silent for {} ms", broadcast.media.silent_ms);
    Ok(view)
}

/// A process of the recorder by its program's name.
fn find(recorder: &Recorder, program: &str) -> u32 {
    let cell = descendants(recorder.process.pid());
    let mut found: Vec<_> =
        cell.iter().filter(|(_, name)| name.starts_with(program)).map(|(pid, _)| *pid).collect();
    found.sort_unstable();
    *found.first().unwrap_or_else(|| panic!("no {program} in {cell:?}"))
}

/// Kills one of a stream's processes and waits until another worker has brought the stream back.
async fn comes_back_after_killing(relay: &Relay, recorder: &Recorder, stream: &StreamView, program: &str) {
    let before = live(relay, stream).await.expect("it is live");
    let cell = descendants(recorder.process.pid());
    let started = Deadline::in_seconds(15.0);
    kill_9(find(recorder, program));
    let after = eventually(15.0, "it is live again", || async {
        let view = live(relay, stream).await?;
        ensure!(view.incarnation > before.incarnation, "still the worker before");
        Ok(view)
    })
    .await;
    assert!(!started.has_passed());
    println!("after killing {program}: live again as incarnation {}", after.incarnation);
    let left: Vec<_> = cell.into_iter().filter(|(pid, _)| alive(*pid)).collect();
    assert!(left.is_empty(), "of the cell before, still there: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_replaced() {
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "rec-1", 2);
    let stream = start(&relay, "live/test", CallKind::Test, None).await;
    let beside = start(&relay, "live/beside", CallKind::Test, None).await;
    let untouched = relay.claim("live/beside").await.expect("a claim");
    kill_9_worker_of(&recorder, &stream);
    eventually(15.0, "it is live again", || async {
        let view = live(&relay, &stream).await?;
        ensure!(view.incarnation == 2, "incarnation {}", view.incarnation);
        Ok(())
    })
    .await;
    live(&relay, &beside).await.expect("the stream beside it did not notice");
    assert_eq!(relay.claim("live/beside").await.expect("a claim").token, untouched.token);
}

/// Kills the worker whose working folder names the stream.
fn kill_9_worker_of(recorder: &Recorder, stream: &StreamView) {
    let id = e2e::folder_id(stream.id);
    let found = descendants(recorder.process.pid()).into_iter().find(|(pid, name)| {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        name.starts_with("sluice-worker") && folder.to_string_lossy().contains(&id)
    });
    kill_9(found.expect("the stream has a worker").0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_chromium_and_a_killed_xvfb_are_replaced() {
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "rec-1", 1);
    let call = relay.url("/call?recorder=1");
    let stream = start(&relay, "live/call", CallKind::Web, Some(call)).await;
    comes_back_after_killing(&relay, &recorder, &stream, "chrom").await;
    comes_back_after_killing(&relay, &recorder, &stream, "Xvfb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_die_with_a_killed_recorder_and_another_recorder_takes_over() {
    let relay = Relay::start();
    let mut first = Recorder::start(&relay, "rec-1", 1);
    let call = relay.url("/call?recorder=1");
    let stream = start(&relay, "live/call", CallKind::Web, Some(call)).await;
    let cell = descendants(first.process.pid());
    assert!(cell.len() > 4, "{cell:?}");
    first.process.kill_9();
    eventually(5.0, "nothing of the recorder is left", || async {
        let left: Vec<_> = cell.iter().filter(|(pid, _)| alive(**pid)).collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
    let _second = Recorder::start(&relay, "rec-2", 1);
    let view = eventually(45.0, "it is live again", || live(&relay, &stream)).await;
    assert_eq!(view.recorder.as_deref(), Some("rec-2"));
}

/// The media playlist of a stream.
async fn playlist(relay: &Relay, name: &str) -> Result<String> {
    let master = reqwest::get(relay.hls_url(name)).await?.error_for_status()?.text().await?;
    let media =
        master.lines().find(|line| !line.starts_with('#') && !line.is_empty()).context("a rendition")?;
    let url = url::Url::parse(&relay.hls_url(name))?.join(media)?;
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

fn number(playlist: &str, tag: &str) -> Result<u64> {
    let text =
        playlist.lines().find_map(|line| line.strip_prefix(tag)).with_context(|| format!("no {tag}"))?;
    Ok(text.trim().parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_comes_back_with_its_claims_and_hls_goes_on() {
    let mut relay = Relay::start();
    let recorder = Recorder::start(&relay, "rec-1", 1);
    let stream = start(&relay, "live/test", CallKind::Test, None).await;
    let old = eventually(15.0, "a few segments", || async {
        let text = playlist(&relay, "live/test").await?;
        ensure!(text.matches("#EXTINF").count() >= 3, "{text}");
        Ok(text)
    })
    .await;
    let worker = find(&recorder, "sluice-worker");
    let claim = relay.claim("live/test").await.expect("a claim");

    relay.crash_and_restart().expect("it comes up again");
    let restored = eventually(3.0, "the claim is what it was", || relay.claim("live/test")).await;
    assert_eq!(
        (restored.id, &restored.holder, restored.stream_id),
        (claim.id, &claim.holder, claim.stream_id)
    );
    assert!(restored.token >= claim.token, "a token is never reused");

    let view = eventually(15.0, "it is live again", || live(&relay, &stream)).await;
    assert_eq!(view.id, stream.id);
    assert!(alive(worker), "the relay's absence never stops a worker");
    assert_eq!(find(&recorder, "sluice-worker"), worker);

    let new = eventually(15.0, "HLS is back", || async {
        let text = playlist(&relay, "live/test").await?;
        ensure!(text.contains("#EXTINF"), "{text}");
        Ok(text)
    })
    .await;
    let tag = "#EXT-X-MEDIA-SEQUENCE:";
    let last = number(&old, tag).expect("a number") + old.matches("#EXTINF").count() as u64 - 1;
    assert!(number(&new, tag).expect("a number") > last, "the media sequence goes on:\n{old}\n{new}");
    let tag = "#EXT-X-DISCONTINUITY-SEQUENCE:";
    let discontinuities = |text: &str| {
        number(text, tag).unwrap_or(0)
            + text.lines().filter(|line| *line == "#EXT-X-DISCONTINUITY").count() as u64
    };
    assert!(discontinuities(&new) > discontinuities(&old), "a discontinuity is marked:\n{new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_comes_back_after_a_relay_restart_continues_the_stream() {
    let mut relay = Relay::start();
    let url = relay.rtmp_url("live/encoder");
    let first = Ffmpeg::publish(e2e::Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live("live/encoder")).await;
    let token = relay.claim("live/encoder").await.expect("a claim").token;
    relay.crash_and_restart().expect("it comes up again");
    drop(first);
    let _second = Ffmpeg::publish(e2e::Source::Small, &url, None);
    eventually(20.0, "it is live again", || relay.live("live/encoder")).await;
    assert!(relay.claim("live/encoder").await.expect("a claim").token > token);
}
