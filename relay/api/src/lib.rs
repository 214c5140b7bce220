//! The HTTP API's words: what bots, recorders, operators and pages say to the relay and hear from it.
//!
//! Plain serde types, one file per noun, and (feature `client`) a typed client. The relay serves them, the operator's
//! command line and the recorder use them; no other description of the API is written by hand. Secrets are never in
//! an answer, except the two that are minted for their receiver: a publish URL with its grant, and a new token.

pub mod claim_events;
pub mod claims;
#[cfg(feature = "client")]
pub mod client;
pub mod control;
pub mod events;
pub mod problem;
pub mod recorders;
pub mod status;
pub mod streams;
pub mod targets;
pub mod tokens;
pub mod webhooks;

pub use problem::{Problem, ProblemCode};

/// The prefix of every path of this API.
pub const PREFIX: &str = "/api/v1";
/// The header that makes a start repeatable: the same key again gets the same answer.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
