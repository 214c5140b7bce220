//! A claim holds through crowds, frozen publishers, killed and frozen relays, and clocks that jump.

#![allow(clippy::print_stdout, reason = "what a run covered is worth knowing")]

use anyhow::{Context, Result, ensure};
use api::claims::{ClaimRequest, ClaimState};
use bytes::Bytes;
use e2e::{Ffmpeg, Nginx, Relay, RelayOptions, Source, eventually, ffprobe_json, scratch};
use media::TargetUrl;
use rtmp::MessageKind;
use rtmp::flv::{VideoTag, parse_video};
use rtmp::io::{Deadlines, Player, PublishError, Publisher};
use rustix::process::Signal;
use std::time::Duration;

const NAME: &str = "live/room";

fn relay(keys: &[(&str, String)]) -> Relay {
    let environment = keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Relay::start_with(RelayOptions { environment })
}

async fn publish(url: &str) -> Result<Publisher, PublishError> {
    let target: TargetUrl = url.parse().expect("a URL");
    Publisher::connect(&target, Deadlines::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_racers_one_wins() {
    let crowd = "2000".to_owned();
    let relay = relay(&[
        ("SLUICE_RTMP__CONNECTIONS_PER_ADDRESS_MAX", crowd.clone()),
        ("SLUICE_RTMP__HANDSHAKES_PER_ADDRESS_MAX", crowd),
    ]);
    let url = relay.rtmp_url(NAME);
    let racers: Vec<_> = (0..1_000)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let mut publisher = publish(&url).await?;
                // It sends nothing yet, but answers pings while the others try.
                let ended = tokio::time::timeout(Duration::from_secs(8), publisher.failed()).await;
                ended.map_or(Ok(()), Err)
            })
        })
        .collect();
    let (mut winners, mut refused) = (0, 0);
    for racer in racers {
        match racer.await.expect("no panic") {
            Ok(()) => winners += 1,
            Err(PublishError::Refused { .. }) => refused += 1,
            Err(other) => panic!("neither admitted nor refused: {other}"),
        }
    }
    assert_eq!((winners, refused), (1, 999));
}

/// The widths of the pictures that a player gets, one after another without repeats, until told to stop.
async fn widths(url: String, mut stop: tokio::sync::oneshot::Receiver<()>) -> Result<Vec<u32>> {
    let mut player = Player::connect(&url.parse()?, Deadlines::default()).await?;
    let (mut widths, mut width) = (Vec::new(), 0);
    loop {
        let message = tokio::select! {
            message = player.next() => message?,
            _ = &mut stop => return Ok(widths),
        };
        if message.kind != MessageKind::Video {
            continue;
        }
        match parse_video(&message.body)? {
            VideoTag::Config { codec, record } => {
                let track = codec.track(&Bytes::clone(&record)).context("a known codec")??;
                width = track.width;
            }
            VideoTag::Frame { .. } if widths.last() != Some(&width) => widths.push(width),
            _ => {}
        }
    }
}

/// Which fencing tokens are in the segment URLs of the playlist, in order.
async fn tokens(relay: &Relay) -> Result<Vec<u64>> {
    let master = reqwest::get(relay.hls_url(NAME)).await?.error_for_status()?.text().await?;
    let media = master.lines().find(|line| line.ends_with(".m3u8")).context("a media playlist")?;
    let text = reqwest::get(url::Url::parse(&relay.hls_url(NAME))?.join(media)?).await?.text().await?;
    let urls = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    urls.map(|url| Ok(url.split('/').next().context("a token")?.parse()?)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_frozen_and_thaws_reaches_nobody() {
    let nginx = Nginx::start().await;
    let relay =
        relay(&[("SLUICE_APP__0__NAME", "live".into()), ("SLUICE_APP__0__PUSH", nginx.rtmp_url("official"))]);
    let url = relay.rtmp_url(NAME);
    let mut old = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live(NAME)).await;
    eventually(20.0, "it is pushed", || nginx.has_publishers(1)).await;
    let before = relay.claim(NAME).await.expect("a claim");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let player = tokio::spawn(widths(url.clone(), stopped));
    eventually(20.0, "HLS has it", || async {
        ensure!(tokens(&relay).await?.contains(&before.token));
        Ok(())
    })
    .await;

    old.process.signal(Signal::STOP);
    // It is asked whether it lives, and is silent.
    let _new = eventually(20.0, "another may follow", || async {
        let publisher = Ffmpeg::publish(Source::Hd, &url, None);
        eventually(6.0, "it has the claim", || async {
            let claim = relay.claim(NAME).await?;
            ensure!(claim.token > before.token && claim.state == ClaimState::Live, "{claim:?}");
            Ok(())
        })
        .await;
        Ok(publisher)
    })
    .await;
    let after = relay.claim(NAME).await.expect("a claim");
    eventually(20.0, "HLS goes on with it", || async {
        ensure!(tokens(&relay).await?.last() == Some(&after.token));
        Ok(())
    })
    .await;
    old.process.signal(Signal::CONT);
    old.process.ended(15.0).await.expect("it finds itself cut off");
    tokio::time::sleep(Duration::from_secs(3)).await; // to be watched, not waited for

    let now = relay.claim(NAME).await.expect("a claim");
    assert_eq!((now.id, now.token), (after.id, after.token), "nothing changed when it thawed");
    let _ = stop.send(());
    assert_eq!(player.await.expect("no panic").expect("it plays on"), [640, 1280], "never back");
    let told = tokens(&relay).await.expect("a playlist");
    assert!(told.is_sorted() && told.last() == Some(&after.token), "HLS never goes back: {told:?}");
    let recording = nginx.recordings("official").expect("a folder").pop().expect("a recording");
    let frames = ["-select_streams", "v", "-show_entries", "frame=width", &recording.display().to_string()]
        .map(str::to_owned);
    let frames = ffprobe_json(&frames.each_ref().map(String::as_str)).expect("it can be decoded");
    let mut seen: Vec<_> =
        frames["frames"].as_array().expect("frames").iter().map(|it| it["width"].clone()).collect();
    seen.dedup();
    assert_eq!(seen, [640, 1280], "the target never gets the old one again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_kill_9_is_found_after_it() {
    let mut relay = Relay::start();
    let (mut answered, mut largest) = (0, 0);
    for round in 0..6_u64 {
        let client = relay.client();
        let asking: Vec<_> = (0..40)
            .map(|number| {
                let client = client.clone();
                let name = format!("live/round-{round}-{number}");
                tokio::spawn(async move {
                    let request = ClaimRequest { name, label: "racer".into(), reserve_seconds: Some(600) };
                    client.request_claim(&request).await.map(|granted| granted.claim)
                })
            })
            .collect();
        // Another moment of the work in each round.
        tokio::time::sleep(Duration::from_millis(4 + round * 5)).await;
        relay.process.kill_9();
        let mut granted = Vec::new();
        for asked in asking {
            granted.extend(asked.await.expect("no panic").ok());
        }
        relay.restart().expect("it comes up again");
        let found = relay.client().claims().await.expect("it answers");
        for claim in &granted {
            let same = found.iter().find(|it| it.id == claim.id).expect("an answered grant is found");
            assert_eq!((same.token, &same.key), (claim.token, &claim.key));
            assert!(claim.token > largest, "a token of an earlier life was given out again");
        }
        largest = found.iter().map(|claim| claim.token).max().unwrap_or(largest).max(largest);
        answered += granted.len();
    }
    println!("{answered} grants were answered before a kill -9, all were found");
    assert!(answered > 0, "some grant was answered in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_frozen_for_longer_than_any_grace_keeps_the_publisher_that_lives() {
    let relay =
        relay(&[("SLUICE_CLAIMS__IDLE_SECONDS", "2".into()), ("SLUICE_CLAIMS__GRACE_SECONDS", "2".into())]);
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url(NAME), None);
    eventually(20.0, "it is live", || relay.live(NAME)).await;
    let before = relay.claim(NAME).await.expect("a claim");
    relay.process.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(8)).await; // the freeze itself
    relay.process.signal(Signal::CONT);
    eventually(10.0, "it goes on", || relay.live(NAME)).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // whatever is late to be judged is judged by now
    let after = relay.claim(NAME).await.expect("a claim");
    assert_eq!((after.id, after.token, after.state), (before.id, before.token, ClaimState::Live));
    let refused = publish(&relay.rtmp_url(NAME)).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "and it is nobody else's");
}

/// Debian's `faketime` package; its MT variant is for programs with threads.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_hours_changes_nothing() {
    let folder = scratch();
    let clock = folder.path().join("clock");
    let set = |offset: &str| std::fs::write(&clock, offset).expect("it can be written");
    set("+0");
    let relay = relay(&[
        ("LD_PRELOAD", FAKETIME.into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("SLUICE_CLAIMS__GRACE_SECONDS", "5".into()),
    ]);
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url(NAME), None);
    let live = eventually(20.0, "it is live", || relay.live(NAME)).await;
    let before = relay.claim(NAME).await.expect("a claim");
    let request = ClaimRequest { name: "live/kept".into(), label: "stage".into(), reserve_seconds: Some(60) };
    let kept = relay.client().request_claim(&request).await.expect("it is free").claim;
    for offset in ["+9h", "-9h", "+0"] {
        set(offset);
        tokio::time::sleep(Duration::from_secs(2)).await; // time for what is due by a wrong clock
        let now = relay.claim(NAME).await.expect("a claim");
        assert_eq!((now.id, now.token, now.state), (before.id, before.token, ClaimState::Live), "{offset}");
        let same = relay.live(NAME).await.expect("it is live");
        assert_eq!(same.token, live.token, "{offset}");
        assert_eq!(relay.claim("live/kept").await.expect("it is kept").id, kept.id, "{offset}");
        let refused = publish(&relay.rtmp_url(NAME)).await;
        assert!(matches!(refused, Err(PublishError::Refused { .. })), "{offset}");
    }
    // That the relay saw the clock jump at all: it was nine hours away when this was refused.
    let story =
        relay.client().events_of_claim(before.id, &api::claim_events::ClaimEventsQuery::default()).await;
    let times: Vec<_> = story.expect("a history").events.iter().map(|event| event.at).collect();
    let span = times.iter().max().zip(times.iter().min()).map(|(last, first)| last.duration_since(*first));
    assert!(span.is_some_and(|span| span.as_hours() >= 17), "the clock never jumped: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_lets_one_other_publisher_take_over_and_viewers_stay() {
    let relay = Relay::start();
    let url = relay.rtmp_url(NAME);
    let mut old = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live(NAME)).await;
    let before = relay.claim(NAME).await.expect("a claim");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let player = tokio::spawn(widths(url.clone(), stopped));
    let ticket = relay.client().hand_over_claim(before.id).await.expect("a ticket");
    assert!(!relay.process.said().contains(&ticket.publish_url), "tickets are secret");
    assert!(publish(&url).await.is_err(), "without it nobody passes a healthy publisher");
    let _new = Ffmpeg::publish(Source::Hd, &ticket.publish_url, None);
    eventually(20.0, "the other has it", || async {
        let claim = relay.claim(NAME).await?;
        ensure!(claim.token > before.token && claim.silent_ms.is_some(), "{claim:?}");
        Ok(())
    })
    .await;
    old.process.ended(10.0).await.expect("the old one is cut off");
    assert!(publish(&ticket.publish_url).await.is_err(), "a ticket is good once");
    tokio::time::sleep(Duration::from_secs(3)).await; // to be watched, not waited for
    let _ = stop.send(());
    assert_eq!(player.await.expect("no panic").expect("its player stays"), [640, 1280]);
    let secret = ticket.publish_url.split_once("handover=").expect("a ticket").1;
    assert!(!relay.process.said().contains(secret), "a ticket is in no log");
}
