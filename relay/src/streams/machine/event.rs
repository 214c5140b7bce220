//! What happens to a stream: what goes into the machine.

use super::{Claim, EndReason};
use crate::streams::spec::Spec;
use api::control::WorkerReport;
use jiff::Timestamp;
use std::time::Duration;

/// How a claim was lost without our doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimLoss {
    /// It ran out; it may be had again.
    Expired,
    /// An operator gave it to another.
    Seized,
    /// An operator released it.
    Released,
}

/// What happens to a stream.
#[derive(Clone, Debug)]
pub enum Event {
    /// A place was reserved; the answer to [`Effect::Place`].
    Placed {
        /// Where.
        recorder: String,
    },
    /// There is no place; the answer to [`Effect::Place`].
    NoSpare,
    /// A place may have become free.
    SpareAppeared,
    /// The answer to [`Effect::ReserveClaim`].
    ClaimGranted(Claim),
    /// The answer to [`Effect::ReserveClaim`].
    ClaimRefused {
        /// Who holds it, by public label.
        holder: String,
        /// Since when.
        since: Timestamp,
    },
    /// The claim could not be asked for, in words.
    ClaimUnavailable(String),
    /// The claim is no longer ours.
    ClaimGone(ClaimLoss),
    /// A recorder cannot take it.
    Declined {
        /// Which.
        recorder: String,
        /// Why, for people.
        detail: String,
    },
    /// A recorder ended it; all its processes are gone.
    RecorderEnded {
        /// Which.
        recorder: String,
        /// Machine-readable.
        reason: String,
        /// For people.
        detail: String,
    },
    /// A recorder's control connection is gone.
    RecorderLost {
        /// Which.
        recorder: String,
    },
    /// A recorder's control connection is back.
    RecorderBack {
        /// Which.
        recorder: String,
        /// Whether it still carries this stream.
        carries: bool,
    },
    /// A worker's state.
    Worker {
        /// Whose.
        recorder: String,
        /// The state.
        report: WorkerReport,
    },
    /// Media arrives.
    MediaLive,
    /// Media no longer arrives.
    MediaLost,
    /// It is no longer wanted.
    Stop {
        /// Why.
        reason: EndReason,
        /// How long it may still be wanted again.
        debounce: Duration,
    },
    /// It is wanted again; takes the new request's end, labels and targets.
    Resume(Box<Spec>),
    /// A deadline may be over.
    Timeout,
}
