//! What the recorder and its workers say to each other.
//!
//! Orders go down as one JSON document on the worker's standard input ([`WorkerSpec`]), followed by at most a few
//! lines of [`Order`]; news comes up as JSON lines on its standard output ([`Report`]); the last word is the exit
//! code ([`EndReason`]). Nothing secret is ever an argument or an environment variable, because both can be read by
//! every process of the machine. Closing the worker's standard input means "end".

mod report;
mod spec;

pub use report::{EndReason, PublishStats, Report, WorkerState};
pub use spec::{CallKind, LINE_BYTES_MAX, Order, Profile, Secret, WorkerSpec};
