//! The thread that owns the file.

use super::StoreError;
use super::open::Opened;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// How many requests share one transaction; a bound on how long the first of them waits.
const BATCH_MAX: usize = 512;

/// Answers a request, once it is known whether its transaction is on disk.
pub(super) type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Does the work; whether it succeeded (otherwise it is undone), and who is to be answered.
pub(super) type Work = Box<dyn FnOnce(&Connection) -> (bool, Reply) + Send>;

/// What the thread is asked.
pub(super) enum Job {
    /// To do something.
    Work(Work),
    /// To finish.
    Close(oneshot::Sender<()>),
}

/// Serves the queue until it is closed.
pub(super) fn run(mut opened: Opened, queue: &Receiver<Job>, commits: &AtomicU64) {
    let mut closing = None;
    while closing.is_none()
        && let Ok(first) = queue.recv()
    {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Work(work) => batch.push(work),
                Job::Close(done) => closing = Some(done),
            }
            let may_take = closing.is_none() && batch.len() < BATCH_MAX;
            next = if may_take { queue.try_recv().ok() } else { None };
        }
        serve(&mut opened.db, batch, commits);
    }
    // Closing the database writes the log back into the file; the lock goes last.
    let Opened { db, lock } = opened;
    drop(db);
    drop(lock);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Does all of it in one transaction. Work that fails is undone by itself and does not fail the rest.
fn serve(db: &mut Connection, batch: Vec<Work>, commits: &AtomicU64) {
    if batch.is_empty() {
        return;
    }
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
    let outcome = (|| {
        let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for work in batch {
            let mut savepoint = transaction.savepoint()?;
            let (is_done, reply) = work(&savepoint);
            replies.push(reply);
            if !is_done {
                savepoint.rollback()?;
            }
            savepoint.commit()?;
        }
        transaction.commit()
    })();
    if outcome.is_ok() {
        commits.fetch_add(1, Ordering::Relaxed);
    }
    // Work that was not reached drops its caller's channel, which reads as closed; every other is told.
    for reply in replies {
        reply(
            outcome
                .as_ref()
                .map(|&()| ())
                .map_err(|error: &rusqlite::Error| StoreError::Failed(error.to_string())),
        );
    }
}
