//! The table's rows as the API shows them.

use api::claims::{BlockView, ClaimKind, ClaimState, ClaimView, ContenderView, RefusalView};
use claims::{ClaimKey, KeyBlocked, LastRefusal, Row, RowState};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// One row, seen at `wall`.
pub(super) fn view(row: Row, wall: Timestamp) -> ClaimView {
    let contenders = row.contenders.into_iter().map(|contender| ContenderView {
        who: contender.who.to_string(),
        since: time(contender.since_unix_ms, wall),
    });
    ClaimView {
        id: row.claim_id.get(),
        kind: match row.key {
            ClaimKey::Ingest(_) => ClaimKind::Ingest,
            ClaimKey::Target(_) => ClaimKind::Target,
        },
        key: row.key.to_string(),
        state: match row.state {
            RowState::Reserved => ClaimState::Reserved,
            RowState::Live => ClaimState::Live,
            RowState::Probing => ClaimState::Probing,
            RowState::Lingering => ClaimState::Lingering,
            RowState::Blocked => ClaimState::Blocked,
        },
        token: row.token.get(),
        holder: row.label.to_string(),
        relay: row.relay.map(|relay| relay.to_string()),
        stream_id: row.holder.and_then(|holder| holder.stream_id),
        since: time(row.since_unix_ms, wall),
        silent_ms: row.silent.map(millis),
        ends_in_ms: row.ends_in.map(millis),
        block: row.block.map(|block| blocked(block, wall)),
        contenders: contenders.collect(),
        refused_last_hour: row.refused_last_hour,
        last_refusal: row.last_refusal.map(|last| refusal(last, wall)),
    }
}

fn blocked(block: KeyBlocked, wall: Timestamp) -> BlockView {
    BlockView {
        operator: block.operator.to_string(),
        reason: block.reason,
        since: time(block.since_unix_ms, wall),
        ends_in_ms: millis(block.left),
    }
}

fn time(unix_ms: i64, wall: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(wall)
}

fn refusal(last: LastRefusal, wall: Timestamp) -> RefusalView {
    let age = SignedDuration::try_from(last.age).unwrap_or_default();
    RefusalView {
        at: wall.checked_sub(age).unwrap_or(wall),
        who: last.who.to_string(),
        reason: last.reason.as_str().into(),
        reference: last.reference.to_string(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
