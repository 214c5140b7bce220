//! What happened to a claim, for those who watch.

use api::claims::ClaimView;
use claims::{ClaimId, ClaimKey, FencingToken, Label, What};
use uuid::Uuid;

/// One change, with the row as it was just after.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimEvent {
    /// What happened.
    pub what: What,
    /// To which key.
    pub key: ClaimKey,
    /// To which claim; `None` for refusals and blocks.
    pub claim_id: Option<ClaimId>,
    /// Under which token; `None` for refusals and blocks.
    pub token: Option<FencingToken>,
    /// For which stream the claim is or was held, if a bot started one.
    pub stream_id: Option<Uuid>,
    /// Who, by public label.
    pub who: Label,
    /// Why, for people.
    pub why: String,
    /// When.
    pub at: jiff::Timestamp,
    /// The key's row after it; `None` when nothing holds the key.
    pub row: Option<ClaimView>,
}

impl ClaimEvent {
    /// Whether the claim is over for its holder: seized, or no longer on its key. False where a reservation goes on
    /// after its publisher's grace ([`What::Expired`] with the claim's own row).
    #[must_use]
    pub fn ends_claim(&self) -> bool {
        let is_on_key = self.row.as_ref().is_some_and(|row| Some(ClaimId(row.id)) == self.claim_id);
        match self.what {
            What::Seized => true,
            What::Released | What::Expired | What::Displaced => !is_on_key,
            What::Granted
            | What::Live
            | What::Lingering
            | What::Resumed
            | What::Refused
            | What::Blocked
            | What::Unblocked => false,
        }
    }

    /// As the API tells it.
    #[must_use]
    pub fn to_api(&self) -> api::events::Event {
        // A refusal belongs to the loser; the row that it shows the loser's reason under is the winner's.
        api::events::Event::Claim {
            what: self.what.as_str().into(),
            claim: self.row.clone().map(Box::new),
            key: self.key.to_string(),
            detail: format!("{}: {}", self.who, self.why),
            at: self.at,
        }
    }
}
