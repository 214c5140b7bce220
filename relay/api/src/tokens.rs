//! Bearer tokens: who may use the API, and for what.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What every token begins with, so that scanners of leaked secrets can know one.
pub const TOKEN_PREFIX: &str = "sluice_";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Start, see and stop streams, and ask for publish URLs: bots and encoders' owners.
    Start,
    /// Everything an operator does: seize, release, drain, mint tokens; includes `start` and `view`.
    Operate,
    /// See everything, change nothing.
    View,
    /// Carry streams: recorders.
    Record,
}

impl Scope {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Start, Self::Operate, Self::View, Self::Record];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Operate => "operate",
            Self::View => "view",
            Self::Record => "record",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a scope; there are start, operate, view and record")]
pub struct UnknownScope(String);

impl std::str::FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| UnknownScope(text.into()))
    }
}

/// `POST /tokens`, scope `operate`: mint a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Whose it is, for the operator's list.
    pub label: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// The answer to [`TokenRequest`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMinted {
    /// The token. Secret; shown once, since only its digest is kept.
    pub token: String,
    /// Whose it is.
    pub label: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

impl fmt::Debug for TokenMinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenMinted {{ {} {:?}, token … }}", self.label, self.scopes)
    }
}
