//! Both sides of a session, driven by hand-made bytes and by rml_rtmp as an independent peer. No socket, no clock.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test reads the clock once, then moves time by hand")]

mod chunks;
mod client;
mod commands;
mod hostile;
mod mutation;
mod peer;
