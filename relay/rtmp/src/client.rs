//! The client sides: publishing to a server, and playing from one.

mod player;
mod publisher;
mod session;

pub use player::PlayerConn;
pub use publisher::PublisherConn;
pub use session::ClientEvent;
