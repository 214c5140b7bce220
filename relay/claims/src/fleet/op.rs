//! What passes between a ledger and the store.

use crate::{BlockRecord, ClaimKey, FencingToken, Label, Record, Shown, Version};
use uuid::Uuid;

/// A relay's own name, which it keeps over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(pub Uuid);

/// A relay, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relay {
    /// Its own name.
    pub id: RelayId,
    /// For people.
    pub label: Label,
}

/// The name of one write: of this process, and never used for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId {
    /// Drawn anew by each process.
    pub process: Uuid,
    /// Counts its writes.
    pub number: u64,
}

/// The value of a claim's cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The claim. Its token is zero where it is the cell's own version.
    pub record: Record,
    /// Who has it.
    pub relay: Relay,
    /// Who may follow.
    pub shown: Shown,
    /// Who wrote this.
    pub write: WriteId,
    /// That another relay has ended it, and what its publisher is told.
    pub evicted: Option<String>,
}

/// What a change requires of a claim's fence, and what it does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fence {
    /// A new grant: the fence is written anew, whatever it was.
    Raise,
    /// It stays, and is not looked at.
    Keep,
    /// It stays, and must be of this version: nobody was granted the key since.
    Still(Version),
}

/// One change of the store. Those of claims are done in whole, on their condition, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Writes a claim under our lease, if its cell has this version.
    Put {
        /// What to write.
        held: Box<Held>,
        /// The version that is replaced; zero: nothing may be there.
        replaces: Version,
        /// What of its fence.
        fence: Fence,
    },
    /// Removes a claim, if its cell has this version; with zero: finds out whether it is there.
    Remove {
        /// Which.
        key: ClaimKey,
        /// The version that is removed.
        version: Version,
        /// Whether its fence goes as well: nobody can still be writing under an earlier one. A fence that stays ends
        /// with its lease, and makes the next holder wait.
        is_clean: bool,
    },
    /// Writes another relay's claim as ended, under its own lease, if its cell has this version.
    Evict {
        /// As it was, with the mark.
        held: Box<Held>,
        /// The version that is replaced.
        replaces: Version,
    },
    /// Replaces a key's blocks. They vanish by themselves when the longest is over.
    Blocks {
        /// Which key.
        key: ClaimKey,
        /// All of them; none removes the cell.
        blocks: Vec<BlockRecord>,
        /// Who writes.
        write: WriteId,
    },
    /// Asks whether the publisher of a claim lives.
    Ask {
        /// Which.
        key: ClaimKey,
        /// Who writes.
        write: WriteId,
    },
    /// Says that it does.
    Vouch {
        /// Which.
        key: ClaimKey,
        /// Who writes.
        write: WriteId,
    },
}

/// The name of one change under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is durable.
    Done {
        /// The store's version of it.
        version: Version,
        /// The fence that was there before, if the change looked.
        fence: Version,
    },
    /// Its condition does not hold; nothing was changed.
    Conflict {
        /// What is there.
        found: Option<(Version, Box<Held>)>,
        /// The fence that is there.
        fence: Version,
        /// The store's version when this was so.
        seen: Version,
    },
    /// Nothing was changed: the store refused, or was not even asked.
    Refused,
    /// No answer: it may be done, or be done later.
    Unknown,
}

/// A cell of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// A claim.
    Claim(ClaimKey),
    /// Who is kept off a key.
    Blocks(ClaimKey),
    /// A question about a claim, or its answer.
    Ask(ClaimKey),
}

/// What is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Of [`Cell::Claim`].
    Claim(Box<Held>),
    /// Of [`Cell::Blocks`].
    Blocks(Vec<BlockRecord>, WriteId),
    /// Of [`Cell::Ask`]: a question.
    Asked(WriteId),
    /// Of [`Cell::Ask`]: its answer.
    Vouched(WriteId),
}

/// One change, as the store tells all relays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct News {
    /// Which cell.
    pub cell: Cell,
    /// The store's version of the change.
    pub version: Version,
    /// What is in it now; `None` if it is gone.
    pub value: Option<Value>,
}

impl Held {
    /// The claim with the token that it has under this version of its cell.
    pub(super) fn record_at(&self, version: Version, epoch: u16) -> Record {
        let mut record = self.record.clone();
        if record.token == FencingToken::new(0) {
            record.token = token_of(version, epoch);
        }
        record
    }
}

/// The token of a grant: the store's own number, under the epoch that an operator raises when a store is replaced.
pub(super) const fn token_of(version: Version, epoch: u16) -> FencingToken {
    FencingToken::new(((epoch as u64) << crate::TokenSource::EPOCH_SHIFT) | version.0)
}
