//! What people show to get in, and where a stream goes, is in no log line, no webhook and no answer of the API.

use anyhow::ensure;
use e2e::{Ffmpeg, Receiver, Relay, RelayOptions, Reply, Source, eventually};
use media::TargetUrl;
use rtmp::io::{Deadlines, Publisher};

/// A token in the query, and one that stands for a stream's name.
const TOKEN: &str = "t0ken-in-the-query";
const STREAM_KEY: &str = "k3y-for-the-name";
/// In the query of publishers and players, which is for hooks.
const QUERY: &str = "qu3ry-of-a-peer";
const TARGET_KEY: &str = "k3y-of-the-target";
const TARGET_QUERY: &str = "s1gn-of-the-target";
/// What is wrong is as secret as what is right: it is mostly a right one with a typing error.
const WRONG: &str = "wr0ng-token-of-a-peer";
const HOOK: &str = "h00k-path";
const WEBHOOK: &str = "w3bhook-path";
const SIGNING: &str = "s1gning-secret-of-the-webhook";
const ALL: [&str; 9] = [TOKEN, STREAM_KEY, QUERY, TARGET_KEY, TARGET_QUERY, WRONG, HOOK, WEBHOOK, SIGNING];

#[tokio::test(flavor = "multi_thread")]
async fn no_key_token_or_query_is_in_a_log_a_webhook_or_an_answer_whatever_happens_to_them() {
    let receiver = Receiver::start().await;
    let ingest = Relay::start();
    let environment = [
        ("SLUICE_LOG", "debug,h2=info,hyper=info,reqwest=info".to_owned()),
        ("SLUICE_CLAIMS__GRACE_SECONDS", "1".to_owned()),
        ("SLUICE_APP__0__NAME", "live".to_owned()),
        ("SLUICE_APP__0__PUBLISH", "token".to_owned()),
        ("SLUICE_APP__0__PLAY", "token".to_owned()),
        ("SLUICE_APP__0__TOKEN__0__LABEL", "studio".to_owned()),
        ("SLUICE_APP__0__TOKEN__0__SECRET", TOKEN.to_owned()),
        ("SLUICE_APP__0__TOKEN__0__MAY", "publish,play".to_owned()),
        ("SLUICE_APP__0__TOKEN__1__LABEL", "van".to_owned()),
        ("SLUICE_APP__0__TOKEN__1__SECRET", STREAM_KEY.to_owned()),
        ("SLUICE_APP__0__TOKEN__1__STREAM", "room-2".to_owned()),
        ("SLUICE_APP__0__PUSH", ingest.rtmp_url(&format!("in/{TARGET_KEY}?sign={TARGET_QUERY}"))),
        ("SLUICE_APP__0__ON_PUBLISH", receiver.url(&format!("/{HOOK}?auth={HOOK}"))),
        ("SLUICE_APP__0__ON_PLAY", receiver.url(&format!("/{HOOK}?auth={HOOK}"))),
        ("SLUICE_APP__0__ON_PUBLISH_DONE", receiver.url(&format!("/{HOOK}?auth={HOOK}"))),
        ("SLUICE_WEBHOOK__0__URL", receiver.url(&format!("/{WEBHOOK}?key={WEBHOOK}"))),
        ("SLUICE_WEBHOOK__0__SECRET", SIGNING.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    // Both receivers fail at first, so that their errors are told of as well.
    let hooks_fail = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let failing = hooks_fail.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    receiver.answer(move |call| {
        use std::sync::atomic::Ordering::Relaxed;
        let is_webhook = call.target.starts_with("/w3b");
        let fails = if is_webhook { first.swap(false, Relaxed) } else { failing.load(Relaxed) };
        Reply::Status(if fails { 500 } else { 200 })
    });
    let mut relay = Relay::start_with(RelayOptions { environment: environment.to_vec() });

    let url = relay.rtmp_url(&format!("live/room-1?token={TOKEN}&more={QUERY}"));
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &url, None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let pushed = format!("in/{TARGET_KEY}");
    eventually(20.0, "it is pushed", || ingest.live(&pushed)).await;
    Ffmpeg::run(20.0, &["-i", &url, "-t", "1", "-f", "null", "-"]).await.expect("it plays");
    let publish = async |path: String| {
        let target: TargetUrl = relay.rtmp_url(&path).parse().expect("a URL");
        Publisher::connect(&target, Deadlines::default()).await
    };
    drop(publish(format!("live/{STREAM_KEY}")).await.expect("the key opens room-2"));
    for refused in [
        format!("live/room-1?token={TOKEN}&more={QUERY}"), // it is held
        format!("live/room-3?token={WRONG}"),
        format!("live/{WRONG}"),
    ] {
        assert!(publish(refused.clone()).await.is_err(), "{refused} is let in");
    }
    let malformed = relay.rtmp_url(&format!("live/%zz{WRONG}?token={WRONG}"));
    let picture = ["-f", "lavfi", "-i", "testsrc=size=64x64:duration=1", "-c:v", "flv", "-f", "flv"];
    let published = Ffmpeg::run(20.0, &[&picture[..], &[malformed.as_str()]].concat()).await;
    assert!(published.is_err(), "a malformed name is let in");
    hooks_fail.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(publish(format!("live/room-4?token={TOKEN}&more={QUERY}")).await.is_err(), "its hook failed");
    let play = relay.rtmp_url(&format!("live/room-1?token={WRONG}"));
    assert!(Ffmpeg::run(20.0, &["-i", &play, "-t", "1", "-f", "null", "-"]).await.is_err());
    let flv = relay.url(&format!("/flv/live/room-1.flv?token={WRONG}"));
    assert!(!reqwest::get(flv).await.expect("an answer").status().is_success());
    ffmpeg.process.kill_9();

    let told = eventually(20.0, "all is told", || async {
        let bodies: Vec<_> =
            receiver.calls().into_iter().filter(|call| call.target.starts_with("/w3b")).collect();
        ensure!(bodies.iter().any(|call| call.body.contains("claim.expired")), "{} events", bodies.len());
        Ok(bodies)
    })
    .await;
    let mut said = Vec::new();
    for path in ["claims", "claims/events", "streams", "broadcasts", "targets", "webhooks"] {
        let url = relay.url(&format!("/api/v1/{path}"));
        said.push((path.to_owned(), reqwest::get(url).await.expect("an answer").text().await.expect("text")));
    }
    said.push((
        "metrics".into(),
        reqwest::get(relay.url("/metrics")).await.expect("figures").text().await.expect("text"),
    ));
    said.extend(told.into_iter().map(|call| ("a webhook".to_owned(), call.body)));
    let log = relay.process.said();
    for expected in [
        "room-1",
        "room-2",
        "reason=Held",
        "reason=Access",
        "reason=Name",
        "reason=Hook",
        "a player was refused",
    ] {
        assert!(log.contains(expected), "the log says nothing of {expected}: is this the log?");
    }
    said.push(("the log".into(), log));
    relay.process.kill_9();
    for (place, text) in &said {
        for secret in ALL {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in {place}");
        }
    }
}
