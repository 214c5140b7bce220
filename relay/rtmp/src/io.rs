//! The client sides over TCP, plain or under TLS. The only place of this crate that awaits.

mod deadlines;
mod dialer;
mod error;
mod player;
mod publisher;
mod socket;
mod transport;
mod trust;
mod tuning;

pub use deadlines::Deadlines;
pub use dialer::Dialer;
pub use error::PublishError;
pub use player::Player;
pub use publisher::Publisher;
pub use trust::{TlsError, Trust, TrustError};

use socket::within;
