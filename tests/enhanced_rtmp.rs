//! Codecs of Enhanced RTMP reach HLS players. The tags are written here, since ffmpeg 5.1 writes none; what is in
//! them was encoded by ffmpeg, and ffmpeg plays what comes out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../hls/tests/source/encoded.rs"]
mod encoded;

use e2e::{Relay, eventually, ffprobe_json, scratch};
use media::{Frame, TargetUrl, TrackKind};
use rtmp::io::{Deadlines, Publisher};
use rtmp::{Message, MessageKind};
use std::time::Duration;

/// A video or audio body (Enhanced RTMP v2): first byte, FourCC, the rest.
fn body(first: u8, four_cc: &[u8; 4], rest: &[u8]) -> bytes::Bytes {
    [&[first][..], four_cc, rest].concat().into()
}

fn message(frame: &Frame, video: &[u8; 4]) -> Message {
    let timestamp = u32::try_from(frame.dts.as_millis().max(0)).unwrap();
    let (kind, body) = match frame.kind {
        TrackKind::Audio => (MessageKind::Audio, body(0x91, b"Opus", &frame.data)),
        TrackKind::Video => {
            let first = if frame.keyframe { 0x91 } else { 0xa1 };
            let composition = (frame.pts - frame.dts).as_millis() as u32;
            // H.265 alone states a composition time here.
            let offset = if video == b"hvc1" { &composition.to_be_bytes()[1..] } else { &[] };
            (MessageKind::Video, body(first, video, &[offset, &frame.data].concat()))
        }
    };
    Message { kind, timestamp, body }
}

/// Publishes twelve seconds of `codec` and Opus in real time; returns what ffprobe finds in HLS meanwhile.
async fn published_and_probed(codec: &str, four_cc: &'static [u8; 4]) -> (String, String) {
    let folder = scratch();
    let file = folder.path().join("source.mp4");
    let input = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000 -t 12";
    let rest = format!("-g 25 -pix_fmt yuv420p -c:v {codec} -c:a libopus -ac 2");
    encoded::make_mp4(&file, &format!("{input} {rest}"));
    let (video, audio) = (encoded::read(&file, TrackKind::Video), encoded::read(&file, TrackKind::Audio));
    let relay = Relay::start();
    let url: TargetUrl = relay.rtmp_url("live/modern").parse().unwrap();
    let mut publisher = Publisher::connect(&url, Deadlines::default()).await.unwrap();
    let publishing = tokio::spawn(async move {
        let configuration = |kind, first, four_cc, record: &[u8]| Message {
            kind,
            timestamp: 0,
            body: body(first, four_cc, record),
        };
        let headers = [
            configuration(MessageKind::Video, 0x90, four_cc, &video.record),
            configuration(MessageKind::Audio, 0x90, b"Opus", &audio.record),
        ];
        publisher.send(&headers).await.unwrap();
        let mut frames = [video.frames, audio.frames].concat();
        frames.sort_by_key(|frame| frame.dts);
        let mut sent_until = 0;
        for frame in frames {
            let due = frame.dts.as_millis().max(0);
            tokio::time::sleep(Duration::from_millis((due - sent_until) as u64)).await; // as an encoder does
            sent_until = due.max(sent_until);
            publisher.send(&[message(&frame, four_cc)]).await.unwrap();
        }
        publisher.close().await;
    });
    eventually(10.0, "it is live", || relay.live("live/modern")).await;
    let hls = relay.hls_url("live/modern");
    let multivariant = eventually(10.0, "there is a playlist", || async {
        Ok(reqwest::get(&hls).await?.error_for_status()?.text().await?)
    })
    .await;
    let probe = ffprobe_json(&["-show_streams", &hls]).unwrap();
    publishing.abort();
    let streams = probe["streams"].as_array().unwrap();
    let names: Vec<String> = streams
        .iter()
        .map(|it| format!("{} {} {}", it["codec_name"], it["codec_tag_string"], it["width"]).replace('"', ""))
        .collect();
    (multivariant, names.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_and_opus_reach_hls() {
    let codec = "libx265 -preset ultrafast -bf 2 -tag:v hvc1 -x265-params log-level=none";
    let (multivariant, names) = published_and_probed(codec, b"hvc1").await;
    assert!(multivariant.contains("CODECS=\"hvc1.1.6.L60.90,opus\""), "{multivariant}");
    assert!(names.contains("hevc hvc1 320") && names.contains("opus Opus"), "{names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_and_opus_reach_hls() {
    let codec = "libaom-av1 -cpu-used 8 -usage realtime -b:v 200k";
    let (multivariant, names) = published_and_probed(codec, b"av01").await;
    assert!(multivariant.contains("CODECS=\"av01.0.00M.08,opus\""), "{multivariant}");
    assert!(names.contains("av1 av01 320") && names.contains("opus Opus"), "{names}");
}
