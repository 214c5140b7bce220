//! `sluice claims show`: all that is to be known of one claim, at a glance.

use super::super::table::{age, bit_rate, card, moment, span_ms};
use super::super::{Connection, Failure};
use super::{find, history, state};
use api::claim_events::{ClaimEventView, ClaimEventsQuery};
use api::claims::{ClaimState, ClaimView};
use api::streams::BroadcastView;
use serde::Serialize;

/// How many of the last events are shown.
const EVENTS: u32 = 8;

/// A claim, with what arrives under it and what happened to its key.
#[derive(Serialize)]
struct Picture {
    #[serde(flatten)]
    claim: ClaimView,
    /// Absent when nothing is broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast: Option<BroadcastView>,
    /// Newest first.
    events: Vec<ClaimEventView>,
}

pub(super) async fn run(connection: &Connection, wanted: &str) -> Result<(), Failure> {
    let client = connection.client()?;
    let claim = find(&client, wanted).await?;
    let broadcasts = client.broadcasts().await?;
    let broadcast = broadcasts.into_iter().find(|broadcast| broadcast.name == claim.key);
    let key = Some(claim.key.clone());
    let query = ClaimEventsQuery { key, limit: Some(EVENTS), ..ClaimEventsQuery::default() };
    let events = client.claim_events(&query).await?.events;
    connection.show(&Picture { claim, broadcast, events }, shown)
}

fn shown(picture: &Picture) -> String {
    let Picture { claim, broadcast, events } = picture;
    let refusal = claim.last_refusal.as_ref();
    let held = claim.state != ClaimState::Blocked;
    // Of a block alone, its own line tells when it ends.
    let ends_in = claim.ends_in_ms.filter(|_| held);
    let media = broadcast.as_ref().filter(|broadcast| broadcast.live).map(|broadcast| &broadcast.media);
    let silent = media.map(|media| media.silent_ms).or(claim.silent_ms);
    let waiting: Vec<_> =
        claim.contenders.iter().map(|one| format!("{} for {}", one.who, age(one.since))).collect();
    let facts = card([
        ("key", Some(claim.key.clone())),
        ("id", Some(claim.id.to_string())),
        ("state", Some(state(claim))),
        ("holder", held.then(|| claim.holder.clone())),
        ("stream", claim.stream_id.map(|id| id.to_string())),
        ("since", Some(format!("{} ({})", moment(claim.since), age(claim.since)))),
        ("token", held.then(|| claim.token.to_string())),
        ("last byte", silent.map(|ms| format!("{} ago", span_ms(ms)))),
        (
            "arrives",
            media.map(|media| {
                let size = media.width.zip(media.height).map(|(width, height)| format!(", {width}x{height}"));
                let rate = bit_rate(media.bits_per_second);
                format!("{rate}, {:.1} fps{}", media.frames_per_second, size.unwrap_or_default())
            }),
        ),
        ("ends in", ends_in.map(|ms| format!("{} unless more is heard", span_ms(ms)))),
        (
            "blocked",
            claim
                .block
                .as_ref()
                .map(|it| format!("by {} for {} more: {}", it.operator, span_ms(it.ends_in_ms), it.reason)),
        ),
        ("waiting", Some(if waiting.is_empty() { "nobody".into() } else { waiting.join(", ") })),
        ("refused in the last hour", Some(claim.refused_last_hour.to_string())),
        (
            "last refused",
            refusal.map(|it| format!("{} {}: {} (ref {})", moment(it.at), it.who, it.reason, it.reference)),
        ),
    ]);
    format!("{facts}\n\n{}", history::told(events, "no event is remembered"))
}
