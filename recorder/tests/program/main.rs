//! Promises of the recorder's program, kept by the real program with real processes.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod cells;
mod command;
mod connection;
mod scripted;
