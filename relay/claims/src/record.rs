//! What the store keeps, so that a restart forgets no claim and reuses no token.
//!
//! Records hold durations, never points in time: after a restart every one of them runs in full again, since nobody
//! can say how long the relay was away.

use crate::{ClaimId, ClaimKey, FencingToken, Holder, HolderId, Label};
use std::time::Duration;

/// One claim at rest; at most one per key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// What it locks.
    pub key: ClaimKey,
    /// Its id.
    pub claim_id: ClaimId,
    /// Its newest token.
    pub token: FencingToken,
    /// Who has it, with the largest incarnation admitted so far.
    pub holder: Holder,
    /// Since when, in milliseconds since the UNIX epoch; for people.
    pub since_unix_ms: i64,
    /// For how long it is kept without a renewal; `None` if it is kept by its publisher alone.
    pub keep: Option<Duration>,
    /// Whether a publisher was admitted, so that readers may be waiting for it.
    pub published: bool,
}

/// One block at rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockRecord {
    /// Its id.
    pub id: ClaimId,
    /// Who is kept off; `None` for everybody.
    pub holder: Option<HolderId>,
    /// Who set it.
    pub operator: Label,
    /// Why, for people.
    pub reason: String,
    /// Since when, in milliseconds since the UNIX epoch; for people.
    pub since_unix_ms: i64,
    /// How long it runs.
    pub lasts: Duration,
}

/// The whole truth about one key, to replace what the store has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The key's claim is this. The store raises its token high-water mark in the same transaction.
    Put(Record),
    /// The key has no claim. The high-water mark stays.
    Remove(ClaimKey),
    /// The key's blocks are these, and no others.
    Blocks(ClaimKey, Vec<BlockRecord>),
}

/// Everything that the store kept, for [`crate::ClaimTable::restore`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// All claims.
    pub claims: Vec<Record>,
    /// All blocks.
    pub blocks: Vec<(ClaimKey, BlockRecord)>,
}
