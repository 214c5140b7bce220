//! What passes between a ledger and its table.

use super::op::News;
use crate::{BlockRecord, ClaimKey, FencingToken, Foreign, SaveId, Version};
use std::time::Duration;
use uuid::Uuid;

/// What the store held when we came.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// All cells, in any order.
    pub cells: Vec<News>,
    /// All fences.
    pub fences: Vec<(ClaimKey, Version)>,
    /// The store's version then.
    pub version: Version,
}

/// What does not change while a process runs.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Drawn anew by each process.
    pub process: Uuid,
    /// Raised by an operator when a store is replaced; below 32, so that a token stays a whole number everywhere.
    pub epoch: u16,
    /// How long a relay that hears nothing of the store may go on writing at most: the life of its lease.
    pub guard: Duration,
}

/// What a table is to be restored from.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Our own, from before.
    pub snapshot: crate::Snapshot,
    /// Others'.
    pub foreign: Vec<(ClaimKey, Foreign)>,
}

/// What the table is to be told, each by the method of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// [`crate::ClaimTable::stored_as`].
    Stored {
        /// Which.
        save: SaveId,
        /// The token that it has.
        token: FencingToken,
        /// How long somebody else may still write where nobody checks tokens: the key had a holder that did not give
        /// it back. Zero if it did.
        guard: Duration,
    },
    /// [`crate::ClaimTable::not_stored`].
    NotStored {
        /// Which.
        save: SaveId,
    },
    /// [`crate::ClaimTable::conflicted`].
    Conflicted {
        /// Which.
        save: SaveId,
    },
    /// [`crate::ClaimTable::heard`].
    Heard {
        /// Of which key.
        key: ClaimKey,
        /// What is there.
        foreign: Option<Box<Foreign>>,
    },
    /// [`crate::ClaimTable::heard_blocks`].
    HeardBlocks {
        /// Of which key.
        key: ClaimKey,
        /// All of them.
        blocks: Vec<BlockRecord>,
    },
    /// [`crate::ClaimTable::vouched`].
    Vouched {
        /// Whose claim.
        key: ClaimKey,
    },
    /// [`crate::ClaimTable::contested`].
    Contested {
        /// Whose claim.
        key: ClaimKey,
    },
    /// [`crate::ClaimTable::evicted`].
    Evicted {
        /// Whose claim.
        key: ClaimKey,
        /// Its token.
        token: FencingToken,
        /// What its publisher is told.
        why: String,
    },
}
