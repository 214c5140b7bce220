//! Starting and stopping: one stream for one key, one stream for one name.

use super::{Entry, Reconciler, STREAMS_MAX, Start, moment};
use crate::recorders::Support;
use crate::streams::StartKey;
use crate::streams::machine::{EndReason, Event, Machine, STOP_DEBOUNCE};
use crate::streams::spec::Spec;
use api::problem::HolderView;
use api::streams::{StartStream, StreamView};
use api::{Problem, ProblemCode};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::info;
use uuid::Uuid;

/// How long a key is remembered after it was used.
const KEY_KEPT: Duration = Duration::from_hours(24);
/// How many keys are remembered; the oldest is forgotten, and using it again starts anew.
const KEYS_MAX: usize = 10_000;
/// How many starts one stream remembers: each within the stop's debounce is one; the oldest is forgotten.
const STARTS_PER_STREAM_MAX: usize = 16;
/// How many requests may wait for one start.
const WAITING_MAX: usize = 64;

type Reply = oneshot::Sender<Result<StreamView, Problem>>;

/// Which stream a key started.
#[derive(Default)]
pub(super) struct StartKeys {
    streams: HashMap<StartKey, Uuid>,
    by_age: VecDeque<(Instant, StartKey)>,
}

impl StartKeys {
    pub(super) fn remember(&mut self, now: Instant, key: StartKey, stream: Uuid) {
        while self.by_age.len() >= KEYS_MAX {
            if let Some((_, oldest)) = self.by_age.pop_front() {
                self.streams.remove(&oldest);
            }
        }
        self.by_age.push_back((now, key.clone()));
        self.streams.insert(key, stream);
    }

    pub(super) fn forget(&mut self, key: &StartKey) {
        if self.streams.remove(key).is_some() {
            self.by_age.retain(|(_, known)| known != key);
        }
    }

    pub(super) fn forget_old(&mut self, now: Instant) {
        while let Some((used, _)) = self.by_age.front()
            && now.saturating_duration_since(*used) >= KEY_KEPT
            && let Some((_, key)) = self.by_age.pop_front()
        {
            self.streams.remove(&key);
        }
    }
}

impl Reconciler {
    pub(super) fn start(&mut self, key: Option<StartKey>, request: &StartStream, reply: Reply) {
        let digest = digest(request);
        let known = key.as_ref().and_then(|key| self.keys.streams.get(key)).copied();
        let begun = match (known, &key) {
            (Some(id), Some(key)) => self.find_start(id, key, &digest).map(|at| (id, at)),
            (None, _) | (_, None) => self.admit(key, request, digest),
        };
        match begun {
            Ok((id, at)) => self.await_answer(id, at, reply),
            Err(problem) => drop(reply.send(Err(problem))),
        }
    }

    /// The key is known: the same start, or a mismatch.
    fn find_start(&self, id: Uuid, key: &StartKey, digest: &str) -> Result<usize, Problem> {
        let starts = self.entries.get(&id).map(|entry| &entry.starts).ok_or_else(internal)?;
        let at = starts.iter().position(|start| start.key.as_ref() == Some(key)).ok_or_else(internal)?;
        if starts[at].digest == digest {
            return Ok(at);
        }
        let why = "this key was used for another start within the last day; take a new key for each start";
        Err(Problem::new(ProblemCode::IdempotencyMismatch, why))
    }

    fn await_answer(&mut self, id: Uuid, at: usize, reply: Reply) {
        let Some(start) = self.entries.get_mut(&id).and_then(|entry| entry.starts.get_mut(at)) else {
            return drop(reply.send(Err(internal())));
        };
        if start.waiting.len() >= WAITING_MAX {
            let problem = Problem::new(ProblemCode::Busy, "too many requests wait for this start");
            return drop(reply.send(Err(problem.retry_after(2))));
        }
        start.waiting.push(reply);
        self.conclude(id, false);
    }

    /// The stream that a new request gets, and the place of the request in its list.
    fn admit(
        &mut self,
        key: Option<StartKey>,
        request: &StartStream,
        digest: String,
    ) -> Result<(Uuid, usize), Problem> {
        if self.is_draining {
            return Err(
                Problem::new(ProblemCode::Draining, "start the stream at another relay").retry_after(30)
            );
        }
        let moment = moment();
        let id = Uuid::now_v7();
        let spec = Spec::parse(id, moment.wall, request)?;
        let alive = self.entries.iter().filter(|(_, entry)| !entry.machine.is_ended());
        let rival =
            alive.clone().find(|(_, entry)| entry.machine.spec().name == spec.name).map(|(id, _)| *id);
        let start = Start { key: key.clone(), digest, answer: None, waiting: Vec::new() };
        if let Some(rival) = rival {
            return self.resume(rival, spec, start);
        }
        if self.registry.supports(spec.kind) == Support::No {
            let why = format!("kind {} is not supported by any connected recorder", spec.kind);
            return Err(Problem::field("call.kind", why));
        }
        if alive.count() >= STREAMS_MAX {
            let problem = Problem::new(ProblemCode::Busy, "this relay carries as many streams as it can");
            return Err(problem.retry_after(30));
        }
        info!(stream = %id, name = %spec.name, kind = %spec.kind, "stream asked for");
        let wait = Duration::from_secs(request.wait_seconds.unwrap_or(0).into());
        let machine = Machine::start(moment, spec, wait);
        let entry = Entry {
            machine,
            starts: vec![start],
            pushed: None,
            due: Some(moment.now),
            ended: None,
            changes: Vec::new(),
        };
        self.entries.insert(id, entry);
        if let Some(key) = key {
            self.keys.remember(moment.now, key, id);
        }
        // Refusals that are known at once must find the request waiting, so effects are carried out on the next turn.
        self.due.insert((moment.now, id));
        Ok((id, 0))
    }

    /// The name is taken by another stream of ours: it goes on if it was just being stopped and is the same call.
    fn resume(&mut self, rival: Uuid, spec: Spec, start: Start) -> Result<(Uuid, usize), Problem> {
        let entry = self.entries.get_mut(&rival).ok_or_else(internal)?;
        let known = entry.machine.spec();
        let refused = held(&spec, &known.label(), known.created_at);
        if !entry.machine.may_resume() {
            return Err(refused);
        }
        if !known.is_same_call(&spec) {
            // Another call wants the name: nobody comes back to this one, so its stop need not wait.
            self.tell(rival, Event::Stop { reason: EndReason::Stopped, debounce: Duration::ZERO });
            return Err(refused.retry_after(3));
        }
        info!(stream = %rival, name = %spec.name, "stream is wanted again; it goes on");
        entry.machine.handle(moment(), Event::Resume(Box::new(spec)));
        if entry.starts.len() >= STARTS_PER_STREAM_MAX
            && let Some(oldest) = entry.starts.remove(0).key
        {
            self.keys.forget(&oldest);
        }
        if let Some(key) = &start.key {
            self.keys.remember(moment().now, key.clone(), rival);
        }
        let Some(entry) = self.entries.get_mut(&rival) else { return Err(internal()) };
        entry.starts.push(start);
        let at = entry.starts.len() - 1;
        self.due.insert((moment().now, rival));
        Ok((rival, at))
    }

    pub(super) fn stop(&mut self, id: Uuid, reply: Reply) {
        if !self.entries.contains_key(&id) {
            let problem =
                Problem::new(ProblemCode::NotFound, "no stream has this id; it may have been forgotten");
            return drop(reply.send(Err(problem)));
        }
        info!(stream = %id, "stream asked to stop");
        self.tell(id, Event::Stop { reason: EndReason::Stopped, debounce: STOP_DEBOUNCE });
        let view = self.entries.get(&id).map(|entry| entry.machine.view());
        let gone = || Problem::new(ProblemCode::NotFound, "the stream was stopped before it began");
        let _ = reply.send(view.ok_or_else(gone));
    }

    /// Takes out a stream that never began.
    pub(super) fn forget_unborn(&mut self, id: Uuid) {
        let is_over = self.entries.get(&id).is_some_and(|entry| entry.machine.is_ended());
        if is_over {
            self.forget(id);
        }
    }
}

/// What a request asks for, so that two can be compared without keeping the call's URL twice.
fn digest(request: &StartStream) -> String {
    let text = serde_json::to_vec(request).unwrap_or_default();
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn internal() -> Problem {
    Problem::new(ProblemCode::Internal, "a stream vanished while it was looked at")
}

pub(super) fn no_spare(spec: &Spec) -> Problem {
    let why = format!(
        "none that is connected can take kind {} now; try again later, or wait for one with wait_seconds",
        spec.kind
    );
    Problem::new(ProblemCode::NoSpareRecorder, why).retry_after(5)
}

pub(super) fn held(spec: &Spec, holder: &str, since: Timestamp) -> Problem {
    let why = format!("{} is held by {holder} since {since}", spec.name);
    let holder = HolderView { label: holder.to_owned(), since: since.to_string() };
    Problem { holder: Some(Box::new(holder)), ..Problem::new(ProblemCode::ClaimHeld, why) }
}
