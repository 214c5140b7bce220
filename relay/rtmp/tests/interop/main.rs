//! Real peers over real sockets: ffmpeg, GStreamer and our own clients against [`ServerConn`](rtmp::ServerConn).
//!
//! Each test has a server of its own on a port that the system chooses. A peer that is not installed fails its test.
#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test server is a binary's loop in small: it owns clock and sockets"
)]

mod ffmpeg;
mod gstreamer;
mod ours;
mod process;
mod server;
