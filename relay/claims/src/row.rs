//! The table as people see it.

use crate::{ClaimId, ClaimKey, FencingToken, Holder, Label, Reason, Reference};
use std::time::Duration;

/// Where a claim is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowState {
    /// Kept for its holder; no publisher is there.
    Reserved,
    /// Its publisher is there.
    Live,
    /// Its publisher is being asked whether it still lives.
    Probing,
    /// Its publisher is gone and may come back; or it was seized and may be followed.
    Lingering,
    /// Nobody may take it.
    Blocked,
}

/// Who was turned away last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastRefusal {
    /// How long ago.
    pub age: Duration,
    /// By public label.
    pub who: Label,
    /// Why.
    pub reason: Reason,
    /// What it was told.
    pub reference: Reference,
}

/// That nobody may take a key, and by whose word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyBlocked {
    /// The operator, by public label.
    pub operator: Label,
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since the UNIX epoch.
    pub since_unix_ms: i64,
    /// Until it ends by itself.
    pub left: Duration,
}

/// One who waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contender {
    /// By public label.
    pub who: Label,
    /// Since when, in milliseconds since the UNIX epoch.
    pub since_unix_ms: i64,
}

/// One row: a claim, or a blocked key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: ClaimKey,
    /// The claim's id, or the block's.
    pub claim_id: ClaimId,
    /// Where it is in its life.
    pub state: RowState,
    /// The other relay that has it, by public label; `None` for one of our own.
    pub relay: Option<Label>,
    /// Its newest token; zero for a blocked key.
    pub token: FencingToken,
    /// Who has it; `None` for a blocked key and for a seized claim.
    pub holder: Option<Holder>,
    /// Whom to show as holder: its label, or the operator's.
    pub label: Label,
    /// Since when, in milliseconds since the UNIX epoch.
    pub since_unix_ms: i64,
    /// Since the last media of the present publisher.
    pub silent: Option<Duration>,
    /// Until the present state ends by itself, if nothing more is heard.
    pub ends_in: Option<Duration>,
    /// The block of the key, if an operator set one. It may lie beside a claim: a publisher that is there stays.
    pub block: Option<KeyBlocked>,
    /// Who waits for a decision, in order of arrival; at most [`crate::Rules::waiting_max`].
    pub contenders: Vec<Contender>,
    /// How many were turned away within the last hour.
    pub refused_last_hour: u32,
    /// The last one of them.
    pub last_refusal: Option<LastRefusal>,
}
