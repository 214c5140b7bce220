//! Hooks as nginx-rtmp has them, after the claim: asked about whoever holds it, and never in the way of a healthy stream.

use anyhow::{Result, ensure};
use e2e::{Ffmpeg, Receiver, Relay, RelayOptions, Reply, Source, eventually};
use media::TargetUrl;
use rtmp::io::{Deadlines, PublishError, Publisher};
use std::time::Duration;

/// A relay with these keys in its first application, `live`; `{}` stands for the receiver.
fn relay(receiver: &Receiver, keys: &[(&str, &str)]) -> Relay {
    let mut environment = vec![("SLUICE_APP__0__NAME".to_owned(), "live".to_owned())];
    for (key, value) in keys {
        environment.push((format!("SLUICE_APP__0__{key}"), value.replace("{}", &receiver.url(""))));
    }
    environment.push(("SLUICE_CLAIMS__GRACE_SECONDS".into(), "5".into()));
    Relay::start_with(RelayOptions { environment })
}

const ALL: [(&str, &str); 6] = [
    ("ON_PUBLISH", "{}/hook?auth=s4lt"),
    ("ON_PUBLISH_DONE", "{}/hook"),
    ("ON_PLAY", "{}/hook"),
    ("ON_PLAY_DONE", "{}/hook"),
    ("ON_DONE", "{}/hook"),
    ("HOOK_TIMEOUT_MS", "1000"),
];

/// Tries to publish without sending media; what the relay says if it refuses.
async fn attempt(relay: &Relay, path: &str) -> Result<Publisher, String> {
    let target: TargetUrl = relay.rtmp_url(path).parse().expect("a URL");
    match Publisher::connect(&target, Deadlines::default()).await {
        Ok(publisher) => Ok(publisher),
        Err(PublishError::Refused { description, .. }) => Err(description),
        Err(other) => panic!("neither admitted nor refused: {other}"),
    }
}

async fn figure(relay: &Relay, name: &str) -> f64 {
    let text = reqwest::get(relay.url("/metrics")).await.expect("figures").text().await.expect("text");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_and_a_player_are_told_of_in_nginx_rtmp_s_forms_and_a_loser_is_not() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, &ALL);
    let url = relay.rtmp_url("live/room-1?key=a%26b&name=forged");
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let asked = receiver.calls().remove(0);
    assert_eq!(asked.target, "/hook?auth=s4lt");
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    for (field, value) in [
        ("app", "live"),
        ("call", "publish"),
        ("name", "room-1"),
        ("type", "live"),
        ("addr", "127.0.0.1"),
        ("key", "a&b"),
    ] {
        assert_eq!(asked.field(field), value, "{}", asked.body);
    }
    assert!(asked.field("flashver").contains("Lavf") && !asked.body.contains("forged"), "{}", asked.body);
    assert!(asked.field("tcurl").ends_with("/live"), "{}", asked.body);
    let client: u64 = asked.field("clientid").parse().expect("a number");

    for _ in 0..3 {
        attempt(&relay, "live/room-1?key=other").await.err().expect("it is held");
    }
    assert_eq!(receiver.said(), ["publish"], "nobody was asked about those who had no claim");

    Ffmpeg::run(20.0, &["-i", &relay.rtmp_url("live/room-1"), "-t", "1", "-f", "null", "-"])
        .await
        .expect("it plays");
    eventually(5.0, "the player's end is told", || async {
        ensure!(receiver.said() == ["publish", "play", "play_done", "done"], "{:?}", receiver.said());
        Ok(())
    })
    .await;
    let played = receiver.calls().remove(1);
    assert_eq!((played.field("name"), played.field("app")), ("room-1".into(), "live".into()));
    assert_ne!(played.field("clientid"), asked.field("clientid"));

    ffmpeg.process.kill_9();
    eventually(5.0, "the publisher's end is told", || async {
        let said = receiver.said();
        ensure!(said[4..] == ["publish_done", "done"], "{said:?}");
        Ok(())
    })
    .await;
    for call in &receiver.calls()[4..] {
        assert_eq!(call.field("clientid"), client.to_string());
        assert_eq!((call.field("name"), call.field("key")), ("room-1".into(), "a&b".into()));
    }
    assert!(!relay.process.said().contains("s4lt"), "the hook's secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_s_no_turns_away_and_frees_the_name_at_once() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, &ALL);
    receiver.answer(|call| Reply::Status(if call.field("key") == "good" { 204 } else { 403 }));
    let said = attempt(&relay, "live/room-1?key=bad").await.err().expect("the hook said no");
    assert_eq!(said, "Refused by this relay's operator");
    let _publisher = attempt(&relay, "live/room-1?key=good").await.expect("the name is free");
    let refused = Ffmpeg::run(20.0, &["-i", &relay.rtmp_url("live/room-1"), "-f", "null", "-"]).await;
    assert!(refused.is_err(), "no key, no play");
    assert_eq!(receiver.said()[..2], ["publish", "publish"], "no end is told of what never began");
    assert_eq!(figure(&relay, "sluice_publish_refused_total{reason=\"Hook\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_an_rtmp_url_pushes_there_once_for_as_long_as_the_claim_lasts() {
    let (receiver, official) = (Receiver::start().await, Relay::start());
    let relay = relay(&receiver, &ALL);
    let target = official.rtmp_url("live/k3y-of-the-target");
    let location = target.clone();
    receiver.answer(move |call| match call.field("call").as_str() {
        "publish" => Reply::Redirect(location.clone()),
        _ => Reply::Status(200),
    });
    let url = relay.rtmp_url("live/room-1");
    let mut first = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it arrives", || official.live("live/k3y-of-the-target")).await;
    let before = official.claim("live/k3y-of-the-target").await.expect("claimed there");
    for _ in 0..5 {
        attempt(&relay, "live/room-1").await.err().expect("it is held");
    }
    let rows = relay.client().targets().await.expect("rows");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].name, "live/room-1");

    // A publisher that comes back in time finds the push as it was.
    first.process.kill_9();
    let mut second = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it arrives again", || async {
        let media = official.live("live/k3y-of-the-target").await?.media;
        ensure!(
            media.silent_ms < 500 && figure(&relay, "sluice_publish_admitted_total").await == 2.0,
            "{media:?}"
        );
        Ok(())
    })
    .await;
    assert_eq!(official.claim("live/k3y-of-the-target").await.expect("claimed there").token, before.token);
    assert_eq!(figure(&official, "sluice_publish_admitted_total").await, 1.0, "one connection for both");
    assert_eq!(figure(&official, "sluice_publish_refused_total").await, 0.0);

    second.process.kill_9();
    eventually(20.0, "the push ends with the claim", || async {
        ensure!(relay.client().targets().await?.is_empty(), "still pushing");
        ensure!(official.claim("live/k3y-of-the-target").await.is_err(), "still claimed there");
        Ok(())
    })
    .await;
    assert!(!relay.process.said().contains("k3y"), "the target's key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_name_publishes_under_it() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, &ALL);
    receiver.answer(|call| match call.field("call").as_str() {
        "publish" => Reply::Redirect("room-2".into()),
        _ => Reply::Status(200),
    });
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "it is live under its new name", || relay.live("live/room-2")).await;
    assert!(relay.claim("live/room-1").await.is_err(), "the old name is free");
    ffmpeg.process.kill_9();
    eventually(5.0, "the end is told with the name that was asked about", || async {
        let calls = receiver.calls();
        ensure!(
            calls.iter().any(|call| call.field("call") == "publish_done" && call.field("name") == "room-1")
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_hook_neither_ends_a_stream_nor_keeps_its_publisher_out_nor_lets_a_stranger_in() {
    let mut receiver = Receiver::start().await;
    let mut keys = ALL.to_vec();
    keys.extend([("ON_UPDATE", "{}/hook"), ("ON_UPDATE_SECONDS", "1")]);
    let relay = relay(&receiver, &keys);
    let url = relay.rtmp_url("live/room-1?key=mine");
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live and asked about", || async {
        relay.live("live/room-1").await?;
        ensure!(receiver.said().contains(&"update_publish".to_owned()), "{:?}", receiver.said());
        Ok(())
    })
    .await;
    receiver.stop().await;
    eventually(15.0, "the hook is left alone", || async {
        ensure!(figure(&relay, "sluice_hook_breakers_open").await == 1.0, "not yet");
        Ok(())
    })
    .await;
    let broadcast = relay.live("live/room-1").await.expect("the stream goes on");
    assert!(broadcast.media.silent_ms < 1_000, "{broadcast:?}");

    ffmpeg.process.kill_9();
    let mut again = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "its publisher is back", || async {
        ensure!(figure(&relay, "sluice_publish_admitted_total").await == 2.0, "not yet");
        relay.live("live/room-1").await
    })
    .await;
    let said = attempt(&relay, "live/room-2?key=mine").await.err().expect("nobody knows it there");
    assert!(said.contains("try again"), "{said}");
    again.process.kill_9();
    eventually(20.0, "the name is free", || async {
        ensure!(relay.claim("live/room-1").await.is_err(), "still claimed");
        Ok(())
    })
    .await;
    attempt(&relay, "live/room-1?key=stranger").await.err().expect("a stranger stays out");

    receiver.restart().await;
    eventually(75.0, "the hook is asked again", || async {
        attempt(&relay, "live/room-3").await.map(drop).map_err(anyhow::Error::msg)?;
        // Each of the URLs has a breaker of its own, and not all are called at once.
        ensure!(figure(&relay, "sluice_hook_breakers_open").await == 0.0, "one is open yet");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_never_answers_delays_one_publisher_by_its_deadline_and_nobody_else() {
    let receiver = Receiver::start().await;
    receiver.answer(|call| if call.field("name") == "slow" { Reply::Silence } else { Reply::Status(200) });
    let relay = relay(&receiver, &ALL);
    let slow = attempt(&relay, "live/slow");
    let other = async {
        let publisher = tokio::time::timeout(Duration::from_millis(900), attempt(&relay, "live/other")).await;
        publisher.expect("it does not wait for the other").expect("it is let in")
    };
    let (slow, _other) = tokio::join!(slow, other);
    assert!(slow.err().is_some_and(|said| said.contains("try again")));
    eventually(5.0, "a hook that may have heard of a publisher hears of its end", || async {
        let calls = receiver.calls();
        ensure!(
            calls.iter().any(|call| call.field("call") == "publish_done" && call.field("name") == "slow")
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_update_ends_whom_it_says_no_to() {
    let receiver = Receiver::start().await;
    let mut keys = ALL.to_vec();
    keys.extend([("ON_UPDATE", "{}/hook"), ("ON_UPDATE_SECONDS", "1")]);
    let relay = relay(&receiver, &keys);
    receiver.answer(|call| Reply::Status(if call.field("call") == "update_publish" { 403 } else { 200 }));
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    let status = ffmpeg.process.ended(20.0).await.expect("it is sent away");
    assert!(!status.success());
    let update =
        receiver.calls().into_iter().find(|call| call.field("call") == "update_publish").expect("asked");
    assert_eq!((update.field("name"), update.field("time")), ("room-1".into(), "1".into()));
    assert!(update.field("timestamp").parse::<u64>().is_ok(), "{}", update.body);
}
