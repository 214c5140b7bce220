//! What the reconciler needs of its neighbours, in its own words.

use super::machine::{Claim, ClaimLoss};
use super::spec::Spec;
use super::targets::Targets;
use api::targets::TargetView;
use jiff::Timestamp;
use media::StreamUrl;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use uuid::Uuid;

/// An answer that is on its way. It comes, or fails, within a bounded time.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a claim was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoClaim {
    /// Another has it.
    Held {
        /// By public label.
        holder: String,
        /// Since when.
        since: Timestamp,
    },
    /// It could not be asked for, in words.
    Unavailable(String),
}

/// Why a claim was not renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// The stream has it no longer.
    Gone(ClaimLoss),
    /// It could not be asked for; the next renewal may fare better.
    Unavailable,
}

/// Who holds which name.
pub trait Claims: Send + Sync + 'static {
    /// Takes the claim on a stream's name for the stream, or finds that it has it.
    fn reserve(&self, spec: &Spec, keep: Duration) -> Pending<Result<Claim, NoClaim>>;
    /// Keeps it though no media flows.
    fn renew(&self, claim: Claim, keep: Duration) -> Pending<Result<(), NotRenewed>>;
    /// Gives it back; a publisher that still writes under it is cut off.
    fn release(&self, claim: Claim) -> Pending<()>;
    /// Where the stream's workers publish, with their grant. Secret. `address` is the RTMP `host:port`.
    fn publish_url(&self, spec: &Spec, claim: Claim, address: &str) -> String;
}

/// What is pushed for a stream, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct PushOrder {
    /// The broadcast that is pushed.
    pub name: StreamUrl,
    /// The stream's public label, as holder of its targets.
    pub label: String,
    /// Where to. Secret.
    pub targets: Targets,
    /// The fencing token of the stream's claim: what was written under an older one is another's. `None` while the
    /// stream has no claim; then nothing is sent, and connections stay.
    pub written_since: Option<u64>,
}

/// Who pushes streams to their targets.
pub trait Pushes: Send + Sync + 'static {
    /// What is to be pushed for a stream from now on; `None` ends it. Waits for nobody.
    fn set(&self, stream: Uuid, order: Option<PushOrder>);
    /// Its pushes now, in the order of its targets; none unless it was [`set`](Self::set).
    fn rows(&self, stream: Uuid) -> Vec<TargetView>;
}

/// The store cannot be written, in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store cannot be written: {0}")]
pub struct NotStored(pub String);

/// The durable documents of streams: opaque JSON by id.
pub trait Documents: Send + Sync + 'static {
    /// All of them.
    fn load(&self) -> Pending<Result<Vec<(Uuid, String)>, NotStored>>;
    /// Writes these, and takes out those without text. Done when durable, all or none.
    fn save(&self, batch: Vec<(Uuid, Option<String>)>) -> Pending<Result<(), NotStored>>;
}
