//! One key in a ledger.

use super::op::{Held, OpId};
use crate::{BlockRecord, Record, SaveId, Shown, Standing, Version};
use std::time::Instant;

/// What we know of one key, and what is to be done about it. At most one change of its claim is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Line {
    /// What the table has on the key, and so what should be in the cell.
    pub(super) own: Option<Own>,
    /// The version of what is ours in the cell, whatever it says; zero if nothing is, as far as we know.
    pub(super) ours: Version,
    /// The fence of our last grant.
    pub(super) fence: Version,
    /// What is in the cell is of the process before us, and its fence with it.
    pub(super) is_adopted: bool,
    /// Until when somebody else may still write where nobody checks tokens.
    pub(super) guard_until: Option<Instant>,
    /// Another relay's claim.
    pub(super) foreign: Option<(Version, Held)>,
    /// The last state of the key that we know of.
    pub(super) seen: Version,
    pub(super) busy: Option<OpId>,
    /// The cell may not say what it should.
    pub(super) is_dirty: bool,
    /// Putting it right did not get through; it waits for [`super::Ledger::retry`].
    pub(super) is_stalled: bool,
    /// A grant that waits for its turn.
    pub(super) save: Option<Save>,
    /// Another relay's claim that is to be ended.
    pub(super) evict: Option<(Version, String)>,
    pub(super) blocks: Blocks,
}

/// What the table has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Own {
    pub(super) record: Record,
    pub(super) shown: Shown,
}

/// A grant that the table wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Save {
    pub(super) id: SaveId,
    pub(super) record: Record,
    pub(super) replaces: Version,
    pub(super) standing: Standing,
    /// How often it was tried against what of ours was in the way.
    pub(super) tries: u8,
}

/// The blocks of the key on their way to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Blocks {
    pub(super) busy: Option<OpId>,
    pub(super) wanted: Option<Vec<BlockRecord>>,
    pub(super) is_stalled: bool,
}

impl Line {
    /// Whether nothing would be lost with it, once the store's news have come up to it.
    pub(super) fn is_idle(&self) -> bool {
        self.own.is_none()
            && !self.ours.is_present()
            && self.foreign.is_none()
            && self.busy.is_none()
            && !self.is_dirty
            && self.save.is_none()
            && self.evict.is_none()
            && self.blocks.busy.is_none()
            && self.blocks.wanted.is_none()
    }

    pub(super) fn saw(&mut self, version: Version) {
        self.seen = self.seen.max(version);
    }
}
