//! The table of all claims.
//!
//! Every call does its work on one key: first what time has done to it (`age`), then what is asked, then whoever waits
//! on it is judged anew (`settle`). Effects collect in order and are drained with [`ClaimTable::poll_effect`].

mod abroad;
mod age;
mod entry;
mod grant;
mod judge;
mod operator;
mod refusals;
mod view;

use crate::{
    Change, ClaimId, ClaimKey, ContenderId, Effect, Event, FencingToken, Label, Publish, Reason, Refusal,
    Reserve, Row, Rules, SaveId, Snapshot, Ticket, TokenSource, What,
};
use entry::{Entry, Phase, Request, Waiting};
pub use operator::{Block, OperatorError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Why a reservation was not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// There is no such claim: it ended, or another holder has the key.
    #[error("there is no such claim any more")]
    Unknown,
    /// An operator seized it.
    #[error("the claim was seized by an operator")]
    Seized,
}

/// All claims and blocks of one relay. See the crate's contract.
///
/// Bounded by [`Rules`]: keys, blocks, waiting and refused contenders per key. `Hash`, so that a test that explores
/// all its states recognises one.
#[derive(Clone, Debug, Hash)]
pub struct ClaimTable {
    rules: Rules,
    tokens: TokenSource,
    /// The latest time heard of. Time given to a call never goes back behind it.
    now: Option<Instant>,
    entries: BTreeMap<ClaimKey, Entry>,
    by_claim: BTreeMap<ClaimId, ClaimKey>,
    by_token: BTreeMap<FencingToken, ClaimKey>,
    by_contender: BTreeMap<ContenderId, ClaimKey>,
    by_save: BTreeMap<SaveId, ClaimKey>,
    deadlines: BTreeSet<(Instant, ClaimKey)>,
    next_save: u64,
    effects: VecDeque<Effect>,
}

/// One key under work, taken out of the table, with the time and what all keys share.
struct Work<'a> {
    now: Instant,
    key: &'a ClaimKey,
    entry: &'a mut Entry,
    rules: &'a Rules,
    tokens: &'a mut TokenSource,
    by_contender: &'a mut BTreeMap<ContenderId, ClaimKey>,
    by_save: &'a mut BTreeMap<SaveId, ClaimKey>,
    next_save: &'a mut u64,
    effects: &'a mut VecDeque<Effect>,
}

impl ClaimTable {
    /// An empty table for a new store. Use [`ClaimTable::restore`] where a store already has something.
    #[must_use]
    pub const fn new(rules: Rules, tokens: TokenSource) -> Self {
        Self {
            rules,
            tokens,
            now: None,
            entries: BTreeMap::new(),
            by_claim: BTreeMap::new(),
            by_token: BTreeMap::new(),
            by_contender: BTreeMap::new(),
            by_save: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_save: 0,
            effects: VecDeque::new(),
        }
    }

    /// The table after a restart: every claim that was not released is kept again with its full time, reserved or
    /// lingering, and every block runs in full. Tokens go on after the largest of `tokens` and of the snapshot.
    #[must_use]
    pub fn restore(now: Instant, rules: Rules, tokens: TokenSource, snapshot: Snapshot) -> Self {
        let largest = snapshot.claims.iter().map(|record| record.token).max();
        let tokens = TokenSource::after(tokens.last().max(largest.unwrap_or(FencingToken::new(0))));
        let mut table = Self::new(rules, tokens);
        for (key, block) in snapshot.blocks {
            table.on_key(now, &key, |work| work.entry.restore_block(work.now, work.rules, block));
        }
        for record in snapshot.claims {
            let key = record.key.clone();
            table.on_key(now, &key, |work| work.restore_claim(record));
        }
        table
    }

    /// A publisher is at the door. Its outcome is [`Effect::Admitted`] or [`Effect::Refused`], exactly one, unless
    /// [`ClaimTable::withdraw`] comes first; a contested claim yields [`Effect::Probe`] before. A contender that is
    /// already pending is not asked twice.
    pub fn publish(&mut self, now: Instant, publish: Publish) {
        self.ask(now, Request::Publish(publish));
    }

    /// A stream or an encoder's owner wants the key kept before any publisher is there. Its outcome is
    /// [`Effect::Reserved`] or [`Effect::Refused`], as above. The same holder gets the claim that it already has.
    pub fn reserve(&mut self, now: Instant, reserve: Reserve) {
        self.ask(now, Request::Reserve(reserve));
    }

    fn ask(&mut self, now: Instant, request: Request) {
        let origin = request.origin();
        let (contender, key) = (origin.contender, origin.key.clone());
        if self.by_contender.contains_key(&contender) {
            return;
        }
        let is_full = !self.entries.contains_key(&key) && self.entries.len() >= self.rules.keys_max;
        if is_full {
            let refusal = Refusal {
                reason: Reason::Busy,
                holder: None,
                since_unix_ms: None,
                reference: origin.reference,
            };
            self.effects.push_back(Effect::Refused { contender, refusal, after: Duration::ZERO });
            return;
        }
        self.on_key(now, &key, |work| work.arrive(request));
    }

    /// A contender does not wait any longer: its connection closed. Had it been about to win, nothing changes.
    pub fn withdraw(&mut self, now: Instant, contender: ContenderId) {
        let Some(key) = self.by_contender.get(&contender).cloned() else { return };
        self.on_key(now, &key, |work| work.withdraw(contender));
    }

    /// A save is durable as it was.
    pub fn stored(&mut self, now: Instant, save: SaveId) {
        let Some(key) = self.by_save.remove(&save) else { return };
        self.on_key(now, &key, |work| work.stored(save, None));
    }

    /// A save is durable in a shared store, which gave it this token.
    pub fn stored_as(&mut self, now: Instant, save: SaveId, token: FencingToken) {
        let Some(key) = self.by_save.remove(&save) else { return };
        self.on_key(now, &key, |work| work.stored(save, Some(token)));
    }

    /// A save failed, or nobody knows: the winner is refused and everything stays as it was.
    pub fn not_stored(&mut self, now: Instant, save: SaveId) {
        let Some(key) = self.by_save.remove(&save) else { return };
        self.on_key(now, &key, |work| work.not_stored(save));
    }

    /// A contender that was told [`Effect::Audition`] has shown a keyframe.
    pub fn keyframe(&mut self, now: Instant, contender: ContenderId) {
        let Some(key) = self.by_contender.get(&contender).cloned() else { return };
        self.on_key(now, &key, |work| work.keyframe(contender));
    }

    /// The publisher of this token sent media at `at`, which may be a little ago. A stale token has no effect.
    pub fn media(&mut self, at: Instant, token: FencingToken) {
        // Before what time has done: media that came in time must not be judged by the clock of its report.
        let Some((key, entry)) = self.entry_of(token) else { return };
        let key = key.clone();
        let Some(first) = entry.heard_media(at, token) else { return };
        self.on_key(at, &key, |work| {
            if first {
                work.event(What::Live, "first media");
            }
        });
    }

    /// The publisher of this token answered a ping. A stale token has no effect.
    pub fn pong(&mut self, now: Instant, token: FencingToken) {
        self.on_token(now, token, |work| work.entry.heard_pong(work.now, token));
    }

    /// The connection of this token is gone without a goodbye: its claim lingers. A stale token has no effect.
    pub fn lost(&mut self, now: Instant, token: FencingToken, why: &str) {
        self.on_token(now, token, |work| work.lost(token, why));
    }

    /// The publisher of this token said goodbye: its claim is released, or waits for the next publisher if it is
    /// reserved. A stale token has no effect.
    pub fn finish(&mut self, now: Instant, token: FencingToken) {
        self.on_token(now, token, |work| work.finish(token));
    }

    /// Keeps a claim for `keep` from now, with or without a publisher; returns how long it really is kept.
    ///
    /// # Errors
    /// [`RenewError`] if the caller's claim is no more; it must not go on as if it had it.
    pub fn renew(&mut self, now: Instant, claim: ClaimId, keep: Duration) -> Result<Duration, RenewError> {
        self.on_claim(now, claim, |work| work.renew(claim, keep)).unwrap_or(Err(RenewError::Unknown))
    }

    /// The holder gives its claim up, publisher or not. Another holder's claim has another id, so a stale release
    /// has no effect; returns whether there was something to release.
    pub fn release(&mut self, now: Instant, claim: ClaimId, why: &str) -> bool {
        self.on_claim(now, claim, |work| work.release(claim, why)).unwrap_or(false)
    }

    /// Lets whoever brings `ticket` take over from this token's publisher, once, within [`Rules::ticket`]. Returns
    /// whether the publisher is there; an older ticket of the same claim is void.
    pub fn ticket(&mut self, now: Instant, token: FencingToken, ticket: Ticket) -> bool {
        self.on_token(now, token, |work| work.issue(token, ticket)).unwrap_or(false)
    }

    /// Does what time demands. Call it at [`ClaimTable::poll_timeout`] or later; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let due: Vec<_> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect();
        for key in due {
            self.on_key(now, &key, |_| ());
        }
    }

    /// Asks anew for the key's claim and blocks to be written: the caller lost an [`Effect::Persist`] on the way.
    pub fn rewrite(&mut self, now: Instant, key: &ClaimKey) {
        self.on_key(now, key, |work| {
            work.persist();
            work.persist_blocks();
        });
    }

    /// When [`ClaimTable::handle_timeout`] is due. After media it may be too early, never too late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next thing to do, in order. Drain it after every call.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// How many contenders have no outcome yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.by_contender.len()
    }

    /// The largest token handed out.
    #[must_use]
    pub const fn last_token(&self) -> FencingToken {
        self.tokens.last()
    }

    /// Who may write to the key now: the token of its connected publisher.
    #[must_use]
    pub fn writer(&self, key: &ClaimKey) -> Option<FencingToken> {
        self.entries.get(key)?.writer()
    }

    /// Whether the publisher of this token still owes the answer to a probe.
    #[must_use]
    pub fn is_probed(&self, token: FencingToken) -> bool {
        let entry = self.by_token.get(&token).and_then(|key| self.entries.get(key));
        entry.is_some_and(|entry| entry.is_probed(token))
    }

    /// All claims and blocked keys, in the order of their keys.
    pub fn claims(&self, now: Instant) -> impl Iterator<Item = Row> {
        self.entries.iter().filter_map(move |(key, entry)| view::row(key, entry, now, &self.rules))
    }

    /// The row of one key.
    #[must_use]
    pub fn row(&self, now: Instant, key: &ClaimKey) -> Option<Row> {
        view::row(key, self.entries.get(key)?, now, &self.rules)
    }

    /// The key of a claim that has not ended.
    #[must_use]
    pub fn key_of(&self, claim: ClaimId) -> Option<&ClaimKey> {
        self.by_claim.get(&claim)
    }

    /// The row of one claim.
    #[must_use]
    pub fn row_of(&self, now: Instant, claim: ClaimId) -> Option<Row> {
        self.row(now, self.by_claim.get(&claim)?)
    }

    fn entry_of(&mut self, token: FencingToken) -> Option<(&ClaimKey, &mut Entry)> {
        let key = self.by_token.get(&token)?;
        Some((key, self.entries.get_mut(key)?))
    }

    fn on_token<R>(
        &mut self,
        now: Instant,
        token: FencingToken,
        act: impl FnOnce(&mut Work<'_>) -> R,
    ) -> Option<R> {
        let key = self.by_token.get(&token)?.clone();
        Some(self.on_key(now, &key, act))
    }

    fn on_claim<R>(
        &mut self,
        now: Instant,
        claim: ClaimId,
        act: impl FnOnce(&mut Work<'_>) -> R,
    ) -> Option<R> {
        let key = self.by_claim.get(&claim)?.clone();
        Some(self.on_key(now, &key, act))
    }

    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |latest| latest.max(now));
        self.now = Some(now);
        now
    }

    /// Works on one key and keeps all indexes true. The only place that changes an entry's claim.
    fn on_key<R>(&mut self, now: Instant, key: &ClaimKey, act: impl FnOnce(&mut Work<'_>) -> R) -> R {
        let now = self.advance(now);
        let mut entry = self.entries.remove(key).unwrap_or_default();
        let before = entry.indexed();
        let mut work = Work {
            now,
            key,
            entry: &mut entry,
            rules: &self.rules,
            tokens: &mut self.tokens,
            by_contender: &mut self.by_contender,
            by_save: &mut self.by_save,
            next_save: &mut self.next_save,
            effects: &mut self.effects,
        };
        work.age();
        let result = act(&mut work);
        work.settle();
        work.settle_contest();
        work.show();
        let after = entry.indexed();
        if before != after {
            for id in before.claims.iter().flatten() {
                self.by_claim.remove(id);
            }
            for id in after.claims.iter().flatten() {
                self.by_claim.insert(*id, key.clone());
            }
            if let Some(token) = before.token {
                self.by_token.remove(&token);
            }
            if let Some(token) = after.token {
                self.by_token.insert(token, key.clone());
            }
        }
        let due = entry.deadline(&self.rules, self.now);
        if entry.scheduled != due {
            if let Some(at) = entry.scheduled {
                self.deadlines.remove(&(at, key.clone()));
            }
            if let Some(at) = due {
                self.deadlines.insert((at, key.clone()));
            }
            entry.scheduled = due;
        }
        if !entry.is_idle() {
            self.entries.insert(key.clone(), entry);
        }
        result
    }
}

impl Work<'_> {
    fn arrive(&mut self, request: Request) {
        if self.entry.waiting.len() >= self.rules.waiting_max {
            self.refuse(&request, Reason::Busy);
            return;
        }
        self.by_contender.insert(request.origin().contender, self.key.clone());
        self.entry.waiting.push_back(Waiting::new(self.now, self.rules.decide, request));
    }

    fn withdraw(&mut self, contender: ContenderId) {
        self.by_contender.remove(&contender);
        self.entry.waiting.retain(|waiting| waiting.contender() != contender);
        if let Some(saving) = &mut self.entry.saving
            && saving.waiting.contender() == contender
        {
            saving.withdrawn = true;
        }
    }

    fn keyframe(&mut self, contender: ContenderId) {
        if let Some(waiting) = self.entry.waiting.iter_mut().find(|waiting| waiting.contender() == contender)
        {
            waiting.shows_keyframe();
        }
    }

    fn lost(&mut self, token: FencingToken, why: &str) {
        let Some(claim) = self.entry.claim.as_ref().filter(|claim| claim.writer() == Some(token)) else {
            return;
        };
        // One who can be recognised gets a moment to come back before a stranger may follow.
        let open_at = match (claim.holder.instance.is_some(), self.rules.reserve_on_loss) {
            (true, true) => self.now + claim.timing.grace,
            (true, false) => self.now + self.rules.probe_answer,
            (false, _) => self.now,
        };
        self.linger(open_at, why);
    }

    fn finish(&mut self, token: FencingToken) {
        let Some(claim) = self.entry.claim.as_ref().filter(|claim| claim.writer() == Some(token)) else {
            return;
        };
        if claim.kept.is_some() {
            self.linger(self.now, "publisher ended its stream; the key stays reserved");
        } else {
            self.end(What::Released, "publisher ended its stream");
        }
    }

    fn renew(&mut self, id: ClaimId, keep: Duration) -> Result<Duration, RenewError> {
        let keep = keep.min(self.rules.keep_max);
        let is_abroad = self.entry.abroad.as_ref().is_some_and(|abroad| abroad.foreign.record.claim_id == id);
        if is_abroad {
            // Its holder's publisher is at another relay, which keeps it.
            return Ok(keep);
        }
        let Some(claim) = self.entry.claim.as_mut().filter(|claim| claim.id == id) else {
            return Err(RenewError::Unknown);
        };
        if matches!(claim.phase, Phase::Vacant { .. }) {
            return Err(RenewError::Seized);
        }
        let is_news = claim.kept.is_none_or(|kept| kept.keep != keep);
        claim.kept = Some(entry::Kept { until: self.now + keep, keep });
        if is_news {
            self.persist();
        }
        Ok(keep)
    }

    fn release(&mut self, id: ClaimId, why: &str) -> bool {
        if self.entry.abroad.as_ref().is_some_and(|abroad| abroad.foreign.record.claim_id == id) {
            self.evict(why);
            return true;
        }
        let Some(claim) = self.entry.claim.as_ref().filter(|claim| claim.id == id) else { return false };
        if let Some(token) = claim.writer() {
            self.disconnect(token, "the claim was released");
        }
        self.end(What::Released, why);
        true
    }

    fn issue(&mut self, token: FencingToken, ticket: Ticket) -> bool {
        let Some(claim) = self.entry.claim.as_mut().filter(|claim| claim.writer() == Some(token)) else {
            return false;
        };
        claim.ticket = Some((ticket, self.now + self.rules.ticket));
        true
    }

    /// The publisher is gone or dead; what waits for it is kept, if anything may.
    fn linger(&mut self, open_at: Instant, why: &str) {
        let Some(claim) = &mut self.entry.claim else { return };
        let nobody_waits = !claim.had_media && claim.kept.is_none();
        if nobody_waits {
            self.end(What::Expired, why);
            return;
        }
        let until = self.now + claim.timing.grace;
        claim.phase = Phase::Lingering { until, open_at };
        self.event(What::Lingering, why);
    }

    fn end(&mut self, what: What, why: &str) {
        self.event(what, why);
        self.entry.claim = None;
        self.persist();
    }

    /// An event of the key's present claim.
    fn event(&mut self, what: What, why: &str) {
        let Some(claim) = &self.entry.claim else { return };
        let event = Event {
            what,
            key: self.key.clone(),
            claim_id: Some(claim.id),
            token: Some(claim.token),
            stream_id: claim.holder.stream_id,
            who: claim.holder.label.clone(),
            why: told(why),
        };
        self.effects.push_back(Effect::Event(event));
    }

    fn disconnect(&mut self, token: FencingToken, why: &str) {
        self.effects.push_back(Effect::Disconnect { token, why: told(why) });
    }

    /// Writes the truth about the key's claim, or notes that it must be written once the pending save is answered:
    /// written now, it would be overtaken by what is being saved.
    fn persist(&mut self) {
        if let Some(saving) = &mut self.entry.saving {
            saving.dirty = true;
            return;
        }
        let change = match self.entry.claim.as_ref().and_then(|claim| claim.record(self.key)) {
            Some(record) => Change::Put(record),
            None => Change::Remove(self.key.clone()),
        };
        self.effects.push_back(Effect::Persist(change));
    }
}

/// A text for strangers and logs.
fn told(text: &str) -> String {
    crate::holder::printable(text, 200)
}

/// By label, for texts that name a party.
fn by(label: &Label, reason: &str) -> String {
    if reason.trim().is_empty() { label.to_string() } else { format!("{label}: {reason}") }
}
