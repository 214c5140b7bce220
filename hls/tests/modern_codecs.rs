//! H.265, AV1, VP9 and Opus come out as ffmpeg encoded them, named as players expect.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "source/encoded.rs"]
mod encoded;
#[path = "source/ffmpeg.rs"]
mod ffmpeg;
#[path = "source/viewer.rs"]
mod viewer;

use hls::{Config, Limits, Origin, PushError, StartPoint};
use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};
use std::time::Instant;

const WALL: i64 = 1_795_206_600_000_000;
/// VPCodecConfigurationRecord: profile 0, level 2, 8 bit, 4:2:0, unspecified colours.
const VPCC: &[u8] = &[0, 20, 0x82, 2, 2, 2, 0, 0];

#[expect(clippy::disallowed_methods, reason = "the router of a test reads the real clock")]
fn now() -> Instant {
    Instant::now()
}

/// Encodes, packages, downloads and compares; returns the multivariant playlist and what ffprobe calls the result.
async fn comes_out(
    video: Option<&str>,
    opus: Option<&str>,
    read: fn(bytes::Bytes) -> VideoTrack,
) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.mp4");
    let input = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000 -t 4";
    let video_arguments = video.map_or("-vn".into(), |codec| format!("-g 25 -pix_fmt yuv420p {codec}"));
    let audio_arguments =
        opus.map_or("-an".into(), |options| format!("-c:a libopus -ac 2 -b:a 64k {options}"));
    encoded::make_mp4(&source, &format!("{input} {video_arguments} {audio_arguments}"));

    let origin = Origin::new(Limits::default());
    let config = Config { window_segments: 1_000, ..Config::default() };
    let start = StartPoint { token: 7, ..StartPoint::default() };
    let mut packager = origin.open("live/room".parse().unwrap(), config, start).unwrap();
    let router = hls::http::router(origin, now);
    let mut frames: Vec<Frame> = Vec::new();
    if video.is_some() {
        let track = encoded::read(&source, TrackKind::Video);
        packager.set_video(read(track.record));
        frames.extend(track.frames);
    }
    if opus.is_some() {
        let track = encoded::read(&source, TrackKind::Audio);
        packager.set_audio(AudioTrack::from_opus_head(track.record).unwrap());
        frames.extend(track.frames);
    }
    frames.sort_by_key(|frame| (frame.dts, frame.kind == TrackKind::Audio));
    let first_picture = frames.iter().position(|frame| frame.kind == TrackKind::Video).unwrap_or(0);
    let early = frames[..first_picture].len();
    for frame in frames {
        packager.push(WALL + frame.dts.as_micros(), frame).unwrap();
    }
    packager.finish();
    assert_eq!(packager.counters().frames_dropped_total, early as u64, "only sound before the first picture");

    let playlist = viewer::get(&router, "/live/room/media.m3u8").await;
    let mut all = Vec::new();
    for file in viewer::files(playlist.text()) {
        all.extend_from_slice(&viewer::get(&router, &format!("/live/room/{file}")).await.body);
    }
    let path = folder.path().join("all.mp4");
    std::fs::write(&path, all).unwrap();
    assert_eq!(ffmpeg::complaints(&path), "");
    let tracks = [("0:v", false, video.is_some()), ("0:a", true, opus.is_some())];
    for (track, copy, _) in tracks.into_iter().filter(|(.., is_there)| *is_there) {
        let before = ffmpeg::frame_hashes(&source, track, copy);
        let after = ffmpeg::frame_hashes(&path, track, copy);
        assert!(before.len() > 50, "{track}");
        let skipped = if copy { early } else { 0 };
        assert_eq!(before[skipped..], after, "{track}");
    }
    let variants = viewer::get(&router, "/live/room/index.m3u8").await.text().to_owned();
    (variants, ffmpeg::probe(&path, "stream=codec_name,codec_tag_string"))
}

fn unread(_: bytes::Bytes) -> VideoTrack {
    unreachable!("there are no pictures")
}

#[tokio::test]
async fn h265_with_b_frames_comes_out_to_the_bit_as_hvc1() {
    let codec = "-c:v libx265 -preset ultrafast -bf 2 -tag:v hvc1 -x265-params log-level=none";
    let (variants, probed) =
        comes_out(Some(codec), None, |record| VideoTrack::from_hvcc(record).unwrap()).await;
    assert!(variants.contains("CODECS=\"hvc1.1.6.L60.90\""), "{variants}");
    assert!(variants.contains("RESOLUTION=320x180"), "{variants}");
    assert!(probed.contains("hevc,hvc1"), "{probed}");
}

#[tokio::test]
async fn av1_with_opus_comes_out_to_the_bit_as_av01_and_opus() {
    let codec = "-c:v libaom-av1 -cpu-used 8 -usage realtime -b:v 200k";
    let (variants, probed) =
        comes_out(Some(codec), Some(""), |record| VideoTrack::from_av1c(record).unwrap()).await;
    assert!(variants.contains("CODECS=\"av01.0.00M.08,opus\""), "{variants}");
    assert!(variants.contains("RESOLUTION=320x180"), "{variants}");
    assert!(probed.contains("av1,av01") && probed.contains("opus,Opus"), "{probed}");
}

#[tokio::test]
async fn vp9_takes_its_size_from_its_keyframe_and_comes_out_to_the_bit_as_vp09() {
    let codec = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 200k";
    let (variants, probed) =
        comes_out(Some(codec), None, |_| VideoTrack::from_vpcc(VPCC.into()).unwrap()).await;
    assert!(variants.contains("CODECS=\"vp09.00.20.08.01.02.02.02.00\""), "{variants}");
    assert!(variants.contains("RESOLUTION=320x180"), "{variants}");
    assert!(probed.contains("vp9,vp09"), "{probed}");
}

#[tokio::test]
async fn opus_packets_of_any_length_are_counted_by_what_they_say() {
    for milliseconds in [10, 60] {
        let options = format!("-frame_duration {milliseconds}");
        let (variants, probed) = comes_out(None, Some(&options), unread).await;
        assert!(variants.contains("CODECS=\"opus\""), "{variants}");
        assert!(probed.contains("opus,Opus"), "{probed}");
    }
}

#[test]
fn a_record_again_does_not_take_back_the_size_that_a_keyframe_said() {
    let origin = Origin::new(Limits::default());
    let mut packager =
        origin.open("live/room".parse().unwrap(), Config::default(), StartPoint::default()).unwrap();
    let track = VideoTrack::from_vpcc(VPCC.into()).unwrap();
    let keyframe = &[0b1000_0010, 0x49, 0x83, 0x42, 0b0010_0000, 0x27, 0xf0, 0x16, 0x70][..];
    for at in 0..20 {
        packager.set_video(track.clone());
        let dts = Timestamp::from_millis(at * 1_000);
        let frame = Frame { kind: TrackKind::Video, dts, pts: dts, keyframe: true, data: keyframe.into() };
        packager.push(WALL, frame).unwrap();
    }
    assert_eq!(packager.position().discontinuity_sequence, 0);
    assert_eq!(packager.counters().frames_dropped_total, 0);
}

#[test]
fn a_picture_without_a_size_is_refused_with_the_reason() {
    let origin = Origin::new(Limits::default());
    let start = StartPoint::default();
    let config = Config { target_duration_seconds: Some(2), ..Config::default() };
    let mut packager = origin.open("live/room".parse().unwrap(), config, start).unwrap();
    packager.set_video(VideoTrack::from_vpcc(VPCC.into()).unwrap());
    let refused = (0..20).find_map(|at| {
        let dts = Timestamp::from_millis(at * 1_000);
        let frame = Frame { kind: TrackKind::Video, dts, pts: dts, keyframe: true, data: vec![0; 20].into() };
        packager.push(WALL, frame).err()
    });
    let Some(PushError::Track(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("size"), "{reason}");
}
