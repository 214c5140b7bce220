//! What is to be done for a stream: what comes out of the machine.

use super::Claim;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Reserve a place at a recorder that is none of these; answer with `Placed` or `NoSpare` at once.
    Place {
        /// Recorders that will not do.
        never: Vec<String>,
    },
    /// Its place is no longer needed.
    FreePlace {
        /// Where.
        recorder: String,
    },
    /// Take the claim, as holder of this stream's id.
    ReserveClaim,
    /// Say that the claim is still wanted, whether media flows or not.
    RenewClaim(Claim),
    /// Give the claim back: the very last.
    ReleaseClaim(Claim),
    /// Tell the recorder to carry the stream, or give it a fresh publish URL.
    SendStart {
        /// Which.
        recorder: String,
        /// The first incarnation it may use.
        first_incarnation: u32,
    },
    /// Tell the recorder to stop.
    SendStop {
        /// Which.
        recorder: String,
    },
    /// The durable document changed.
    Persist,
    /// The view changed.
    Publish,
}
