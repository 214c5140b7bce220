//! ffmpeg and ffprobe.

use crate::process::spawn;
use crate::server::{Publishers, Server};
use media::{AudioTrack, VideoTrack};
use rtmp::flv::{AudioCodec, AudioTag, VideoCodec, VideoTag, parse_audio, parse_video};
use rtmp::{Message, MessageKind};

fn encode(seconds: u32, url: &str) -> String {
    format!(
        "ffmpeg -hide_banner -nostats -re -f lavfi -i testsrc2=size=320x180:rate=25:duration={seconds} \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds} \
         -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -b:a 64k -f flv {url}"
    )
}

fn of_kind(messages: &[Message], kind: MessageKind) -> Vec<&Message> {
    messages.iter().filter(|message| message.kind == kind).collect()
}

#[tokio::test]
async fn ffmpeg_publishes_h264_and_aac() {
    let server = Server::start(Publishers::Accept).await;
    let outcome = spawn(&encode(2, &server.url("key?grant=1"))).finish().await;
    assert!(outcome.success, "{}", outcome.text);
    server.until("the end of the stream", |seen| seen.unpublished).await;
    server.look(|seen| {
        assert_eq!(seen.failure, None);
        assert_eq!(seen.app_and_name, Some(("live".into(), "key?grant=1".into())));
        let data = of_kind(&seen.messages, MessageKind::Data);
        let values = rtmp::amf0::read_all(&data[0].body).unwrap();
        assert_eq!(values[0].as_str(), Some("onMetaData"));
        assert_eq!(values[1].get("width").and_then(rtmp::amf0::Value::as_number), Some(320.0));

        let mut video_frames = 0;
        for message in of_kind(&seen.messages, MessageKind::Video) {
            match parse_video(&message.body).unwrap() {
                VideoTag::Config { codec: VideoCodec::H264, record } => {
                    let track = VideoTrack::from_avcc(record).unwrap();
                    assert_eq!((track.width, track.height), (320, 180));
                }
                VideoTag::Frame { keyframe, composition_ms, .. } => {
                    assert_eq!(keyframe, video_frames % 25 == 0, "frame {video_frames}");
                    assert!((0..=200).contains(&composition_ms), "{composition_ms}");
                    video_frames += 1;
                }
                VideoTag::End => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(video_frames, 50);
        let mut audio_frames = 0;
        for message in of_kind(&seen.messages, MessageKind::Audio) {
            match parse_audio(&message.body).unwrap() {
                AudioTag::Config { codec: AudioCodec::Aac, config } => {
                    assert_eq!(AudioTrack::from_asc(config).unwrap().sample_rate, 48_000);
                }
                AudioTag::Frame { codec: AudioCodec::Aac, .. } => audio_frames += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!((90..=98).contains(&audio_frames), "{audio_frames} frames of 1024 samples in 2 s");
    });
}

#[tokio::test]
async fn ffmpeg_and_ffprobe_play_what_ffmpeg_publishes() {
    let server = Server::start(Publishers::Accept).await;
    let _publisher = spawn(&encode(12, &server.url("key")));
    server.until("a second of video", |seen| of_kind(&seen.messages, MessageKind::Video).len() > 30).await;
    let url = server.url("key");
    let probe = spawn(&format!("ffprobe -hide_banner -show_entries stream=codec_name,width {url}"));
    let play = spawn(&format!("ffmpeg -hide_banner -nostats -v warning -xerror -i {url} -t 2 -f null -"));
    let (probe, play) = tokio::join!(probe.finish(), play.finish());
    assert!(probe.success, "{}", probe.text);
    for expected in ["codec_name=h264", "width=320", "codec_name=aac"] {
        assert!(probe.text.contains(expected), "{}", probe.text);
    }
    assert!(play.success, "{}", play.text);
    assert_eq!(play.text.trim(), "", "decoded without a warning");
}

#[tokio::test]
async fn ffmpeg_prints_why_it_is_refused() {
    let held = "URL held by rec-2 since 12:00:03Z; publish refused";
    let server = Server::start(Publishers::Refuse(held)).await;
    let outcome = spawn(&encode(5, &server.url("key"))).finish().await;
    assert!(!outcome.success);
    assert!(outcome.text.contains(held), "{}", outcome.text);
}

#[tokio::test]
async fn ffmpeg_prints_who_displaced_it() {
    let taken = "Taken over by operator alice";
    let server = Server::start(Publishers::Displace(taken)).await;
    let outcome = spawn(&encode(5, &server.url("key"))).finish().await;
    assert!(outcome.text.contains(taken), "{}", outcome.text);
}
