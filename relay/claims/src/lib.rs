//! Who may publish where: exclusive claims on stream URLs.
//!
//! One key, at most one holder; every admission of a publisher gets a larger [`FencingToken`], so that a holder that
//! wakes up late is recognised and refused by every sink. A claim is kept by media, by its stream's renewals or by
//! nothing: it ends by itself. [`ClaimTable`] holds all of them. It is pure: it reads no clock, no socket and no file;
//! time, ids and wall-clock labels are arguments, and everything it wants done is an [`Effect`] to be drained.
//!
//! A grant is durable before it is answered: the table asks for a save ([`Effect::Save`]), and only the caller's
//! [`ClaimTable::stored`] lets the winner in and the old holder go. With the store out of reach nobody new gets in and
//! nothing that runs is disturbed. `LIFECYCLE.md` beside this crate draws the states.

mod abroad;
mod effect;
mod event;
pub mod fleet;
mod holder;
mod key;
mod record;
mod refusal;
mod request;
mod row;
mod rules;
mod table;
mod token;

pub use abroad::{Foreign, Shown, Standing, Version};
pub use effect::{Admission, Effect, SaveId};
pub use event::{Event, What};
pub use holder::{Holder, HolderId, Label};
pub use key::{ClaimId, ClaimKey};
pub use record::{BlockRecord, Change, Record, Snapshot};
pub use refusal::{Reason, Reference, Refusal};
pub use request::{ContenderId, Origin, Publish, Reserve, Ticket};
pub use row::{Contender, KeyBlocked, LastRefusal, Row, RowState};
pub use rules::{Rules, Timing};
pub use table::{Block, ClaimTable, OperatorError, RenewError};
pub use token::{FencingToken, TokenSource};
