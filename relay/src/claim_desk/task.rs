//! The desk's own task.

use super::awake::{Awake, PULSE};
use super::event::ClaimEvent;
use super::liveness::{Liveness, Shared};
use super::outcome::{ActError, Admitted, Reserved};
use super::register::Register;
use super::{Brought, fresh_id, view};
use crate::claim_store::{ClaimStore, Wish, Word};
use crate::clock;
use crate::store::{self, Answer, AuditBounds, ClaimWrite, Store};
use api::claims::ClaimView;
use claims::fleet::Told;
use claims::{
    Block, ClaimId, ClaimKey, ClaimTable, ContenderId, Effect, FencingToken, Holder, Label, Origin, Publish,
    Reference, Refusal, RenewError, Reserve, Ticket,
};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// How many requests are taken in one turn, so that their writes share a commit.
const TURN_MAX: usize = 256;
/// How long until a change that the store did not take is offered again.
const REWRITE_AFTER: Duration = Duration::from_secs(1);
/// How often the audit log is pruned, if little happens.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// After how many new entries it is pruned earlier: so much may it be over its bounds.
const PRUNE_AFTER_ROWS: u32 = 20_000;
/// How many days the audit log is kept if nobody says how many.
const HISTORY_DAYS: u32 = 30;
/// How many entries the audit log keeps; beyond it the oldest go earlier.
const AUDIT_ROWS_MAX: u32 = 200_000;
/// How many refusals it keeps of one key; beyond it the oldest go earlier.
const AUDIT_REFUSALS_MAX: u32 = 1_000;

/// What the desk is asked.
pub(super) enum Command {
    Publish {
        contender: ContenderId,
        key: ClaimKey,
        holder: Holder,
        brought: Brought,
        answer: oneshot::Sender<PublishOutcome>,
    },
    Reserve {
        contender: ContenderId,
        key: ClaimKey,
        holder: Holder,
        keep: Duration,
        answer: oneshot::Sender<Result<Reserved, Refusal>>,
    },
    Renew {
        claim: ClaimId,
        keep: Duration,
        answer: oneshot::Sender<Renewal>,
    },
    Release {
        claim: ClaimId,
        why: String,
        answer: oneshot::Sender<bool>,
    },
    ReleaseBy {
        claim: ClaimId,
        expected: FencingToken,
        operator: Label,
        reason: String,
        answer: oneshot::Sender<Result<(), ActError>>,
    },
    Seize {
        claim: ClaimId,
        expected: FencingToken,
        operator: Label,
        reason: String,
        answer: oneshot::Sender<Result<(), ActError>>,
    },
    Block {
        key: ClaimKey,
        operator: Label,
        reason: String,
        lasts: Duration,
        answer: oneshot::Sender<()>,
    },
    Unblock {
        key: ClaimKey,
        operator: Label,
        reason: String,
        answer: oneshot::Sender<bool>,
    },
    HandOver {
        token: FencingToken,
        answer: oneshot::Sender<Option<Ticket>>,
    },
    List {
        answer: oneshot::Sender<Vec<ClaimView>>,
    },
    Find {
        claim: ClaimId,
        answer: oneshot::Sender<Option<ClaimView>>,
    },
    IsHeld {
        claim: ClaimId,
        answer: oneshot::Sender<bool>,
    },
}

/// For how long a claim is kept; `None` as the error if nobody can say now.
pub(super) type Renewal = Result<Duration, Option<RenewError>>;

/// A publisher's outcome; a refusal with how much later it is told.
pub(super) type PublishOutcome = Result<Admitted, (Refusal, Duration)>;

/// Who waits for the outcome of a contender.
enum Asker {
    Publish(oneshot::Sender<PublishOutcome>),
    Reserve(oneshot::Sender<Result<Reserved, Refusal>>),
}

/// A write of the audit log.
#[derive(Clone, Copy)]
enum Written {
    Entry,
    Pruned,
}

/// The task behind [`super::ClaimDesk`].
pub struct DeskTask {
    table: ClaimTable,
    awake: Awake,
    claims: Box<dyn ClaimStore>,
    /// Of the audit log, which is this relay's own.
    store: Store,
    inbox: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    events: broadcast::Sender<ClaimEvent>,
    askers: HashMap<ContenderId, Asker>,
    register: Register,
    /// How long those who are about to be admitted must not write where nobody checks tokens.
    guards: HashMap<FencingToken, Duration>,
    /// Entries of the audit log on their way; at most as many as the store's queue has places.
    writing: FuturesUnordered<BoxFuture<'static, (Written, bool)>>,
    /// Keys whose last change did not reach the store.
    unwritten: BTreeSet<ClaimKey>,
    rewrite_at: Option<Instant>,
    prune_at: Instant,
    /// Entries of the audit log since it was last pruned.
    told: u32,
    history_days: u32,
}

impl DeskTask {
    pub(super) fn new(
        table: ClaimTable,
        claims: Box<dyn ClaimStore>,
        store: Store,
        inbox: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
        events: broadcast::Sender<ClaimEvent>,
    ) -> Self {
        Self {
            table,
            awake: Awake::new(clock::now()),
            claims,
            store,
            inbox,
            shared,
            events,
            askers: HashMap::new(),
            register: Register::default(),
            guards: HashMap::new(),
            writing: FuturesUnordered::new(),
            unwritten: BTreeSet::new(),
            rewrite_at: None,
            prune_at: clock::now(),
            told: 0,
            history_days: HISTORY_DAYS,
        }
    }

    /// How many days the audit log is kept; at least one.
    #[must_use]
    pub fn keep_history(mut self, days: u32) -> Self {
        self.history_days = days.max(1);
        self
    }

    /// Serves until `stop`, or until all handles are gone. Claims stay in the store as they are, so that their holders
    /// find them after a restart.
    pub async fn run(mut self, stop: CancellationToken) {
        self.carry_out();
        loop {
            let due = [self.table.poll_timeout(), self.rewrite_at].into_iter().flatten().min();
            let due = due.map_or(self.prune_at, |due| due.min(self.prune_at));
            let due = self.awake.clock(due).min(clock::now() + PULSE);
            tokio::select! {
                () = stop.cancelled() => break,
                command = self.inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                () = self.shared.wake.notified() => {}
                Some((written, is_done)) = self.writing.next() => noted(written, is_done),
                word = poll_fn(|cx| self.claims.poll_word(cx)) => self.word(word),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            // What waits already is taken along, so that one commit serves many.
            for _ in 0..TURN_MAX {
                let Ok(command) = self.inbox.try_recv() else { break };
                self.command(command);
            }
            self.read_notes();
            self.tell_time();
            self.carry_out();
        }
    }

    /// The time, without what the relay missed.
    fn now(&mut self) -> Instant {
        let (now, missed) = self.awake.look(clock::now());
        if let Some(missed) = missed {
            warn!(?missed, "the relay was frozen; no claim is judged by that time");
        }
        now
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        // An answer that nobody waits for is no fault: its caller has gone.
        match command {
            Command::Publish { contender, key, holder, brought, answer } => {
                let origin = origin(contender, key, holder);
                self.askers.insert(contender, Asker::Publish(answer));
                let Brought { only, ticket, timing } = brought;
                self.table.publish(now, Publish { only, ticket, timing, ..Publish::plain(origin) });
            }
            Command::Reserve { contender, key, holder, keep, answer } => {
                let origin = origin(contender, key, holder);
                self.askers.insert(contender, Asker::Reserve(answer));
                self.table.reserve(now, Reserve { origin, keep });
            }
            Command::Renew { claim, keep, answer } => {
                let _ = answer.send(self.renew(now, claim, keep));
            }
            Command::Release { claim, why, answer } => {
                let _ = answer.send(self.table.release(now, claim, &why));
            }
            Command::ReleaseBy { claim, expected, operator, reason, answer } => {
                let released = self.table.release_by(now, claim, expected, &operator, &reason);
                let _ = answer.send(released.map_err(ActError::from));
            }
            Command::Seize { claim, expected, operator, reason, answer } => {
                let wall = clock::wall().as_millisecond();
                let seized = self.table.seize(now, claim, expected, &operator, &reason, wall);
                let _ = answer.send(seized.map_err(ActError::from));
            }
            Command::Block { key, operator, reason, lasts, answer } => {
                let unix_ms = clock::wall().as_millisecond();
                self.table.block(now, Block { key, id: fresh_id(), operator, reason, lasts, unix_ms });
                let _ = answer.send(());
            }
            Command::Unblock { key, operator, reason, answer } => {
                let _ = answer.send(self.table.unblock(now, &key, &operator, &reason));
            }
            Command::HandOver { token, answer } => {
                // Random throughout: unlike an id it must not be guessed.
                let ticket = Ticket::new(Uuid::new_v4());
                let _ = answer.send(self.table.ticket(now, token, ticket).then_some(ticket));
            }
            Command::List { answer } => {
                self.register.tell_all(&mut self.table, &self.awake);
                let wall = clock::wall();
                let _ = answer.send(self.table.claims(now).map(|row| view::view(row, wall)).collect());
            }
            Command::Find { claim, answer } => {
                self.register.tell_all(&mut self.table, &self.awake);
                let row = self.table.row_of(now, claim);
                let _ = answer.send(row.map(|row| view::view(row, clock::wall())));
            }
            Command::IsHeld { claim, answer } => {
                let _ = answer.send(self.table.row_of(now, claim).is_some_and(|row| row.holder.is_some()));
            }
        }
    }

    /// A claim is worth no more than what the store still guarantees.
    fn renew(&mut self, now: Instant, claim: ClaimId, keep: Duration) -> Renewal {
        let kept = self.table.renew(now, claim, keep).map_err(Some)?;
        match self.claims.lease_left(clock::now()) {
            None => Ok(kept),
            Some(left) if left.is_zero() => Err(None),
            Some(left) => Ok(kept.min(left)),
        }
    }

    fn read_notes(&mut self) {
        let notes = self.shared.take_notes();
        let now = self.now();
        for token in notes.heard {
            self.register.tell(token, &mut self.table, &self.awake);
        }
        for token in notes.pongs {
            self.table.pong(now, token);
        }
        for token in notes.finished {
            self.register.tell(token, &mut self.table, &self.awake);
            self.table.finish(now, token);
            self.register.forget(token);
        }
        for token in notes.lost {
            self.register.tell(token, &mut self.table, &self.awake);
            self.table.lost(now, token, "the connection was lost");
            self.register.forget(token);
        }
        for contender in notes.withdrawn {
            self.askers.remove(&contender);
            self.table.withdraw(now, contender);
            // It was admitted, and left before it heard of it.
            if let Some(token) = self.register.token_of(contender) {
                self.table.lost(now, token, "the publisher left while it was admitted");
                self.register.forget(token);
            }
        }
    }

    fn tell_time(&mut self) {
        let now = self.now();
        if self.table.poll_timeout().is_some_and(|at| at <= now) {
            // First what was heard meanwhile: nobody is dead whose media only waits to be noticed.
            self.register.tell_all(&mut self.table, &self.awake);
            self.table.handle_timeout(now);
        }
        if self.rewrite_at.is_some_and(|at| at <= now) {
            self.rewrite_at = None;
            for key in std::mem::take(&mut self.unwritten) {
                self.table.rewrite(now, &key);
            }
        }
        if self.prune_at <= now || self.told >= PRUNE_AFTER_ROWS {
            self.prune_at = now + PRUNE_EVERY;
            self.told = 0;
            self.prune();
        }
    }

    fn prune(&mut self) {
        let kept = SignedDuration::from_hours(24 * i64::from(self.history_days));
        let since = clock::wall().checked_sub(kept).unwrap_or(Timestamp::UNIX_EPOCH);
        let bounds = AuditBounds { since, rows_max: AUDIT_ROWS_MAX, refusals_max: AUDIT_REFUSALS_MAX };
        let store = self.store.clone();
        self.writing.push(Box::pin(async move {
            let pruned = store.prune_claim_events(bounds).await;
            (Written::Pruned, pruned.is_ok())
        }));
    }

    /// Does what the table wants done, until it wants nothing more.
    fn carry_out(&mut self) {
        while let Some(effect) = self.table.poll_effect() {
            match effect {
                Effect::Save { save, record, replaces, standing } => {
                    self.submit(Wish::Save { save, record, replaces, standing });
                }
                Effect::Persist(change) => self.submit(Wish::Persist(change)),
                Effect::Show { key, shown } => self.submit(Wish::Show(key, shown)),
                Effect::Ask { key } => self.submit(Wish::Ask(key)),
                Effect::Vouch { key } => self.submit(Wish::Vouch(key)),
                Effect::Evict { key, version, why } => self.submit(Wish::Evict(key, version, why)),
                Effect::Event(event) => self.event(event),
                Effect::Admitted { contender, key, claim_id, token, kind } => {
                    self.shared.set_writer(&key, self.table.writer(&key));
                    let liveness = Liveness::new(token, self.shared.clone());
                    let orders = self.register.admit(token, contender, liveness.clone());
                    let guard = self.guards.remove(&token).unwrap_or_default();
                    let lease_left = self.claims.lease_left(clock::now());
                    let admitted = Admitted { claim_id, token, kind, guard, lease_left, orders, liveness };
                    let asker = self.askers.remove(&contender);
                    let is_there = match asker {
                        Some(Asker::Publish(answer)) => answer.send(Ok(admitted)).is_ok(),
                        Some(Asker::Reserve(_)) | None => false,
                    };
                    if !is_there {
                        self.shared.note(|notes| {
                            notes.lost.insert(token);
                        });
                    }
                }
                Effect::Reserved { contender, key, claim_id, token, .. } => {
                    let asker = self.askers.remove(&contender);
                    let row = self.table.row(self.awake.at(clock::now()), &key);
                    let (Some(Asker::Reserve(answer)), Some(row)) = (asker, row) else { continue };
                    let view = view::view(row, clock::wall());
                    // Its caller may have gone; then the reservation ends by not being renewed.
                    let _ = answer.send(Ok(Reserved { claim_id, token, view }));
                }
                Effect::Refused { contender, refusal, after } => match self.askers.remove(&contender) {
                    Some(Asker::Publish(answer)) => drop(answer.send(Err((refusal, after)))),
                    Some(Asker::Reserve(answer)) => drop(answer.send(Err(refusal))),
                    None => {}
                },
                // The desk lets nobody ask for it: no publisher is received before it is admitted.
                Effect::Audition { .. } => {}
                Effect::Probe { token } => self.register.probe(token),
                Effect::Disconnect { token, why } => self.register.disconnect(token, why),
            }
        }
    }

    fn event(&mut self, event: claims::Event) {
        let at = clock::wall();
        self.shared.set_writer(&event.key, self.table.writer(&event.key));
        info!(what = event.what.as_str(), key = %event.key, who = %event.who, why = %event.why, "claim");
        let row = self.table.row(self.awake.at(clock::now()), &event.key).map(|row| view::view(row, at));
        let told = ClaimEvent {
            what: event.what,
            key: event.key.clone(),
            claim_id: event.claim_id,
            token: event.token,
            stream_id: event.stream_id,
            who: event.who.clone(),
            why: event.why.clone(),
            at,
            row,
        };
        // Nobody may be watching.
        let _ = self.events.send(told);
        self.told = self.told.saturating_add(1);
        match self.store.submit_claims(vec![ClaimWrite::Event(event, at)]) {
            Ok(answer) => self.note(Written::Entry, answer),
            Err(error) => warn!(%error, "a claim event is missing in the audit log"),
        }
    }

    fn note(&self, written: Written, answer: Answer<()>) {
        self.writing.push(Box::pin(async move {
            let answered = tokio::time::timeout(store::ANSWER_WITHIN, answer).await;
            (written, matches!(answered, Ok(Ok(Ok(())))))
        }));
    }

    fn submit(&mut self, wish: Wish) {
        self.claims.submit(clock::now(), wish);
    }

    fn word(&mut self, word: Word) {
        let now = self.now();
        match word {
            Word::Unwritten(key) => {
                self.unwritten.insert(key);
                self.rewrite_at = Some(now + REWRITE_AFTER);
            }
            Word::Told(Told::Stored { save, token, guard }) => {
                if !guard.is_zero() {
                    self.guards.insert(token, guard);
                }
                self.table.stored_as(now, save, token);
                // Whoever was admitted takes it from here; for one who was not, it is over.
                self.carry_out();
                self.guards.clear();
            }
            Word::Told(Told::NotStored { save }) => self.table.not_stored(now, save),
            Word::Told(Told::Conflicted { save }) => self.table.conflicted(now, save),
            Word::Told(Told::Heard { key, foreign }) => {
                self.table.heard(now, &key, foreign.map(|foreign| *foreign));
                self.shared.set_writer(&key, self.table.writer(&key));
            }
            Word::Told(Told::HeardBlocks { key, blocks }) => self.table.heard_blocks(now, &key, blocks),
            Word::Told(Told::Vouched { key }) => self.table.vouched(now, &key),
            Word::Told(Told::Contested { key }) => self.table.contested(now, &key),
            Word::Told(Told::Evicted { key, token, why }) => self.table.evicted(now, &key, token, &why),
        }
    }
}

fn noted(written: Written, is_done: bool) {
    match (written, is_done) {
        (Written::Entry, false) => warn!("a claim event is missing in the audit log"),
        (Written::Pruned, false) => warn!("the audit log could not be pruned; tried again in an hour"),
        (Written::Entry | Written::Pruned, true) => {}
    }
}

fn origin(contender: ContenderId, key: ClaimKey, holder: Holder) -> Origin {
    let fresh_id = fresh_id();
    // The id's last bits are random; two of them are enough to find a refusal by.
    let [.., high, low] = fresh_id.get().into_bytes();
    let reference = Reference(u16::from_be_bytes([high, low]));
    Origin { contender, key, holder, fresh_id, reference, unix_ms: clock::wall().as_millisecond() }
}
