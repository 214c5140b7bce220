//! Web pages as calls: a real browser, sound server and display, one call at a time.

use super::pages;
use super::process::{Worker, assert_all_gone, kill, runs, spec};
use super::recording;
use super::relay::{Ffmpeg, free_port, publish_url};
use ipc::{CallKind, WorkerState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A browser call needs most of a small machine.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(path: &str, relay_port: u16) -> Worker {
    let url = format!("{}{path}?key=s3cret#s3cret", pages::serve());
    Worker::start(&spec(CallKind::Web, Some(&url), &publish_url(relay_port)))
}

#[test]
fn a_page_with_picture_and_sound_arrives_in_step_and_stops_quickly() {
    let _turn = one_at_a_time();
    let port = free_port();
    let mut worker = join("/flash", port);
    let mut relay = Ffmpeg::listen(port, worker.folder.path(), "out.flv");
    worker.until(WorkerState::Publishing);
    std::thread::sleep(Duration::from_secs(12));
    let everything = worker.descendants();
    assert!(everything.len() > 5, "{everything:?}");
    assert!(everything.iter().all(|(_, line)| !line.contains("s3cret")), "a secret is an argument");

    let begin = Instant::now();
    worker.stop();
    assert_eq!(worker.exit_code().0, Some(0));
    assert_all_gone(&everything, Duration::from_millis(1_500).saturating_sub(begin.elapsed()));

    let file = relay.finish();
    recording::assert_decodes_clean(&file);
    let video = recording::stream(&file, "v", "width,height,has_b_frames");
    assert!(video.contains("width=960") && video.contains("height=540") && video.contains("has_b_frames=0"));
    let keyframes: Vec<_> =
        recording::packets(&file, "v").into_iter().filter(|(_, key)| *key).map(|(time, _)| time).collect();
    for pair in keyframes.windows(2) {
        assert!((pair[1] - pair[0] - 2.0).abs() < 0.0015, "keyframes at {keyframes:?}");
    }
    let gaps = recording::beeps_after_flashes(&file, "iw/4:ih/2:iw/8:ih/4");
    println!("web call: {:?} ms", gaps.iter().map(|gap| (gap * 1e3).round()).collect::<Vec<_>>());
    let offset = recording::median(gaps);
    println!("web call: the beep comes {:.1} ms after the flash", offset * 1e3);
    assert!(offset.abs() < 0.120, "{offset} s");
    assert!(!worker.log().contains("s3cret"));
}

#[test]
fn the_death_of_display_sound_or_browser_ends_the_cell_at_once() {
    let _turn = one_at_a_time();
    for victim in ["Xvfb", "pulseaudio", "/usr/lib/chromium/chromium"] {
        let mut worker = join("/flash", free_port());
        worker.until(WorkerState::Joined);
        worker.until(WorkerState::Degraded); // the encoder runs, but nobody listens at that port
        let everything = worker.descendants();
        let pid = worker.descendant(|line| line.starts_with(victim) && !line.contains("--type="));
        let begin = Instant::now();
        kill(pid);
        let (code, detail) = worker.exit_code();
        let elapsed = begin.elapsed();
        println!("{victim}: exit code {code:?} after {elapsed:?}: {detail}");
        // Xlib may be faster: it ends the process when its display has gone.
        let expected = code == Some(12) || (victim == "Xvfb" && code == Some(1));
        assert!(expected && elapsed < Duration::from_millis(2_500), "{victim}: {code:?} after {elapsed:?}");
        assert_all_gone(&everything, Duration::from_secs(1));
    }
}

#[test]
fn a_killed_worker_takes_everything_with_it() {
    let _turn = one_at_a_time();
    let mut worker = join("/flash", free_port());
    worker.until(WorkerState::Joined);
    let everything = worker.descendants();
    kill(worker.child.id());
    assert_eq!(worker.exit_code().0, None);
    assert_all_gone(&everything, Duration::from_secs(2));
}

/// All of them: Chromium keeps a spare, which looks the same.
fn kill_renderers(worker: &Worker) {
    let renderers: Vec<_> =
        worker.descendants().into_iter().filter(|(_, line)| line.contains("--type=renderer")).collect();
    assert!(!renderers.is_empty());
    renderers.into_iter().filter(|(pid, _)| runs(*pid)).for_each(|(pid, _)| kill(pid));
}

#[test]
fn a_crashed_page_is_loaded_anew_once() {
    let _turn = one_at_a_time();
    let mut worker = join("/flash", free_port());
    worker.until(WorkerState::Joined);
    kill_renderers(&worker);
    let begin = Instant::now();
    while !worker.log().contains("loaded anew") || worker.log().matches("the page plays").count() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(20), "the page does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_renderers(&worker);
    let (code, detail) = worker.exit_code();
    assert_eq!(code, Some(12), "{detail}");
}

#[test]
fn a_call_that_cannot_be_joined_says_why_without_its_secrets() {
    let _turn = one_at_a_time();
    let nobody = format!("http://127.0.0.1:{}/call?key=s3cret", free_port());
    let missing = format!("{}/missing?key=s3cret", pages::serve());
    let still = format!("{}/still?key=s3cret", pages::serve());
    for (url, why) in
        [(&nobody, "ERR_CONNECTION_REFUSED"), (&missing, "HTTP status 404"), (&still, "did not play in time")]
    {
        let mut spec = spec(CallKind::Web, Some(url), &publish_url(free_port()));
        spec.join_timeout_seconds = 4;
        let mut worker = Worker::start(&spec);
        let (code, detail) = worker.exit_code();
        assert_eq!(code, Some(11), "{detail}");
        assert!(detail.contains(why), "{detail}");
        assert!(!detail.contains("s3cret") && !worker.log().contains("s3cret"));
        let screenshot = std::fs::read(worker.folder.path().join("failure.png")).unwrap();
        assert!(screenshot.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_page_may_say_when_it_begins_and_ends() {
    let _turn = one_at_a_time();
    let mut worker = join("/signals", free_port());
    worker.until(WorkerState::Joined);
    let (code, detail) = worker.exit_code();
    assert_eq!(code, Some(10), "{detail}");

    let begin = Instant::now();
    let mut worker = join("/declared", free_port());
    worker.until(WorkerState::Joined);
    assert!(
        begin.elapsed() > Duration::from_millis(2_500),
        "its canvas moves, but it said that it is not ready"
    );
    worker.stop();
    assert_eq!(worker.exit_code().0, Some(0));
}
