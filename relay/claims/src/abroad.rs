//! What relays that share a store must know of each other's claims.

use crate::{Label, Record, Ticket};
use std::fmt;

/// What a shared store calls the state of one key: larger after every change, zero while nothing is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// Nothing is there.
    pub const ABSENT: Self = Self(0);

    /// Whether something is there.
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who may follow a claim's holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its holder alone: it is reserved, and no publisher is there.
    Reserved,
    /// Its holder; a stranger only when the relay that has it finds the publisher dead.
    Held,
    /// Anybody who is authorised.
    Open,
}

/// What other relays must know of a claim besides its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Who may follow.
    pub standing: Standing,
    /// Who brings this may follow at once. Secret.
    pub ticket: Option<Ticket>,
}

/// Another relay's claim, as last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Foreign {
    /// The state of the key in which this was so.
    pub version: Version,
    /// The relay, by public label.
    pub relay: Label,
    /// The claim.
    pub record: Record,
    /// Who may follow.
    pub shown: Shown,
}
