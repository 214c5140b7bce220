//! What a worker starts ends with it, and a worker that fails is replaced.

use crate::scripted::{CALL_KEY, GRANT, Recorder, Scene, ScriptedRelay, parent, signal, wait_until};
use api::control::FromRelay;
use std::fs;
use std::time::{Duration, Instant};

/// Publishes until it is told to stop or its input is closed.
const OBEDIENT: &str = "say joining; say joined; say publishing; read -r order; exit 0";

/// Starts processes that leave its group, its session and its environment, one of them without a parent; then does not
/// listen to anything.
const STUBBORN: &str = "trap '' TERM INT HUP
sleep $MARK.1 &
setsid sleep $MARK.2 &
(setsid sh -c \"trap '' TERM; sleep $MARK.3 & exec sleep $MARK.4\" &)
env -i /usr/bin/setsid /bin/sleep $MARK.5 < /dev/null > /dev/null 2>&1 &
say joining; say joined; say publishing
while :; do sleep 1.$MARK; done";
/// The keeper, the script, its present sleep, and the five that it started.
const STUBBORN_PROCESSES: usize = 8;

#[tokio::test]
async fn orders_come_on_standard_input_and_no_secret_can_be_seen_by_others() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker("sleep $MARK & say publishing; echo grant=$spec >&2; read -r order");
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream = line.start().await;
    line.worker("publishing").await;
    let spec = scene.spec(0);
    assert_eq!((spec.stream_id, spec.incarnation), (stream, 1));
    let url = format!("rtmp://127.0.0.1:1/live/room-1?grant={GRANT}&incarnation=1");
    assert_eq!(spec.publish_url.expose(), url);
    assert!(spec.call_url.unwrap().expose().ends_with(CALL_KEY));
    // The keeper, the script and its sleep.
    scene.wait_for_processes(3).await;
    for pid in scene.processes() {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("hidden"), "{file} of {pid}");
        }
    }
    let log = || fs::read_to_string(scene.path("log")).unwrap();
    wait_until("the worker's log", || log().contains("grant=")).await;
    assert!(!log().contains("hidden"), "{}", log());
}

#[tokio::test]
async fn a_killed_worker_is_replaced_by_the_next_incarnation_and_nothing_of_it_is_left() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(STUBBORN);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    // The first report of the state may be older than the process id.
    let first = loop {
        let report = line.worker("publishing").await;
        if report.pid.is_some() {
            break report;
        }
    };
    scene.wait_for_processes(STUBBORN_PROCESSES).await;
    let old = scene.processes();
    signal(first.pid.unwrap(), "KILL");
    let waiting = line.worker("waiting").await;
    assert_eq!(waiting.detail.as_deref(), Some("the worker was ended by signal 9"));
    assert!(old.iter().all(|pid| !scene.processes().contains(pid)), "something of the first worker is left");
    let second = line.worker("publishing").await;
    assert_eq!(second.incarnation, 2);
    let spec = scene.spec(1);
    assert_eq!(spec.incarnation, 2);
    assert!(spec.publish_url.expose().ends_with("&incarnation=2"));
}

#[tokio::test]
async fn a_worker_that_hears_nothing_is_gone_within_its_budget_with_all_that_it_started() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(STUBBORN);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    scene.wait_for_processes(STUBBORN_PROCESSES).await;
    let begin = Instant::now();
    line.say(FromRelay::Stop { stream_id, within_ms: 1500 }).await;
    assert_eq!(line.ended(stream_id).await.0, "stopped");
    let took = begin.elapsed();
    assert_eq!(scene.processes(), [0; 0]);
    assert_eq!(scene.cells(), [""; 0].map(std::path::PathBuf::from));
    assert!(took >= Duration::from_millis(1400) && took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_worker_that_obeys_ends_at_once() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(OBEDIENT);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    let begin = Instant::now();
    line.say(FromRelay::Stop { stream_id, within_ms: 10_000 }).await;
    assert_eq!(line.ended(stream_id).await.0, "stopped");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    // And a stop of what does not run is answered at once.
    line.say(FromRelay::Stop { stream_id, within_ms: 10_000 }).await;
    assert_eq!(line.ended(stream_id).await.1, "nothing runs for this stream here");
}

#[tokio::test]
async fn a_killed_recorder_takes_all_that_it_started_with_it() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(STUBBORN);
    let recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    line.worker("publishing").await;
    scene.wait_for_processes(STUBBORN_PROCESSES).await;
    let begin = Instant::now();
    signal(recorder.pid(), "KILL");
    scene.wait_for_processes(0).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_killed_keeper_leaves_nothing_behind_and_its_stream_goes_on() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(STUBBORN);
    let recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    line.worker("publishing").await;
    scene.wait_for_processes(STUBBORN_PROCESSES).await;
    let old = scene.processes();
    let keeper = *old.iter().find(|pid| parent(**pid) == recorder.pid()).unwrap();
    signal(keeper, "KILL");
    line.worker("waiting").await;
    assert!(old.iter().all(|pid| !scene.processes().contains(pid)), "something of the first cell is left");
    assert_eq!(line.worker("publishing").await.incarnation, 2);
}

#[tokio::test]
async fn the_next_recorder_ends_what_a_killed_one_could_not() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker =
        scene.scripted_worker("setsid sleep $MARK & say publishing; while :; do sleep 1.$MARK; done");
    let recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    line.worker("publishing").await;
    scene.wait_for_processes(4).await;
    let keeper = *scene.processes().iter().find(|pid| parent(**pid) == recorder.pid()).unwrap();
    // The recorder cannot sweep what its keeper leaves, nor can the keeper: both are killed, as by the kernel that is out
    // of memory. The recorder first, held, so that it does nothing in between.
    let stop = rustix::process::Pid::from_raw(i32::try_from(recorder.pid()).unwrap()).unwrap();
    rustix::process::kill_process(stop, rustix::process::Signal::STOP).unwrap();
    signal(keeper, "KILL");
    signal(recorder.pid(), "KILL");
    drop(recorder);
    assert!(scene.processes().len() >= 2 && scene.cells().len() == 1);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (_line, running) = relay.accept(&[]).await;
    assert_eq!(running, []);
    assert_eq!(scene.processes(), [0; 0]);
    assert!(scene.cells().is_empty());
}

#[tokio::test]
async fn a_worker_that_falls_silent_is_replaced() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker("say joining; say joined; say publishing; sleep $MARK");
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &["--set", "limits.silence=3s"]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    let waiting = line.worker("waiting").await;
    assert_eq!(waiting.detail.as_deref(), Some("the worker said nothing for 3 s"));
    assert_eq!(line.worker("publishing").await.incarnation, 2);
}

#[tokio::test]
async fn a_worker_that_says_that_something_is_missing_ends_the_stream_with_its_words() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(
        "echo 'not json'; echo '{\"report\":\"ended\",\"reason\":\"missing\",\"detail\":\"no x264enc\"}'; exit 69",
    );
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream = line.start().await;
    assert_eq!(line.ended(stream).await, ("missing".into(), "no x264enc".into()));
}

#[tokio::test]
async fn a_worker_program_that_is_absent_ends_the_stream_with_its_path() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.path("absent");
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream = line.start().await;
    let (reason, detail) = line.ended(stream).await;
    assert_eq!(reason, "missing");
    assert!(detail.starts_with(&format!("cannot start {}", worker.display())), "{detail}");
}
