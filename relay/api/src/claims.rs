//! Claims, as operators see them and encoders ask for them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a claim locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Writing to a stream here.
    Ingest,
    /// Writing to an RTMP URL anywhere.
    Target,
}

/// Where a claim is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// Granted; its publisher has not come yet.
    Reserved,
    /// Its publisher is connected and sends media.
    Live,
    /// Its publisher is being asked whether it still lives, because another wants the URL.
    Probing,
    /// Its publisher is gone; it may come back within the grace time.
    Lingering,
    /// Blocked by an operator: nobody may take it.
    Blocked,
}

/// One row of the claim table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimView {
    /// Its id.
    pub id: Uuid,
    /// Ingest or target.
    pub kind: ClaimKind,
    /// The canonical URL; a target's key is cut out.
    pub key: String,
    /// Where it is in its life.
    pub state: ClaimState,
    /// The fencing token.
    pub token: u64,
    /// The holder's public label.
    pub holder: String,
    /// The relay of the fleet that has it; absent where it is the one that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// The stream that holds it, if a bot started one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<Uuid>,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
    /// Milliseconds since the last media; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// Milliseconds until the present state ends by itself; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_ms: Option<u64>,
    /// The block of the key, if an operator set one. It may lie beside a live claim: a publisher that is there stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockView>,
    /// Who waits for a decision while the holder is asked whether it lives, in order of arrival; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contenders: Vec<ContenderView>,
    /// Refusals in the last hour.
    pub refused_last_hour: u32,
    /// The last refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<RefusalView>,
}

/// That nobody may take a key, and by whose word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockView {
    /// The operator's public label.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
    /// Milliseconds until it ends by itself.
    pub ends_in_ms: u64,
}

/// One who waits for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContenderView {
    /// The public label.
    pub who: String,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
}

/// Who was turned away, as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalView {
    /// When, RFC 3339.
    pub at: jiff::Timestamp,
    /// The public label of who asked.
    pub who: String,
    /// Why, in words.
    pub reason: String,
    /// The reference that the refused one was told.
    pub reference: String,
}

/// `POST /claims/{id}/seize` and `/release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimAction {
    /// Why; kept in the audit log.
    pub reason: String,
    /// The fencing token that the operator saw; 409 if it is no longer the newest.
    pub expected_token: u64,
}

/// For how long a name is blocked if nobody says for how long, in seconds.
pub const BLOCK_SECONDS: u32 = 600;
/// The longest block, in seconds: a week.
pub const BLOCK_SECONDS_MAX: u32 = 7 * 24 * 3600;

/// `POST /claims/block`: lets nobody take a name for a time, not even its holder's next connection. A publisher that
/// is there stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRequest {
    /// `app/name`.
    pub name: String,
    /// Why; kept in the audit log.
    pub reason: String,
    /// For how long, in seconds; [`BLOCK_SECONDS`] if absent, at most [`BLOCK_SECONDS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

/// `POST /claims/unblock`: lifts all blocks of a name, that of a seized holder as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnblockRequest {
    /// `app/name`.
    pub name: String,
    /// Why; kept in the audit log.
    pub reason: String,
}

/// `POST /claims`: an encoder's owner asks for a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// `app/name`.
    pub name: String,
    /// A public label for the holder.
    pub label: String,
    /// For how long the URL is kept for it before it publishes, in seconds; 300 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve_seconds: Option<u32>,
}

/// The answer to `POST /claims/{id}/handover`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandoverGranted {
    /// Where the next publisher publishes, with the ticket. Beside it, it shows what every publisher there shows. Secret;
    /// shown once.
    pub publish_url: String,
    /// For how long the ticket may be used, once, in seconds.
    pub seconds: u32,
}

/// The answer to [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimGranted {
    /// The claim.
    pub claim: ClaimView,
    /// Where to publish, with the grant. Secret; shown once.
    pub publish_url: String,
}
