//! What happened to claims: the audit log, newest first, in pages.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many entries a page has if nobody says how many.
pub const PAGE: u32 = 50;
/// The most entries of a page.
pub const PAGE_MAX: u32 = 500;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimEventView {
    /// Rises with every entry; what a page is continued before.
    pub number: u64,
    /// When, RFC 3339.
    pub at: jiff::Timestamp,
    /// What: `granted`, `live`, `lingering`, `resumed`, `displaced`, `seized`, `released`, `expired`, and of the key
    /// alone `refused`, `blocked`, `unblocked`.
    pub what: String,
    /// The canonical key; a target's secret part is cut out.
    pub key: String,
    /// The claim that it happened to; absent for refusals and blocks, which are no holder's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<Uuid>,
    /// The fencing token that the claim had; absent as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// Whose doing or whose loss, by public label: the holder's; of a refusal, the refused one's; of a block, the
    /// operator's.
    pub who: String,
    /// Why, for people.
    pub why: String,
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimEvents {
    /// The entries.
    pub events: Vec<ClaimEventView>,
    /// What to give as `before` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which page: the query of `GET /claims/events` and `GET /claims/{id}/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClaimEventsQuery {
    /// Only of this key, as shown; of all keys if absent. Not for `/claims/{id}/events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only what happened then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// Only entries before this one: [`ClaimEvents::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// How many at most; [`PAGE`] if absent, at most [`PAGE_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
