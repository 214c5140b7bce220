//! A stream reaches its targets: over one connection each, whoever publishes, and never twice.

use anyhow::{Context, Result, ensure};
use api::claims::{ClaimAction, ClaimKind};
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use api::targets::{TargetState, TargetView};
use e2e::{
    Ffmpeg, Nginx, Process, Recorder, Relay, RelayOptions, Road, Watch, binary, descendants, eventually,
    kill_9, scratch,
};
use media::TargetUrl;
use rtmp::io::{Deadlines, Publisher};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The stream key of every target here; nobody but the target may ever see it.
const SECRET: &str = "k3y-of-the-target";

fn request(name: &str, targets: &[String]) -> StartStream {
    StartStream {
        call: Call { url: None, kind: CallKind::Test },
        name: name.into(),
        targets: targets.to_vec(),
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: std::collections::BTreeMap::new(),
        wait_seconds: Some(20),
    }
}

async fn start(relay: &Relay, name: &str, targets: &[String]) -> StreamView {
    let started = relay.client().start_stream(&request(name, targets), name).await;
    started.expect("the start is accepted")
}

async fn live(relay: &Relay, stream: &StreamView) -> Result<StreamView> {
    let view = relay.client().stream(stream.id).await?;
    ensure!(view.state == StreamState::Live, "it is {:?}: {:?}", view.state, view.detail);
    let broadcast = relay.live(&view.name).await?;
    ensure!(broadcast.media.silent_ms < 1_000, "silent for {} ms", broadcast.media.silent_ms);
    Ok(view)
}

/// A stream's only target, in this state.
async fn target_in(relay: &Relay, stream: &StreamView, state: TargetState) -> Result<TargetView> {
    targets_in(relay, stream, state).await?.pop().context("it has a target")
}

/// All of a stream's targets, each in this state.
async fn targets_in(relay: &Relay, stream: &StreamView, state: TargetState) -> Result<Vec<TargetView>> {
    let targets = relay.client().stream(stream.id).await?.targets;
    ensure!(targets.iter().all(|target| target.state == state), "{targets:?}");
    Ok(targets)
}

/// The official ingest: another relay, patient with a publisher that pauses.
fn ingest() -> Relay {
    let patience = [("SLUICE_CLAIMS__IDLE_SECONDS", "60"), ("SLUICE_CLAIMS__FIRST_MEDIA_SECONDS", "30")];
    let environment = patience.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Relay::start_with(RelayOptions { environment })
}

/// How many publishers a relay has admitted and refused so far.
async fn seen(relay: &Relay) -> Result<(f64, f64)> {
    let text = reqwest::get(relay.url("/metrics")).await?.text().await?;
    let figure = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    Ok((figure("sluice_publish_admitted_total"), figure("sluice_publish_refused_total")))
}

/// Plays some seconds with ffmpeg, which must decode them without a word.
async fn decodes(url: &str) {
    // In milliseconds, as they came: what ffmpeg takes for the frame rate after a short look is often wrong.
    let as_it_came = ["-fps_mode:v", "passthrough", "-enc_time_base:v", "1:1000"];
    let arguments = [&["-i", url, "-t", "4"][..], &as_it_came[..], &["-f", "null", "-"][..]].concat();
    let said = Ffmpeg::run(40.0, &arguments).await.expect("ffmpeg plays it");
    assert_eq!(said.trim(), "", "every frame decodes");
}

async fn text(url: &str) -> Result<String> {
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

/// The first event of `/events`.
async fn first_event(relay: &Relay) -> Result<String> {
    let mut answer = reqwest::get(relay.url("/api/v1/events")).await?.error_for_status()?;
    let mut said = String::new();
    while !said.contains("\n\n") {
        let chunk = answer.chunk().await?.context("the events go on")?;
        said.push_str(&String::from_utf8_lossy(&chunk));
    }
    Ok(said)
}

/// What the command line says.
async fn sluice(relay: &Relay, arguments: &[&str]) -> String {
    let mut process = Process::start(binary("sluice"), |command| {
        command.args(arguments).args(["--relay", &relay.url("")]);
    })
    .expect("it starts");
    let status = process.ended(10.0).await.expect("it ends");
    assert!(status.success(), "{}", process.said());
    process.said()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_sees_one_connection_and_rising_time_though_the_publisher_is_killed_and_replaced() {
    let (relay, official) = (Relay::start(), ingest());
    let recorder = Recorder::start(&relay, "rec-1", 1);
    let road = Road::to(official.rtmp).await;
    let stream = start(&relay, "live/room", &[road.url(&format!("live/{SECRET}"))]).await;
    eventually(30.0, "it is live", || live(&relay, &stream)).await;
    let at_target = format!("live/{SECRET}");
    eventually(15.0, "it arrives", || official.live(&at_target)).await;
    decodes(&official.rtmp_url(&at_target)).await;
    let watch = Watch::start(&official.rtmp_url(&at_target));
    let before = official.claim(&at_target).await.expect("the target's own claim");

    let worker = descendants(recorder.process.pid());
    let worker = worker.iter().find(|(_, name)| name.starts_with("sluice-worker")).expect("a worker");
    kill_9(*worker.0);
    eventually(20.0, "another worker carries it", || async {
        let view = live(&relay, &stream).await?;
        ensure!(view.incarnation == 2, "incarnation {}", view.incarnation);
        Ok(())
    })
    .await;
    eventually(10.0, "it arrives again", || async {
        let media = official.live(&at_target).await?.media;
        ensure!(media.silent_ms < 500 && media.frames_per_second > 25.0, "{media:?}");
        Ok(())
    })
    .await;
    let after = official.claim(&at_target).await.expect("still claimed");
    assert_eq!((after.id, after.token), (before.id, before.token), "the same publication");
    assert_eq!(road.connections(), 1);
    assert_eq!(seen(&official).await.expect("figures"), (1.0, 0.0));
    let row = target_in(&relay, &stream, TargetState::Pushing).await.expect("it pushes");
    assert_eq!((row.reconnects, row.detail.as_deref()), (0, None));
    assert!(row.bytes > 100_000 && row.lag_ms < 1_000, "{row:?}");
    decodes(&official.rtmp_url(&at_target)).await;
    let seen_there = watch.end().await.expect("the player was never cut off");
    assert_eq!(seen_there.steps_back, 0, "time only rises");
    assert!(seen_there.pictures > 100, "{} pictures", seen_there.pictures);
    println!("the target saw a gap of {} ms", seen_there.widest_ms);

    // Nobody but the target sees the key.
    for path in ["/api/v1/targets", "/api/v1/streams", "/api/v1/claims", "/metrics"] {
        let said = text(&relay.url(path)).await.expect("an answer");
        assert!(!said.contains(SECRET), "{path}: {said}");
    }
    let snapshot = first_event(&relay).await.expect("a snapshot");
    assert!(snapshot.contains("\"pushing\"") && !snapshot.contains(SECRET), "{snapshot}");
    let shown = sluice(&relay, &["targets", "list"]).await;
    assert!(shown.contains(&format!("{}/live/…", road.address)) && shown.contains("pushing"), "{shown}");
    for said in [shown, sluice(&relay, &["streams", "list", "--json"]).await] {
        assert!(!said.contains(SECRET), "{said}");
    }
    assert!(!relay.process.said().contains(SECRET), "the key is in the relay's log");
    assert!(!recorder.process.said().contains(SECRET), "the key is in the recorder's log");

    relay.client().stop_stream(stream.id).await.expect("it stops");
    eventually(20.0, "the target is told goodbye", || async {
        ensure!(official.claim(&at_target).await.is_err(), "still claimed there");
        ensure!(text(&relay.url("/api/v1/claims")).await?.contains("[]"), "still claimed here");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_stream_of_a_target_is_held_and_takes_over_when_the_first_ends() {
    let (relay, official) = (Relay::start(), ingest());
    let _recorder = Recorder::start(&relay, "rec-1", 2);
    let target = official.rtmp_url(&format!("live/{SECRET}"));
    let first = start(&relay, "live/one", std::slice::from_ref(&target)).await;
    eventually(40.0, "the first pushes", || target_in(&relay, &first, TargetState::Pushing)).await;
    let spelled_otherwise = target.replace("/live/", "//live//").replace("rtmp://", "RTMP://");
    let second = start(&relay, "live/two", &[spelled_otherwise]).await;
    let row = eventually(40.0, "the second is held", || async {
        live(&relay, &second).await?;
        target_in(&relay, &second, TargetState::Held).await
    })
    .await;
    assert_eq!(row.holder.as_ref().map(|holder| holder.label.as_str()), Some("stream live/one"), "{row:?}");
    assert!(row.detail.as_deref().is_some_and(|text| text.contains("stream live/one")), "{row:?}");
    assert_eq!(seen(&official).await.expect("figures"), (1.0, 0.0), "the target never saw the second");
    eventually(5.0, "the held one is live all the same", || live(&relay, &second)).await;

    relay.client().stop_stream(first.id).await.expect("it stops");
    eventually(25.0, "the second took over", || target_in(&relay, &second, TargetState::Pushing)).await;
    let at_target = format!("live/{SECRET}");
    eventually(10.0, "its picture arrives", || official.live(&at_target)).await;
    assert_eq!(seen(&official).await.expect("figures"), (2.0, 0.0), "one after the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_is_tried_again_while_hls_and_the_other_target_do_not_notice() {
    let (relay, official) = (Relay::start(), ingest());
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    // A port that was free a moment ago: nobody answers there.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let down = format!("rtmp://127.0.0.1:{port}/app/{SECRET}");
    let good = official.rtmp_url("live/good");
    let stream = start(&relay, "live/room", &[down.clone(), good.clone()]).await;
    eventually(30.0, "it is live", || live(&relay, &stream)).await;
    let failed = eventually(15.0, "one fails, the other pushes", || async {
        let targets = relay.client().stream(stream.id).await?.targets;
        let [down, good] = targets.as_slice() else { anyhow::bail!("{targets:?}") };
        ensure!(good.state == TargetState::Pushing && down.state == TargetState::Failed, "{targets:?}");
        Ok(down.clone())
    })
    .await;
    assert!(failed.detail.as_deref().is_some_and(|text| text.contains("refused")), "{failed:?}");
    assert_eq!(failed.url, format!("rtmp://127.0.0.1:{port}/app/…"));

    let watch = Watch::start(&good);
    eventually(15.0, "HLS plays", || async {
        let playlist = relay.hls_url("live/room").replace("index.m3u8", "media.m3u8");
        let playlist = text(&playlist).await?;
        ensure!(playlist.matches("#EXTINF").count() >= 2, "{playlist}");
        Ok(())
    })
    .await;
    let played = Ffmpeg::run(40.0, &["-i", &relay.hls_url("live/room"), "-t", "4", "-f", "null", "-"]).await;
    played.expect("HLS plays through");

    // It comes up: as an ffmpeg that takes one publisher and keeps what it gets.
    let folder = scratch();
    let copy = folder.path().join("copy.mkv");
    let copy_name = copy.to_str().expect("a plain path");
    let mut receiver = Process::start("ffmpeg", |command| {
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-listen", "1", "-i", &down]);
        command.args(["-t", "4", "-c", "copy", "-y", copy_name]);
    })
    .expect("ffmpeg starts");
    let status = receiver.ended(75.0).await.expect("the push finds it and it gets its seconds");
    assert!(status.success(), "{}", receiver.said());
    let said = Ffmpeg::run(30.0, &["-i", copy_name, "-f", "null", "-"]).await.expect("it decodes");
    assert_eq!(said.trim(), "", "every frame decodes");

    let beside = watch.end().await.expect("the player was never cut off");
    assert!(beside.widest_ms < 200 && beside.steps_back == 0, "a gap of {} ms", beside.widest_ms);
    assert_eq!(seen(&official).await.expect("figures"), (1.0, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seized_target_gets_nothing_more_and_its_stream_goes_on() {
    let (relay, official) = (Relay::start(), ingest());
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    let stream = start(&relay, "live/room", &[official.rtmp_url(&format!("live/{SECRET}"))]).await;
    let row = eventually(40.0, "it is pushed", || target_in(&relay, &stream, TargetState::Pushing)).await;
    let at_target = format!("live/{SECRET}");
    eventually(10.0, "it arrives", || official.live(&at_target)).await;
    let claims = relay.client().claims().await.expect("the claims");
    let claim = claims.into_iter().find(|it| Some(it.id) == row.claim_id).expect("the target's claim");
    assert_eq!((claim.kind, claim.stream_id), (ClaimKind::Target, Some(stream.id)));
    let action = ClaimAction { reason: "wrong channel".into(), expected_token: claim.token };
    relay.client().seize_claim(claim.id, &action).await.expect("it is seized");
    let row = eventually(2.0, "it is stopped", || target_in(&relay, &stream, TargetState::Held)).await;
    assert!(row.detail.as_deref().is_some_and(|text| text.contains("wrong channel")), "{row:?}");
    eventually(5.0, "the target gets nothing more", || async {
        let rest = official.live(&at_target).await.map(|it| it.media.silent_ms).unwrap_or(u64::MAX);
        ensure!(rest > 2_000, "media {rest} ms ago");
        Ok(())
    })
    .await;
    live(&relay, &stream).await.expect("the stream does not notice");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_the_relay_its_streams_are_pushed_again() {
    let (mut relay, official) = (Relay::start(), ingest());
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    let stream = start(&relay, "live/room", &[official.rtmp_url(&format!("live/{SECRET}"))]).await;
    eventually(40.0, "it is pushed", || target_in(&relay, &stream, TargetState::Pushing)).await;
    let mut holding = 0;
    for file in std::fs::read_dir(relay.data()).expect("the data folder") {
        let file = file.expect("an entry");
        let about = file.metadata().expect("a file");
        let holds_key = about.is_file() && {
            let bytes = std::fs::read(file.path()).expect("it can be read");
            bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
        };
        let is_private = about.permissions().mode() & 0o077 == 0;
        assert!(!holds_key || is_private, "{} holds the key", file.path().display());
        holding += u32::from(holds_key);
    }
    assert!(holding > 0, "the target is durable");
    relay.crash_and_restart().expect("it comes up again");
    eventually(40.0, "it is pushed again", || target_in(&relay, &stream, TargetState::Pushing)).await;
    let at_target = format!("live/{SECRET}");
    eventually(10.0, "it arrives", || official.live(&at_target)).await;
    assert_eq!(seen(&official).await.expect("figures"), (2.0, 0.0), "one before the crash, one after");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_refused_publishers_beside_a_stream_open_no_connection_to_its_targets() {
    let (relay, official) = (Relay::start(), ingest());
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    let nginx = Nginx::start().await;
    let road = Road::to(official.rtmp).await;
    let at_nginx = nginx.rtmp_url(SECRET);
    let stream = start(&relay, "live/room", &[road.url("live/room"), at_nginx.clone()]).await;
    eventually(40.0, "both targets are pushed to", || async {
        live(&relay, &stream).await?;
        targets_in(&relay, &stream, TargetState::Pushing).await
    })
    .await;
    eventually(10.0, "it arrives", || official.live("live/room")).await;
    decodes(&at_nginx).await;
    let watch = Watch::start(&official.rtmp_url("live/room"));
    let before = (road.connections(), nginx.accepted().await.expect("figures"));

    let contested: TargetUrl = relay.rtmp_url("live/room").parse().expect("a URL");
    let tries: Vec<_> = (0..60)
        .map(|_| {
            let contested = contested.clone();
            tokio::spawn(async move { Publisher::connect(&contested, Deadlines::default()).await.is_err() })
        })
        .collect();
    for refused in tries {
        assert!(refused.await.expect("no panic"), "each is refused");
    }
    tokio::time::sleep(Duration::from_secs(3)).await; // three more seconds to be watched, not waited for
    let beside = watch.end().await.expect("the player was never cut off");
    assert!(beside.pictures > 80, "{} pictures", beside.pictures);
    assert!(beside.widest_ms < 100 && beside.steps_back == 0, "a gap of {} ms", beside.widest_ms);
    assert_eq!(road.connections(), 1, "one connection to the one target");
    assert_eq!((road.connections(), nginx.accepted().await.expect("figures")), before);
    let rows = targets_in(&relay, &stream, TargetState::Pushing).await.expect("both push");
    assert!(rows.iter().all(|row| row.reconnects == 0), "{rows:?}");
}
