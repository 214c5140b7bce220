//! Writing streams to the store: one batch at a time, the newest document of each, never waited for by the task.

use super::{Entry, Reconciler};
use crate::streams::machine::{EndReason, Event, Outcome};
use crate::streams::ports::NotStored;
use api::{Problem, ProblemCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tracing::warn;
use uuid::Uuid;

/// How long the last save may take at shutdown.
const LAST_SAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long after a failed save the next one is tried.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is unsaved; at most one document for each stream.
#[derive(Default)]
pub(super) struct Saving {
    unsaved: BTreeSet<Uuid>,
    removed: BTreeSet<Uuid>,
    writing: JoinSet<Result<(), NotStored>>,
    in_flight: BTreeMap<Uuid, Option<String>>,
}

/// What became of a batch.
pub(super) type Saved = Result<Result<(), NotStored>, JoinError>;

impl Saving {
    pub(super) fn put(&mut self, id: Uuid) {
        self.unsaved.insert(id);
    }

    pub(super) fn remove(&mut self, id: Uuid) {
        self.unsaved.remove(&id);
        self.removed.insert(id);
    }

    pub(super) async fn next(&mut self) -> Option<Saved> {
        self.writing.join_next().await
    }

    /// Whether the newest document of a stream is durable.
    fn is_saved(&self, id: Uuid) -> bool {
        !self.unsaved.contains(&id) && !self.in_flight.contains_key(&id)
    }
}

impl Reconciler {
    pub(super) fn save_next(&mut self) {
        let is_idle = self.saving.in_flight.is_empty();
        let has_work = !self.saving.unsaved.is_empty() || !self.saving.removed.is_empty();
        if is_idle && has_work {
            let batch = self.take_batch();
            let saved = self.parts.documents.save(batch);
            self.saving.writing.spawn(async move {
                let outcome = saved.await;
                if outcome.is_err() {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                outcome
            });
        }
    }

    fn take_batch(&mut self) -> Vec<(Uuid, Option<String>)> {
        let unsaved = std::mem::take(&mut self.saving.unsaved);
        let removed = std::mem::take(&mut self.saving.removed);
        let texts = unsaved.into_iter().filter_map(|id| Some((id, Some(text(self.entries.get(&id)?)?))));
        let batch: BTreeMap<_, _> = texts.chain(removed.into_iter().map(|id| (id, None))).collect();
        self.saving.in_flight.clone_from(&batch);
        batch.into_iter().collect()
    }

    pub(super) fn saved(&mut self, outcome: Saved) {
        let written = std::mem::take(&mut self.saving.in_flight);
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(error) => Some(NotStored(error.to_string())),
        };
        let Some(error) = error else {
            for id in written.into_keys() {
                self.conclude(id, false);
            }
            return;
        };
        warn!(%error, streams = written.len(), "streams could not be saved; trying again");
        for (id, text) in written {
            match text {
                Some(_) if self.entries.contains_key(&id) => self.saving.put(id),
                Some(_) => {}
                None => self.saving.remove(id),
            }
            self.refuse_unsaved(id, &error);
        }
    }

    /// A start that cannot be made durable is not answered as done.
    fn refuse_unsaved(&mut self, id: Uuid, error: &NotStored) {
        self.answer_changes(id, Err(error));
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.starts.iter().all(|start| start.waiting.is_empty()) {
            return;
        }
        let problem = Problem::new(ProblemCode::StoreUnavailable, error.to_string()).retry_after(5);
        for start in entry.starts.extract_if(.., |start| !start.waiting.is_empty()) {
            for reply in start.waiting {
                let _ = reply.send(Err(problem.clone()));
            }
            if let Some(key) = &start.key {
                self.keys.forget(key);
            }
        }
        let event = Event::Stop { reason: EndReason::StoreUnavailable, debounce: Duration::ZERO };
        self.tell(id, event);
    }

    /// Answers a start once its outcome is known and durable, and notes an end.
    pub(super) fn conclude(&mut self, id: Uuid, changed: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let spec = entry.machine.spec();
        let refused = match entry.machine.outcome() {
            Outcome::Pending => return,
            Outcome::Accepted => None,
            Outcome::NoSpare => Some(super::starts::no_spare(spec)),
            Outcome::Held { holder, since } => Some(super::starts::held(spec, holder, *since)),
            Outcome::Unavailable(why) => {
                Some(Problem::new(ProblemCode::StoreUnavailable, why.clone()).retry_after(5))
            }
            Outcome::Stopped => {
                Some(Problem::new(ProblemCode::NotFound, "the stream was stopped before it began"))
            }
        };
        if let Some(problem) = refused {
            // It never began, so there is nothing to remember; the same key may try again.
            for reply in entry.starts.iter_mut().flat_map(|start| start.waiting.drain(..)) {
                let _ = reply.send(Err(problem.clone()));
            }
            self.forget_unborn(id);
            return;
        }
        if changed {
            self.saving.put(id);
        }
        if entry.machine.is_ended() && entry.ended.is_none() {
            entry.ended = Some(crate::clock::now());
        }
        for start in entry.starts.iter_mut().filter(|start| start.answer.is_none()) {
            // Kept with the document, so that the same key gets the same answer after a restart.
            start.answer = Some(entry.machine.view());
            self.saving.put(id);
        }
        if !self.saving.is_saved(id) {
            return;
        }
        for start in &mut entry.starts {
            for reply in start.waiting.drain(..) {
                let answer = start.answer.clone().ok_or_else(super::starts::internal);
                let _ = reply.send(answer);
            }
        }
        // Without a key nobody can ask for the answer again.
        entry.starts.retain(|start| start.key.is_some());
        self.answer_changes(id, Ok(()));
    }

    pub(super) async fn save_the_rest(&mut self) {
        let last = async {
            while let Some(outcome) = self.saving.next().await {
                self.saved(outcome);
            }
            let batch = self.take_batch();
            if batch.is_empty() { Ok(()) } else { self.parts.documents.save(batch).await }
        };
        match tokio::time::timeout(LAST_SAVE_WITHIN, last).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the last changes of streams are not saved"),
            Err(_) => warn!("the last changes of streams are not saved in time"),
        }
    }
}

fn text(entry: &Entry) -> Option<String> {
    let kept = serde_json::json!({ "document": entry.machine.document(), "starts": &entry.starts });
    serde_json::to_string(&kept).ok()
}
