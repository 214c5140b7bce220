//! What the worker does with its orders before it has a call.

use super::process::{Worker, spec};
use super::relay::{free_port, publish_url, refuse_everyone};
use ipc::{CallKind, EndReason, WorkerState};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn orders_that_cannot_be_read_are_a_bad_spec_and_print_no_secret() {
    let bad_url = serde_json::to_string(&spec(CallKind::Test, None, "rtmp://s3cret")).unwrap();
    let no_call = serde_json::to_string(&spec(CallKind::Web, None, &publish_url(1))).unwrap();
    let file_call =
        serde_json::to_string(&spec(CallKind::Web, Some("file:///s3cret"), &publish_url(1))).unwrap();
    for line in ["nonsense", &bad_url, &no_call, &file_call] {
        let mut worker = Worker::start_with_line(line);
        let (code, detail) = worker.exit_code();
        assert_eq!(code, Some(64), "{line}: {detail}");
        assert!(!detail.contains("s3cret") && !worker.log().contains("s3cret"), "{detail}");
    }
}

#[test]
fn the_end_of_standard_input_ends_the_worker() {
    let mut worker = Worker::start(&spec(CallKind::Test, None, &publish_url(free_port())));
    worker.until(WorkerState::Degraded); // nobody listens there
    drop(worker.input.take());
    let begin = Instant::now();
    assert_eq!(worker.exit_code().0, Some(0));
    assert!(begin.elapsed() < Duration::from_millis(2_500), "{:?}", begin.elapsed());
}

#[test]
fn a_relay_that_goes_on_refusing_ends_the_worker_after_ten_seconds() {
    let mut worker = Worker::start(&spec(CallKind::Test, None, &publish_url(refuse_everyone())));
    worker.until(WorkerState::Degraded);
    let begin = Instant::now();
    let (code, detail) = worker.exit_code();
    assert_eq!(code, Some(EndReason::Refused.exit_code().into()));
    assert!(detail.contains("held by another worker"), "{detail}");
    assert!((9..16).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(!worker.log().contains("s3cret"));
}

#[test]
fn the_doctor_names_each_need_with_its_package() {
    let out = Command::new(env!("CARGO_BIN_EXE_sluice-worker")).args(["doctor", "--json"]).output().unwrap();
    let lines: Vec<serde_json::Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let encoder = lines.iter().find(|line| line["element"] == "x264enc").unwrap();
    assert_eq!(encoder["package"], "gstreamer1.0-plugins-ugly");
    let all_present = lines.iter().all(|line| line["present"] == true);
    assert_eq!(out.status.code(), Some(if all_present { 0 } else { 69 }));

    let bare =
        Command::new(env!("CARGO_BIN_EXE_sluice-worker")).arg("doctor").env("PATH", "").output().unwrap();
    assert_eq!(bare.status.code(), Some(69));
    assert!(String::from_utf8(bare.stdout).unwrap().contains("MISSING  program chromium"));
}
