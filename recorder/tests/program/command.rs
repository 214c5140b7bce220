//! What the program says to its users, and its exit codes.

use crate::scripted::{Scene, output};
use std::fs;

#[test]
fn an_unknown_key_ends_with_78_its_line_and_the_nearest_name() {
    let scene = Scene::new();
    let file = scene.path("recorder.toml");
    fs::write(&file, "[recorder]\nslots = 2\nworkdir = \"/tmp/x\"\n").unwrap();
    let (code, _, error) = output(&["run", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("recorder.toml, line 3"), "{error}");
    assert!(error.contains("did you mean recorder.work_dir?"), "{error}");
}

#[test]
fn a_wrong_value_is_refused_wherever_it_comes_from() {
    let (code, _, error) = output(&["run", "--slots", "many"], &[]);
    assert_eq!(code, Some(78));
    assert!(error.contains("recorder.slots (command line): expected a number"), "{error}");
    let (code, _, error) = output(&["run"], &[("SLUICE_RECORDER__SLTS", "1")]);
    assert_eq!(code, Some(78));
    assert!(error.contains("did you mean recorder.slots?"), "{error}");
    let (code, _, error) = output(&["run", "--relay", "rtmp://relay"], &[]);
    assert_eq!(code, Some(78));
    assert!(error.contains("relay.url"), "{error}");
    let (code, _, error) = output(&["run", "--config", "/nonexistent/recorder.toml"], &[]);
    assert_eq!(code, Some(78));
    assert!(error.contains("/nonexistent/recorder.toml"), "{error}");
}

#[test]
fn a_command_line_that_is_none_ends_with_64_and_help_with_0() {
    assert_eq!(output(&[], &[]).0, Some(64));
    assert_eq!(output(&["record"], &[]).0, Some(64));
    assert_eq!(output(&["run", "--set", "limits.join"], &[]).0, Some(64));
    let (code, text, _) = output(&["run", "--help"], &[]);
    assert_eq!(code, Some(0));
    for flag in ["--relay", "--config", "--name", "--slots", "--worker", "--work-dir", "--token-file"] {
        assert!(text.contains(flag), "{flag}");
    }
    assert_eq!(output(&["--version"], &[]).0, Some(0));
}

#[test]
fn a_folder_that_cannot_be_used_ends_with_69() {
    let (code, _, error) = output(&["run", "--work-dir", "/proc/sluice"], &[]);
    assert_eq!(code, Some(69));
    assert!(error.contains("/proc/sluice"), "{error}");
}

#[test]
fn a_doctor_asks_the_worker_for_elements_and_names_packages() {
    let scene = Scene::new();
    let worker = scene.path("scripted-worker.sh");
    let answer = |present: bool| {
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = 'doctor --json' ] || exit 64\n\
             echo '{{\"element\":\"x264enc\",\"package\":\"gstreamer1.0-plugins-ugly\",\"present\":{present}}}'\n"
        );
        fs::write(&worker, script).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).unwrap();
        output(&["doctor", "--worker", worker.to_str().unwrap()], &[])
    };
    let (code, text, _) = answer(false);
    assert_eq!(code, Some(69));
    assert!(text.lines().any(|line| {
        line.starts_with("MISSING  element x264enc") && line.ends_with("gstreamer1.0-plugins-ugly")
    }));
    let (_, text, _) = answer(true);
    assert!(text.lines().any(|line| line.starts_with("ok       element x264enc")), "{text}");
    assert!(text.contains("shared memory /dev/shm") && text.contains("program Xvfb"), "{text}");
}

#[test]
fn a_doctor_without_a_worker_says_so() {
    let (code, text, _) = output(&["doctor", "--worker", "/nonexistent/sluice-worker"], &[]);
    assert_eq!(code, Some(69));
    assert!(text.contains("MISSING  worker /nonexistent/sluice-worker"), "{text}");
}
