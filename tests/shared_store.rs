//! Relays that share an etcd cluster are one relay to publishers: whoever has a stream or a target has it in all of them.

#![allow(clippy::print_stdout, reason = "how long a recovery took is worth knowing")]
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

use anyhow::{Context, Result, ensure};
use api::claims::{ClaimAction, ClaimKind, ClaimRequest, ClaimState, ClaimView};
use api::targets::TargetState;
use e2e::{Etcd, Ffmpeg, Nginx, Relay, RelayOptions, Road, Source, eventually};
use media::TargetUrl;
use rtmp::io::{Deadlines, PublishError, Publisher};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A relay of a fleet.
fn relay(name: &str, etcd: &str, keys: &[(&str, &str)]) -> Relay {
    let own = [("SLUICE_STORE__ETCD", etcd), ("SLUICE_STORE__RELAY", name)];
    let environment = own.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Relay::start_with(RelayOptions { environment: environment.collect() })
}

/// Publishes media of no worth until dropped; refused, it says how.
async fn publish(url: &str) -> Result<Publisher, PublishError> {
    let target: TargetUrl = url.parse().expect("a URL");
    Publisher::connect(&target, Deadlines::default()).await
}

fn words(refused: Result<Publisher, PublishError>) -> String {
    match refused {
        Err(PublishError::Refused { description, .. }) => description,
        Err(other) => panic!("it was not refused in words: {other}"),
        Ok(_) => panic!("it was admitted"),
    }
}

/// The claim as this relay shows it, in the name of that relay.
async fn held(relay: &Relay, name: &str, by: Option<&str>) -> Result<ClaimView> {
    let claim = relay.claim(name).await?;
    ensure!(claim.relay.as_deref() == by, "{claim:?}");
    Ok(claim)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_racers_over_three_relays_one_wins() {
    let etcd = Etcd::start(1).await;
    let keys = [
        ("SLUICE_RTMP__CONNECTIONS_PER_ADDRESS_MAX", "1000"),
        ("SLUICE_RTMP__HANDSHAKES_PER_ADDRESS_MAX", "1000"),
    ];
    let relays = ["relay-a", "relay-b", "relay-c"].map(|name| relay(name, &etcd.urls(), &keys));
    let racers: Vec<_> = (0..1_000)
        .map(|at| {
            let url = relays[at % relays.len()].rtmp_url("live/race");
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
    let mut owners = 0;
    for relay in &relays {
        owners += u32::from(relay.claim("live/race").await.is_ok_and(|claim| claim.relay.is_none()));
    }
    assert!(owners <= 1, "{owners} relays have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_relay_has_all_know_and_its_own_publisher_may_move() {
    let etcd = Etcd::start(1).await;
    let (a, b) = (relay("relay-a", &etcd.urls(), &[]), relay("relay-b", &etcd.urls(), &[]));
    let request = ClaimRequest { name: "live/room".into(), label: "stage".into(), reserve_seconds: Some(60) };
    let granted = a.client().request_claim(&request).await.expect("it is free");
    let reserved = eventually(5.0, "b knows", || held(&b, "live/room", Some("relay-a"))).await;
    assert_eq!((reserved.id, reserved.state), (granted.claim.id, ClaimState::Reserved));

    let mut at_a = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    eventually(20.0, "a has it", || a.live("live/room")).await;
    let before = held(&a, "live/room", None).await.expect("a has it");
    let said = words(publish(&b.rtmp_url("live/room")).await);
    assert!(said.contains("URL held by stage since"), "{said}");
    assert!(a.live("live/room").await.is_ok(), "its holder does not notice");

    // The same publisher, by its grant, at the other relay.
    let moved = granted.publish_url.replace(&a.rtmp.to_string(), &b.rtmp.to_string());
    let _at_b = Ffmpeg::publish(Source::Small, &moved, None);
    eventually(20.0, "b has it", || b.live("live/room")).await;
    let after = eventually(5.0, "a knows", || held(&a, "live/room", Some("relay-b"))).await;
    assert_eq!(after.id, before.id, "it is the same claim");
    assert!(after.token > before.token, "{} after {}", after.token, before.token);
    at_a.process.ended(10.0).await.expect("the older connection is cut");
    eventually(5.0, "its broadcast is over", || async {
        ensure!(a.live("live/room").await.is_err());
        Ok(())
    })
    .await;

    // An operator acts wherever they are.
    let action = ClaimAction { expected_token: after.token, reason: "wrong room".into() };
    a.client().seize_claim(after.id, &action).await.expect("it is seized");
    eventually(5.0, "b's publisher is cut", || async {
        ensure!(b.live("live/room").await.is_err());
        Ok(())
    })
    .await;
    let said = words(publish(&moved).await);
    assert!(said.contains("blocked") || said.contains("operator"), "{said}");
    let _other = publish(&a.rtmp_url("live/room")).await.expect("anybody else may have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_crashed_finds_its_claims_again() {
    let etcd = Etcd::start(1).await;
    let (mut a, b) = (relay("relay-a", &etcd.urls(), &[]), relay("relay-b", &etcd.urls(), &[]));
    let request = ClaimRequest { name: "live/room".into(), label: "stage".into(), reserve_seconds: Some(60) };
    let granted = a.client().request_claim(&request).await.expect("it is free");
    let _publisher = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    eventually(20.0, "a has it", || a.live("live/room")).await;
    a.crash_and_restart().expect("it comes up");
    let claim = held(&a, "live/room", None).await.expect("it is its own again");
    assert_eq!(claim.id, granted.claim.id);
    let said = words(publish(&b.rtmp_url("live/room")).await);
    assert!(said.contains("stage"), "{said}");
    let _again = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    eventually(20.0, "its publisher goes on", || a.live("live/room")).await;
    assert!(held(&a, "live/room", None).await.expect("a has it").token > claim.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_nothing_new_is_granted_and_what_runs_goes_on() {
    let mut etcd = Etcd::start(1).await;
    let a = relay("relay-a", &etcd.urls(), &[]);
    let _publisher = Ffmpeg::publish(Source::Small, &a.rtmp_url("live/runs"), None);
    let was = eventually(20.0, "it runs", || a.live("live/runs")).await;
    etcd.members[0].process.kill_9();
    eventually(10.0, "nothing new is granted", || async {
        match publish(&a.rtmp_url("live/new")).await {
            Err(PublishError::Refused { description, .. }) if description.contains("try again") => Ok(()),
            other => anyhow::bail!("{:?}", other.err()),
        }
    })
    .await;
    // Longer than any lease.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let running = a.live("live/runs").await.expect("it goes on");
    assert_eq!(running.token, was.token, "under the same token");
    let before = held(&a, "live/runs", None).await.expect("it is still claimed");
    etcd.members[0].restart();
    let _new = eventually(20.0, "claims are granted again", || async {
        Ok(publish(&a.rtmp_url("live/new")).await?)
    })
    .await;
    let after = held(&a, "live/runs", None).await.expect("it is still claimed");
    assert_eq!((before.id, before.token), (after.id, after.token), "nobody had it meanwhile");
    assert!(a.live("live/runs").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_frozen_or_killed_is_done_without() {
    let mut etcd = Etcd::start(3).await;
    let (a, b) = (relay("relay-a", &etcd.urls(), &[]), relay("relay-b", &etcd.urls(), &[]));
    let _publisher = Ffmpeg::publish(Source::Small, &a.rtmp_url("live/runs"), None);
    eventually(20.0, "it runs", || a.live("live/runs")).await;
    let before = held(&a, "live/runs", None).await.expect("a has it");
    for (round, signal) in [Signal::STOP, Signal::KILL].into_iter().enumerate() {
        let leader = eventually(20.0, "there is a leader", || etcd.leader()).await;
        etcd.members[leader].process.signal(signal);
        let began = Instant::now();
        for (relay, name) in [(&a, "a"), (&b, "b")] {
            let url = relay.rtmp_url(&format!("live/new-{name}-{round}"));
            let _new =
                eventually(40.0, "claims are granted again", || async { Ok(publish(&url).await?) }).await;
        }
        println!("leader got {signal:?}: both relays grant again after {:?}", began.elapsed());
        let said = words(publish(&b.rtmp_url("live/runs")).await);
        assert!(said.contains("URL held by"), "there is no second writer: {said}");
        assert!(a.live("live/runs").await.is_ok(), "what runs goes on");
        if signal == Signal::STOP {
            etcd.members[leader].process.signal(Signal::CONT);
        } else {
            etcd.members[leader].restart();
        }
    }
    let after = eventually(20.0, "a still has it", || held(&a, "live/runs", None)).await;
    assert_eq!((after.id, after.token), (before.id, before.token));
}

/// Whether this relay pushes to its one target.
async fn pushes(relay: &Relay) -> Result<()> {
    let targets = relay.client().targets().await?;
    let target = targets.first().context("a target")?;
    ensure!(target.state == TargetState::Pushing, "{target:?}");
    Ok(())
}

#[test]
fn a_relay_that_is_cut_off_stops_pushing_before_another_begins() {
    if !e2e::is_inside() {
        e2e::run_inside("a_relay_that_is_cut_off_stops_pushing_before_another_begins");
        return;
    }
    tokio::runtime::Runtime::new().expect("a runtime").block_on(cut_off());
}

/// Inside: relay-a reaches etcd at an address that can be taken away (RFC 5737 keeps it for tests).
async fn cut_off() {
    e2e::sh("ip link set lo up; ip addr add 198.51.100.1/32 dev lo");
    let etcd = Etcd::start_at("198.51.100.1", 1).await;
    let nginx = Nginx::start().await;
    let road = Road::to(SocketAddr::from(([127, 0, 0, 1], nginx.port()))).await;
    let target = road.url("live/official");
    let keys = [("SLUICE_APP__0__NAME", "live"), ("SLUICE_APP__0__PUSH", target.as_str())];
    let a = relay("relay-a", &etcd.urls_at("198.51.100.1"), &keys);
    let b = relay("relay-b", &etcd.urls(), &keys);
    let _at_a = Ffmpeg::publish(Source::Small, &a.rtmp_url("live/one"), None);
    eventually(20.0, "a pushes", || pushes(&a)).await;
    let _at_b = Ffmpeg::publish(Source::Small, &b.rtmp_url("live/two"), None);
    eventually(20.0, "b waits for the target", || async {
        let targets = b.client().targets().await?;
        ensure!(targets.first().is_some_and(|target| target.state == TargetState::Held), "{targets:?}");
        Ok(())
    })
    .await;

    e2e::sh("ip addr del 198.51.100.1/32 dev lo; ip route add blackhole 198.51.100.1/32");
    let began = Instant::now();
    eventually(60.0, "b pushes", || pushes(&b)).await;
    println!("relay-a was cut off; relay-b pushes after {:?}", began.elapsed());
    assert!(a.live("live/one").await.is_ok(), "a's stream goes on without its target");
    assert_eq!(road.most_at_once(), 1, "never two at the target");

    e2e::sh("ip route del blackhole 198.51.100.1/32; ip addr add 198.51.100.1/32 dev lo");
    eventually(30.0, "a knows who has it", || async {
        let claims = a.client().claims().await?;
        let target = claims.iter().find(|claim| claim.kind == ClaimKind::Target).context("a target")?;
        ensure!(target.relay.as_deref() == Some("relay-b"), "{target:?}");
        Ok(())
    })
    .await;
    assert!(a.live("live/one").await.is_ok(), "and its stream went on");
    pushes(&b).await.expect("b goes on");
    assert_eq!(road.most_at_once(), 1, "never two at the target");
}
