//! The relay may come late, go away and come back; what runs goes on.

use crate::scripted::{Recorder, Scene, ScriptedRelay, job, signal};
use api::control::{FromRecorder, FromRelay};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const PUBLISHING: &str = "say joining; say joined; say publishing; read -r order; exit 0";

#[tokio::test]
async fn a_relay_that_is_away_is_tried_until_it_comes() {
    let scene = Scene::new();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let worker = scene.scripted_worker(PUBLISHING);
    let mut recorder = Recorder::run(&scene, &format!("http://{port}"), &worker, &[]);
    // Long enough for several tries.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(recorder.0.try_wait().unwrap().is_none(), "it gave up");
    let relay = ScriptedRelay::at(&port.to_string()).await;
    relay.accept(&[]).await;
}

#[tokio::test]
async fn a_lost_connection_stops_nothing_and_the_next_hello_says_what_runs() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(PUBLISHING);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    let before = line.worker("publishing").await;
    drop(line);
    let (mut line, running) = relay.accept(&[stream_id]).await;
    assert_eq!(running.len(), 1);
    assert_eq!((running[0].stream_id, running[0].incarnation), (stream_id, before.incarnation));
    assert_eq!(running[0].state, "publishing");
    assert!(running[0].pid.is_some());
    // The same job again only changes where later workers publish.
    line.say(FromRelay::Start { job: Box::new(api::control::Job { stream_id, ..job() }) }).await;
    assert_eq!(line.worker("publishing").await.incarnation, 1);
}

#[tokio::test]
async fn a_stream_that_the_relay_does_not_keep_is_stopped() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(PUBLISHING);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    drop(line);
    let (mut line, _) = relay.accept(&[]).await;
    assert_eq!(line.ended(stream_id).await.0, "stopped");
}

#[tokio::test]
async fn an_end_that_happened_while_the_relay_was_away_is_told_when_it_is_back() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let gate = scene.path("gate");
    let worker = scene.scripted_worker(&format!(
        "say publishing; while [ ! -e {} ]; do sleep 0.05; done; exit 10",
        gate.display()
    ));
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    drop(line);
    std::fs::write(&gate, "").unwrap();
    crate::scripted::wait_until("the call's end", || scene.cells().is_empty()).await;
    let (mut line, running) = relay.accept(&[stream_id]).await;
    assert_eq!(running, []);
    assert_eq!(line.ended(stream_id).await.0, "call_ended");
}

#[tokio::test]
async fn what_is_too_much_or_comes_while_draining_is_declined() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(PUBLISHING);
    let _recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    line.start().await;
    line.start().await;
    let third = line.start().await;
    let declined = loop {
        if let FromRecorder::Declined { stream_id, detail } = line.next().await {
            break (stream_id, detail);
        }
    };
    assert_eq!(declined, (third, "all 2 slots are taken".into()));
    line.say(FromRelay::Drain).await;
    while line.next().await != FromRecorder::Draining {}
    let fourth = line.start().await;
    loop {
        if let FromRecorder::Declined { stream_id, detail } = line.next().await {
            assert_eq!((stream_id, detail.as_str()), (fourth, "this recorder is draining"));
            break;
        }
    }
}

#[tokio::test]
async fn a_terminated_recorder_ends_its_streams_tells_the_relay_and_exits_with_0() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker(PUBLISHING);
    let mut recorder = Recorder::run(&scene, &relay.url, &worker, &[]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    signal(recorder.pid(), "TERM");
    while line.next().await != FromRecorder::Draining {}
    assert_eq!(line.ended(stream_id).await.0, "recorder_stopped");
    assert!(line.is_closed().await);
    assert_eq!(recorder.exit_code().await, Some(0));
    assert_eq!(scene.processes(), [0; 0]);
    assert!(scene.cells().is_empty());
}

#[tokio::test]
async fn a_second_signal_ends_a_recorder_at_once() {
    let scene = Scene::new();
    let relay = ScriptedRelay::new().await;
    let worker = scene.scripted_worker("trap '' TERM; say publishing; while :; do sleep 1.$MARK; done");
    let mut recorder = Recorder::run(&scene, &relay.url, &worker, &["--set", "limits.stop_within=1min"]);
    let (mut line, _) = relay.accept(&[]).await;
    let stream_id = line.start().await;
    line.worker("publishing").await;
    signal(recorder.pid(), "TERM");
    line.worker("leaving").await;
    let begin = Instant::now();
    signal(recorder.pid(), "TERM");
    assert_eq!(line.ended(stream_id).await.0, "recorder_stopped");
    assert_eq!(recorder.exit_code().await, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(scene.processes(), [0; 0]);
}
