//! The one task that owns all streams and the recorder registry, and carries their effects out.
//!
//! It never waits while it works: claims and the store are asked in tasks of their own, whose answers come back as
//! events, so one slow answer holds up nothing but its own stream. Messages to recorders go into a bounded queue per
//! recorder; a recorder that does not drain its queue is disconnected, and its next hello puts both sides right.

mod arrivals;
mod saving;
mod starts;
mod targets;

use super::board::Board;
use super::machine::{Effect, Event, Machine, Moment};
use super::ports::{Claims, Documents, NoClaim, NotRenewed, PushOrder, Pushes};
use super::rtmp_address::RtmpAddress;
use super::{ClaimNews, Command, REQUESTS_MAX, StartKey, Streams};
use crate::clock;
use crate::events::Events;
use crate::recorders::{ConnectionId, Registry};
use api::Problem;
use api::control::FromRelay;
use api::streams::StreamView;
use saving::Saving;
use serde::{Deserialize, Serialize};
use starts::StartKeys;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// How many streams may be alive at once; one more is answered `busy`.
const STREAMS_MAX: usize = 4096;
/// How many ended streams are remembered; the oldest is forgotten.
const ENDED_MAX: usize = 1000;
/// How long an ended stream is remembered.
const ENDED_KEPT: Duration = Duration::from_hours(24);
/// How long a claim is kept without media and without a renewal.
const CLAIM_KEPT: Duration = Duration::from_secs(30);
/// How long the claims may take to answer; later it counts as unavailable.
const CLAIM_ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often rows of recorders are published and old streams forgotten.
const TICK: Duration = Duration::from_secs(1);

/// What the reconciler is made of.
pub struct Parts {
    /// Who holds which name.
    pub claims: Arc<dyn Claims>,
    /// What survives a restart.
    pub documents: Arc<dyn Documents>,
    /// Who pushes to targets.
    pub pushes: Arc<dyn Pushes>,
    /// Who is told of changes.
    pub events: Events,
    /// The RTMP address that recorders are told.
    pub rtmp: RtmpAddress,
    /// Ends the task.
    pub shutdown: CancellationToken,
}

/// The task before it runs.
pub struct Reconciler {
    parts: Parts,
    commands: mpsc::Receiver<Command>,
    board: Board,
    entries: BTreeMap<Uuid, Entry>,
    due: BTreeSet<(Instant, Uuid)>,
    keys: StartKeys,
    registry: Registry,
    connections: HashMap<ConnectionId, Connection>,
    stale_recorders: BTreeSet<String>,
    saving: Saving,
    /// Claims being asked; at most a few for each stream, since each ends within [`CLAIM_ANSWER_WITHIN`].
    asked: JoinSet<Option<(Uuid, Event)>>,
    is_draining: bool,
}

struct Connection {
    outgoing: mpsc::Sender<FromRelay>,
    reached_at: Option<String>,
}

struct Entry {
    machine: Machine,
    starts: Vec<Start>,
    /// What the pushes were told last.
    pushed: Option<PushOrder>,
    due: Option<Instant>,
    ended: Option<Instant>,
    /// Changes of its targets that are answered once they are durable.
    changes: Vec<targets::Change>,
}

/// One request that started this stream, or took it over while it was being stopped.
#[derive(Serialize, Deserialize)]
struct Start {
    key: Option<StartKey>,
    /// Of the request, so that the same key with another one is found out.
    digest: String,
    /// What it was answered, for when it is asked again.
    answer: Option<StreamView>,
    #[serde(skip)]
    waiting: Vec<oneshot::Sender<Result<StreamView, Problem>>>,
}

/// One stream in the store.
#[derive(Deserialize)]
struct Kept {
    document: super::machine::Document,
    #[serde(default)]
    starts: Vec<Start>,
}

impl Reconciler {
    /// Loads all streams. The handle works once [`Reconciler::run`] is spawned.
    ///
    /// # Errors
    /// When the store cannot be read. A document that cannot be read is logged and left alone.
    pub async fn load(parts: Parts) -> Result<(Streams, Self), super::ports::NotStored> {
        let (sender, commands) = mpsc::channel(REQUESTS_MAX);
        let board = Board::default();
        let streams = Streams { commands: sender, board: board.clone() };
        let documents = parts.documents.load().await?;
        let mut reconciler = Self {
            parts,
            commands,
            board,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            keys: StartKeys::default(),
            registry: Registry::default(),
            connections: HashMap::new(),
            stale_recorders: BTreeSet::new(),
            saving: Saving::default(),
            asked: JoinSet::new(),
            is_draining: false,
        };
        for (id, text) in documents {
            match serde_json::from_str::<Kept>(&text) {
                Ok(kept) => reconciler.restore(id, kept),
                Err(error) => warn!(stream = %id, %error, "a stored stream cannot be read; it is left alone"),
            }
        }
        Ok((streams, reconciler))
    }

    fn restore(&mut self, id: Uuid, kept: Kept) {
        let moment = moment();
        let machine = Machine::restore(moment, kept.document);
        if let Some(recorder) = machine.recorder() {
            self.registry.keep_place(moment, recorder, id);
        }
        for key in kept.starts.iter().filter_map(|start| start.key.as_ref()) {
            self.keys.remember(moment.now, key.clone(), id);
        }
        let ended = machine.is_ended().then_some(moment.now);
        let entry =
            Entry { machine, starts: kept.starts, pushed: None, due: None, ended, changes: Vec::new() };
        self.entries.insert(id, entry);
        self.show(id);
        self.settle(id);
    }

    /// Works until the shutdown; what is unsaved then is saved first.
    pub async fn run(mut self) {
        let shutdown = self.parts.shutdown.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.due.first().map(|(at, _)| *at);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = until(due) => self.pass_time(),
                _ = tick.tick() => self.tick(),
                Some(outcome) = self.saving.next() => self.saved(outcome),
                Some(answer) = self.asked.join_next() => match answer {
                    Ok(Some((id, event))) => self.tell(id, event),
                    Ok(None) => {}
                    Err(error) => warn!(%error, "asking the claims failed"),
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
            }
            self.save_next();
        }
        self.save_the_rest().await;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { key, request, reply } => self.start(key, &request, reply),
            Command::Stop { id, reply } => self.stop(id, reply),
            Command::AddTarget { id, target, reply } => self.add_target(id, target, reply),
            Command::RemoveTarget { id, number, reply } => self.remove_target(id, number, reply),
            Command::Recorder(news) => self.recorder_news(news),
            Command::DrainRecorder { name, reply } => self.drain_recorder(&name, reply),
            Command::Claim { stream, news } => {
                let event = match news {
                    ClaimNews::Live => Event::MediaLive,
                    ClaimNews::Lost => Event::MediaLost,
                    ClaimNews::Gone(loss) => Event::ClaimGone(loss),
                };
                self.tell(stream, event);
            }
            Command::Drain => self.is_draining = true,
        }
    }

    fn pass_time(&mut self) {
        let now = clock::now();
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.remove(&(at, id));
            // A stream that just came asks for its place before it is asked whether it has one.
            self.settle(id);
            self.tell(id, Event::Timeout);
        }
    }

    fn tick(&mut self) {
        for name in std::mem::take(&mut self.stale_recorders) {
            self.publish_recorder(&name);
        }
        let now = clock::now();
        self.keys.forget_old(now);
        let mut ended: Vec<_> =
            self.entries.iter().filter_map(|(id, entry)| Some((entry.ended?, *id))).collect();
        ended.sort_unstable();
        let too_many = ended.len().saturating_sub(ENDED_MAX);
        let old = |at: Instant| now.saturating_duration_since(at) >= ENDED_KEPT;
        for (position, (at, id)) in ended.into_iter().enumerate() {
            if position < too_many || old(at) {
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: Uuid) {
        if let Some(entry) = self.entries.remove(&id) {
            if entry.pushed.is_some() {
                self.parts.pushes.set(id, None);
            }
            if let Some(at) = entry.due {
                self.due.remove(&(at, id));
            }
            for key in entry.starts.iter().filter_map(|start| start.key.as_ref()) {
                self.keys.forget(key);
            }
            self.board.remove(id);
            self.saving.remove(id);
        }
    }

    /// One event for one stream, and everything that follows from it.
    fn tell(&mut self, id: Uuid, event: Event) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.machine.handle(moment(), event);
            self.settle(id);
        }
    }

    /// Carries out what a stream wants done, then notes when it wants to be woken.
    fn settle(&mut self, id: Uuid) {
        let moment = moment();
        let mut is_new = false;
        let mut unsaved = false;
        while let Some(entry) = self.entries.get_mut(&id)
            && let Some(effect) = entry.machine.poll_effect()
        {
            match effect {
                Effect::Persist => unsaved = true,
                Effect::Publish => is_new = true,
                Effect::Place { never } => {
                    let kind = entry.machine.spec().kind;
                    let answer = match self.registry.place(id, kind, &never) {
                        Some(recorder) => Event::Placed { recorder },
                        None => Event::NoSpare,
                    };
                    entry.machine.handle(moment, answer);
                }
                Effect::FreePlace { recorder } => {
                    self.registry.free(&recorder, id);
                    self.stale_recorders.insert(recorder);
                }
                Effect::ReserveClaim => self.reserve(id),
                Effect::RenewClaim(claim) => {
                    let renewed = self.parts.claims.renew(claim, CLAIM_KEPT);
                    self.asked.spawn(async move {
                        match tokio::time::timeout(CLAIM_ANSWER_WITHIN, renewed).await {
                            Ok(Err(NotRenewed::Gone(loss))) => Some((id, Event::ClaimGone(loss))),
                            Ok(Ok(()) | Err(NotRenewed::Unavailable)) | Err(_) => None,
                        }
                    });
                }
                Effect::ReleaseClaim(claim) => {
                    info!(stream = %id, token = claim.token, "claim is given back");
                    let released = self.parts.claims.release(claim);
                    self.asked.spawn(async move {
                        // If it fails the claim runs out by itself.
                        let _ = tokio::time::timeout(CLAIM_ANSWER_WITHIN, released).await;
                        None
                    });
                }
                Effect::SendStart { recorder, first_incarnation } => {
                    self.send_start(id, &recorder, first_incarnation);
                }
                Effect::SendStop { recorder } => self.send_stop(id, &recorder),
            }
        }
        self.order_pushes(id);
        if is_new {
            self.show(id);
        }
        self.conclude(id, unsaved);
        self.wake_later(id, moment);
    }

    fn wake_later(&mut self, id: Uuid, moment: Moment) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let due = entry.machine.poll_timeout(moment);
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }

    fn reserve(&mut self, id: Uuid) {
        let Some(entry) = self.entries.get(&id) else { return };
        let reserved = self.parts.claims.reserve(entry.machine.spec(), CLAIM_KEPT);
        self.asked.spawn(async move {
            let event = match tokio::time::timeout(CLAIM_ANSWER_WITHIN, reserved).await {
                Ok(Ok(claim)) => Event::ClaimGranted(claim),
                Ok(Err(NoClaim::Held { holder, since })) => Event::ClaimRefused { holder, since },
                Ok(Err(NoClaim::Unavailable(why))) => Event::ClaimUnavailable(why),
                Err(_) => Event::ClaimUnavailable("the claims do not answer".into()),
            };
            Some((id, event))
        });
    }

    fn order_pushes(&mut self, id: Uuid) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let order = entry.machine.push_order();
        if order != entry.pushed {
            entry.pushed.clone_from(&order);
            self.parts.pushes.set(id, order);
        }
    }

    fn show(&self, id: Uuid) {
        let Some(entry) = self.entries.get(&id) else { return };
        let mut view = entry.machine.view();
        if entry.pushed.is_some() {
            view.targets = self.parts.pushes.rows(id);
        }
        self.board.put(Arc::new(view.clone()));
        self.parts.events.publish(api::events::Event::Stream { stream: Box::new(view) });
    }
}

fn moment() -> Moment {
    Moment { now: clock::now(), wall: clock::wall() }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
