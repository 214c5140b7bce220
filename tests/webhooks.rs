//! Signed events: in order, told again until they are taken, across restarts of both sides.

use anyhow::{Context, Result, ensure};
use api::streams::StartStream;
use api::webhooks::{WebhookState, WebhookView};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Call, Ffmpeg, Process, Receiver, Relay, RelayOptions, Reply, Source, binary, eventually, scratch};
use hmac::{Hmac, KeyInit, Mac};
use media::TargetUrl;
use rtmp::io::{Deadlines, Publisher};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeSet;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn relay(receiver: &Receiver, events: &str) -> Relay {
    relay_with(receiver, &[("SLUICE_WEBHOOK__0__EVENTS", events)])
}

fn relay_with(receiver: &Receiver, more: &[(&str, &str)]) -> Relay {
    let url = receiver.url("/events?key=s4lt");
    let own = [
        ("SLUICE_WEBHOOK__0__URL", url.as_str()),
        ("SLUICE_WEBHOOK__0__SECRET", SECRET),
        ("SLUICE_CLAIMS__GRACE_SECONDS", "2"),
    ];
    let environment = own.iter().chain(more).map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Relay::start_with(RelayOptions { environment })
}

/// The only webhook's row of the API.
async fn row(relay: &Relay) -> Result<WebhookView> {
    let mut answer: Value = reqwest::get(relay.url("/api/v1/webhooks")).await?.json().await?;
    Ok(serde_json::from_value(answer["webhooks"][0].take())?)
}

/// As a receiver checks it.
fn is_signed(call: &Call) -> bool {
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).expect("base64");
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("any length");
    let signed =
        format!("{}.{}.{}", call.headers["webhook-id"], call.headers["webhook-timestamp"], call.body);
    mac.update(signed.as_bytes());
    call.headers["webhook-signature"] == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn kinds(calls: &[Call]) -> Vec<String> {
    let kind =
        |call: &Call| serde_json::from_str::<Value>(&call.body).ok()?["type"].as_str().map(str::to_owned);
    calls.iter().filter_map(kind).collect()
}

async fn publisher(relay: &Relay, name: &str) -> Result<Publisher> {
    let target: TargetUrl = relay.rtmp_url(name).parse()?;
    Ok(Publisher::connect(&target, Deadlines::default()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_claim_arrives_signed_once_and_in_order() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, "claim.*");
    let mut ffmpeg = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1?token=s3cret"), None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    ensure_refused(&relay).await;
    ffmpeg.process.kill_9();
    let expected = ["claim.granted", "claim.live", "claim.refused", "claim.lingering", "claim.expired"];
    eventually(20.0, "all is told", || async {
        let said = kinds(&receiver.calls());
        ensure!(said == expected, "{said:?}");
        Ok(())
    })
    .await;
    let calls = receiver.calls();
    assert!(calls.iter().all(is_signed), "{calls:?}");
    let ids: BTreeSet<_> = calls.iter().map(|call| call.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), calls.len());
    let granted: Value = serde_json::from_str(&calls[0].body).expect("JSON");
    assert_eq!(granted["id"], calls[0].headers["webhook-id"]);
    assert_eq!(
        (granted["stream"].as_str(), granted["data"]["key"].as_str()),
        (Some("live/room-1"), Some("live/room-1"))
    );
    assert!(granted["timestamp"].as_str().is_some_and(|text| text.ends_with('Z')), "{granted}");
    assert!(calls.iter().all(|call| !call.body.contains("s3cret")), "what was shown is nobody's business");
    let log = relay.process.said();
    assert!(!log.contains("s4lt") && !log.contains(&SECRET[6..]), "a secret is in the log");
}

async fn ensure_refused(relay: &Relay) {
    assert!(publisher(relay, "live/room-1").await.is_err(), "it is held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_everything_in_order_when_it_is_back_though_the_relay_crashed_meanwhile()
{
    let mut receiver = Receiver::start().await;
    let mut relay = relay(&receiver, "claim.granted,claim.expired");
    receiver.stop().await;
    drop(publisher(&relay, "live/room-1").await.expect("it is let in"));
    let waiting = |text: &str| text.lines().any(|line| line == "sluice_webhook_waiting{webhook=\"0\"} 2");
    eventually(10.0, "its events wait", || async {
        let text = reqwest::get(relay.url("/metrics")).await?.text().await?;
        ensure!(waiting(&text) && text.contains("outcome=\"failed\""), "{text}");
        Ok(())
    })
    .await;
    relay.crash_and_restart().expect("it is back");
    receiver.restart().await;
    // The first try it may answer with an error as well.
    let first = std::sync::atomic::AtomicBool::new(true);
    receiver.answer(move |_| {
        let is_first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
        Reply::Status(if is_first { 503 } else { 204 })
    });
    eventually(15.0, "they arrive", || async {
        let said = kinds(&receiver.calls());
        ensure!(said.len() >= 3, "{said:?}");
        Ok(())
    })
    .await;
    let calls = receiver.calls();
    assert_eq!(
        kinds(&calls),
        ["claim.granted", "claim.granted", "claim.expired"],
        "the first one twice, the rest behind it"
    );
    assert_eq!(
        calls[0].headers["webhook-id"], calls[1].headers["webhook-id"],
        "a repetition has the same id"
    );
    assert!(calls.iter().all(is_signed));
    eventually(5.0, "nothing waits any more", || async {
        let text = reqwest::get(relay.url("/metrics")).await?.text().await?;
        ensure!(text.lines().any(|line| line == "sluice_webhook_waiting{webhook=\"0\"} 0"), "{text}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_harms_no_stream_and_what_waits_for_it_stays_bounded() {
    let receiver = Receiver::start().await;
    receiver.answer(|_| Reply::Silence);
    let relay = relay_with(&receiver, &[("SLUICE_WEBHOOK__0__WAITING_MAX", "20")]);
    let _ffmpeg = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let mut publishers = Vec::new();
    for number in 0..30 {
        publishers.push(publisher(&relay, &format!("live/idle-{number}")).await.expect("it is let in"));
    }
    let kept = eventually(10.0, "the oldest events gave way", || async {
        let row = row(&relay).await?;
        // One granted for each idle name, and one granted and one live for the stream.
        ensure!(row.waiting + row.lost + row.delivered == 32, "{row:?}");
        Ok(row)
    })
    .await;
    assert_eq!((kept.waiting, kept.lost, kept.delivered), (20, 12, 0), "{kept:?}");
    let figures = reqwest::get(relay.url("/metrics")).await.expect("figures").text().await.expect("text");
    assert!(figures.contains("sluice_webhook_lost_total{webhook=\"0\",why=\"full\"} 12"), "{figures}");
    eventually(15.0, "it is known to fail", || async {
        let row = row(&relay).await?;
        ensure!(row.state == WebhookState::Failing && row.failing_since.is_some(), "{row:?}");
        ensure!(row.last_error.as_ref().is_some_and(|error| error.detail.contains("in time")), "{row:?}");
        ensure!(row.url == format!("http://{}/…", receiver.address), "{row:?}");
        Ok(())
    })
    .await;
    let arguments = ["-i", &relay.rtmp_url("live/room-1"), "-t", "2", "-f", "null", "-"];
    Ffmpeg::run(20.0, &arguments).await.expect("the stream plays all the while");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_check_of_a_signature_accepts_ours_and_refuses_a_changed_one() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, "claim.granted");
    let _publisher = publisher(&relay, "live/room-1").await.expect("it is let in");
    let call = eventually(10.0, "an event", || async { receiver.calls().pop().context("none yet") }).await;
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).expect("the docs");
    let (_, after) = docs.split_once("<!-- signature.py -->\n```python\n").expect("the example");
    let (script, _) = after.split_once("```").expect("its end");
    let folder = scratch();
    let file = folder.path().join("signature.py");
    std::fs::write(&file, script).expect("a file");
    for (body, accepts) in [(call.body.clone(), true), (call.body.replace("granted", "expired"), false)] {
        let header = |name: &str| call.headers[name].clone();
        let status = std::process::Command::new("python3")
            .arg(&file)
            .args([
                SECRET,
                &header("webhook-id"),
                &header("webhook-timestamp"),
                &header("webhook-signature"),
                &body,
            ])
            .status()
            .expect("python3 is installed");
        assert_eq!(status.success(), accepts, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_cannot_work_is_refused_by_check_with_its_key_and_without_its_secrets() {
    let folder = scratch();
    let file = folder.path().join("relay.toml");
    let url = "http://127.0.0.1:9/p4th-of-it?key=p4th-of-it";
    let secret = "s3cret-that-is-long-enough";
    let webhook = |url: &str, secret: &str, more: &str| {
        format!("[[webhook]]\nurl = {url:?}\nsecret = {secret:?}\n{more}\n")
    };
    let good = webhook(url, secret, "events = [\"claim.*\", \"stream.ended\"]");
    for (text, expected) in [
        (good.clone(), Ok(())),
        (webhook(url, "s3cret", ""), Err("at least 16 bytes")),
        (webhook(url, "whsec_s3cret!", ""), Err("base64")),
        (webhook("ftp://127.0.0.1/p4th-of-it", secret, ""), Err("http://")),
        (webhook("https://127.0.0.1/p4th-of-it", secret, ""), Err("TLS proxy")),
        (webhook(url, secret, "events = [\"claim.stolen\"]"), Err("claim.seized")),
        (webhook(url, secret, "waiting_max = 0"), Err("waiting_max")),
        (webhook(url, secret, "waiting_max = 100001"), Err("webhook.0.waiting_max")),
        (good.repeat(2), Err("webhook.1.url")),
    ] {
        std::fs::write(&file, &text).expect("a file");
        let mut check = Process::start(binary("sluice"), |command| {
            command.arg("check").arg(&file);
        })
        .expect("it starts");
        let status = check.ended(20.0).await.expect("it ends");
        let said = check.said();
        assert_eq!(status.code(), Some(if expected.is_ok() { 0 } else { 78 }), "{text}{said}");
        assert!(said.contains(expected.err().unwrap_or("is good")), "{text}{said}");
        assert!(!said.contains("s3cret") && !said.contains("p4th"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_stream_s_states_are_told_without_its_call_s_url_or_its_targets_keys() {
    let receiver = Receiver::start().await;
    let relay = relay(&receiver, "stream.*");
    #[expect(clippy::disallowed_methods, reason = "tests live in real time")]
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let request: StartStream = serde_json::from_value(serde_json::json!({
        "call": { "url": "https://meet.example/r00m-with-password", "kind": "web" },
        "name": "live/room-1",
        "targets": ["rtmp://127.0.0.1:9/in/k3y-of-the-target?sign=s1gn"],
        "starts_at": tomorrow,
    }))
    .expect("a request");
    let stream = relay.client().start_stream(&request, "once").await.expect("it is accepted");
    eventually(5.0, "it is told to wait for its time", || async {
        let said = kinds(&receiver.calls());
        ensure!(said.first().is_some_and(|kind| kind == "stream.queued"), "{said:?}");
        Ok(())
    })
    .await;
    relay.client().stop_stream(stream.id).await.expect("it is stopped");
    eventually(20.0, "its end is told", || async {
        let said = kinds(&receiver.calls());
        ensure!(said.last().is_some_and(|kind| kind == "stream.ended"), "{said:?}");
        Ok(())
    })
    .await;
    let calls = receiver.calls();
    let said = kinds(&calls);
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "only new states are told: {said:?}");
    for call in &calls {
        let body: Value = serde_json::from_str(&call.body).expect("JSON");
        assert_eq!(
            (body["stream"].as_str(), body["data"]["id"].as_str()),
            (Some("live/room-1"), Some(stream.id.to_string().as_str()))
        );
        for secret in ["r00m", "k3y", "s1gn"] {
            assert!(!call.body.contains(secret), "{}", call.body);
        }
        assert!(is_signed(call));
    }
}
