//! Claims of several relays in one store, each relay's part of it: [`Ledger`].
//!
//! The store is a map with versions, conditional changes, and leases that end by themselves, as etcd is. Each relay has
//! one lease; with it go all cells that it wrote. The ledger stands between a [`crate::ClaimTable`] and such a store: it
//! turns what the table wants kept into changes on condition that nobody else changed the cell ([`Op`]), and what the
//! store says into what the table must hear ([`Told`]). It is pure, as the table is; who runs it owns the socket.
//!
//! - The token of a grant is the version that the store gave to it, so that it is larger than every one before in the
//!   whole fleet ([`Ledger::token`]).
//! - A change whose answer was lost is neither done nor not done: whatever of ours is found later, and is not what
//!   should be, is put right.
//! - A claim that vanished with our lease is taken up again, if nobody had it meanwhile: its fence, a second cell that
//!   lives longer than the lease, is still ours. Otherwise the table hears that it is lost.

mod ledger;
mod line;
mod op;
mod told;

pub use ledger::Ledger;
pub use op::{Cell, Fence, Held, News, Op, OpId, Outcome, Relay, RelayId, Value, WriteId};
pub use told::{Opening, Restored, Terms, Told};
