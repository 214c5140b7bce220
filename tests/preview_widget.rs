//! The in-room preview: waits in words, plays by itself, close to life.

use e2e::{Ffmpeg, Relay, Source, Tab, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_nobody_streams_and_starts_by_itself_when_somebody_does() {
    let relay = Relay::start();
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/room-1")).await;
    tab.becomes_true(10.0, "window.sluice?.state === 'waiting'").await;
    let text = tab.value("document.body.innerText").await.expect("a page");
    let text = text.as_str().unwrap_or_default().to_owned();
    assert!(!text.trim().is_empty(), "it says something while it waits");

    let _publisher = Ffmpeg::publish(Source::Hd, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "the stream is live", || relay.live("live/room-1")).await;
    // Within three seconds of being live; the first second of the stream itself is part of them.
    tab.becomes_true(3.0, "(document.querySelector('video')?.currentTime ?? 0) > 0").await;
    let before = tab.number("document.querySelector('video').currentTime").await.expect("a time");
    tab.becomes_true(5.0, &format!("document.querySelector('video').currentTime > {before} + 1")).await;
    tab.becomes_true(5.0, "window.sluice.state === 'live'").await;
    assert!(tab.picture_contrast().await.expect("a picture") > 10.0, "the picture is not black");
    tab.becomes_true(10.0, "window.sluice.latencySeconds !== null && window.sluice.latencySeconds < 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_plays_on_when_the_publisher_comes_back() {
    let relay = Relay::start();
    let url = relay.rtmp_url("live/room-1");
    let mut publisher = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "the stream is live", || relay.live("live/room-1")).await;
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/room-1")).await;
    tab.becomes_true(15.0, "(document.querySelector('video')?.currentTime ?? 0) > 1").await;
    publisher.process.kill_9();
    let _successor = Ffmpeg::publish(Source::Small, &url, None);
    let before = tab.number("document.querySelector('video').currentTime").await.expect("a time");
    tab.becomes_true(25.0, &format!("document.querySelector('video').currentTime > {before} + 6")).await;
    tab.becomes_true(5.0, "window.sluice.state === 'live'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_the_stream_is_over_when_it_is() {
    let mut options = e2e::RelayOptions::default();
    options.environment.push(("SLUICE_CLAIMS__GRACE_SECONDS".into(), "2".into()));
    let relay = Relay::start_with(options);
    let publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "the stream is live", || relay.live("live/room-1")).await;
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/room-1")).await;
    tab.becomes_true(15.0, "window.sluice?.state === 'live'").await;
    drop(publisher);
    tab.becomes_true(20.0, "['ended', 'waiting'].includes(window.sluice.state)").await;
}
