//! The table of recorders. Pure: callers pass the time.
//!
//! A place is taken the moment a stream is placed, not when the recorder has heard of it, so that many starts at once
//! cannot overfill one recorder. What a recorder runs besides, such as workers that are still being stopped, takes
//! places too.

use crate::streams::machine::Moment;
use api::control::WorkerReport;
use api::recorders::{RecorderView, WorkerView};
use api::streams::CallKind;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many recorders are known at most; a further one is refused unless one that is gone can be forgotten.
const RECORDERS_MAX: usize = 1024;
/// How many streams one recorder may say it carries.
const SLOTS_MAX: u32 = 1024;
/// A recorder that has been gone this long and carries nothing is forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(24);
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// One connection of a recorder, never used for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a recorder says first.
#[derive(Clone, Debug)]
pub struct Hello {
    /// Its name.
    pub recorder: String,
    /// Its process.
    pub instance: Uuid,
    /// Its software version.
    pub version: String,
    /// How many streams it can carry.
    pub slots: u32,
    /// What it can join.
    pub kinds: Vec<CallKind>,
    /// What it runs.
    pub running: Vec<WorkerReport>,
}

/// A recorder that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The connection that this one replaces: to be closed.
    pub replaces: Option<ConnectionId>,
    /// Whether an operator wants it to take no new streams.
    pub is_drained: bool,
}

/// Why a recorder is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another process of that name is connected.
    #[error("another recorder named {0} is connected; give each its own name")]
    NameTaken(String),
    /// The name cannot be used.
    #[error("a recorder's name has 1 to 128 printable characters")]
    BadName,
    /// The table is full.
    #[error("this relay knows as many recorders as it can")]
    Full,
}

/// Whether a kind of call can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// At least one connected recorder can.
    Yes,
    /// None of the connected recorders can.
    No,
    /// No recorder is connected, so nobody knows.
    Unknown,
}

#[derive(Debug)]
struct Recorder {
    instance: Uuid,
    version: String,
    connection: Option<ConnectionId>,
    since: Timestamp,
    changed: Instant,
    slots: u32,
    kinds: Vec<CallKind>,
    stress: f64,
    /// It said so itself; forgotten when its process starts anew.
    says_draining: bool,
    /// An operator said so.
    is_drained: bool,
    placed: BTreeSet<Uuid>,
    workers: BTreeMap<Uuid, WorkerReport>,
}

impl Recorder {
    fn used(&self) -> usize {
        let also_running = self.workers.keys().filter(|stream| !self.placed.contains(stream)).count();
        self.placed.len() + also_running
    }

    /// Its own figure, or how full it is if that is more: the figure lags behind a burst of starts.
    fn pressure(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand places")]
        let fullness = self.used() as f64 / f64::from(self.slots.max(1));
        self.stress.max(fullness)
    }

    fn takes(&self, kind: CallKind) -> bool {
        let wants_more = !self.says_draining && !self.is_drained;
        let has_place = self.used() < self.slots as usize;
        self.connection.is_some() && wants_more && has_place && self.kinds.contains(&kind)
    }
}

/// All recorders.
#[derive(Debug, Default)]
pub struct Registry {
    recorders: BTreeMap<String, Recorder>,
}

impl Registry {
    /// Lets a recorder in.
    ///
    /// # Errors
    /// [`Refusal`], in words for the recorder's operator.
    pub fn arrive(
        &mut self,
        moment: Moment,
        connection: ConnectionId,
        hello: &Hello,
    ) -> Result<Arrival, Refusal> {
        let name = &hello.recorder;
        let bad_name = name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control);
        if bad_name {
            return Err(Refusal::BadName);
        }
        let known = self.recorders.get(name);
        let is_taken = known.is_some_and(|it| it.connection.is_some() && it.instance != hello.instance);
        if is_taken {
            return Err(Refusal::NameTaken(name.clone()));
        }
        if known.is_none() && self.recorders.len() >= RECORDERS_MAX {
            self.forget_gone(moment.now, Duration::ZERO);
            if self.recorders.len() >= RECORDERS_MAX {
                return Err(Refusal::Full);
            }
        }
        let old = self.recorders.remove(name);
        let same_process = old.as_ref().is_some_and(|old| old.instance == hello.instance);
        let arrival = Arrival {
            replaces: old.as_ref().and_then(|old| old.connection),
            is_drained: old.as_ref().is_some_and(|old| old.is_drained),
        };
        let slots = hello.slots.min(SLOTS_MAX);
        let workers = hello.running.iter().take(SLOTS_MAX as usize);
        let recorder = Recorder {
            instance: hello.instance,
            version: hello.version.chars().take(64).collect(),
            connection: Some(connection),
            since: moment.wall,
            changed: moment.now,
            slots,
            kinds: hello.kinds.clone(),
            stress: 0.0,
            says_draining: same_process && old.as_ref().is_some_and(|old| old.says_draining),
            is_drained: arrival.is_drained,
            placed: old.map(|old| old.placed).unwrap_or_default(),
            workers: workers.map(|report| (report.stream_id, report.clone())).collect(),
        };
        self.recorders.insert(name.clone(), recorder);
        Ok(arrival)
    }

    /// A connection is closed. Returns the recorder's name if it was its present one.
    pub fn leave(&mut self, moment: Moment, connection: ConnectionId) -> Option<String> {
        let (name, recorder) =
            self.recorders.iter_mut().find(|(_, recorder)| recorder.connection == Some(connection))?;
        recorder.connection = None;
        recorder.since = moment.wall;
        recorder.changed = moment.now;
        let name = name.clone();
        self.forget_gone(moment.now, FORGET_AFTER);
        Some(name)
    }

    /// The recorder behind a connection, if it is its present one.
    #[must_use]
    pub fn name_of(&self, connection: ConnectionId) -> Option<&str> {
        let found = self.recorders.iter().find(|(_, recorder)| recorder.connection == Some(connection));
        found.map(|(name, _)| name.as_str())
    }

    /// The present connection of a recorder.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<ConnectionId> {
        self.recorders.get(name)?.connection
    }

    /// How busy it says it is.
    pub fn load(&mut self, name: &str, stress: f64) {
        if let Some(recorder) = self.recorders.get_mut(name)
            && stress.is_finite()
        {
            recorder.stress = stress.clamp(0.0, 1.0);
        }
    }

    /// A worker changed.
    pub fn worker(&mut self, name: &str, report: WorkerReport) {
        if let Some(recorder) = self.recorders.get_mut(name) {
            let is_known = recorder.workers.contains_key(&report.stream_id);
            if is_known || recorder.workers.len() < SLOTS_MAX as usize {
                recorder.workers.insert(report.stream_id, report);
            }
        }
    }

    /// Nothing of a stream runs there any more.
    pub fn ended(&mut self, name: &str, stream: Uuid) {
        if let Some(recorder) = self.recorders.get_mut(name) {
            recorder.workers.remove(&stream);
        }
    }

    /// It wants no new streams until its process starts anew.
    pub fn says_draining(&mut self, name: &str) {
        if let Some(recorder) = self.recorders.get_mut(name) {
            recorder.says_draining = true;
        }
    }

    /// An operator wants it to take no new streams. Whether there is such a recorder.
    pub fn drain(&mut self, name: &str) -> bool {
        self.recorders.get_mut(name).map(|recorder| recorder.is_drained = true).is_some()
    }

    /// Takes a place for a stream at the least busy recorder that can carry it.
    pub fn place(&mut self, stream: Uuid, kind: CallKind, never: &[String]) -> Option<String> {
        let able = self.recorders.iter_mut().filter(|(name, it)| it.takes(kind) && !never.contains(name));
        let (name, recorder) = able.min_by(|(_, a), (_, b)| {
            a.pressure().total_cmp(&b.pressure()).then_with(|| a.used().cmp(&b.used()))
        })?;
        recorder.placed.insert(stream);
        Some(name.clone())
    }

    /// Keeps the place of a stream that was placed before a restart.
    pub fn keep_place(&mut self, moment: Moment, name: &str, stream: Uuid) {
        let recorder = self.recorders.entry(name.to_owned()).or_insert_with(|| Recorder {
            instance: Uuid::nil(),
            version: String::new(),
            connection: None,
            since: moment.wall,
            changed: moment.now,
            slots: 0,
            kinds: Vec::new(),
            stress: 0.0,
            says_draining: false,
            is_drained: false,
            placed: BTreeSet::new(),
            workers: BTreeMap::new(),
        });
        recorder.placed.insert(stream);
    }

    /// Gives a place back.
    pub fn free(&mut self, name: &str, stream: Uuid) {
        if let Some(recorder) = self.recorders.get_mut(name) {
            recorder.placed.remove(&stream);
        }
    }

    /// Whether a recorder runs a stream, as far as it said.
    #[must_use]
    pub fn runs(&self, name: &str, stream: Uuid) -> bool {
        self.recorders.get(name).is_some_and(|recorder| recorder.workers.contains_key(&stream))
    }

    /// Whether a kind of call can be joined by anyone who is connected.
    #[must_use]
    pub fn supports(&self, kind: CallKind) -> Support {
        let mut connected =
            self.recorders.values().filter(|recorder| recorder.connection.is_some()).peekable();
        if connected.peek().is_none() {
            return Support::Unknown;
        }
        if connected.any(|recorder| recorder.kinds.contains(&kind)) { Support::Yes } else { Support::No }
    }

    /// One recorder, for people.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<RecorderView> {
        self.recorders.get(name).map(|recorder| view(name, recorder))
    }

    /// All of them.
    #[must_use]
    pub fn views(&self) -> Vec<RecorderView> {
        self.recorders.iter().map(|(name, recorder)| view(name, recorder)).collect()
    }

    fn forget_gone(&mut self, now: Instant, after: Duration) {
        self.recorders.retain(|_, recorder| {
            let is_gone = recorder.connection.is_none() && recorder.placed.is_empty();
            !is_gone || recorder.is_drained || now.saturating_duration_since(recorder.changed) < after
        });
    }
}

fn view(name: &str, recorder: &Recorder) -> RecorderView {
    let workers = recorder.workers.values().map(|report| WorkerView {
        stream_id: report.stream_id,
        incarnation: report.incarnation,
        state: report.state.clone(),
        detail: report.detail.clone(),
        pid: report.pid,
        frames_sent: report.frames_sent,
        frames_dropped: report.frames_dropped,
        reconnects: report.reconnects,
    });
    RecorderView {
        id: name.to_owned(),
        version: recorder.version.clone(),
        connected: recorder.connection.is_some(),
        since: recorder.since,
        slots: recorder.slots,
        stress: recorder.stress,
        draining: recorder.says_draining || recorder.is_drained,
        workers: workers.collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]
    use super::*;

    fn moment() -> Moment {
        Moment { now: Instant::now(), wall: Timestamp::UNIX_EPOCH }
    }

    fn hello(name: &str, instance: u128, slots: u32) -> Hello {
        Hello {
            recorder: name.into(),
            instance: Uuid::from_u128(instance),
            version: "1".into(),
            slots,
            kinds: vec![CallKind::Web, CallKind::Test],
            running: Vec::new(),
        }
    }

    fn stream(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_burst_of_starts_spreads_and_never_overfills_a_recorder() {
        let mut registry = Registry::default();
        registry.arrive(moment(), ConnectionId(1), &hello("a", 1, 2)).unwrap();
        registry.arrive(moment(), ConnectionId(2), &hello("b", 2, 2)).unwrap();
        let places: Vec<_> = (0..5).map(|n| registry.place(stream(n), CallKind::Web, &[])).collect();
        let count = |name: &str| places.iter().flatten().filter(|place| *place == name).count();
        assert_eq!((count("a"), count("b"), places[4].is_none()), (2, 2, true));
        registry.free(places[0].as_deref().unwrap(), stream(0));
        assert_eq!(registry.place(stream(9), CallKind::Web, &[]), places[0]);
    }

    #[test]
    fn only_a_connected_recorder_that_wants_more_and_knows_the_kind_is_chosen() {
        let mut registry = Registry::default();
        assert_eq!(registry.supports(CallKind::Jitsi), Support::Unknown);
        registry.arrive(moment(), ConnectionId(1), &hello("a", 1, 9)).unwrap();
        assert_eq!(registry.supports(CallKind::Jitsi), Support::No);
        assert_eq!(registry.place(stream(1), CallKind::Jitsi, &[]), None);
        assert_eq!(registry.place(stream(1), CallKind::Web, &["a".into()]), None);
        assert!(registry.place(stream(1), CallKind::Web, &[]).is_some());
        assert!(registry.drain("a") && !registry.drain("nobody"));
        assert_eq!(registry.place(stream(2), CallKind::Web, &[]), None);
    }

    #[test]
    fn the_least_busy_recorder_is_chosen() {
        let mut registry = Registry::default();
        registry.arrive(moment(), ConnectionId(1), &hello("a", 1, 9)).unwrap();
        registry.arrive(moment(), ConnectionId(2), &hello("b", 2, 9)).unwrap();
        registry.load("a", 0.7);
        registry.load("b", 0.2);
        assert_eq!(registry.place(stream(1), CallKind::Web, &[]).as_deref(), Some("b"));
        registry.load("b", f64::NAN);
        assert_eq!(registry.place(stream(2), CallKind::Web, &[]).as_deref(), Some("b"));
    }

    #[test]
    fn a_second_process_of_one_name_is_refused_and_a_second_connection_replaces() {
        let mut registry = Registry::default();
        registry.arrive(moment(), ConnectionId(1), &hello("a", 1, 1)).unwrap();
        let other = registry.arrive(moment(), ConnectionId(2), &hello("a", 2, 1));
        assert_eq!(other, Err(Refusal::NameTaken("a".into())));
        let same = registry.arrive(moment(), ConnectionId(3), &hello("a", 1, 1)).unwrap();
        assert_eq!(same.replaces, Some(ConnectionId(1)));
        assert_eq!(registry.leave(moment(), ConnectionId(1)), None, "it was replaced already");
        assert_eq!(registry.leave(moment(), ConnectionId(3)).as_deref(), Some("a"));
        assert!(registry.arrive(moment(), ConnectionId(4), &hello("a", 2, 1)).is_ok());
    }

    #[test]
    fn a_worker_that_is_still_being_stopped_takes_a_place() {
        let mut registry = Registry::default();
        let running = serde_json::from_str(&format!(
            r#"[{{"stream_id":"{}","incarnation":1,"state":"leaving"}}]"#,
            stream(7)
        ));
        let hello = Hello { running: running.unwrap(), ..hello("a", 1, 1) };
        registry.arrive(moment(), ConnectionId(1), &hello).unwrap();
        assert_eq!(registry.place(stream(1), CallKind::Web, &[]), None);
        registry.ended("a", stream(7));
        assert!(registry.place(stream(1), CallKind::Web, &[]).is_some());
    }
}
