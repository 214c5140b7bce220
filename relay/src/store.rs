//! The embedded store: one SQLite file, one thread that writes it.
//!
//! Claims, streams, places in HLS numbering, tokens and keys survive here. Work goes to the thread in order over a
//! bounded queue; all that waits is done in one transaction (group commit, WAL, `synchronous=FULL`), and each caller is
//! answered after that transaction is on disk. A full queue, a failed disk or a late answer is [`StoreError`], never a
//! hang. A lock beside the file keeps a second relay out; other programs may read the file meanwhile. The file holds
//! secrets and is readable by its owner alone.

mod claims;
mod fleet;
mod history;
mod hls;
mod open;
mod schema;
mod secrets;
mod streams;
mod thread;
mod tokens;
mod webhooks;

pub use claims::ClaimWrite;
pub(crate) use claims::{key_of_text, key_text};
pub use fleet::EtcdMark;
pub use history::{AuditBounds, AuditOf, AuditQuery, AuditRow};
pub use hls::HlsPosition;
pub use open::OpenError;
pub use secrets::PUSH_SEED_BYTES;

use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use thread::{Job, Reply};
use tokio::sync::oneshot;

/// How many requests may wait for the thread; one more is refused with [`StoreError::Busy`].
const QUEUE_MAX: usize = 4_096;
/// How long a caller waits for an answer. The work may still be done afterwards; nobody knows.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Why something was not stored or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting already. Nothing was done.
    #[error("the store has too much waiting")]
    Busy,
    /// No answer in time. Whether it was done is unknown.
    #[error("the store does not answer")]
    NoAnswer,
    /// The store is closed. Nothing was done.
    #[error("the store is closed")]
    Closed,
    /// SQLite said no. Nothing was done.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// A handle to the store. Cloning shares it; when the last one goes, the thread ends.
#[derive(Clone)]
pub struct Store {
    jobs: SyncSender<Job>,
    commits: Arc<AtomicU64>,
}

/// An answer that is on its way.
pub type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

impl Store {
    /// Opens the file, makes or migrates it, and starts the thread. Blocks for a moment; for the start of the relay.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do about it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = open::open(path)?;
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = commits.clone();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || thread::run(opened, &queue, &counted))
            .map_err(|error| OpenError::Unreachable { path: path.to_owned(), source: error })?;
        Ok(Self { jobs, commits })
    }

    /// Whether the store takes a write now.
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let probe = "INSERT INTO marks (name, value) VALUES ('probe', 1)
            ON CONFLICT (name) DO UPDATE SET value = value + 1";
        self.run(|db| db.execute(probe, []).map(drop)).await
    }

    /// Writes what waits, closes the file and releases its lock. Later calls are [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.try_send(Job::Close(done)).is_ok() {
            // Whatever hangs, the relay has to stop: what was answered is on disk already.
            let _ = tokio::time::timeout(ANSWER_WITHIN, closed).await;
        }
    }

    /// How many transactions were committed, for metrics and for seeing that commits are shared.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does the work in the thread, within a transaction, and answers once that is on disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run_within(ANSWER_WITHIN, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.submit(work)?;
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::NoAnswer),
        }
    }

    /// Queues the work, after everything queued before, without waiting.
    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Answer<T>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Work(Box::new(move |db| {
            let result = work(db);
            let is_done = result.is_ok();
            let reply: Reply = Box::new(move |committed| {
                let result = result.map_err(|error| StoreError::Failed(error.to_string()));
                // A caller that gave up does not want to know.
                let _ = answer.send(committed.and(result));
            });
            (is_done, reply)
        }));
        match self.jobs.try_send(job) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => Err(StoreError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Closed),
        }
    }
}

#[cfg(test)]
mod tests;
