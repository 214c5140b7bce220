//! Why streams end.

use serde::{Deserialize, Serialize};

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody stopped it.
    Stopped,
    /// Its planned end came.
    EndsAt,
    /// The call itself is over.
    CallEnded,
    /// The call could not be joined.
    JoinFailed,
    /// The relay refused the publication again and again.
    Refused,
    /// No recorder has what it needs.
    Missing,
    /// The recorder could not read its orders.
    BadSpec,
    /// It was tried too often or too long without media.
    GaveUp,
    /// Another holds its name.
    ClaimHeld,
    /// An operator gave its name to another.
    Seized,
    /// An operator released its claim.
    ClaimReleased,
    /// No recorder had a place for it.
    NoSpareRecorder,
    /// The store could not write its claim.
    StoreUnavailable,
}

impl EndReason {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::EndsAt => "ends_at",
            Self::CallEnded => "call_ended",
            Self::JoinFailed => "join_failed",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::BadSpec => "bad_spec",
            Self::GaveUp => "gave_up",
            Self::ClaimHeld => "claim_held",
            Self::Seized => "seized",
            Self::ClaimReleased => "claim_released",
            Self::NoSpareRecorder => "no_spare_recorder",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}
