//! Recorders: who can carry streams, how busy each is, and the connection to it.
//!
//! [`Registry`] is the pure table and chooses where a stream is placed; the task in [`connection`] speaks the control
//! protocol over one WebSocket and forgets nothing: whatever it learns goes to the reconciler, which owns the table.

pub mod connection;
mod registry;

pub use registry::{Arrival, ConnectionId, Hello, Refusal, Registry, Support};
