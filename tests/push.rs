//! Pushes follow their streams: targets come and go while they run, and every publication goes where its application says.

use anyhow::{Context, Result, ensure};
use api::streams::{Call, CallKind, StartStream, StreamView};
use api::targets::{AddTarget, TargetState, TargetView};
use e2e::{
    Ffmpeg, Nginx, Process, Recorder, Relay, RelayOptions, Road, Source, Watch, binary, eventually,
    ffprobe_json, scratch,
};
use rtmp::io::{Deadlines, Player};
use rustix::process::Signal;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The stream key of targets here; nobody but the target may ever see it.
const SECRET: &str = "k3y-of-the-target";

/// A relay whose application `live` is open and has these keys.
fn relay(keys: &[(&str, String)]) -> Relay {
    let mut environment = vec![("SLUICE_APP__0__NAME".to_owned(), "live".to_owned())];
    environment.extend(keys.iter().map(|(key, value)| (format!("SLUICE_APP__0__{key}"), value.clone())));
    environment.push(("SLUICE_CLAIMS__GRACE_SECONDS".into(), "5".into()));
    Relay::start_with(RelayOptions { environment })
}

async fn targets(relay: &Relay, wanted: &[TargetState]) -> Result<Vec<TargetView>> {
    let targets = relay.client().targets().await?;
    let states: Vec<_> = targets.iter().map(|target| target.state).collect();
    ensure!(states == wanted, "{targets:?}");
    Ok(targets)
}

async fn start(relay: &Relay, name: &str) -> StreamView {
    let request = StartStream {
        call: Call { url: None, kind: CallKind::Test },
        name: name.into(),
        targets: Vec::new(),
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: std::collections::BTreeMap::new(),
        wait_seconds: Some(20),
    };
    relay.client().start_stream(&request, name).await.expect("the start is accepted")
}

/// `sluice targets add`, with the URL on its standard input.
async fn add(relay: &Relay, stream: &str, url: &str) -> String {
    let mut process = Process::start(binary("sluice"), |command| {
        command.args(["targets", "add", stream, "--relay", &relay.url("")]).stdin(Stdio::piped());
    })
    .expect("it starts");
    let mut input = process.stdin().expect("it reads");
    writeln!(input, "{url}").expect("it listens");
    drop(input);
    let status = process.ended(10.0).await.expect("it ends");
    assert!(status.success(), "{}", process.said());
    process.said()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_added_to_a_running_stream_and_removed_and_nothing_else_notices() {
    let (mut relay, official) = (relay(&[]), Relay::start());
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    let stream = start(&relay, "live/room").await;
    let client = relay.client();
    let stays = AddTarget { url: official.rtmp_url("live/stays") };
    client.add_target(stream.id, &stays).await.expect("it is added");
    eventually(40.0, "it is pushed", || official.live("live/stays")).await;
    let watch = Watch::start(&official.rtmp_url("live/stays"));

    let road = Road::to(official.rtmp).await;
    let said = add(&relay, "live/room", &road.url(&format!("live/{SECRET}"))).await;
    assert!(said.contains("/live/…") && !said.contains(SECRET), "{said}");
    let at_target = format!("live/{SECRET}");
    eventually(10.0, "the added one arrives", || official.live(&at_target)).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // to be watched, not waited for
    client.remove_target(stream.id, 1).await.expect("it is removed");
    eventually(5.0, "the removed one is told goodbye", || async {
        ensure!(official.claim(&at_target).await.is_err() && road.open() == 0, "still there");
        Ok(())
    })
    .await;
    let targets = client.stream(stream.id).await.expect("a row").targets;
    assert_eq!(targets.iter().map(|row| (row.index, row.reconnects)).collect::<Vec<_>>(), [(0, 0)]);
    let seen = watch.end().await.expect("the player was never cut off");
    assert!(seen.pictures > 20 && seen.widest_ms < 200 && seen.steps_back == 0, "{seen:?}");
    assert!(!relay.process.said().contains(SECRET), "the key is in the log");

    add(&relay, "live/room", &road.url(&format!("live/{SECRET}"))).await;
    relay.crash_and_restart().expect("it comes up again");
    eventually(40.0, "what was added outlives a crash", || official.live(&at_target)).await;
    let targets = relay.client().stream(stream.id).await.expect("a row").targets;
    assert_eq!(targets.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_publication_of_an_application_goes_where_its_configuration_says_and_a_held_target_is_named() {
    let official = Relay::start();
    let own = official.rtmp_url(&format!("live/{{name}}-copy?auth={SECRET}"));
    let shared = official.rtmp_url("live/shared");
    let relay = relay(&[("PUSH", format!("{own},{shared}"))]);
    let mut first = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/one"), None);
    eventually(20.0, "the copy arrives", || official.live("live/one-copy")).await;
    eventually(10.0, "so does the other", || official.live("live/shared")).await;
    let _second = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/two"), None);
    eventually(20.0, "the copy of the second arrives", || official.live("live/two-copy")).await;
    let rows = eventually(10.0, "the shared target is held", || async {
        let rows = relay.client().targets().await?;
        let held: Vec<_> = rows.into_iter().filter(|row| row.state == TargetState::Held).collect();
        ensure!(held.len() == 1, "{held:?}");
        Ok(held)
    })
    .await;
    let holder = rows[0].holder.as_ref().expect("a holder");
    assert_eq!((rows[0].name.as_str(), holder.label.as_str()), ("live/two", "push of live/one"));
    assert!(!format!("{rows:?}").contains(SECRET));

    first.process.kill_9();
    eventually(20.0, "it is taken over when the first is gone", || async {
        targets(&relay, &[TargetState::Pushing; 2]).await?;
        official.live("live/shared").await
    })
    .await;
    assert!(official.live("live/one-copy").await.is_err(), "the first is told goodbye after its grace");
    assert!(!relay.process.said().contains(SECRET), "the key is in the log");
}

/// Per track of a file, in milliseconds: when its packets are decoded.
fn times(file: &str, track: &str) -> Vec<i64> {
    let arguments = ["-select_streams", track, "-show_entries", "packet=dts_time", file];
    let packets = ffprobe_json(&arguments).expect("it can be read");
    let packets = packets["packets"].as_array().expect("packets").iter();
    let seconds = packets.filter_map(|packet| packet["dts_time"].as_str()?.parse::<f64>().ok());
    seconds.map(|seconds| (seconds * 1e3).round() as i64).collect()
}

/// Reads as broadcasters do: gives up after three seconds without a message.
async fn read_with_little_patience(url: String) {
    let url = url.parse().expect("a URL");
    let mut player = Player::connect(&url, Deadlines::default()).await.expect("it plays");
    while let Ok(Ok(_)) = timeout(Duration::from_secs(3), player.next()).await {}
}

/// The widest step of times that only rise.
fn widest(times: &[i64]) -> i64 {
    let steps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step > 0), "time does not only rise: {times:?}");
    steps.into_iter().max().expect("some packets")
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_gap_of_six_seconds_the_target_has_one_connection_with_time_that_rises_held_silent_or_a_clip()
 {
    let folder = scratch();
    let clip = folder.path().join("clip.flv");
    let clip = clip.to_str().expect("a plain path");
    let picture = "color=c=blue:size=640x360:rate=30";
    let made = [
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=880:sample_rate=48000",
        "-t",
        "2",
    ];
    // In other encoder settings than the publishers', and so with other parameter sets.
    let coded = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "60"];
    let coded = [&coded[..], &["-c:a", "aac", "-ac", "2", clip]].concat();
    Ffmpeg::run(20.0, &[&made[..], &coded[..]].concat()).await.expect("a clip is made");

    let nginx = Nginx::start().await;
    let at_nginx =
        nginx.rtmp_url("").split('/').nth(2).and_then(|host| host.parse().ok()).expect("an address");
    let gaps = ["hold", "silence", "slate"];
    let mut roads = Vec::new();
    let mut environment = vec![("SLUICE_CLAIMS__GRACE_SECONDS".to_owned(), "12".to_owned())];
    for (at, gap) in gaps.into_iter().enumerate() {
        let road = Road::to(at_nginx).await;
        let keys =
            [("NAME", gap), ("PUSH_GAP", gap), ("PUSH_SLATE", clip), ("PUSH", &road.url("live/{app}"))];
        environment.extend(keys.map(|(key, value)| (format!("SLUICE_APP__{at}__{key}"), value.to_owned())));
        roads.push(road);
    }
    let relay = Relay::start_with(RelayOptions { environment });
    let publish =
        || gaps.map(|gap| Ffmpeg::publish(Source::Small, &relay.rtmp_url(&format!("{gap}/room")), None));
    let first = publish();
    eventually(20.0, "all are pushed", || nginx.has_publishers(3)).await;
    let readers = gaps.map(|gap| tokio::spawn(read_with_little_patience(nginx.rtmp_url(gap))));
    tokio::time::sleep(Duration::from_secs(3)).await; // of each publisher, to be recorded
    drop(first);
    tokio::time::sleep(Duration::from_secs(6)).await; // the gap
    let rows = targets(&relay, &[TargetState::Pushing; 3]).await.expect("all stay connected");
    assert!(rows.iter().all(|row| row.gap_since.is_some()), "{rows:?}");
    let ended: Vec<_> = readers.iter().map(JoinHandle::is_finished).collect();
    assert_eq!(ended, [true, false, false], "a reader without patience stays where the gap is filled");
    let second = publish();
    eventually(15.0, "media flows again", || async {
        let rows = targets(&relay, &[TargetState::Pushing; 3]).await?;
        ensure!(rows.iter().all(|row| row.gap_since.is_none()), "{rows:?}");
        Ok(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await; // of each publisher, to be recorded
    drop(second);
    eventually(25.0, "after the grace they are told goodbye", || nginx.has_publishers(0)).await;
    assert!(relay.client().targets().await.expect("rows").is_empty());

    for (gap, road) in gaps.iter().zip(&roads) {
        assert_eq!(road.connections(), 1, "{gap}");
        let files = nginx.recordings(gap).expect("recordings");
        assert_eq!(files.len(), 1, "{gap}: one publication");
        let file = files[0].to_str().expect("a plain path");
        let steps = (widest(&times(file, "v")), widest(&times(file, "a")));
        println!("{gap}: widest step of pictures {} ms, of sound {} ms", steps.0, steps.1);
        match *gap {
            "hold" => assert!(steps.0 > 5_000 && steps.1 > 5_000, "the gap shows: {steps:?}"),
            "silence" => assert!(steps.0 < 1_500 && steps.1 < 150, "{steps:?}"),
            _ => assert!(steps.0 < 150 && steps.1 < 150, "{steps:?}"),
        }
        // As broadcasters pass it on: copied, not encoded, into a transport stream.
        let copy = folder.path().join(format!("{gap}.ts"));
        let copy = copy.to_str().expect("a plain path");
        Ffmpeg::run(20.0, &["-i", file, "-c", "copy", "-f", "mpegts", copy]).await.expect("it can be copied");
        let filter = "silencedetect=noise=-50dB:d=4,ametadata=mode=print:key=lavfi.silence_duration:file=-";
        let arguments = ["-i", copy, "-fps_mode:v", "passthrough", "-enc_time_base:v", "1:1000"];
        let said = Ffmpeg::run(60.0, &[&arguments[..], &["-af", filter, "-f", "null", "-"]].concat()).await;
        let said = said.expect("it decodes");
        assert_eq!(said.lines().filter(|line| line.starts_with("! ")).collect::<Vec<_>>(), [""; 0], "{gap}");
        assert_eq!(said.contains("silence_duration"), *gap == "silence", "{gap}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_the_relay_a_publication_is_pushed_again_without_waiting_for_its_own_old_claims() {
    let nginx = Nginx::start().await;
    let mut relay = relay(&[("PUSH", nginx.rtmp_url("{name}"))]);
    let first = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "it is pushed", || nginx.has_publishers(1)).await;
    relay.crash_and_restart().expect("it comes up again");
    drop(first);
    let _second = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "the publisher is let in", || relay.live("live/room")).await;
    eventually(5.0, "it is pushed again", || async {
        targets(&relay, &[TargetState::Pushing]).await?;
        nginx.has_publishers(1).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_hangs_is_filled_in_for_and_after_the_longest_gap_its_target_is_told_goodbye() {
    let nginx = Nginx::start().await;
    let mut environment = Vec::new();
    for (at, (app, gap, seconds)) in
        [("long", "silence", "60"), ("short", "hold", "2")].into_iter().enumerate()
    {
        let push = nginx.rtmp_url("{app}");
        let keys = [("NAME", app), ("PUSH_GAP", gap), ("PUSH_GAP_SECONDS", seconds), ("PUSH", &push)];
        environment.extend(keys.map(|(key, value)| (format!("SLUICE_APP__{at}__{key}"), value.to_owned())));
    }
    let relay = Relay::start_with(RelayOptions { environment });
    let publishers = ["long", "short"]
        .map(|app| Ffmpeg::publish(Source::Small, &relay.rtmp_url(&format!("{app}/room")), None));
    eventually(20.0, "both are pushed", || nginx.has_publishers(2)).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // of each publisher, to be recorded
    publishers.iter().for_each(|publisher| publisher.process.signal(Signal::STOP));
    let state_of = async |app: &str, state: TargetState| -> Result<TargetView> {
        let rows = relay.client().targets().await?;
        let row = rows.into_iter().find(|row| row.name.starts_with(app)).context("a row")?;
        ensure!(row.state == state, "{row:?}");
        Ok(row)
    };
    eventually(4.0, "one is told goodbye", || async {
        state_of("short", TargetState::Waiting).await?;
        nginx.has_publishers(1).await
    })
    .await;
    let row = state_of("long", TargetState::Pushing).await.expect("the other stays");
    assert!(row.gap_since.is_some(), "{row:?}");
    // What it held back meanwhile comes at once.
    publishers.iter().for_each(|publisher| publisher.process.signal(Signal::CONT));
    let row = eventually(10.0, "it is connected again", || state_of("short", TargetState::Pushing)).await;
    assert_eq!((row.reconnects, row.last_error), (1, None), "a pause is no failure");
    tokio::time::sleep(Duration::from_secs(3)).await; // of each publisher, to be recorded
    drop(publishers);
    eventually(30.0, "both are told goodbye", || nginx.has_publishers(0)).await;

    let files = ["long", "short"].map(|app| nginx.recordings(app).expect("recordings"));
    assert_eq!(files.each_ref().map(Vec::len), [1, 2], "one publication, and two");
    let long = files[0][0].to_str().expect("a plain path");
    let steps = (widest(&times(long, "v")), widest(&times(long, "a")));
    assert!(steps.0 < 2_500 && steps.1 < 150, "{steps:?}");
    for file in files.iter().flatten() {
        let file = file.to_str().expect("a plain path");
        let arguments =
            ["-i", file, "-fps_mode:v", "passthrough", "-enc_time_base:v", "1:1000", "-f", "null", "-"];
        assert_eq!(Ffmpeg::run(60.0, &arguments).await.expect("it decodes").trim(), "", "{file}");
    }
}
