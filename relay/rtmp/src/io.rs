//! The client sides over TCP. The only place of this crate that awaits.

mod deadlines;
mod error;
mod player;
mod publisher;
mod socket;
mod tuning;

pub use deadlines::Deadlines;
pub use error::PublishError;
pub use player::Player;
pub use publisher::Publisher;
