//! How a request at the desk ends.

use super::Liveness;
use api::claims::ClaimView;
use claims::{Admission, ClaimId, FencingToken, OperatorError, Refusal};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the desk tells the connection of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderOrder {
    /// Ping the publisher; report media as ever, and its answer with `ClaimDesk::pong`.
    Probe,
    /// Send the publisher away: nothing of it counts any more.
    Disconnect {
        /// What it is told: plain, at most 200 bytes.
        why: String,
    },
}

/// A publisher that may write.
#[derive(Debug)]
pub struct Admitted {
    /// The claim.
    pub claim_id: ClaimId,
    /// What every write shows; larger than every one before.
    pub token: FencingToken,
    /// What its readers see.
    pub kind: Admission,
    /// How long it must not write where nobody checks its token, since somebody else may still do so.
    pub guard: Duration,
    /// For how long the claim surely is its own, counted from the admission; `None` if nobody else can have it.
    pub lease_left: Option<Duration>,
    /// What the desk orders from now on. It ends when the publisher may write no more.
    pub orders: mpsc::Receiver<HolderOrder>,
    /// Where media is reported.
    pub liveness: Liveness,
}

/// A reservation that holds.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// The claim.
    pub claim_id: ClaimId,
    /// Its newest token.
    pub token: FencingToken,
    /// Its row.
    pub view: ClaimView,
}

/// Turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// By the rules.
    Claim(Refusal),
    /// The desk does not answer, or is closed.
    Unavailable,
}

impl Refused {
    /// Whether it was for want of means and not for another's right; trying again later may help.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        use claims::Reason::{Busy, StoreUnavailable, TimedOut};
        match self {
            Self::Unavailable => true,
            Self::Claim(refusal) => matches!(refusal.reason, StoreUnavailable | Busy | TimedOut),
        }
    }

    /// What the peer is told: plain, at most 200 bytes, without addresses or keys.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::Claim(refusal) => refusal.text(),
            Self::Unavailable => "claims cannot be decided now; publish refused, try again".into(),
        }
    }

    /// Who has what was asked for, by public label, and since when.
    #[must_use]
    pub fn holder(&self) -> Option<(&str, jiff::Timestamp)> {
        let Self::Claim(refusal) = self else { return None };
        let since = jiff::Timestamp::from_millisecond(refusal.since_unix_ms?).ok()?;
        Some((refusal.holder.as_ref()?.as_str(), since))
    }
}

/// Why an operator's wish was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// Nothing happened.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The desk does not answer; what happened is unknown.
    #[error("claims cannot be changed now")]
    Unavailable,
}
