//! One key as people see it.

use super::entry::{Claim, Entry, KeyBlock, Phase};
use crate::{
    ClaimKey, Contender, FencingToken, Foreign, KeyBlocked, Label, LastRefusal, Row, RowState, Rules,
    Standing,
};
use std::time::Instant;

/// The key's row, if there is a claim on it or a block of it.
pub(super) fn row(key: &ClaimKey, entry: &Entry, now: Instant, rules: &Rules) -> Option<Row> {
    match (&entry.claim, &entry.abroad, entry.key_block()) {
        (Some(claim), _, _) => Some(of_claim(key, entry, claim, now, rules)),
        (None, Some(abroad), _) => Some(of_abroad(key, entry, &abroad.foreign, now)),
        (None, None, Some(block)) => Some(of_block(key, entry, block, now)),
        (None, None, None) => None,
    }
}

fn of_claim(key: &ClaimKey, entry: &Entry, claim: &Claim, now: Instant, rules: &Rules) -> Row {
    let (state, ends, last_media) = match &claim.phase {
        Phase::Reserved => (RowState::Reserved, claim.kept.map(|kept| kept.until), None),
        Phase::Live(connection) => match connection.answer_until(rules) {
            Some(until) => (RowState::Probing, Some(until), connection.last_media),
            None => (RowState::Live, Some(connection.silent_until(&claim.timing)), connection.last_media),
        },
        Phase::Lingering { until, .. } | Phase::Vacant { until, .. } => {
            (RowState::Lingering, Some(*until), None)
        }
    };
    let (holder, label) = match &claim.phase {
        Phase::Vacant { operator, .. } => (None, Label::new(&format!("seized by {operator}"))),
        _ => (Some(claim.holder.clone()), claim.holder.label.clone()),
    };
    Row {
        key: key.clone(),
        claim_id: claim.id,
        state,
        relay: None,
        token: claim.token,
        holder,
        label,
        since_unix_ms: claim.since_unix_ms,
        silent: last_media.map(|at| now.saturating_duration_since(at)),
        ends_in: ends.map(|at| at.saturating_duration_since(now)),
        block: entry.key_block().map(|block| blocked(block, now)),
        contenders: contenders(entry),
        refused_last_hour: entry.refusals.last_hour(now),
        last_refusal: last_refusal(entry, now),
    }
}

fn of_abroad(key: &ClaimKey, entry: &Entry, foreign: &Foreign, now: Instant) -> Row {
    let record = &foreign.record;
    Row {
        key: key.clone(),
        claim_id: record.claim_id,
        state: match foreign.shown.standing {
            Standing::Reserved => RowState::Reserved,
            Standing::Held => RowState::Live,
            Standing::Open => RowState::Lingering,
        },
        relay: Some(foreign.relay.clone()),
        token: record.token,
        holder: Some(record.holder.clone()),
        label: record.holder.label.clone(),
        since_unix_ms: record.since_unix_ms,
        silent: None,
        ends_in: None,
        block: entry.key_block().map(|block| blocked(block, now)),
        contenders: contenders(entry),
        refused_last_hour: entry.refusals.last_hour(now),
        last_refusal: last_refusal(entry, now),
    }
}

fn of_block(key: &ClaimKey, entry: &Entry, block: &KeyBlock, now: Instant) -> Row {
    let shown = blocked(block, now);
    Row {
        key: key.clone(),
        claim_id: block.record.id,
        state: RowState::Blocked,
        relay: None,
        token: FencingToken::new(0),
        holder: None,
        label: block.record.operator.clone(),
        since_unix_ms: block.record.since_unix_ms,
        silent: None,
        ends_in: Some(shown.left),
        block: Some(shown),
        contenders: contenders(entry),
        refused_last_hour: entry.refusals.last_hour(now),
        last_refusal: last_refusal(entry, now),
    }
}

fn blocked(block: &KeyBlock, now: Instant) -> KeyBlocked {
    KeyBlocked {
        operator: block.record.operator.clone(),
        reason: block.record.reason.clone(),
        since_unix_ms: block.record.since_unix_ms,
        left: block.until.saturating_duration_since(now),
    }
}

fn contenders(entry: &Entry) -> Vec<Contender> {
    let waiting = entry.waiting.iter().map(|waiting| waiting.request.origin());
    waiting
        .map(|origin| Contender { who: origin.holder.label.clone(), since_unix_ms: origin.unix_ms })
        .collect()
}

fn last_refusal(entry: &Entry, now: Instant) -> Option<LastRefusal> {
    entry.refusals.last().map(|last| LastRefusal {
        age: now.saturating_duration_since(last.at),
        who: last.who.clone(),
        reason: last.reason,
        reference: last.reference,
    })
}
