//! What one stream costs, and how far behind life it is: the figures of `docs/performance.md`.
//!
//! Prints CPU seconds per second (cores) and proportional memory of each process, next to a peer or a limit measured in
//! the same run, since machines differ and are shared. Run by `make bench`. Takes about three minutes.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use anyhow::{Context, Result, ensure};
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use e2e::{Ffmpeg, Process, Recorder, Relay, Tab, descendants, eventually, scratch};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long each thing is watched.
const WATCH: Duration = Duration::from_secs(20);
/// Streams published to a relay at once.
const STREAMS: usize = 8;

#[tokio::main]
async fn main() {
    let machine = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        machine.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, {model}\n");
    one_test_stream().await;
    one_web_stream().await;
    ingest().await;
}

/// CPU seconds used so far, from `/proc/PID/stat` (proc(5): utime and stime in ticks of 10 ms).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(vec![], |(_, rest)| rest.split_whitespace().collect());
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Proportional set size in MiB.
fn memory_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Cores and MiB by program, over [`WATCH`].
async fn watch(processes: &BTreeMap<u32, String>) -> BTreeMap<String, (f64, f64)> {
    let before: BTreeMap<u32, f64> = processes.keys().map(|pid| (*pid, cpu_seconds(*pid))).collect();
    tokio::time::sleep(WATCH).await;
    let mut rows: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (pid, name) in processes {
        let name = match name.as_str() {
            "exe" => "the cell's keeper".to_owned(), // the recorder's own program again
            name if name.starts_with("chrom") => "chromium".to_owned(),
            name => name.to_owned(),
        };
        let row = rows.entry(name).or_default();
        row.0 += (cpu_seconds(*pid) - before[pid]).max(0.0) / WATCH.as_secs_f64();
        row.1 += memory_mib(*pid);
    }
    rows
}

fn print(rows: &BTreeMap<String, (f64, f64)>) {
    for (name, (cores, mib)) in rows {
        println!("  {name:<18} {cores:>6.3} cores {mib:>8.1} MiB");
    }
    let (cores, mib) = rows.values().fold((0.0, 0.0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    println!("  {:<18} {cores:>6.3} cores {mib:>8.1} MiB", "together");
}

async fn start(relay: &Relay, kind: CallKind, url: Option<String>) -> Result<StreamView> {
    let request = StartStream {
        call: Call { url, kind },
        name: "live/bench".into(),
        targets: Vec::new(),
        profile: Some("720p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: BTreeMap::new(),
        wait_seconds: Some(20),
    };
    Ok(relay.client().start_stream(&request, "bench").await?)
}

/// From the request to the first part in the playlist.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
async fn time_to_first_part(relay: &Relay, kind: CallKind, url: Option<String>) -> Result<StreamView> {
    let began = Instant::now();
    let stream = start(relay, kind, url).await?;
    eventually(60.0, "the stream is live", || async {
        let view = relay.client().stream(stream.id).await?;
        ensure!(view.state == StreamState::Live, "{:?}: {:?}", view.state, view.detail);
        Ok(())
    })
    .await;
    let live = began.elapsed();
    let master = relay.hls_url("live/bench");
    eventually(30.0, "the first part is listed", || async {
        let text = reqwest::get(&master).await?.error_for_status()?.text().await?;
        let media =
            text.lines().find(|line| !line.starts_with('#') && !line.is_empty()).context("a rendition")?;
        let media =
            reqwest::get(url::Url::parse(&master)?.join(media)?).await?.error_for_status()?.text().await?;
        ensure!(media.contains("#EXT-X-PART:"), "no part");
        Ok(())
    })
    .await;
    println!(
        "  request to live: {:.1} s; to the first HLS part: {:.1} s",
        live.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(stream)
}

async fn one_test_stream() {
    println!("one `test` stream, 720p30:");
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "bench", 1);
    time_to_first_part(&relay, CallKind::Test, None).await.expect("it starts");
    let mut processes = descendants(recorder.process.pid());
    processes.insert(recorder.process.pid(), "sluice-recorder".into());
    processes.insert(relay.process.pid(), "sluice".into());
    let rows = watch(&processes).await;
    print(&rows);
    drop((recorder, relay));
    // The limit: the same bars, without the clock, through the same encoder, and nothing else.
    let limit = Process::start("gst-launch-1.0", |command| {
        command.args([
            "-q",
            "videotestsrc",
            "is-live=true",
            "pattern=smpte75",
            "horizontal-speed=4",
            "!",
            "video/x-raw,width=1280,height=720,framerate=30/1,format=I420",
        ]);
        command.args([
            "!",
            "x264enc",
            "speed-preset=superfast",
            "tune=zerolatency",
            "bitrate=2500",
            "key-int-max=60",
            "!",
            "fakesink",
        ]);
    })
    .expect("GStreamer is installed");
    let limit_rows = watch(&BTreeMap::from([(limit.pid(), "encoder alone".into())])).await;
    print(&limit_rows);
    let worker =
        rows.iter().find(|(name, _)| name.starts_with("sluice-worker")).map_or(0.0, |(_, row)| row.0);
    println!("  ratio worker / encoder alone: {:.2}\n", worker / limit_rows["encoder alone"].0.max(1e-9));
}

async fn one_web_stream() {
    println!("one `web` stream, 720p30, the demonstration call:");
    let relay = Relay::start();
    let recorder = Recorder::start(&relay, "bench", 1);
    let call = relay.url("/call?recorder=1");
    time_to_first_part(&relay, CallKind::Web, Some(call)).await.expect("it starts");
    let mut processes = descendants(recorder.process.pid());
    processes.insert(recorder.process.pid(), "sluice-recorder".into());
    processes.insert(relay.process.pid(), "sluice".into());
    print(&watch(&processes).await);
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/bench")).await;
    let mut ages = Vec::new();
    tokio::time::sleep(Duration::from_secs(8)).await;
    for _ in 0..20 {
        if let Ok(age) = e2e::glass_to_glass_ms(&tab).await {
            ages.push(age);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    ages.sort_by(f64::total_cmp);
    match ages.get(ages.len() / 2) {
        Some(median) => println!(
            "  glass to glass (page, capture, encoder, relay, LL-HLS, headless Chromium): median {median:.0} ms, worst {:.0} ms\n",
            ages.last().unwrap_or(median)
        ),
        None => println!("  glass to glass: the clock could not be read from the player's picture\n"),
    }
}

/// The relay's own share, against nginx-rtmp taking the same streams.
async fn ingest() {
    println!("{STREAMS} streams of 720p30, 2.5 Mbit/s, published by ffmpeg without re-encoding:");
    let folder = scratch();
    let file = folder.path().join("source.flv");
    let name = file.to_str().expect("a plain path");
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=30",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
        "-t",
        "40",
        "-c:v",
        "libx264",
        "-preset",
        "superfast",
        "-tune",
        "zerolatency",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "60",
        "-b:v",
        "2500k",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        "-y",
        name,
    ];
    Ffmpeg::run(120.0, &arguments).await.expect("ffmpeg writes the source");

    let relay = Relay::start();
    let ours = cost_of(&relay.rtmp.to_string(), relay.process.pid(), name).await;
    println!("  sluice (ingest, ring and LL-HLS)    {:.4} cores a stream, {:.1} MiB in all", ours.0, ours.1);
    drop(relay);
    match nginx(folder.path()).await {
        Ok((server, address)) => {
            let worker = descendants(server.pid()).into_keys().next().unwrap_or(server.pid());
            let theirs = cost_of(&address, worker, name).await;
            println!(
                "  nginx-rtmp (ingest and HLS in TS)   {:.4} cores a stream, {:.1} MiB in all",
                theirs.0, theirs.1
            );
            println!("  ratio sluice / nginx-rtmp: {:.2}", ours.0 / theirs.0.max(1e-9));
        }
        Err(why) => println!("  no peer to compare with: {why:#} (apt-get install nginx libnginx-mod-rtmp)"),
    }
}

async fn cost_of(address: &str, pid: u32, file: &str) -> (f64, f64) {
    let publishers: Vec<_> = (0..STREAMS)
        .map(|number| {
            Process::start("ffmpeg", |command| {
                command.args([
                    "-hide_banner",
                    "-nostdin",
                    "-loglevel",
                    "error",
                    "-re",
                    "-i",
                    file,
                    "-c",
                    "copy",
                    "-f",
                    "flv",
                ]);
                command.arg(format!("rtmp://{address}/live/bench-{number}"));
            })
            .expect("ffmpeg starts")
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let rows = watch(&BTreeMap::from([(pid, "relay".into())])).await;
    drop(publishers);
    (rows["relay"].0 / STREAMS as f64, rows["relay"].1)
}

async fn nginx(folder: &std::path::Path) -> Result<(Process, String)> {
    ensure!(
        std::path::Path::new("/usr/lib/nginx/modules/ngx_rtmp_module.so").exists(),
        "nginx-rtmp is not installed"
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let root = folder.display();
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; daemon off; user root; worker_processes 1; pid {root}/pid; \
         error_log {root}/log; events {{ worker_connections 256; }} rtmp {{ server {{ listen 127.0.0.1:{port}; \
         application live {{ live on; hls on; hls_path {root}/hls; hls_fragment 2s; hls_playlist_length 24s; }} }} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text)?;
    let server = Process::start("nginx", |command| {
        command.arg("-c").arg(&file).args(["-p", "/tmp", "-e", "/dev/null"]);
    })?;
    let address = format!("127.0.0.1:{port}");
    eventually(10.0, "nginx listens", || async { Ok(tokio::net::TcpStream::connect(&address).await?) }).await;
    Ok((server, address))
}
