//! Targets: the RTMP URLs that streams are pushed to, as operators see them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One push. `GET /targets` answers a list of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    /// The stream that is pushed.
    pub stream_id: Uuid,
    /// Where to, with the key cut out.
    pub url: String,
    /// Whether it is connected and takes media.
    pub connected: bool,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
    /// What went wrong last, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
