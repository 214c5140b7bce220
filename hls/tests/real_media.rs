//! What ffmpeg encoded comes out as it went in, and ffmpeg plays it without a word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "source/ffmpeg.rs"]
mod ffmpeg;
#[path = "source/flv.rs"]
mod flv;
#[path = "source/viewer.rs"]
mod viewer;

use axum::Router;
use flv::Item;
use hls::{Config, Limits, Origin, Packager, StartPoint};
use media::{Frame, StreamUrl, Timestamp};
use std::path::Path;
use std::time::Instant;

const WALL: i64 = 1_795_206_600_000_000;

#[expect(clippy::disallowed_methods, reason = "the router of a test reads the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn long_window() -> Config {
    Config { window_segments: 1_000, ..Config::default() }
}

fn open(config: Config, start: StartPoint) -> (Router, Packager) {
    let origin = Origin::new(Limits::default());
    let url: StreamUrl = "live/room".parse().unwrap();
    let packager = origin.open(url, config, start).unwrap();
    (hls::http::router(origin, now), packager)
}

fn push_item(packager: &mut Packager, item: Item) {
    match item {
        Item::Video(track) => packager.set_video(track),
        Item::Audio(track) => packager.set_audio(track),
        Item::Frame(frame) => packager.push(WALL + frame.dts.as_micros(), frame).unwrap(),
    }
}

/// Everything that the ended playlist names, joined as one file.
async fn download(router: &Router, folder: &Path) -> std::path::PathBuf {
    let playlist = viewer::get(router, "/live/room/media.m3u8").await;
    assert!(playlist.text().ends_with("#EXT-X-ENDLIST\n"), "{}", playlist.text());
    let mut all = Vec::new();
    for file in viewer::files(playlist.text()) {
        let answer = viewer::get(router, &format!("/live/room/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        all.extend_from_slice(&answer.body);
    }
    let path = folder.join("all.mp4");
    std::fs::write(&path, all).unwrap();
    path
}

async fn comes_out_as_it_went_in(source: &[u8], tracks: &[(&str, bool)]) {
    let folder = tempfile::tempdir().unwrap();
    let source_path = folder.path().join("source.flv");
    std::fs::write(&source_path, source).unwrap();
    let (router, mut packager) = open(long_window(), StartPoint { token: 7, ..StartPoint::default() });
    for item in flv::read(source) {
        push_item(&mut packager, item);
    }
    packager.finish();
    assert_eq!(packager.counters().frames_dropped_total, 0);
    let all = download(&router, folder.path()).await;
    assert_eq!(ffmpeg::complaints(&all), "");
    for (track, copy) in tracks {
        let (before, after) =
            (ffmpeg::frame_hashes(&source_path, track, *copy), ffmpeg::frame_hashes(&all, track, *copy));
        assert!(before.len() > 50);
        assert_eq!(before, after, "{track}");
    }
}

#[tokio::test]
async fn pictures_and_sound_come_out_to_the_bit() {
    let source = ffmpeg::pictures_and_sound(6, 60, 2);
    comes_out_as_it_went_in(&source, &[("0:v", false), ("0:a", true)]).await;
}

#[tokio::test]
async fn pictures_alone_and_sound_alone_come_out_to_the_bit() {
    let pictures = ffmpeg::make_flv(
        "-f lavfi -i testsrc2=size=320x180:rate=25 -t 5 -c:v libx264 -preset ultrafast -g 25 -bf 0",
    );
    comes_out_as_it_went_in(&pictures, &[("0:v", false)]).await;
    let sound = ffmpeg::make_flv("-f lavfi -i sine=sample_rate=44100 -t 7 -c:a aac -b:a 64k");
    comes_out_as_it_went_in(&sound, &[("0:a", true)]).await;
}

#[tokio::test]
async fn a_gop_of_ten_seconds_is_cut_and_still_plays() {
    let source = ffmpeg::pictures_and_sound(21, 300, 2);
    comes_out_as_it_went_in(&source, &[("0:v", false), ("0:a", true)]).await;
}

#[tokio::test]
async fn parts_joined_are_the_segment_and_the_multivariant_playlist_tells_the_truth() {
    let source = ffmpeg::pictures_and_sound(7, 60, 0);
    let start = StartPoint { token: 7, first_msn: 40, first_part: 300, ..StartPoint::default() };
    let (router, mut packager) = open(Config::default(), start);
    for item in flv::read(&source) {
        push_item(&mut packager, item);
    }
    let playlist = viewer::get(&router, "/live/room/media.m3u8").await.text().to_owned();
    let mut joined = Vec::new();
    let mut segments = 0;
    for line in playlist.lines() {
        if let Some(rest) = line.strip_prefix("#EXT-X-PART:") {
            let uri = rest.split("URI=\"").nth(1).unwrap().split('"').next().unwrap();
            joined.extend(viewer::get(&router, &format!("/live/room/{uri}")).await.body);
        } else if !line.starts_with('#') {
            let segment = viewer::get(&router, &format!("/live/room/{line}")).await;
            if !joined.is_empty() {
                assert_eq!(&segment.body[..], &joined[..], "{line}");
                segments += 1;
            }
            joined.clear();
        }
    }
    assert!(segments >= 2, "{playlist}");
    let first = viewer::files(&playlist);
    assert_eq!(&first[..2], ["7/init-40.mp4", "7/s40.m4s"]);

    let text = viewer::get(&router, "/live/room/index.m3u8").await.text().to_owned();
    let value = |name: &str| {
        let rest = text.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("{name} in {text}"));
        rest.split([',', '\n']).next().unwrap().trim_matches('"').to_owned()
    };
    assert_eq!(value("RESOLUTION"), "320x180");
    assert!((value("FRAME-RATE").parse::<f64>().unwrap() - 30.0).abs() < 0.02, "{text}");
    assert!(text.contains("CODECS=\"avc1.") && text.contains(",mp4a.40.2\""), "{text}");
    // The true peak, from what was sent.
    let mut peak = 0.0f64;
    let mut duration = 0.0;
    for line in playlist.lines() {
        if let Some(seconds) = line.strip_prefix("#EXTINF:") {
            duration = seconds.trim_end_matches(',').parse::<f64>().unwrap();
        } else if !line.starts_with('#') {
            let bytes = viewer::get(&router, &format!("/live/room/{line}")).await.body.len();
            peak = peak.max(bytes as f64 * 8.0 / duration);
        }
    }
    let stated: f64 = value(":BANDWIDTH").parse().unwrap();
    assert!((stated - peak).abs() < 2.0, "{stated} {peak}");
}

/// Pushes `first`, then `second` as another publisher's, its times rising past the first's.
fn take_over(packager: &mut Packager, first: &[u8], second: &[u8]) {
    for item in flv::read(first) {
        push_item(packager, item);
    }
    packager.discontinuity(9);
    let gap = Timestamp::from_millis(5_700);
    for item in flv::read(second) {
        let rebased = match item {
            Item::Frame(frame) => Item::Frame(Frame { dts: frame.dts + gap, pts: frame.pts + gap, ..frame }),
            other => other,
        };
        push_item(packager, rebased);
    }
    packager.finish();
}

#[tokio::test]
async fn a_spare_with_the_same_profile_takes_over_and_ffmpeg_plays_across() {
    let source = ffmpeg::pictures_and_sound(5, 60, 2);
    let (router, mut packager) = open(long_window(), StartPoint { token: 7, ..StartPoint::default() });
    take_over(&mut packager, &source, &source);
    let playlist = viewer::get(&router, "/live/room/media.m3u8").await.text().to_owned();
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-MAP").count(), 1, "the init section stays: {playlist}");
    assert!(playlist.contains("\n7/s2.m4s") && playlist.contains("\n9/s3.m4s"));

    // Over a real socket, as a player does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://127.0.0.1:{port}/live/room/index.m3u8");
    let said = tokio::task::spawn_blocking(move || {
        let probed = ffmpeg::probe(Path::new(&url), "stream=codec_name,width,height");
        let pictures = ffmpeg::frame_hashes(Path::new(&url), "0:v", false).len();
        (probed, pictures, ffmpeg::complaints(&url))
    });
    let (probed, pictures, complaints) = said.await.unwrap();
    server.abort();
    assert!(probed.contains("h264,320,180") && probed.contains("aac"), "{probed}");
    assert_eq!(pictures, 2 * 5 * 30);
    assert_eq!(complaints, "");
}

#[tokio::test]
async fn an_encoder_with_another_profile_brings_its_own_init_section() {
    let first = ffmpeg::pictures_and_sound(5, 60, 2);
    let second = ffmpeg::make_flv(
        "-f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=sample_rate=44100 -t 5 -c:v libx264 \
         -preset ultrafast -profile:v baseline -g 50 -bf 0 -pix_fmt yuv420p -c:a aac -ac 1",
    );
    let (router, mut packager) = open(long_window(), StartPoint { token: 7, ..StartPoint::default() });
    take_over(&mut packager, &first, &second);
    let playlist = viewer::get(&router, "/live/room/media.m3u8").await.text().to_owned();
    let (before, after) = playlist.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(after.starts_with("#EXT-X-MAP:URI=\"9/init-3.mp4\"\n"), "{playlist}");
    for (run, shape) in [(before, "h264,320,180"), (after, "h264,640,360")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.mp4");
        let mut all = Vec::new();
        for file in viewer::files(run) {
            all.extend(viewer::get(&router, &format!("/live/room/{file}")).await.body);
        }
        std::fs::write(&path, all).unwrap();
        assert_eq!(ffmpeg::complaints(&path), "");
        let probed = ffmpeg::probe(&path, "stream=codec_name,width,height");
        assert!(probed.contains(shape), "{probed}");
    }
}
