//! What a claim locks, and its own name.

use media::{StreamUrl, TargetKey};
use std::fmt;
use uuid::Uuid;

/// What a claim locks: the right to write to one stream here, or to one RTMP URL anywhere.
///
/// Both forms are canonical already. `Display` and `Debug` never print a target's secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKey {
    /// A stream of this relay.
    Ingest(StreamUrl),
    /// An RTMP URL that we push to.
    Target(TargetKey),
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest(url) => url.fmt(f),
            Self::Target(key) => key.fmt(f),
        }
    }
}

/// The name of one claim: one holder's hold on one key, over all its connections. Another holder's is another claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub Uuid);

impl ClaimId {
    /// From its number, which the caller draws.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
