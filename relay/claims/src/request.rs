//! What a caller asks of the table.

use crate::{ClaimId, ClaimKey, Holder, Reference, Timing};
use std::time::Duration;
use uuid::Uuid;

/// The caller's name for one pending request; never used for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContenderId(pub u64);

/// Proof that we ourselves told the holder's publisher to come back elsewhere; good once. Secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(Uuid);

impl Ticket {
    /// From a number that cannot be guessed, which the caller draws.
    #[must_use]
    pub const fn new(secret: Uuid) -> Self {
        Self(secret)
    }

    /// The number, for the one who is to bring it.
    #[must_use]
    pub const fn expose(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What every request brings: who asks, and the ids and times that the table cannot draw itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The name that the outcome carries.
    pub contender: ContenderId,
    /// What is asked for.
    pub key: ClaimKey,
    /// Who asks, authenticated.
    pub holder: Holder,
    /// The id of the claim, should a new one be made.
    pub fresh_id: ClaimId,
    /// What the refused one is told, should it be refused, so that an operator can find it.
    pub reference: Reference,
    /// The wall clock in milliseconds since the UNIX epoch. Shown to people, never compared.
    pub unix_ms: i64,
}

/// A publisher is at the door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publish {
    /// Who asks.
    pub origin: Origin,
    /// Only as the publisher of this claim, which its grant names: once that claim has ended it is refused, even if
    /// the key is free. `None` for one that may make a claim of its own.
    pub only: Option<ClaimId>,
    /// A handover ticket, if it brought one.
    pub ticket: Option<Ticket>,
    /// Whether the app lets a higher priority displace a lower one.
    pub preempt: bool,
    /// The app's own timing; the rules' if absent.
    pub timing: Option<Timing>,
}

impl Publish {
    /// A publisher that may make a claim of its own, without ticket, priority or timing of its own.
    #[must_use]
    pub const fn plain(origin: Origin) -> Self {
        Self { origin, only: None, ticket: None, preempt: false, timing: None }
    }
}

/// A stream or an encoder's owner wants the key before any publisher is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reserve {
    /// Who asks.
    pub origin: Origin,
    /// For how long it is kept without a renewal.
    pub keep: Duration,
}
