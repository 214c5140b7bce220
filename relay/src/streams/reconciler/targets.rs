//! Targets that are added to a stream, or taken from it, while it runs.

use super::Reconciler;
use crate::streams::Addition;
use crate::streams::ports::NotStored;
use crate::streams::target::Target;
use crate::streams::targets::Added;
use api::targets::TargetView;
use api::{Problem, ProblemCode};
use tokio::sync::oneshot;
use tracing::info;
use uuid::Uuid;

/// How many changes of one stream may wait to be durable; one more is answered `busy`.
const CHANGES_MAX: usize = 64;

type AddReply = oneshot::Sender<Result<Addition, Problem>>;
type RemoveReply = oneshot::Sender<Result<(), Problem>>;

/// A change that is made, and answered once it is durable.
pub(super) enum Change {
    Added { target: Box<TargetView>, was_known: bool, reply: AddReply },
    Removed { reply: RemoveReply },
}

impl Reconciler {
    pub(super) fn add_target(&mut self, id: Uuid, target: Target, reply: AddReply) {
        let shown = target.url().to_string();
        let added = match self.may_change(id) {
            Ok(()) => self.entries.get_mut(&id).ok_or_else(no_stream),
            Err(problem) => Err(problem),
        };
        let added = added.and_then(|entry| entry.machine.add_target(target));
        let (number, was_known) = match added {
            Ok(Added::New(number)) => (number, false),
            Ok(Added::Known(number)) => (number, true),
            Err(problem) => return drop(reply.send(Err(problem))),
        };
        if !was_known {
            info!(stream = %id, target = %shown, number, "a target is added");
        }
        // Its push begins below, so that the row tells of it.
        self.settle(id);
        match self.target_row(id, number) {
            Some(row) => {
                self.answer_when_durable(id, Change::Added { target: Box::new(row), was_known, reply });
            }
            None => drop(reply.send(Err(super::starts::internal()))),
        }
    }

    pub(super) fn remove_target(&mut self, id: Uuid, number: u32, reply: RemoveReply) {
        let removed = match self.may_change(id) {
            Ok(()) => self.entries.get_mut(&id).ok_or_else(no_stream),
            Err(problem) => Err(problem),
        };
        let had_it = match removed {
            Ok(entry) => entry.machine.remove_target(number),
            Err(problem) => return drop(reply.send(Err(problem))),
        };
        if !had_it {
            let why = format!("the stream has no target {number}; its row lists them by `index`");
            return drop(reply.send(Err(Problem::new(ProblemCode::NotFound, why))));
        }
        info!(stream = %id, number, "a target is removed");
        self.settle(id);
        self.answer_when_durable(id, Change::Removed { reply });
    }

    fn may_change(&self, id: Uuid) -> Result<(), Problem> {
        let entry = self.entries.get(&id).ok_or_else(no_stream)?;
        if entry.changes.len() >= CHANGES_MAX {
            return Err(
                Problem::new(ProblemCode::Busy, "too many changes of this stream wait").retry_after(2)
            );
        }
        Ok(())
    }

    fn target_row(&self, id: Uuid, number: u32) -> Option<TargetView> {
        let entry = self.entries.get(&id)?;
        let rows =
            if entry.pushed.is_some() { self.parts.pushes.rows(id) } else { entry.machine.view().targets };
        rows.into_iter().find(|row| row.index == number)
    }

    fn answer_when_durable(&mut self, id: Uuid, change: Change) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.changes.push(change);
        }
        self.conclude(id, false);
    }

    /// The newest document is durable, or could not be written.
    pub(super) fn answer_changes(&mut self, id: Uuid, saved: Result<(), &NotStored>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let problem = saved.err().map(|error| {
            let why = format!("{error}; the change is made, and is written as soon as the store takes it");
            Problem::new(ProblemCode::StoreUnavailable, why).retry_after(5)
        });
        // Whoever asked may have left meanwhile.
        for change in entry.changes.drain(..) {
            match (change, problem.clone()) {
                (Change::Added { reply, .. }, Some(problem)) => drop(reply.send(Err(problem))),
                (Change::Removed { reply }, Some(problem)) => drop(reply.send(Err(problem))),
                (Change::Added { target, was_known, reply }, None) => {
                    drop(reply.send(Ok(Addition { target: *target, was_known })));
                }
                (Change::Removed { reply }, None) => drop(reply.send(Ok(()))),
            }
        }
    }
}

fn no_stream() -> Problem {
    Problem::new(ProblemCode::NotFound, "no stream has this id; it may have been forgotten")
}
