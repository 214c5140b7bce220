//! What happened to a claim, for the audit log and for those who watch.

use crate::{ClaimId, ClaimKey, FencingToken, Label};
use uuid::Uuid;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A new claim: reserved, or with its first publisher.
    Granted,
    /// A publisher's first media.
    Live,
    /// A publisher is gone; what waits for it is kept for the grace time.
    Lingering,
    /// The same holder's next publisher goes on.
    Resumed,
    /// Another holder, or the same holder's newer connection, took the place.
    Displaced,
    /// An operator took the claim away.
    Seized,
    /// The holder or an operator gave it up.
    Released,
    /// A time ran out: the grace, the reservation, or the first media.
    Expired,
    /// Somebody was turned away. Carries nothing of the winner's.
    Refused,
    /// An operator blocked the key or a holder from it.
    Blocked,
    /// A block was lifted.
    Unblocked,
}

impl What {
    /// Its name in the API and the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Live => "live",
            Self::Lingering => "lingering",
            Self::Resumed => "resumed",
            Self::Displaced => "displaced",
            Self::Seized => "seized",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
        }
    }
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// To which key.
    pub key: ClaimKey,
    /// To which claim; `None` for a refusal and for a block, which belong to no claim.
    pub claim_id: Option<ClaimId>,
    /// Under which token; `None` as above.
    pub token: Option<FencingToken>,
    /// For which stream the claim is or was held, if a bot started one; `None` as above.
    pub stream_id: Option<Uuid>,
    /// Whose doing or whose loss, by public label.
    pub who: Label,
    /// Why, for people: printable ASCII, bounded.
    pub why: String,
}
