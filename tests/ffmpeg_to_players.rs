//! What an encoder publishes, independent players show: whole, clean, in sync.

use anyhow::{Context, Result, ensure};
use e2e::{Ffmpeg, Process, Relay, Source, Tab, eventually, ffprobe_json, scratch};
use std::path::Path;

/// A file of 40 s in which, at each second, the picture flashes white and a tone sounds, both for 66 ms.
async fn flash_and_beep(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("flash-and-beep.mp4");
    let name = path.to_str().expect("a plain path");
    let picture = "testsrc2=s=640x360:r=30,drawbox=enable='lt(mod(t\\,1)\\,0.0666)':color=white:t=fill";
    let sound = "aevalsrc='if(lt(mod(t,1),0.0666),0.5*sin(2*PI*1000*t),0)':s=48000:c=stereo";
    Ffmpeg::run(
        60.0,
        &[
            "-f",
            "lavfi",
            "-i",
            picture,
            "-f",
            "lavfi",
            "-i",
            sound,
            "-t",
            "40",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-bf",
            "2",
            "-g",
            "60",
            "-keyint_min",
            "60",
            "-sc_threshold",
            "0",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-y",
            name,
        ],
    )
    .await
    .expect("ffmpeg writes the file");
    path
}

/// Times at which the picture turns white, and at which a tone begins, in seconds.
async fn flashes_and_beeps(path: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let name = path.to_str().context("a plain path")?;
    let mut analyser = Process::start("ffmpeg", |command| {
        command.args(["-hide_banner", "-nostdin", "-loglevel", "info", "-i", name]);
        command.args(["-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"]);
        command.args(["-af", "silencedetect=noise=-30dB:d=0.3", "-f", "null", "-"]);
    })?;
    analyser.ended(60.0).await?;
    let said = analyser.said();
    let mut flashes = Vec::new();
    let (mut time, mut was_white) = (0.0, true);
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("pts_time:") {
            time = rest.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(time);
        } else if let Some((_, light)) = line.split_once("lavfi.signalstats.YAVG=") {
            let is_white = light.trim().parse::<f64>()? > 200.0;
            if is_white && !was_white {
                flashes.push(time);
            }
            was_white = is_white;
        }
    }
    let beeps = said.lines().filter_map(|line| line.split_once("silence_end: "));
    let beeps = beeps.filter_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).collect();
    Ok((flashes, beeps))
}

/// What ffmpeg said, without its remark that LL-HLS repeats the init section, which it reads once and needs once.
fn remarks(said: &str) -> String {
    let known = |line: &&str| !line.trim().is_empty() && !line.contains("Found duplicated MOOV Atom");
    said.lines().filter(known).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ffmpeg_publishes_plays_for_thirty_seconds_whole_and_in_sync() {
    let folder = scratch();
    let file = flash_and_beep(folder.path()).await;
    let relay = Relay::start();
    let url = relay.rtmp_url("live/file");
    let _publisher = Process::start("ffmpeg", |command| {
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-i"]).arg(&file);
        command.args(["-c", "copy", "-f", "flv", &url]);
    })
    .expect("ffmpeg starts");
    eventually(20.0, "it is live", || relay.live("live/file")).await;

    // The playlist is judged by an independent, strict reader while it plays.
    let hls = relay.hls_url("live/file");
    let judged = {
        let hls = hls.clone();
        tokio::spawn(async move {
            let mut verdicts = Vec::new();
            for _ in 0..12 {
                verdicts.push(validate(&hls).await);
                tokio::time::sleep(std::time::Duration::from_millis(1_700)).await; // samples spread over segments
            }
            verdicts
        })
    };

    let copy = folder.path().join("copy.mkv");
    let copy_name = copy.to_str().expect("a plain path");
    let said = Ffmpeg::run(90.0, &["-i", &hls, "-t", "30", "-c", "copy", "-y", copy_name])
        .await
        .expect("ffmpeg plays it");
    assert_eq!(remarks(&said), "");
    let decoding = Ffmpeg::run(60.0, &["-i", copy_name, "-f", "null", "-"]).await.expect("it decodes");
    assert_eq!(decoding.trim(), "", "every frame decodes without a word");

    let probe = ffprobe_json(&["-count_packets", "-show_streams", copy_name]).expect("ffprobe reads it");
    let packets = |kind: &str| -> u64 {
        let streams = probe["streams"].as_array().expect("streams");
        let stream = streams.iter().find(|it| it["codec_type"] == kind).expect("both kinds of track");
        stream["nb_read_packets"].as_str().and_then(|text| text.parse().ok()).expect("a count")
    };
    assert!(packets("video") >= 880, "{} pictures of 900", packets("video"));
    assert!(packets("audio") >= 1_380, "{} sound frames of 1406", packets("audio"));

    let (flashes, beeps) = flashes_and_beeps(&copy).await.expect("the copy can be analysed");
    let offsets: Vec<f64> = flashes
        .iter()
        .filter_map(|flash| beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs())))
        .collect();
    assert!(offsets.len() >= 25, "{} flashes, {} beeps", flashes.len(), beeps.len());
    let worst = offsets.iter().fold(0.0f64, |worst, offset| worst.max(offset.abs()));
    println!("sound against picture: worst {:.0} ms of {} flashes", worst * 1e3, offsets.len());
    assert!(worst < 0.060, "sound is {:.0} ms off: {offsets:?}", worst * 1e3);

    for verdict in judged.await.expect("no panic") {
        verdict.expect("the playlist is valid by RFC 8216bis");
    }
}

/// Judges a stream's media playlist by a strict reader that nobody here wrote.
async fn validate(multivariant: &str) -> Result<()> {
    let base = url::Url::parse(multivariant)?;
    let text = reqwest::get(multivariant).await?.error_for_status()?.text().await?;
    strict(&text).await.context("the multivariant playlist")?;
    let media =
        text.lines().find(|line| !line.starts_with('#') && !line.is_empty()).context("a rendition")?;
    let text = reqwest::get(base.join(media)?).await?.error_for_status()?.text().await?;
    for tag in ["#EXT-X-SERVER-CONTROL:", "CAN-BLOCK-RELOAD=YES", "#EXT-X-PART-INF:", "#EXT-X-PRELOAD-HINT:"]
    {
        ensure!(text.contains(tag), "no {tag} in {text}");
    }
    strict(&text).await.context("the media playlist")
}

async fn strict(playlist: &str) -> Result<()> {
    let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hls/tests/validator");
    ensure!(validator.join("node_modules").exists(), "the validator is not installed; run `make test`");
    let folder = scratch();
    let file = folder.path().join("playlist.m3u8");
    std::fs::write(&file, playlist)?;
    let mut process = Process::start("node", |command| {
        command.arg(validator.join("check.js")).arg(&file);
    })?;
    let status = process.ended(20.0).await?;
    ensure!(status.success(), "{}\n{playlist}", process.said());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_js_in_chromium_plays_picture_and_sound_for_thirty_seconds() {
    let relay = Relay::start();
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let tab = Tab::open(&relay.url("/widget/preview?stream=live/room-1")).await;
    tab.becomes_true(15.0, "document.querySelector('video')?.currentTime > 0.5").await;
    let quality = "document.querySelector('video').getVideoPlaybackQuality()";
    let start = tab.number("document.querySelector('video').currentTime").await.expect("a time");
    let frames = tab.number(&format!("{quality}.totalVideoFrames")).await.expect("a count");
    tokio::time::sleep(std::time::Duration::from_secs(30)).await; // thirty seconds of playing is what is promised
    let played = tab.number("document.querySelector('video').currentTime").await.expect("a time") - start;
    let shown = tab.number(&format!("{quality}.totalVideoFrames")).await.expect("a count") - frames;
    println!("played {played:.1} s and {shown} pictures in 30 s");
    assert!(played > 28.0, "played {played:.1} s of 30");
    assert!(shown > 750.0, "{shown} pictures of 900");
    assert!(tab.picture_contrast().await.expect("a picture") > 10.0);
    // webkitAudioDecodedByteCount grows only if sound is really decoded.
    let sound =
        tab.number("document.querySelector('video').webkitAudioDecodedByteCount").await.expect("a count");
    assert!(sound > 100_000.0, "{sound} bytes of sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmp_players_get_the_picture_at_once_from_the_last_keyframe() {
    let relay = Relay::start();
    let url = relay.rtmp_url("live/room-1");
    let _publisher = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let folder = scratch();
    let copy = folder.path().join("copy.flv");
    let name = copy.to_str().expect("a plain path");
    let said =
        Ffmpeg::run(30.0, &["-i", &url, "-t", "6", "-c", "copy", "-y", name]).await.expect("ffmpeg plays it");
    assert!(!said.contains("rror"), "{said}");
    let decoding = Ffmpeg::run(30.0, &["-i", name, "-f", "null", "-"]).await.expect("it decodes");
    assert_eq!(decoding.trim(), "");
    let probe = ffprobe_json(&["-show_streams", &url]).expect("ffprobe plays it");
    let tracks: Vec<_> =
        probe["streams"].as_array().expect("streams").iter().map(|it| &it["codec_type"]).collect();
    assert_eq!(tracks.len(), 2, "picture and sound and nothing else: {tracks:?}");

    let mut player = Process::start("gst-launch-1.0", |command| {
        command.args(["-q", "rtmp2src", &format!("location={url}"), "!", "flvdemux", "!", "h264parse"]);
        command.args(["!", "avdec_h264", "!", "fakesink", "num-buffers=90"]);
    })
    .expect("GStreamer is installed");
    let status = player.ended(30.0).await.expect("it sees 90 pictures");
    assert!(status.success(), "{}", player.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_publishes_and_ffmpeg_plays() {
    let relay = Relay::start();
    let url = relay.rtmp_url("live/gst");
    let _publisher = Process::start("gst-launch-1.0", |command| {
        command.args([
            "-q",
            "videotestsrc",
            "is-live=true",
            "!",
            "video/x-raw,width=640,height=360,framerate=30/1",
        ]);
        command.args([
            "!",
            "x264enc",
            "tune=zerolatency",
            "speed-preset=ultrafast",
            "key-int-max=60",
            "!",
            "h264parse",
        ]);
        command.args([
            "!",
            "mux.",
            "audiotestsrc",
            "is-live=true",
            "!",
            "audioconvert",
            "!",
            "avenc_aac",
            "!",
            "aacparse",
        ]);
        command.args([
            "!",
            "mux.",
            "flvmux",
            "name=mux",
            "streamable=true",
            "!",
            "rtmp2sink",
            &format!("location={url}"),
        ]);
    })
    .expect("GStreamer is installed");
    eventually(20.0, "it is live", || relay.live("live/gst")).await;
    let hls = relay.hls_url("live/gst");
    let said = Ffmpeg::run(40.0, &["-i", &hls, "-t", "6", "-f", "null", "-"]).await.expect("ffmpeg plays it");
    assert_eq!(remarks(&said), "", "every frame decodes without a word");
}
