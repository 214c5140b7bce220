//! Where claims are kept: in one file of this relay, or in an etcd cluster that several relays share.
//!
//! The desk owns the table and hands over what the table wants kept ([`Wish`]); the store answers with what the table
//! must hear ([`Word`]). Neither waits for the other: a wish is taken at once, and words come when they are there. What
//! was handed over in order is durable in order, as far as it is about the same key.

mod embedded;
pub(crate) mod etcd;

pub use embedded::Embedded;
pub use etcd::{EtcdError, EtcdStore, Joined, Place};

use claims::fleet::Told;
use claims::{Change, ClaimKey, Record, SaveId, Shown, Standing, Version};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What the table wants kept or told; each is the effect of the same name.
#[derive(Clone, Debug)]
pub enum Wish {
    /// [`claims::Effect::Save`], always answered by one word.
    Save {
        /// The name to answer with.
        save: SaveId,
        /// What to store.
        record: Record,
        /// In place of what.
        replaces: Version,
        /// Who may follow.
        standing: Standing,
    },
    /// [`claims::Effect::Persist`].
    Persist(Change),
    /// [`claims::Effect::Show`].
    Show(ClaimKey, Shown),
    /// [`claims::Effect::Ask`].
    Ask(ClaimKey),
    /// [`claims::Effect::Vouch`].
    Vouch(ClaimKey),
    /// [`claims::Effect::Evict`].
    Evict(ClaimKey, Version, String),
}

/// What the store has to say.
#[derive(Clone, Debug)]
pub enum Word {
    /// For the table.
    Told(Told),
    /// A change of this key did not get through: ask for the truth about it again, a little later.
    Unwritten(ClaimKey),
}

/// A store of claims.
pub trait ClaimStore: Send {
    /// Takes one wish, at once. What cannot be done is answered.
    fn submit(&mut self, now: Instant, wish: Wish);

    /// The next word. Cancelled and called again, it loses none.
    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Word>;

    /// For how long nobody else can have been granted what is ours, whatever happens; `None`: for ever. Zero means that
    /// the store is out of reach for so long that our claims may be others' by now.
    fn lease_left(&self, now: Instant) -> Option<Duration>;
}
