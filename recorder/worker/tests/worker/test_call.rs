//! The test picture, from its source to a file behind an RTMP server.

use super::process::{Worker, spec};
use super::recording;
use super::relay::{Ffmpeg, free_port, publish_url};
use ipc::{CallKind, Profile, Report, WorkerState};
use std::time::Duration;

/// The middle of the flash (see the source's own words): from dot (12, 20), 8 dots square, of 90 dots in the height.
const FLASH: &str = "ih*8/90:ih*8/90:ih*12/90:ih*20/90";

#[test]
fn the_test_call_arrives_as_its_profile_says_and_in_step() {
    let port = free_port();
    let mut worker = {
        let mut spec = spec(CallKind::Test, None, &publish_url(port));
        spec.profile = Profile::P720;
        Worker::start(&spec)
    };
    let mut relay = Ffmpeg::listen(port, worker.folder.path(), "out.flv");
    worker.until(WorkerState::Publishing);
    let mut sent = 0;
    while sent < 240 {
        if let Some(Report::Stats { stats }) = worker.next_report() {
            sent = stats.frames_sent;
            assert!(stats.bytes_sent > 0 && stats.frames_encoded >= sent);
        }
    }
    worker.stop();
    assert_eq!(worker.exit_code().0, Some(0));
    let file = relay.finish();

    let video = recording::stream(&file, "v", "codec_name,width,height,has_b_frames,r_frame_rate,pix_fmt");
    for expected in [
        "codec_name=h264",
        "width=1280",
        "height=720",
        "has_b_frames=0",
        "r_frame_rate=30/1",
        "pix_fmt=yuv420p",
    ] {
        assert!(video.lines().any(|line| line == expected), "{expected} in {video}");
    }
    let audio = recording::stream(&file, "a", "codec_name,sample_rate,channels,profile");
    for expected in ["codec_name=aac", "sample_rate=48000", "channels=2", "profile=LC"] {
        assert!(audio.lines().any(|line| line == expected), "{expected} in {audio}");
    }
    let pictures = recording::packets(&file, "v");
    for pair in pictures.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!((0.031..0.036).contains(&gap), "a gap of {gap} s at {}", pair[0].0);
    }
    let keyframes: Vec<_> = pictures.iter().filter(|(_, key)| *key).map(|(time, _)| *time).collect();
    assert!(keyframes.len() >= 4 && pictures[0].1);
    for pair in keyframes.windows(2) {
        assert!((pair[1] - pair[0] - 2.0).abs() < 0.0015, "keyframes at {keyframes:?}");
    }
    assert!(recording::picture_types(&file).chars().all(|kind| kind == 'I' || kind == 'P'));
    recording::assert_decodes_clean(&file);

    let gaps = recording::beeps_after_flashes(&file, FLASH);
    println!("test call: {:?} ms", gaps.iter().map(|gap| (gap * 1e3).round()).collect::<Vec<_>>());
    let offset = recording::median(gaps);
    println!("test call: the beep comes {:.1} ms after the flash", offset * 1e3);
    assert!(offset.abs() < 0.020, "{offset} s");
    assert!(!worker.log().contains("s3cret"));
}

#[test]
fn a_lost_relay_is_found_again_without_a_new_encoder() {
    let port = free_port();
    let mut worker = Worker::start(&spec(CallKind::Test, None, &publish_url(port)));
    let mut first = Ffmpeg::listen(port, worker.folder.path(), "first.flv");
    worker.until(WorkerState::Publishing);
    std::thread::sleep(Duration::from_millis(2_500)); // so that the first file has something in it
    first.kill();
    worker.until(WorkerState::Degraded);
    let mut second = Ffmpeg::listen(port, worker.folder.path(), "second.flv");
    worker.until(WorkerState::Publishing);
    let reconnects = loop {
        if let Some(Report::Stats { stats }) = worker.next_report()
            && stats.reconnects > 0
            && stats.backlog_ms < 500
        {
            break stats.reconnects;
        }
    };
    assert_eq!(reconnects, 1);
    std::thread::sleep(Duration::from_millis(2_500)); // and the second
    worker.stop();
    assert_eq!(worker.exit_code().0, Some(0));

    let (before, after) = (recording::packets(&first.file, "v"), recording::packets(&second.finish(), "v"));
    assert!(after[0].1, "a decoder can start at the first picture");
    assert!(
        after[0].0 >= before.last().unwrap().0,
        "the timeline goes on: {:?} after {:?}",
        after[0],
        before.last()
    );
    recording::assert_decodes_clean(&second.file);
    // One encoder all along: its keyframes are still on the grid of the first.
    let on_grid = (after[0].0 / 2.0).fract();
    assert!(on_grid.min(1.0 - on_grid) < 0.01, "{}", after[0].0);
}
