//! GStreamer's rtmp2sink and rtmp2src.

use crate::process::spawn;
use crate::server::{Publishers, Server};
use rtmp::MessageKind;
use rtmp::flv::{AudioTag, VideoTag, parse_audio, parse_video};

fn encode(frames: u32, url: &str) -> String {
    let blocks = frames * 48_000 / 25 / 1024;
    format!(
        "gst-launch-1.0 -e flvmux name=mux streamable=true ! rtmp2sink location={url} \
         videotestsrc is-live=true num-buffers={frames} ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! mux. \
         audiotestsrc is-live=true num-buffers={blocks} ! audio/x-raw,rate=48000 ! voaacenc ! mux."
    )
}

#[tokio::test]
async fn rtmp2sink_publishes_h264_and_aac() {
    let server = Server::start(Publishers::Accept).await;
    let outcome = spawn(&encode(50, &server.url("key"))).finish().await;
    assert!(outcome.success, "{}", outcome.text);
    server.until("the end of the stream", |seen| seen.unpublished).await;
    server.look(|seen| {
        assert_eq!(seen.failure, None);
        let (mut configs, mut pictures, mut sounds) = (0, 0, 0);
        for message in &seen.messages {
            match message.kind {
                MessageKind::Video => match parse_video(&message.body).unwrap() {
                    VideoTag::Config { .. } => configs += 1,
                    VideoTag::Frame { .. } => pictures += 1,
                    VideoTag::End | VideoTag::Other => {}
                },
                MessageKind::Audio => match parse_audio(&message.body).unwrap() {
                    AudioTag::Config { .. } => configs += 1,
                    AudioTag::Frame { .. } => sounds += 1,
                    AudioTag::Other => {}
                },
                MessageKind::Data => {}
            }
        }
        assert!(configs >= 2, "{configs}");
        assert!((48..=50).contains(&pictures), "{pictures}");
        assert!(sounds > 80, "{sounds}");
    });
}

#[tokio::test]
async fn rtmp2src_plays_what_rtmp2sink_publishes() {
    let server = Server::start(Publishers::Accept).await;
    let _publisher = spawn(&encode(500, &server.url("key")));
    let pictures = |seen: &crate::server::Seen| {
        seen.messages.iter().filter(|message| message.kind == MessageKind::Video).count()
    };
    server.until("a second of video", |seen| pictures(seen) > 30).await;
    let outcome = spawn(&format!(
        "gst-launch-1.0 -v rtmp2src location={} ! flvdemux name=demux \
         demux.video ! queue ! h264parse ! avdec_h264 ! identity eos-after=30 ! fakesink name=seen sync=false",
        server.url("key")
    ))
    .finish()
    .await;
    assert!(outcome.success, "{}", outcome.text);
    assert!(outcome.text.contains("width=(int)320"), "{}", outcome.text);
    assert!(outcome.text.contains("EOS"), "{}", outcome.text);
}

#[tokio::test]
async fn rtmp2sink_prints_that_the_url_is_taken_and_by_whom() {
    let held = "URL held by rec-2 since 12:00:03Z; publish refused";
    let server = Server::start(Publishers::Refuse(held)).await;
    let outcome = spawn(&encode(200, &server.url("key"))).finish().await;
    assert!(!outcome.success);
    assert!(outcome.text.contains(held), "{}", outcome.text);
    assert!(outcome.text.contains("already exists"), "{}", outcome.text);
}

/// rtmpsink and rtmpsrc are librtmp, from which OBS descends.
fn encode_with_librtmp(frames: u32, url: &str) -> String {
    format!(
        "gst-launch-1.0 -e flvmux name=mux streamable=true ! rtmpsink location={url} \
         videotestsrc is-live=true num-buffers={frames} ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! mux."
    )
}

#[tokio::test]
async fn librtmp_publishes_and_plays() {
    let server = Server::start(Publishers::Accept).await;
    let _publisher = spawn(&encode_with_librtmp(500, &server.url("key")));
    server.until("a second of video", |seen| seen.messages.len() > 30).await;
    let outcome = spawn(&format!(
        "gst-launch-1.0 -v rtmpsrc location={} ! flvdemux name=demux \
         demux.video ! queue ! h264parse ! avdec_h264 ! identity eos-after=30 ! fakesink sync=false",
        server.url("key")
    ))
    .finish()
    .await;
    assert!(outcome.success, "{}", outcome.text);
    assert!(outcome.text.contains("width=(int)320"), "{}", outcome.text);
}

#[tokio::test]
async fn librtmp_gives_up_at_once_when_it_is_refused() {
    let server = Server::start(Publishers::Refuse("held by rec-2")).await;
    let outcome = spawn(&encode_with_librtmp(500, &server.url("key"))).finish().await;
    assert!(!outcome.success);
    assert!(outcome.text.contains("Could not connect"), "{}", outcome.text);
}
