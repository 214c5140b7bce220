//! Targets that are restarted, frozen, refuse, do not answer or cannot be reached: each comes back by itself, is never
//! written to by two, and neither the other targets nor the players lose a picture.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it prints how long targets take to come back"
)]

use anyhow::{Context, Result, ensure};
use api::targets::{TargetState, TargetView};
use e2e::{Ffmpeg, Nginx, Receiver, Relay, RelayOptions, Reply, Road, Sockets, Source, Watch, eventually};
use rtmp::io::{Deadlines, Publisher};
use rtmp::{Message, MessageKind};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A publisher whose stream goes to a good target, to others, and to a player.
struct Scene {
    relay: Relay,
    _publisher: Ffmpeg,
    good: Watch,
    player: Watch,
    _official: Relay,
}

impl Scene {
    /// `targets` besides the good one, which is the first.
    async fn with(targets: &[&str]) -> Self {
        let official = Relay::start();
        let good = official.rtmp_url("live/good");
        let all = [&[good.as_str()][..], targets].concat().join(",");
        let lag = ("SLUICE_APP__0__PUSH_LAG_MS_MAX", "2000");
        let environment = [("SLUICE_APP__0__NAME", "live"), ("SLUICE_APP__0__PUSH", &all), lag];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let relay = Relay::start_with(RelayOptions { environment });
        let publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
        eventually(20.0, "the good target has it", || official.live("live/good")).await;
        let (good, player) = (Watch::start(&good), Watch::start(&relay.rtmp_url("live/room")));
        Self { relay, _publisher: publisher, good, player, _official: official }
    }

    /// The row of a target, if it is in this state.
    async fn target(&self, index: u32, state: TargetState) -> Result<TargetView> {
        let rows = self.relay.client().targets().await?;
        let row = rows.into_iter().find(|row| row.index == index).context("a row")?;
        ensure!(row.state == state, "{row:?}");
        Ok(row)
    }

    /// Nobody else noticed anything.
    async fn ends_well(self, at_least: u32) {
        let row = self.target(0, TargetState::Pushing).await.expect("the good target is pushed to");
        assert_eq!((row.reconnects, row.last_error), (0, None));
        for (who, watch) in [("the good target", self.good), ("the player", self.player)] {
            let seen = watch.end().await.expect("it was never cut off");
            // At 30 pictures per second, one that is lost makes a step of 67 ms.
            assert!(seen.widest_ms < 50 && seen.steps_back == 0, "{who}: {seen:?}");
            assert!(seen.pictures > at_least, "{who}: {seen:?}");
        }
    }
}

/// Resident memory of a process, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

async fn comes_back(nginx: &Nginx, scene: &Scene, after: &str) {
    let from = Instant::now();
    eventually(45.0, "it comes back by itself", || async {
        scene.target(1, TargetState::Pushing).await?;
        nginx.has_publishers(1).await
    })
    .await;
    println!("{after}: pushed again after {:.1} s", from.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nginx_that_is_killed_frozen_or_refuses_comes_back_by_itself_and_never_has_two_publishers() {
    let hook = Receiver::start().await;
    let refuses = Arc::new(AtomicBool::new(true));
    let answer = refuses.clone();
    hook.answer(move |_| Reply::Status(if answer.load(Ordering::SeqCst) { 403 } else { 200 }));
    let mut nginx = Nginx::start_with(&format!("on_publish {};", hook.url("/hook"))).await;
    let scene = Scene::with(&[&nginx.rtmp_url("room")]).await;
    let sockets = Sockets::of(scene.relay.process.pid(), nginx.port());

    let refused = eventually(10.0, "it is refused", || scene.target(1, TargetState::Failed)).await;
    println!("refused: {}", refused.detail.unwrap_or_default());
    assert!(nginx.recordings("room").expect("recordings").is_empty());
    refuses.store(false, Ordering::SeqCst);
    comes_back(&nginx, &scene, "refused by on_publish").await;

    nginx.process.kill_9();
    eventually(10.0, "it is missed", || scene.target(1, TargetState::Failed)).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // of refused connections
    nginx.restart().await;
    comes_back(&nginx, &scene, "killed").await;

    let before = resident_kib(scene.relay.process.pid());
    nginx.process.signal(Signal::STOP);
    let stuck = eventually(45.0, "it takes nothing", || scene.target(1, TargetState::Failed)).await;
    println!("frozen: {}", stuck.detail.unwrap_or_default());
    tokio::time::sleep(Duration::from_secs(5)).await; // of tries in vain
    let grown = resident_kib(scene.relay.process.pid()).saturating_sub(before);
    println!("frozen: the relay grew by {grown} KiB");
    assert!(grown < 32 * 1024, "{grown} KiB");
    nginx.process.signal(Signal::CONT);
    comes_back(&nginx, &scene, "frozen").await;

    let most = sockets.most_at_once();
    assert_eq!(most.len(), 1, "one connection at a time: {most:#?}");
    let log = nginx.log().expect("a log");
    assert!(!log.contains("already publishing"), "{log}");
    scene.ends_well(600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_never_answer_or_read_slowly_cost_only_themselves() {
    // One accepts and never reads; one does not even accept, as if the network swallowed all.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent_address = silent.local_addr().expect("an address");
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok(accepted) = silent.accept().await {
            kept.push(accepted);
        }
    });
    let full = raw_listener(0, None);
    let full_address = full.local_addr().expect("an address");
    let _queued = fill_queue(full_address);
    // One reads, but half of what comes.
    let behind = Relay::start();
    let slow = slow_road(behind.rtmp, 45_000);
    let targets = [silent_address, full_address, slow].map(|address| format!("rtmp://{address}/live/room"));
    let scene = Scene::with(&[&targets[0], &targets[1], &targets[2]]).await;
    let sockets = Sockets::of(scene.relay.process.pid(), silent_address.port());
    for (index, words) in [(1, "handshake"), (2, "connect")] {
        let row = eventually(20.0, "it is given up", || scene.target(index, TargetState::Failed)).await;
        let detail = row.detail.unwrap_or_default();
        assert!(detail.contains(words), "{detail}");
    }
    let row = eventually(60.0, "the slow one is set forward", || async {
        let text = reqwest::get(scene.relay.url("/metrics")).await?.text().await?;
        let skips = text.lines().find_map(|line| line.strip_prefix("sluice_push_skips_total "));
        let row = scene.target(3, TargetState::Pushing).await?;
        ensure!(skips.is_some_and(|skips| skips != "0"), "{skips:?}: {row:?}");
        Ok(row)
    })
    .await;
    assert_eq!((row.reconnects, row.last_error), (0, None), "it is slow, not broken");
    // As far as it may lag, and up to the next keyframe.
    assert!(row.lag_ms < 4_500, "{} ms", row.lag_ms);
    let most = sockets.most_at_once();
    assert_eq!(most.len(), 1, "one connection at a time: {most:#?}");
    scene.ends_well(200).await;
    accepting.abort();
}

/// A road that lets so many bytes through in a second, and whose kernel keeps few.
fn slow_road(target: SocketAddr, bytes_per_second: u64) -> SocketAddr {
    let listener = raw_listener(8, Some(64 << 10));
    listener.set_nonblocking(true).expect("it can be set");
    let address = listener.local_addr().expect("an address");
    let listener = TcpListener::from_std(listener).expect("a listener");
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(target).await?;
                let ((mut from, mut back), (mut answers, mut to)) = (from.into_split(), to.split());
                let forth = async {
                    let mut bytes = [0; 4_500];
                    loop {
                        let count = from.read(&mut bytes).await?;
                        if count == 0 {
                            return Ok::<(), std::io::Error>(());
                        }
                        to.write_all(&bytes[..count]).await?;
                        let pause = 1_000 * count as u64 / bytes_per_second;
                        tokio::time::sleep(Duration::from_millis(pause.max(1))).await;
                    }
                };
                tokio::select! {
                    ended = forth => ended,
                    ended = tokio::io::copy(&mut answers, &mut back) => ended.map(drop),
                }
            });
        }
    });
    address
}

/// A listener with room for so many connections that wait, and so many bytes of each.
fn raw_listener(queue: i32, receive_bytes: Option<usize>) -> std::net::TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    if let Some(bytes) = receive_bytes {
        sockopt::set_socket_recv_buffer_size(&socket, bytes).expect("it can be set");
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    bind(&socket, &any).expect("a port");
    listen(&socket, queue).expect("it listens");
    socket.into()
}

/// Fills its queue, so that the kernel drops whoever comes next.
fn fill_queue(address: SocketAddr) -> Vec<std::net::TcpStream> {
    let within = Duration::from_millis(500);
    std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, within).ok()).take(8).collect()
}

/// Set in the process that runs inside namespaces.
const INSIDE: &str = "SLUICE_TEST_INSIDE";
/// The target that is known by name alone.
const NAMED: &str = "ingest.test";

/// Runs one test of this file again in a network and a file system of its own; whether that is possible here.
fn run_inside(test: &str) -> bool {
    let possible = Command::new("unshare").args(["-m", "-n", "ip", "link", "set", "lo", "up"]).output();
    match possible {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("SKIPPED: no namespaces here: {}", String::from_utf8_lossy(&output.stderr).trim());
            return false;
        }
        Err(error) => {
            println!("SKIPPED: no namespaces here: {error}");
            return false;
        }
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(["-m", "-n", "setpriv", "--pdeathsig", "KILL"]).arg(own);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn sh(command: &str) {
    let output = Command::new("sh").args(["-ec", command]).output().expect("a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_target_without_a_route_or_with_another_address_is_found_again() {
    if std::env::var_os(INSIDE).is_none() {
        run_inside("a_target_without_a_route_or_with_another_address_is_found_again");
        return;
    }
    tokio::runtime::Runtime::new().expect("a runtime").block_on(unroutable_and_renamed());
}

/// Inside: 198.51.100.7 has a route into nothing, 203.0.113.7 one that swallows all, and a name has an address at which
/// nobody listens (RFC 5737 and RFC 6761 keep these for documentation and tests).
async fn unroutable_and_renamed() {
    let folder = e2e::scratch();
    let hosts = folder.path().join("hosts");
    let write_hosts = |address: &str| {
        std::fs::write(&hosts, format!("127.0.0.1 localhost\n{address} {NAMED}\n"))
            .expect("it can be written");
    };
    write_hosts("127.0.0.9");
    sh("ip link set lo up; ip route add blackhole 198.51.100.0/24;
        ip link add in type veth peer name out; ip addr add 203.0.113.1/24 dev in;
        ip link set in up; ip link set out up; ip neigh add 203.0.113.7 lladdr 02:00:00:00:00:07 dev in");
    sh(&format!("mount --bind {} /etc/hosts", hosts.display()));

    let nginx = Nginx::start().await;
    let port = nginx.port();
    let url = |host: &str| format!("rtmp://{host}:{port}/live/{}", host.replace('.', "-"));
    let hosts_of_targets = ["198.51.100.7", "203.0.113.7", NAMED];
    let targets = hosts_of_targets.map(url);
    let scene = Scene::with(&[&targets[0], &targets[1], &targets[2]]).await;
    for index in 1..4 {
        let row = eventually(20.0, "it cannot be reached", || scene.target(index, TargetState::Failed)).await;
        println!("{}: {}", hosts_of_targets[index as usize - 1], row.detail.unwrap_or_default());
    }

    // The addresses move to this machine, the name to where nginx listens.
    sh("ip addr add 198.51.100.7/32 dev lo; ip addr add 203.0.113.7/32 dev lo");
    let mut roads = Vec::new();
    for host in &hosts_of_targets[..2] {
        let from: SocketAddr = format!("{host}:{port}").parse().expect("an address");
        roads.push(Road::between(from, SocketAddr::from(([127, 0, 0, 1], port))).await);
    }
    write_hosts("127.0.0.1");
    eventually(60.0, "all are found again", || async {
        for index in 1..4 {
            scene.target(index, TargetState::Pushing).await?;
        }
        nginx.has_publishers(3).await
    })
    .await;
    assert!(roads.iter().all(|road| road.most_at_once() == 1), "one connection at a time");
    scene.ends_well(200).await;
}

/// A keyframe in AVC with its configuration before it (FLV 10.1 §E.4.3).
fn pictures(at_ms: u32) -> [Message; 2] {
    let bodies: [&[u8]; 2] =
        [&[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff], &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]];
    bodies.map(|body| Message { kind: MessageKind::Video, timestamp: at_ms, body: body.to_vec().into() })
}

/// Publishes for a second, then is cut off, so many times; says goodbye at the last.
async fn publish_and_be_cut(url: String, times: u32) -> Result<()> {
    let url = url.parse().context("a URL")?;
    for time in 0..times {
        let mut publisher = Publisher::connect(&url, Deadlines::default()).await?;
        for picture in 0..10 {
            publisher.send(&pictures(picture * 100)).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if time + 1 == times {
            publisher.close().await;
        } else {
            drop(publisher);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_publishers_that_are_cut_and_come_back_leave_no_push_claim_or_socket_behind() {
    const PUBLISHERS: usize = 40;
    let nginx = Nginx::start().await;
    let push = nginx.rtmp_url("{name}");
    let environment = [
        ("SLUICE_APP__0__NAME", "live"),
        ("SLUICE_APP__0__PUSH", &push),
        ("SLUICE_CLAIMS__GRACE_SECONDS", "4"),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let relay = Relay::start_with(RelayOptions { environment });
    let files = || std::fs::read_dir(format!("/proc/{}/fd", relay.process.pid())).expect("it runs").count();
    let before = files();
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|at| tokio::spawn(publish_and_be_cut(relay.rtmp_url(&format!("live/room-{at}")), 3)))
        .collect();
    eventually(15.0, "all are pushed", || nginx.has_publishers(PUBLISHERS)).await;
    for publisher in publishing {
        publisher.await.expect("no panic").expect("it may come back each time");
    }
    eventually(20.0, "all is given back", || async {
        let client = relay.client();
        let (targets, claims) = (client.targets().await?.len(), client.claims().await?.len());
        ensure!((targets, claims) == (0, 0), "{targets} pushes, {claims} claims");
        nginx.has_publishers(0).await?;
        let open = files();
        ensure!(open <= before + 4, "{open} files are open, {before} were before");
        Ok(())
    })
    .await;
    let accepted = nginx.accepted().await.expect("figures");
    println!("{PUBLISHERS} publications, cut twice each, took {accepted} connections to their target");
    for at in 0..PUBLISHERS {
        let files = nginx.recordings(&format!("room-{at}")).expect("recordings");
        assert_eq!(files.len(), 1, "room-{at}: one publication at its target through both cuts");
    }
}
