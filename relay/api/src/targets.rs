//! Targets: the RTMP URLs that streams are pushed to, as operators see them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a push does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// Ready; there is nothing to push yet, or nothing just now.
    Waiting,
    /// The target is being connected to.
    Connecting,
    /// It is connected and takes what comes.
    Pushing,
    /// Another writes to this target, or an operator keeps it; `holder` says who. Tried again when it is free.
    Held,
    /// It did not work; `detail` says why. Tried again by itself.
    Failed,
}

impl TargetState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Connecting, Self::Pushing, Self::Held, Self::Failed];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Pushing => "pushing",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for TargetState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `POST /streams/{id}/targets`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTarget {
    /// Where to. Secret: it ends in the target's key.
    pub url: String,
}

impl std::fmt::Debug for AddTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddTarget { url: … }")
    }
}

/// Who keeps a target from a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHolder {
    /// By public label.
    pub label: String,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
}

/// What went wrong with a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetError {
    /// For people; the target's key is never in it.
    pub detail: String,
    /// When, RFC 3339.
    pub at: jiff::Timestamp,
}

/// One push. `GET /targets` answers a list of them; a stream's row has its own. The target's key is never in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    /// The stream that is pushed; an id of its own for a publication that no bot started.
    pub stream_id: Uuid,
    /// The stream's `app/name`.
    pub name: String,
    /// Which of the stream's targets it is: from 0, and never another's.
    pub index: u32,
    /// Where to, with the key cut out.
    pub url: String,
    /// What it does now.
    pub state: TargetState,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
    /// Who has the target, where it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<TargetHolder>,
    /// What is wrong now, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What went wrong last, also after it was mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<TargetError>,
    /// The claim on the target, while the push has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<Uuid>,
    /// Media bytes taken by the target so far.
    pub bytes: u64,
    /// How often it was connected anew.
    pub reconnects: u32,
    /// How far it is behind the stream now, in milliseconds.
    pub lag_ms: u64,
    /// Since when the stream brings nothing, while the connection is kept for it; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_since: Option<jiff::Timestamp>,
}
