//! Webhooks: who is told what happens, as operators see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a receiver takes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// It took the last one, or there was none yet.
    Good,
    /// It did not; they are kept and tried again.
    Failing,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookError {
    /// For people.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// One receiver. `GET /webhooks` answers a list of them. Counts begin with the relay's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    /// Which `[[webhook]]` of the configuration, from 0.
    pub index: usize,
    /// Its scheme, host and port; what follows may be secret.
    pub url: String,
    /// Whether it takes its events.
    pub state: WebhookState,
    /// Since when it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failing_since: Option<Timestamp>,
    /// What went wrong last, also after it was mended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<WebhookError>,
    /// Events that wait to be taken.
    pub waiting: u64,
    /// Events that it took.
    pub delivered: u64,
    /// Events that it will never get.
    pub lost: u64,
}
