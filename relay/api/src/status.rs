//! What a widget may know of one stream: public, small and cheap to ask for.
//!
//! `GET /status/{app}/{stream}` answers one [`StreamStatus`]; `GET /status/{app}/{stream}/events` sends it as the
//! server-sent event [`STATUS_EVENT`] at once and after each change.

use serde::{Deserialize, Serialize};

/// The name of the server-sent event that carries a [`StreamStatus`].
pub const STATUS_EVENT: &str = "status";

/// Where a stream is, as viewers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicState {
    /// Nothing is there, and nothing is asked for.
    Idle,
    /// Asked for; no picture yet.
    Starting,
    /// There is a picture.
    Live,
    /// The picture is lost and expected back.
    Recovering,
    /// It was there and is over.
    Ended,
}

/// One stream as viewers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Where it is.
    pub state: PublicState,
    /// Since when, RFC 3339; absent while idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// The multivariant playlist while there is one, as a path on the relay's HTTP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hls: Option<String>,
    /// The fencing token that it is written under: a larger one means another publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// A sentence for people.
    pub detail: String,
}
