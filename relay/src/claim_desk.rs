//! The desk at which claims are asked for: the task that owns the [`ClaimTable`], and handles to it.
//!
//! The task gives the table its time, its ids and its store, and carries out what the table wants done: a grant is
//! answered after it is on disk, a refusal as late as the table says. The media path never waits for the desk: it sets
//! a shared number ([`Liveness::media`]) that the desk looks at when it has a question. Everything that a connection
//! must be able to say while it is dropped ([`ClaimDesk::lost`], [`ClaimDesk::pong`]) is noted without waiting, and
//! never lost.
//!
//! All queues are bounded and every wait has an end: when the desk or the store does not answer, publishers are
//! refused as unavailable, and those that run go on.

mod awake;
mod event;
mod history;
mod liveness;
mod outcome;
mod register;
mod task;
mod view;

pub use event::ClaimEvent;
pub use liveness::Liveness;
pub use outcome::{ActError, Admitted, HolderOrder, Refused, Reserved};
pub use task::DeskTask;

use crate::claim_store::{ClaimStore, Embedded, Joined};
use crate::clock;
use crate::store::{Store, StoreError};
use api::claims::ClaimView;
use claims::{
    ClaimId, ClaimKey, ClaimTable, ContenderId, FencingToken, Holder, Label, RenewError, Rules, Ticket,
    Timing, TokenSource,
};
use liveness::Shared;
use std::sync::Arc;
use std::time::Duration;
use task::Command;
use tokio::sync::{broadcast, mpsc, oneshot};
use uuid::Uuid;

/// How many requests may wait for the desk; further callers wait for room, up to [`ANSWER_WITHIN`].
const COMMANDS_MAX: usize = 1_024;
/// How many events a slow reader may lag; beyond it it loses the oldest and is told how many.
const EVENTS_MAX: usize = 1_024;
/// How long the desk may take for an answer that needs no decision about another publisher.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long a publisher may wait for its outcome: the table's time to decide, twice the store's, and some.
const DECIDE_WITHIN: Duration = Duration::from_secs(25);

/// A handle to the desk. Cloning shares it.
#[derive(Clone)]
pub struct ClaimDesk {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    events: broadcast::Sender<ClaimEvent>,
    store: Store,
}

impl ClaimDesk {
    /// Reads the claims that the store kept and prepares the desk; it works once the returned task runs.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn load(store: Store, rules: Rules) -> Result<(Self, DeskTask), StoreError> {
        let (snapshot, token) = store.load_claims().await?;
        let table = ClaimTable::restore(clock::now(), rules, TokenSource::after(token), snapshot);
        let claims = Box::new(Embedded::new(store.clone()));
        Ok(Self::over(table, claims, store))
    }

    /// The same over a store that other relays share; the audit log stays in this relay's own.
    #[must_use]
    pub fn join(store: Store, joined: Joined, rules: Rules) -> (Self, DeskTask) {
        let Joined { store: claims, restored, token, .. } = joined;
        let rules = Rules { shared: true, ..rules };
        let now = clock::now();
        let mut table = ClaimTable::restore(now, rules, TokenSource::after(token), restored.snapshot);
        for (key, foreign) in restored.foreign {
            table.heard_before(now, &key, foreign);
        }
        Self::over(table, Box::new(claims), store)
    }

    fn over(table: ClaimTable, claims: Box<dyn ClaimStore>, store: Store) -> (Self, DeskTask) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let shared = Arc::new(Shared::new(clock::now()));
        let task = DeskTask::new(table, claims, store.clone(), inbox, shared.clone(), events.clone());
        (Self { commands, shared, events, store }, task)
    }

    /// A publisher asks for a key that is free to it. Answered when it may write or is to be told that it may not;
    /// that may take some seconds, while a silent holder is asked whether it lives or a repeated refusal is delayed.
    /// Dropping the future withdraws it.
    ///
    /// # Errors
    /// [`Refused`] with what to tell the peer.
    pub async fn publish(&self, key: ClaimKey, holder: Holder) -> Result<Admitted, Refused> {
        self.publish_with(key, holder, Brought::default()).await
    }

    /// The same, only as the publisher of this claim, which its grant names: refused once that claim has ended, even
    /// if the key is free.
    ///
    /// # Errors
    /// [`Refused`] with what to tell the peer.
    pub async fn publish_under(
        &self,
        claim: ClaimId,
        key: ClaimKey,
        holder: Holder,
    ) -> Result<Admitted, Refused> {
        self.publish_with(key, holder, Brought { only: Some(claim), ..Brought::default() }).await
    }

    /// The same, with whatever the publisher brought.
    ///
    /// # Errors
    /// [`Refused`] with what to tell the peer.
    pub async fn publish_with(
        &self,
        key: ClaimKey,
        holder: Holder,
        brought: Brought,
    ) -> Result<Admitted, Refused> {
        let contender = self.shared.next_contender();
        let mut presence = Presence { contender, shared: self.shared.clone(), is_settled: false };
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Publish { contender, key, holder, brought, answer };
        let outcome = self.send_and_wait(ask, outcome, DECIDE_WITHIN).await;
        let Some(outcome) = outcome else { return Err(Refused::Unavailable) };
        presence.is_settled = true;
        match outcome {
            Ok(admitted) => Ok(admitted),
            Err((refusal, after)) => {
                tokio::time::sleep(after).await;
                Err(Refused::Claim(refusal))
            }
        }
    }

    /// Keeps a key for a stream or an encoder before its publisher comes, for `keep` without a renewal. The same
    /// holder finds the claim that it has. Refusals are not delayed.
    ///
    /// # Errors
    /// [`Refused`] with who holds it.
    pub async fn reserve(&self, key: ClaimKey, holder: Holder, keep: Duration) -> Result<Reserved, Refused> {
        let contender = self.shared.next_contender();
        let mut presence = Presence { contender, shared: self.shared.clone(), is_settled: false };
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Reserve { contender, key, holder, keep, answer };
        let outcome = self.send_and_wait(ask, outcome, DECIDE_WITHIN).await;
        let Some(outcome) = outcome else { return Err(Refused::Unavailable) };
        presence.is_settled = true;
        outcome.map_err(Refused::Claim)
    }

    /// Keeps a claim for `keep` from now; returns for how long it surely is the caller's, which is less where relays
    /// share a store.
    ///
    /// # Errors
    /// [`RenewError`] if the claim is no more; `None` in it if the desk does not answer, and the next try may fare
    /// better.
    pub async fn renew(&self, claim: ClaimId, keep: Duration) -> Result<Duration, Option<RenewError>> {
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Renew { claim, keep, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.unwrap_or(Err(None))
    }

    /// The holder gives its claim up; a publisher that still writes under it is cut off. `false` if it had ended
    /// already, or the desk does not answer.
    pub async fn release(&self, claim: ClaimId, why: &str) -> bool {
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Release { claim, why: why.into(), answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.unwrap_or(false)
    }

    /// An operator ends a claim.
    ///
    /// # Errors
    /// [`ActError`]; then nothing happened, or nobody knows.
    pub async fn release_by(
        &self,
        claim: ClaimId,
        expected: FencingToken,
        operator: &str,
        reason: &str,
    ) -> Result<(), ActError> {
        let (operator, reason) = (Label::new(operator), reason.into());
        let (answer, outcome) = oneshot::channel();
        let ask = Command::ReleaseBy { claim, expected, operator, reason, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.unwrap_or(Err(ActError::Unavailable))
    }

    /// An operator takes a claim from its holder, which is cut off and kept off for a while.
    ///
    /// # Errors
    /// [`ActError`]; then nothing happened, or nobody knows.
    pub async fn seize(
        &self,
        claim: ClaimId,
        expected: FencingToken,
        operator: &str,
        reason: &str,
    ) -> Result<(), ActError> {
        let (operator, reason) = (Label::new(operator), reason.into());
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Seize { claim, expected, operator, reason, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.unwrap_or(Err(ActError::Unavailable))
    }

    /// An operator lets nobody take a key for a time. A publisher that is there stays.
    ///
    /// # Errors
    /// [`ActError::Unavailable`].
    pub async fn block(
        &self,
        key: ClaimKey,
        operator: &str,
        reason: &str,
        lasts: Duration,
    ) -> Result<(), ActError> {
        let (operator, reason) = (Label::new(operator), reason.into());
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Block { key, operator, reason, lasts, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.ok_or(ActError::Unavailable)
    }

    /// An operator lifts all blocks of a key; whether there were any.
    ///
    /// # Errors
    /// [`ActError::Unavailable`].
    pub async fn unblock(&self, key: ClaimKey, operator: &str, reason: &str) -> Result<bool, ActError> {
        let (operator, reason) = (Label::new(operator), reason.into());
        let (answer, outcome) = oneshot::channel();
        let ask = Command::Unblock { key, operator, reason, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.ok_or(ActError::Unavailable)
    }

    /// All claims and blocked keys; empty if the desk does not answer.
    pub async fn list(&self) -> Vec<ClaimView> {
        let (answer, outcome) = oneshot::channel();
        self.send_and_wait(Command::List { answer }, outcome, ANSWER_WITHIN).await.unwrap_or_default()
    }

    /// One claim, if it has not ended.
    pub async fn find(&self, claim: ClaimId) -> Option<ClaimView> {
        let (answer, outcome) = oneshot::channel();
        self.send_and_wait(Command::Find { claim, answer }, outcome, ANSWER_WITHIN).await.flatten()
    }

    /// Whether a claim has not ended and still has its holder.
    pub async fn is_held(&self, claim: ClaimId) -> bool {
        let (answer, outcome) = oneshot::channel();
        self.send_and_wait(Command::IsHeld { claim, answer }, outcome, ANSWER_WITHIN).await.unwrap_or(false)
    }

    /// The token of the publisher that may write to a key now.
    #[must_use]
    pub fn current_token(&self, key: &ClaimKey) -> Option<FencingToken> {
        self.shared.writer(key)
    }

    /// Draws a ticket with which another connection may take over from this token's publisher: once, within
    /// [`Rules::ticket`] (30 s). An earlier ticket of the same claim is void. `None` if that publisher writes no more,
    /// or the desk does not answer.
    pub async fn hand_over(&self, token: FencingToken) -> Option<Ticket> {
        let (answer, outcome) = oneshot::channel();
        let ask = Command::HandOver { token, answer };
        self.send_and_wait(ask, outcome, ANSWER_WITHIN).await.flatten()
    }

    /// The publisher of this token answered a ping. Waits for nobody.
    pub fn pong(&self, token: FencingToken) {
        self.shared.note(|notes| {
            notes.pongs.insert(token);
        });
    }

    /// The connection of this token is gone. Waits for nobody; a stale token has no effect.
    pub fn lost(&self, token: FencingToken) {
        self.shared.note(|notes| {
            notes.lost.insert(token);
        });
    }

    /// The publisher of this token said goodbye. Waits for nobody; a stale token has no effect, and a later
    /// [`ClaimDesk::lost`] neither.
    pub fn finish(&self, token: FencingToken) {
        self.shared.note(|notes| {
            notes.finished.insert(token);
        });
    }

    /// What happens from now on. A reader that lags behind [`EVENTS_MAX`] is told so and should read
    /// [`ClaimDesk::list`] again.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ClaimEvent> {
        self.events.subscribe()
    }

    async fn send_and_wait<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<T>,
        within: Duration,
    ) -> Option<T> {
        let ask = async {
            self.commands.send(command).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(within, ask).await.ok().flatten()
    }
}

/// What a publisher shows beside its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brought {
    /// The claim that its grant names; see [`ClaimDesk::publish_under`].
    pub only: Option<ClaimId>,
    /// A ticket from [`ClaimDesk::hand_over`].
    pub ticket: Option<Ticket>,
    /// How long its claim lives without media, if its application says so; the rules' if not.
    pub timing: Option<Timing>,
}

/// A contender that withdraws when its caller stops waiting.
struct Presence {
    contender: ContenderId,
    shared: Arc<Shared>,
    is_settled: bool,
}

impl Drop for Presence {
    fn drop(&mut self) {
        if !self.is_settled {
            self.shared.note(|notes| {
                notes.withdrawn.insert(self.contender);
            });
        }
    }
}

/// An id that nobody had before.
fn fresh_id() -> ClaimId {
    ClaimId(Uuid::now_v7())
}

#[cfg(test)]
mod own_file_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the same promises, over the other kind of store")]
#[path = "claim_desk/tests.rs"]
mod tests_over_etcd;
