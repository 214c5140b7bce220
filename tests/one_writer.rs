//! What once took a whole conference off the air: two recorders that write to one URL, and publishers that are refused and
//! try again and again. Here the target sees one connection, and nobody notices.

use anyhow::{Result, ensure};
use api::ProblemCode;
use api::client::ClientError;
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use api::targets::TargetState;
use e2e::{Ffmpeg, Nginx, Receiver, Recorder, Relay, RelayOptions, Road, Sockets, Source, Watch, eventually};
use media::TargetUrl;
use rtmp::io::{Deadlines, Publisher};
use std::time::Duration;

fn request(name: &str, target: &str) -> StartStream {
    StartStream {
        call: Call { url: None, kind: CallKind::Test },
        name: name.into(),
        targets: vec![target.into()],
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: std::collections::BTreeMap::new(),
        wait_seconds: Some(20),
    }
}

async fn pushes(relay: &Relay, stream: &StreamView, state: TargetState) -> Result<()> {
    let view = relay.client().stream(stream.id).await?;
    ensure!(view.state == StreamState::Live, "it is {:?}", view.state);
    ensure!(view.targets.len() == 1 && view.targets[0].state == state, "{:?}", view.targets);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_widget_that_is_removed_and_added_fast_and_two_starts_for_one_room_send_one_stream_to_its_target() {
    let (relay, nginx) = (Relay::start(), Nginx::start().await);
    let (client, target) = (relay.client(), nginx.rtmp_url("official"));
    let _recorders = ["rec-1", "rec-2"].map(|name| Recorder::start(&relay, name, 1));
    let sockets = Sockets::of(relay.process.pid(), nginx.port());
    let room = client.start_stream(&request("live/room", &target), "start-1").await.expect("it is started");
    eventually(40.0, "it arrives", || async {
        pushes(&relay, &room, TargetState::Pushing).await?;
        nginx.has_publishers(1).await
    })
    .await;
    let watch = Watch::start(&relay.rtmp_url("live/room"));

    for again in 0..3 {
        client.stop_stream(room.id).await.expect("it is removed");
        let key = format!("again-{again}");
        let added = client.start_stream(&request("live/room", &target), &key).await.expect("it is added");
        assert_eq!(added.id, room.id, "the same stream goes on");
    }
    // Twice for the same room: told who has it. For the same target under another name: live, and told who writes there.
    let second = client.start_stream(&request("live/room", &target), "start-2").await;
    let Err(ClientError::Problem(problem)) = second else { panic!("{second:?}") };
    assert_eq!(problem.code, ProblemCode::ClaimHeld);
    assert!(problem.holder.is_some(), "{problem:?}");
    let other = client.start_stream(&request("live/other", &target), "start-3").await.expect("it is started");
    eventually(40.0, "it is held off the target", || pushes(&relay, &other, TargetState::Held)).await;
    let holder = client.stream(other.id).await.expect("a row").targets.remove(0).holder.expect("a holder");
    assert_eq!(holder.label, "stream live/room");

    tokio::time::sleep(Duration::from_secs(5)).await; // longer than a stop would have taken to act
    pushes(&relay, &room, TargetState::Pushing).await.expect("the first goes on");
    let seen = watch.end().await.expect("the player was never cut off");
    // A worker may leave out a picture when the machine is busy.
    assert!(seen.widest_ms < 200 && seen.steps_back == 0 && seen.pictures > 100, "{seen:?}");
    let most = sockets.most_at_once();
    assert_eq!(most.len(), 1, "one connection: {most:#?}");
    nginx.has_publishers(1).await.expect("one publisher");
    assert_eq!(nginx.recordings("official").expect("recordings").len(), 1, "one publication");
}

/// HLS of a stream: its media sequence, and whether anything breaks in it.
async fn hls(relay: &Relay, name: &str) -> Result<(u64, usize)> {
    let url = relay.hls_url(name).replace("index.m3u8", "media.m3u8");
    let text = reqwest::get(url).await?.error_for_status()?.text().await?;
    let first = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap_or("0");
    Ok((first.parse()?, text.matches("#EXT-X-DISCONTINUITY\n").count()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_refusals_within_a_minute_change_nothing_for_a_stream_with_two_targets_and_hooks() {
    const TRIES: usize = 1_000;
    const AT_ONCE: usize = 200;
    let (hook, nginx, official) = (Receiver::start().await, Nginx::start().await, Relay::start());
    let road = Road::to(official.rtmp).await;
    let (at_nginx, at_official) = (nginx.rtmp_url("{name}"), road.url("live/{name}"));
    let environment = [
        ("SLUICE_APP__0__NAME", "live".to_owned()),
        ("SLUICE_APP__0__PUSH", format!("{at_nginx},{at_official}")),
        ("SLUICE_APP__0__ON_PUBLISH", hook.url("/hook")),
        ("SLUICE_APP__0__ON_PUBLISH_DONE", hook.url("/hook")),
        ("SLUICE_APP__0__ON_DONE", hook.url("/hook")),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let relay = Relay::start_with(RelayOptions { environment });
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "both targets have it", || async {
        official.live("live/room").await?;
        nginx.has_publishers(1).await
    })
    .await;
    eventually(15.0, "HLS plays", || hls(&relay, "live/room")).await;
    let watches = [&relay, &official].map(|at| Watch::start(&at.rtmp_url("live/room")));
    let accepted = nginx.accepted().await.expect("figures");

    let contested: TargetUrl = relay.rtmp_url("live/room").parse().expect("a URL");
    let refusals = async {
        for _ in 0..TRIES / AT_ONCE {
            let tries: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let contested = contested.clone();
                    tokio::spawn(async move {
                        Publisher::connect(&contested, Deadlines::default()).await.is_err()
                    })
                })
                .collect();
            for refused in tries {
                assert!(refused.await.expect("no panic"), "each is refused");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refusals).await.expect("all within a minute");

    for watch in watches {
        let seen = watch.end().await.expect("nobody was cut off");
        assert!(seen.widest_ms < 50 && seen.steps_back == 0 && seen.pictures > 100, "{seen:?}");
    }
    assert_eq!(hook.said(), ["publish"], "no hook heard of them");
    assert_eq!((road.connections(), nginx.accepted().await.expect("figures")), (1, accepted));
    let rows = relay.client().targets().await.expect("rows");
    let is_well = |row: &&api::targets::TargetView| row.state == TargetState::Pushing && row.reconnects == 0;
    assert_eq!(rows.iter().filter(is_well).count(), 2, "{rows:?}");
    assert_eq!(hls(&relay, "live/room").await.expect("a playlist").1, 0, "nothing breaks in HLS");
}
