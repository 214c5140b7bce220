//! What happened to a name is told in order, after a crash as well; a blocked name refuses everyone until it is not.

use anyhow::ensure;
use api::claim_events::{ClaimEventView, ClaimEventsQuery};
use api::claims::{BlockRequest, ClaimAction, ClaimRequest, UnblockRequest};
use e2e::{Ffmpeg, Process, Relay, Source, binary, eventually};

const NAME: &str = "live/room-1";

/// What happened to the name, oldest first.
async fn history(relay: &Relay) -> anyhow::Result<Vec<ClaimEventView>> {
    let query = ClaimEventsQuery { key: Some(NAME.into()), ..ClaimEventsQuery::default() };
    let mut events = relay.client().claim_events(&query).await?.events;
    events.reverse();
    Ok(events)
}

/// Waits until the history is this story, one `what who` each.
async fn history_is(relay: &Relay, story: &[String]) -> Vec<ClaimEventView> {
    eventually(20.0, "the history tells the story", || async {
        let events = history(relay).await?;
        let told: Vec<_> = events.iter().map(|event| format!("{} {}", event.what, event.who)).collect();
        ensure!(told == story, "it tells {told:#?}\ninstead of {story:#?}");
        Ok(events)
    })
    .await
}

/// Waits until this was the last thing that happened, as `what who`.
async fn last_is(relay: &Relay, wanted: &str) {
    eventually(20.0, wanted, || async {
        let last = history(relay).await?.pop();
        let told = last.map(|event| format!("{} {}", event.what, event.who)).unwrap_or_default();
        ensure!(told == wanted, "it is {told}");
        Ok(())
    })
    .await;
}

/// Runs one of the operator's commands and returns what it printed.
async fn sluice(relay: &Relay, arguments: &[&str]) -> String {
    let mut command = Process::start(binary("sluice"), |command| {
        command.args(arguments).arg("--relay").arg(relay.url(""));
    })
    .expect("the relay's binary is there");
    let status = command.ended(10.0).await.expect("it ends");
    assert!(status.success(), "{arguments:?}: {}", command.said());
    command.said()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_name_is_told_in_order_after_a_crash() {
    let mut relay = Relay::start();
    let client = relay.client();
    let request = ClaimRequest { name: NAME.into(), label: "stage".into(), reserve_seconds: Some(600) };
    let granted = client.request_claim(&request).await.expect("the name is free");
    let first = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    last_is(&relay, "live stage").await;

    let mut second = Ffmpeg::publish(Source::Small, &relay.rtmp_url(NAME), Some(30));
    assert!(!second.process.ended(15.0).await.expect("it gives up").success());
    let stranger = relay.claim(NAME).await.expect("a claim").last_refusal.expect("a refusal").who;

    let claim = relay.claim(NAME).await.expect("a claim");
    let action = ClaimAction { reason: "wrong room".into(), expected_token: claim.token };
    client.seize_claim(claim.id, &action).await.expect("it is seized");
    drop(first);

    let request = ClaimRequest { label: "hall".into(), ..request };
    let granted = client.request_claim(&request).await.expect("the name is free again");
    let mut third = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    last_is(&relay, "live hall").await;
    third.process.kill_9();
    last_is(&relay, "lingering hall").await;
    let _again = Ffmpeg::publish(Source::Small, &granted.publish_url, None);

    let refused = format!("refused {stranger}");
    let story = [
        "granted stage", // reserved
        "granted stage", // its publisher came
        "live stage",
        &refused,
        "seized stage",
        "granted hall",
        "granted hall",
        "live hall",
        "lingering hall",
        "resumed hall",
        "live hall",
    ];
    let mut story: Vec<_> = story.map(str::to_owned).into();
    let before = history_is(&relay, &story).await;
    let refusal = &before[3];
    assert_eq!((refusal.claim_id, refusal.token), (None, None), "a refusal is no holder's doing");
    assert!(refusal.why.contains("URL held by stage since"), "{}", refusal.why);
    assert_eq!((before[4].claim_id, before[4].token), (Some(claim.id), Some(claim.token)));
    assert_eq!(before[4].why, "by operator local: wrong room");
    let tokens: Vec<_> = before.iter().filter_map(|event| event.token).collect();
    assert!(tokens.is_sorted(), "tokens only rise: {tokens:?}");

    relay.crash_and_restart().expect("it comes up again");
    story.push("lingering hall".into());
    let after = eventually(5.0, "the history is there", || history(&relay)).await;
    assert_eq!(after[..before.len()], before, "a crash changes nothing of what was told");
    assert_eq!((after[before.len()].what.as_str(), after[before.len()].who.as_str()), ("lingering", "hall"));

    // The seized claim is over, and its own part of the story is still told.
    let own = relay.client().events_of_claim(claim.id, &ClaimEventsQuery::default()).await.expect("known");
    let told: Vec<_> = own.events.iter().rev().map(|event| event.what.as_str()).collect();
    assert_eq!(told, ["granted", "granted", "live", "refused", "seized"]);

    let printed = sluice(&relay, &["claims", "history", NAME]).await;
    let columns: Vec<_> = printed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).collect();
    let expected: Vec<_> = story.iter().map(|line| line.split(' ').next().expect("a word")).collect();
    assert_eq!(columns[..expected.len()], expected, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_name_refuses_everyone_and_is_free_after_unblock() {
    let relay = Relay::start();
    let client = relay.client();
    let request = ClaimRequest { name: NAME.into(), label: "stage".into(), reserve_seconds: Some(600) };
    let granted = client.request_claim(&request).await.expect("the name is free");
    let block = BlockRequest { name: NAME.into(), reason: "wrong room".into(), seconds: Some(600) };
    client.block_name(&block).await.expect("it is blocked");

    for url in [relay.rtmp_url(NAME), granted.publish_url.clone()] {
        let mut publisher = Ffmpeg::publish(Source::Small, &url, Some(30));
        assert!(!publisher.process.ended(15.0).await.expect("it gives up").success());
        let said = publisher.process.said();
        assert!(said.contains("URL blocked by an operator; publish refused (ref "), "ffmpeg said: {said}");
    }
    let row = relay.claim(NAME).await.expect("a row");
    assert_eq!(row.block.map(|block| block.reason).as_deref(), Some("wrong room"));
    let shown = sluice(&relay, &["claims", "list"]).await;
    assert!(shown.contains("reserved, blocked 9m"), "{shown}");
    let shown = sluice(&relay, &["claims", "show", NAME]).await;
    assert!(shown.contains("by local for 9m") && shown.contains("key_blocked"), "{shown}");

    let unblock = UnblockRequest { name: NAME.into(), reason: "settled".into() };
    client.unblock_name(&unblock).await.expect("it was blocked");
    let _publisher = Ffmpeg::publish(Source::Small, &granted.publish_url, None);
    eventually(20.0, "the stage is live", || relay.live(NAME)).await;
    let events = history(&relay).await.expect("the API answers");
    let told: Vec<_> = events.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(told[..5], ["granted", "blocked", "refused", "refused", "unblocked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_prints_lines_when_piped() {
    let relay = Relay::start();
    let request = ClaimRequest { name: NAME.into(), label: "stage".into(), reserve_seconds: None };
    relay.client().request_claim(&request).await.expect("the name is free");
    let mut watch = Process::start(binary("sluice"), |command| {
        command.args(["claims", "watch", "--relay", &relay.url("")]);
    })
    .expect("the relay's binary is there");
    let mut line =
        |words: &str| watch.hear(10.0, |line| line.contains(words).then(|| line.to_owned())).expect("a line");
    let first = line("reserved");
    assert!(first.contains(NAME) && first.contains("stage has it"), "{first}");
    let block = BlockRequest { name: NAME.into(), reason: "wrong room".into(), seconds: None };
    relay.client().block_name(&block).await.expect("it is blocked");
    let next = line("blocked");
    assert!(next.contains("local: for 10 min: wrong room") && !next.contains('\u{1b}'), "{next}");
}
