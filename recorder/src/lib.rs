//! The recorder: carries streams on one machine, each by a worker process that it supervises.
//!
//! ```text
//! relay ──orders──▶ control ──▶ agent ──▶ carrier (one per stream: session + cell)
//! relay ◀──states── control ◀── board ◀──────┘
//! ```
//! A stream that was given to it runs or is reported; what the relay does to the connection changes nothing that runs;
//! when the recorder dies, everything that it started dies with it. It never links GStreamer: only workers do.

mod agent;
mod backoff;
mod board;
mod carrier;
mod cell;
pub mod cli;
mod clock;
mod control;
pub mod doctor;
mod load;
pub mod log;
mod process;
mod run;
mod session;
mod settings;

pub use cell::keeper;
pub use run::run;
pub use settings::Settings;
