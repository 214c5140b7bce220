//! At most one publisher per stream URL, and the running one does not notice that another tried.

use anyhow::{Context, Result, ensure};
use e2e::{Ffmpeg, Process, Relay, Source, eventually};
use media::TargetUrl;
use rtmp::io::{Deadlines, Player};
use std::collections::BTreeSet;

/// Reads a media playlist and gives the media sequence numbers and segment URLs in it.
async fn segments(relay: &Relay, name: &str) -> Result<(u64, Vec<String>)> {
    let master = reqwest::get(relay.hls_url(name)).await?.error_for_status()?.text().await?;
    let media = master.lines().find(|line| line.ends_with(".m3u8")).context("a media playlist")?;
    let url = url::Url::parse(&relay.hls_url(name))?.join(media)?;
    let text = reqwest::get(url).await?.error_for_status()?.text().await?;
    ensure!(!text.contains("#EXT-X-DISCONTINUITY\n"), "a discontinuity: {text}");
    let first =
        text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).context("a sequence")?;
    let urls =
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect();
    Ok((first.parse()?, urls))
}

/// The text of design rule 7.
fn is_refusal_text(said: &str) -> bool {
    // The client adds the URL that it was given; what the relay said is the sentence alone.
    let sentence = said.lines().find_map(|line| Some(&line[line.find("URL held by encoder ")?..]));
    sentence.is_some_and(|text| {
        text.contains("publish refused, running stream unaffected (ref ") && !text.contains("127.0.0.1")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_is_refused_in_words_and_the_first_does_not_notice() {
    let relay = Relay::start();
    let url = relay.rtmp_url("live/room-1");
    let mut first = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "the first is live", || relay.live("live/room-1")).await;
    eventually(20.0, "HLS has two segments", || async {
        let (_, urls) = segments(&relay, "live/room-1").await?;
        ensure!(urls.len() >= 2, "{urls:?}");
        Ok(())
    })
    .await;
    let before = relay.claim("live/room-1").await.expect("a claim");
    let (_, urls_before) = segments(&relay, "live/room-1").await.expect("a playlist");

    // A player beside it that must see every frame, in order, through all that follows.
    let target: TargetUrl = url.parse().expect("a URL");
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let watching = tokio::spawn(async move {
        let mut player = Player::connect(&target, Deadlines::default()).await?;
        let (mut pictures, mut last, mut widest) = (0u32, None::<u32>, 0);
        loop {
            let message = tokio::select! {
                message = player.next() => message?,
                _ = &mut stopped => break,
            };
            if message.kind == rtmp::MessageKind::Video {
                pictures += 1;
                widest = last.map_or(0, |last| message.timestamp.wrapping_sub(last)).max(widest);
                last = Some(message.timestamp);
            }
        }
        anyhow::Ok((pictures, widest))
    });

    // ffmpeg.
    let mut second = Ffmpeg::publish(Source::Small, &url, Some(30));
    let status = second.process.ended(15.0).await.expect("ffmpeg gives up");
    assert!(!status.success());
    assert!(is_refusal_text(&second.process.said()), "ffmpeg said: {}", second.process.said());

    // GStreamer.
    let mut third = Process::start("gst-launch-1.0", |command| {
        command.args([
            "-q",
            "videotestsrc",
            "is-live=true",
            "!",
            "video/x-raw,width=320,height=240,framerate=15/1",
        ]);
        command.args([
            "!",
            "x264enc",
            "tune=zerolatency",
            "!",
            "h264parse",
            "!",
            "flvmux",
            "streamable=true",
        ]);
        command.args(["!", "rtmp2sink", &format!("location={url}")]);
    })
    .expect("GStreamer is installed");
    let status = third.ended(20.0).await.expect("GStreamer gives up");
    assert!(!status.success());
    assert!(third.said().contains("publish denied; stream already exists"), "it said: {}", third.said());
    assert!(is_refusal_text(&third.said()), "it said: {}", third.said());

    tokio::time::sleep(std::time::Duration::from_secs(3)).await; // three more seconds to be watched, not waited for
    let _ = stop.send(());
    let (pictures, widest) = watching.await.expect("no panic").expect("the player was never cut off");
    assert!(pictures > 90, "{pictures} pictures");
    assert!(widest < 100, "a gap of {widest} ms between two pictures");

    let after = relay.claim("live/room-1").await.expect("still claimed");
    assert_eq!((after.id, after.token, &after.holder), (before.id, before.token, &before.holder));
    assert!(after.refused_last_hour >= 2, "operators see the refusals: {after:?}");
    let (_, urls_after) = segments(&relay, "live/room-1").await.expect("a playlist without a discontinuity");
    let tokens: BTreeSet<_> =
        urls_before.iter().chain(&urls_after).filter_map(|url| url.split('/').next()).collect();
    assert_eq!(tokens.len(), 1, "one fencing token in all media URLs: {tokens:?}");
    assert!(
        first.process.hear(0.1, |line| line.contains("rror").then_some(())).is_err(),
        "the first has no error"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_publishers_at_the_same_time_one_wins() {
    let relay = Relay::start();
    let url = relay.rtmp_url("live/race");
    let target: TargetUrl = url.parse().expect("a URL");
    let racers: Vec<_> = (0..40)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move {
                let mut publisher = rtmp::io::Publisher::connect(&target, Deadlines::default()).await?;
                // It sends nothing yet, but answers the relay's pings while the others try.
                let ended = tokio::time::timeout(std::time::Duration::from_secs(6), publisher.failed()).await;
                ended.map_or(Ok(()), Err)
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        match racer.await.expect("no panic") {
            Ok(()) => winners += 1,
            Err(rtmp::io::PublishError::Refused { description, .. }) => {
                assert!(description.contains("publish refused"), "{description}");
            }
            Err(other) => panic!("neither admitted nor refused: {other}"),
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_one_url_is_one_claim() {
    let relay = Relay::start();
    let _first = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "the first is live", || relay.live("live/room-1")).await;
    for spelling in ["live//room-1", "live/room%2D1", "live/room-1?token=x", "live/room-1/"] {
        let mut other = Ffmpeg::publish(Source::Small, &relay.rtmp_url(spelling), Some(20));
        let status = other.process.ended(20.0).await.expect("it gives up");
        assert!(
            !status.success() && is_refusal_text(&other.process.said()),
            "{spelling}: {}",
            other.process.said()
        );
    }
    assert_eq!(relay.client().claims().await.expect("the API answers").len(), 1);
}
