//! What the table wants done. Drained in order.

use crate::{
    Change, ClaimId, ClaimKey, ContenderId, Event, FencingToken, Record, Refusal, Shown, Standing, Version,
};
use std::time::Duration;

/// The name of one save that the table waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaveId(pub u64);

/// On what ground a publisher was admitted, and so what its readers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// The claim's first publisher.
    New,
    /// The same holder's publisher after a lost one: readers are kept, a discontinuity is marked.
    Resumed,
    /// The same holder's publisher while the old connection was still there. Readers are kept.
    Displaced {
        /// The connection that was cut.
        old_token: FencingToken,
    },
    /// Another holder's publisher: after a dead or seized one, by ticket or by priority. Readers are kept.
    Takeover {
        /// The predecessor's last token.
        old_token: FencingToken,
    },
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Make this durable and answer with [`crate::ClaimTable::stored`] or [`crate::ClaimTable::not_stored`], always
    /// one of them. Nothing else happens on this key until then.
    Save {
        /// The name to answer with.
        save: SaveId,
        /// What to store, as [`Change::Put`]. A shared store gives a new claim a token of its own in place of this one.
        record: Record,
        /// Of a shared store: only in place of what is there under this version.
        replaces: Version,
        /// Of a shared store: who may follow the claim once it is stored.
        standing: Standing,
    },
    /// Make this durable after everything before it; no answer. Were it lost, a restart would keep a claim or a block
    /// for its time once more, nothing worse.
    Persist(Change),
    /// Tell the other relays, durably and after everything before it. Only with [`crate::Rules::shared`].
    Show {
        /// Whose claim.
        key: ClaimKey,
        /// What they must know of it.
        shown: Shown,
    },
    /// Ask the relay that has this claim whether its publisher lives. Only with [`crate::Rules::shared`].
    Ask {
        /// Which claim.
        key: ClaimKey,
    },
    /// Tell the relay that asked: the publisher lives. Only with [`crate::Rules::shared`].
    Vouch {
        /// Which claim.
        key: ClaimKey,
    },
    /// End another relay's claim in an operator's or its owner's name, after the key's blocks are stored. Only with
    /// [`crate::Rules::shared`].
    Evict {
        /// Which claim.
        key: ClaimKey,
        /// As it was heard of; a later one is not meant.
        version: Version,
        /// What its publisher is told.
        why: String,
    },
    /// Keep it, show it.
    Event(Event),
    /// A publisher may start. Everything before it is durable.
    Admitted {
        /// Whose request.
        contender: ContenderId,
        /// The key.
        key: ClaimKey,
        /// The claim.
        claim_id: ClaimId,
        /// Its own token: larger than every one before.
        token: FencingToken,
        /// On what ground.
        kind: Admission,
    },
    /// A reservation holds.
    Reserved {
        /// Whose request.
        contender: ContenderId,
        /// The key.
        key: ClaimKey,
        /// The claim: an existing one, if the same holder had it.
        claim_id: ClaimId,
        /// Its newest token.
        token: FencingToken,
        /// How long it is kept without a renewal.
        keep: Duration,
    },
    /// Turned away.
    Refused {
        /// Whose request.
        contender: ContenderId,
        /// What it is told.
        refusal: Refusal,
        /// How much later it is told.
        after: Duration,
    },
    /// A higher priority may displace the holder once it shows a keyframe: receive its media without showing it to
    /// anybody, and call [`crate::ClaimTable::keyframe`].
    Audition {
        /// Whose request.
        contender: ContenderId,
    },
    /// Ping this publisher; media or [`crate::ClaimTable::pong`] is its answer.
    Probe {
        /// Whose connection.
        token: FencingToken,
    },
    /// Cut this publisher; nothing of it counts any more.
    Disconnect {
        /// Whose connection.
        token: FencingToken,
        /// What it is told: printable ASCII of at most 200 bytes.
        why: String,
    },
}
