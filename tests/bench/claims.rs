//! What claims cost, in this relay's own file and in etcd: the figures of `docs/performance.md`.
//!
//! Everything is asked over HTTP and RTMP, as users ask it; next to it stands what the disk or etcd does alone in the same
//! run, since machines differ and are shared. Run by `make bench`. Takes about two minutes.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::disallowed_methods, missing_docs)]

use api::claims::{ClaimAction, ClaimRequest, ClaimView};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use e2e::{Etcd, Ffmpeg, Relay, RelayOptions, Source, eventually, scratch};
use futures_util::stream::{self, StreamExt};
use media::TargetUrl;
use rtmp::io::{Deadlines, PublishError, Publisher};
use rustix::process::Signal;
use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

/// How many claims there are.
const CLAIMS: usize = 2_000;
/// How many askers ask at once.
const ASKERS: usize = 64;
/// How many publishers are refused.
const REFUSALS: usize = 500;
/// How often a holder dies.
const DEATHS: usize = 12;

#[tokio::main]
async fn main() {
    let folder = scratch();
    let mut file = File::create(folder.path().join("file")).expect("a file");
    let mut syncs: Vec<_> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4_096]).and_then(|()| file.sync_data()).expect("it is written");
            began.elapsed()
        })
        .collect();
    println!("this disk: 4 KiB written and synced, one after another: {}", figures(&mut syncs));

    println!("\nclaims in the relay's own file, {ASKERS} askers at once:");
    let own = claims(&Relay::start()).await;

    let etcd = Etcd::start(1).await;
    println!("\nclaims in etcd (one member on this machine), {ASKERS} askers at once:");
    let put = etcd_alone(&etcd).await;
    let environment = vec![("SLUICE_STORE__ETCD".to_owned(), etcd.urls())];
    let shared = claims(&Relay::start_with(RelayOptions { environment })).await;
    println!("  acquired per second: {:.2} of those in an own file", shared / own);
    println!("  acquired per second: {:.2} of what etcd itself puts by HTTP", shared / put);

    refusals().await;
    takeovers().await;
}

/// Median, 99th percentile and rate of some latencies.
fn figures(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms", millis(at(0.50)), millis(at(0.99)))
}

/// Does the work for each, so many at once; prints and returns how many there were per second.
async fn measure<T, R, F>(what: &str, of: Vec<T>, work: impl Fn(T) -> F) -> (f64, Vec<R>)
where
    F: Future<Output = R>,
{
    let began = Instant::now();
    let done: Vec<_> = stream::iter(of)
        .map(|it| {
            let work = work(it);
            async move {
                let began = Instant::now();
                let result = work.await;
                (began.elapsed(), result)
            }
        })
        .buffer_unordered(ASKERS)
        .collect()
        .await;
    let rate = done.len() as f64 / began.elapsed().as_secs_f64();
    let (mut times, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    println!("  {what:<8} {rate:>7.0} per second, {}", figures(&mut times));
    (rate, results)
}

async fn claims(relay: &Relay) -> f64 {
    let client = relay.client();
    let names: Vec<_> = (0..CLAIMS).map(|number| format!("live/room-{number}")).collect();
    let (rate, granted): (f64, Vec<ClaimView>) = measure("acquire", names, |name| {
        let client = client.clone();
        async move {
            let request = ClaimRequest { name, label: "bench".into(), reserve_seconds: Some(600) };
            client.request_claim(&request).await.expect("it is free").claim
        }
    })
    .await;
    let http = reqwest::Client::new();
    measure("renew", granted.clone(), |claim| {
        let request = http.post(relay.url(&format!("/api/v1/claims/{}/renew", claim.id)));
        async move { request.send().await.expect("an answer").error_for_status().expect("it is renewed") }
    })
    .await;
    measure("release", granted, |claim| {
        let client = client.clone();
        async move {
            let action = ClaimAction { expected_token: claim.token, reason: "bench".into() };
            client.release_claim(claim.id, &action).await.expect("it is released");
        }
    })
    .await;
    rate
}

/// What etcd does by itself when asked for the same number of values of the same size, over its own HTTP gateway.
async fn etcd_alone(etcd: &Etcd) -> f64 {
    let http = reqwest::Client::new();
    let url = format!("{}/v3/kv/put", etcd.urls());
    let value = BASE64_STANDARD.encode([b'x'; 400]);
    let (rate, _) = measure("put", (0..CLAIMS).collect(), |number| {
        let key = BASE64_STANDARD.encode(format!("bench/{number}"));
        let request = http.post(&url).body(format!(r#"{{"key":"{key}","value":"{value}"}}"#));
        async move { request.send().await.expect("an answer").error_for_status().expect("it is put") }
    })
    .await;
    rate
}

/// CPU seconds used so far, from `/proc/PID/stat` (proc(5): utime and stime in ticks of 10 ms).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(vec![], |(_, rest)| rest.split_whitespace().collect());
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

async fn publish(url: &str) -> Result<Publisher, PublishError> {
    let target: TargetUrl = url.parse().expect("a URL");
    Publisher::connect(&target, Deadlines::default()).await
}

async fn refusals() {
    let crowd = "2000".to_owned();
    let keys = ["SLUICE_RTMP__CONNECTIONS_PER_ADDRESS_MAX", "SLUICE_RTMP__HANDSHAKES_PER_ADDRESS_MAX"];
    let environment = keys.map(|key| (key.to_owned(), crowd.clone())).to_vec();
    let relay = Relay::start_with(RelayOptions { environment });
    let url = relay.rtmp_url("live/room");
    let _holder = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    let pid = relay.process.pid();
    // What the stream itself costs, for as long as the refusals take.
    let before = (cpu_seconds(pid), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (cpu_seconds(pid) - before.0) / before.1.elapsed().as_secs_f64();
    let before = (cpu_seconds(pid), Instant::now());
    let trying: Vec<_> = (0..REFUSALS)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { publish(&url).await.is_err() })
        })
        .collect();
    let mut refused = 0;
    for tried in trying {
        refused += usize::from(tried.await.expect("no panic"));
    }
    let cost = cpu_seconds(pid) - before.0 - idle * before.1.elapsed().as_secs_f64();
    let each = 1e3 * cost / refused.max(1) as f64;
    println!(
        "\n{refused} publishers refused beside a running stream: {each:.2} CPU-ms each, with their handshakes"
    );
}

async fn takeovers() {
    println!(
        "\nfrom a holder's end to the next publisher's admission, who asks every 20 ms, {DEATHS} times:"
    );
    for (how, signal) in [("killed", Signal::KILL), ("frozen", Signal::STOP)] {
        let mut times = Vec::new();
        for _ in 0..DEATHS {
            let relay = Relay::start();
            let url = relay.rtmp_url("live/room");
            let holder = Ffmpeg::publish(Source::Small, &url, None);
            eventually(20.0, "it is live", || relay.live("live/room")).await;
            let began = Instant::now();
            holder.process.signal(signal);
            while publish(&url).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            times.push(began.elapsed());
        }
        println!("  {how}: {}", figures(&mut times));
    }
    println!("  (a frozen one is asked whether it lives after 2 s without media, and has 2 s to answer)");
}
