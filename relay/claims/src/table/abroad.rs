//! A key whose claim is another relay's: what was heard of it, who may follow it, and what it is told of ours.
//!
//! The relay that has a claim is the one who judges whether its publisher lives. Any relay may take a claim over by a
//! compare-and-swap in the shared store: for the same holder, by ticket, by priority, or once it is open. Whoever lost a
//! claim hears of it and cuts its publisher; the sinks that check tokens refuse that one's writes in any case.

use super::entry::{Audition, Claim, Entry, Phase, Request, Waiting};
use super::judge::{Verdict, judge_stranger, outranks};
use super::{ClaimTable, Work, told};
use crate::{
    BlockRecord, ClaimKey, Effect, Event, FencingToken, Foreign, Reason, Rules, Shown, Standing, Version,
    What,
};
use std::time::Instant;

/// Another relay's claim, and what passed between us about it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Abroad {
    pub(super) foreign: Foreign,
    /// Since when we know of this holder.
    held_since: Instant,
    /// When the other relay last said that its publisher lives.
    proven: Option<Instant>,
    /// When it was asked, while it has not answered.
    asked: Option<Instant>,
}

impl ClaimTable {
    /// The shared store has this on the key now: another relay's claim, or none. A claim of our own is lost by it, and
    /// its publisher cut. What was heard of a key is replaced; an older version than the last is not to be told.
    pub fn heard(&mut self, now: Instant, key: &ClaimKey, foreign: Option<Foreign>) {
        self.on_key(now, key, |work| work.heard(foreign));
    }

    /// At the start: another relay's claim that was there before us. No event.
    pub fn heard_before(&mut self, now: Instant, key: &ClaimKey, foreign: Foreign) {
        self.on_key(now, key, |work| {
            if work.entry.claim.is_none() {
                work.entry.abroad = Some(Abroad::new(now, foreign));
            }
        });
    }

    /// Another relay changed the key's blocks to these.
    pub fn heard_blocks(&mut self, now: Instant, key: &ClaimKey, blocks: Vec<BlockRecord>) {
        self.on_key(now, key, |work| {
            work.entry.blocks.clear();
            for block in blocks.into_iter().take(work.rules.blocks_max) {
                work.entry.restore_block(work.now, work.rules, block);
            }
        });
    }

    /// The relay that has the key's claim says that its publisher lives.
    pub fn vouched(&mut self, now: Instant, key: &ClaimKey) {
        self.on_key(now, key, |work| {
            if let Some(abroad) = &mut work.entry.abroad {
                abroad.proven = Some(work.now);
                abroad.asked = None;
            }
        });
    }

    /// Another relay has a contender for our claim: its publisher is to show that it lives. The answer is
    /// [`Effect::Vouch`], or the claim opens.
    pub fn contested(&mut self, now: Instant, key: &ClaimKey) {
        self.on_key(now, key, |work| work.entry.is_contested = work.entry.claim.is_some());
    }

    /// Another relay ended our claim in an operator's or its owner's name. A later claim is not meant: `token` is that
    /// of the claim that was ended.
    pub fn evicted(&mut self, now: Instant, key: &ClaimKey, token: FencingToken, why: &str) {
        self.on_key(now, key, |work| work.evicted(token, why));
    }

    /// The store has another state of the key than the table knew: nothing was stored, and the winner is judged anew.
    pub fn conflicted(&mut self, now: Instant, save: crate::SaveId) {
        let Some(key) = self.by_save.remove(&save) else { return };
        self.on_key(now, &key, |work| {
            let Some(saving) = work.entry.saving.take_if(|saving| saving.save == save) else { return };
            if !saving.withdrawn {
                work.entry.waiting.push_front(saving.waiting);
            }
            if saving.dirty {
                work.persist();
            }
        });
    }
}

impl Work<'_> {
    fn heard(&mut self, foreign: Option<Foreign>) {
        let Some(foreign) = foreign else {
            self.foreign_ended("ended");
            if self.entry.claim.is_some() {
                self.overtaken("another relay had the URL meanwhile");
                // What we wanted kept may just have been handed over.
                self.persist();
            }
            return;
        };
        let place = format!("at relay {}", foreign.relay);
        let moved = self.entry.claim.as_ref().is_some_and(|claim| claim.id == foreign.record.claim_id);
        if moved {
            self.overtaken(&format!("superseded by a newer connection of the same publisher {place}"));
        } else {
            self.overtaken(&format!("replaced by {} {place}", foreign.record.holder.label));
        }
        let before = self.entry.abroad.take();
        let is_news =
            before.as_ref().is_none_or(|before| before.foreign.record.token != foreign.record.token);
        if is_news {
            self.foreign_event(&foreign, What::Granted, "admitted");
        }
        self.entry.abroad = Some(match before {
            Some(before) if !is_news => Abroad { foreign, ..before },
            _ => Abroad::new(self.now, foreign),
        });
    }

    /// Another relay's claim is no more in the store.
    pub(super) fn foreign_ended(&mut self, how: &str) {
        if let Some(abroad) = self.entry.abroad.take() {
            self.foreign_event(&abroad.foreign, What::Released, how);
        }
    }

    /// Our claim is no more: it is another's, or nobody knows whose it was meanwhile. Nothing is written.
    fn overtaken(&mut self, why: &str) {
        let Some(claim) = &self.entry.claim else { return };
        if !matches!(claim.phase, Phase::Vacant { .. }) {
            if let Some(token) = claim.writer() {
                self.disconnect(token, why);
            }
            self.event(What::Displaced, why);
        }
        self.entry.claim = None;
        self.entry.is_contested = false;
    }

    fn evicted(&mut self, token: FencingToken, why: &str) {
        let Some(claim) = self.entry.claim.as_ref().filter(|claim| claim.token == token) else {
            self.persist();
            return;
        };
        if let Some(writer) = claim.writer() {
            self.disconnect(writer, why);
        }
        self.end(What::Seized, why);
    }

    fn foreign_event(&mut self, foreign: &Foreign, what: What, how: &str) {
        let record = &foreign.record;
        self.effects.push_back(Effect::Event(Event {
            what,
            key: self.key.clone(),
            claim_id: Some(record.claim_id),
            token: Some(record.token),
            stream_id: None,
            who: record.holder.label.clone(),
            why: told(&format!("{how} at relay {}", foreign.relay)),
        }));
    }

    /// Ends another relay's claim. Until that is heard of, contenders find it open.
    pub(super) fn evict(&mut self, why: &str) {
        let Some(abroad) = &mut self.entry.abroad else { return };
        abroad.foreign.shown.standing = Standing::Open;
        let version = abroad.foreign.version;
        let why = told(why);
        self.effects.push_back(Effect::Evict { key: self.key.clone(), version, why });
    }

    pub(super) fn ask_abroad(&mut self) {
        let Some(abroad) = &mut self.entry.abroad else { return };
        abroad.asked = Some(self.now);
        self.effects.push_back(Effect::Ask { key: self.key.clone() });
    }

    /// Answers another relay that asks for our publisher's life, as if its contender stood here.
    pub(super) fn settle_contest(&mut self) {
        if !self.entry.is_contested {
            return;
        }
        let Some(claim) = &self.entry.claim else {
            self.entry.is_contested = false;
            return;
        };
        match judge_stranger(claim, self.rules, self.now) {
            Verdict::Probe => self.probe(),
            Verdict::Wait => {}
            Verdict::Refuse(_) => {
                self.entry.is_contested = false;
                self.effects.push_back(Effect::Vouch { key: self.key.clone() });
            }
            // It shows as open.
            Verdict::Admit | Verdict::Audition | Verdict::Ask => self.entry.is_contested = false,
        }
    }

    /// Lets the other relays know who may follow our claim, whenever that is another than they know.
    pub(super) fn show(&mut self) {
        if !self.rules.shared || self.entry.saving.is_some() {
            return;
        }
        let now = self.now;
        let Some(claim) = &mut self.entry.claim else { return };
        if matches!(claim.phase, Phase::Vacant { .. }) {
            return;
        }
        let shown = Shown { standing: claim.standing(now), ticket: claim.ticket.map(|(ticket, _)| ticket) };
        if claim.shown != shown {
            claim.shown = shown;
            self.effects.push_back(Effect::Show { key: self.key.clone(), shown });
        }
    }
}

impl Claim {
    /// Who may follow it, by the same rules by which a stranger is judged here.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.phase {
            Phase::Reserved => Standing::Reserved,
            Phase::Live(_) => Standing::Held,
            Phase::Lingering { .. } if self.kept.is_some() => Standing::Held,
            Phase::Lingering { open_at, .. } if open_at <= now => Standing::Open,
            Phase::Lingering { .. } => Standing::Held,
            Phase::Vacant { .. } => Standing::Open,
        }
    }
}

impl Abroad {
    fn new(held_since: Instant, foreign: Foreign) -> Self {
        Self { foreign, held_since, proven: None, asked: None }
    }

    /// When it is known that no answer comes.
    fn answer_until(&self, rules: &Rules) -> Option<Instant> {
        self.asked.map(|at| at + rules.probe_quiet + rules.probe_answer + rules.ask_answer)
    }

    pub(super) fn deadline(&self, entry: &Entry, rules: &Rules, now: Option<Instant>) -> Option<Instant> {
        if entry.waiting.is_empty() || entry.saving.is_some() {
            return None;
        }
        let preempts = entry.waiting.iter().filter(|waiting| waiting.audition == Audition::NotAsked);
        let preempts = preempts.filter_map(|waiting| self.preempts_from(rules, &waiting.request)).min();
        let later = |at: Instant| now.is_none_or(|now| at > now);
        let answer = self.answer_until(rules).filter(|at| later(*at));
        [answer, preempts.filter(|at| later(*at))].into_iter().flatten().min()
    }

    fn preempts_from(&self, rules: &Rules, request: &Request) -> Option<Instant> {
        outranks(&self.foreign.record.holder, request).then(|| self.held_since + rules.preempt_gate)
    }
}

/// Judges one contender for another relay's claim, by the rules that hold for one of our own.
pub(super) fn judge_abroad(abroad: &Abroad, rules: &Rules, now: Instant, waiting: &Waiting) -> Verdict {
    let Foreign { record, shown, .. } = &abroad.foreign;
    let holder = &waiting.request.origin().holder;
    if shown.standing == Standing::Open {
        return Verdict::Admit;
    }
    if record.holder.is_same(holder) {
        let is_older = holder.incarnation < record.holder.incarnation;
        return match &waiting.request {
            Request::Publish(_) if is_older => Verdict::Refuse(Reason::Stale),
            Request::Publish(_) | Request::Reserve(_) => Verdict::Admit,
        };
    }
    if let Request::Publish(publish) = &waiting.request
        && publish.ticket.is_some()
        && publish.ticket == shown.ticket
    {
        return Verdict::Admit;
    }
    if abroad.preempts_from(rules, &waiting.request).is_some_and(|from| from <= now) {
        return match (shown.standing, waiting.audition) {
            (Standing::Held, Audition::NotAsked) => Verdict::Audition,
            (Standing::Held, Audition::Asked) => Verdict::Wait,
            _ => Verdict::Admit,
        };
    }
    if shown.standing == Standing::Reserved {
        return Verdict::Refuse(Reason::Reserved);
    }
    let is_proven = abroad.proven.is_some_and(|at| now.saturating_duration_since(at) < rules.probe_quiet);
    if record.keep.is_some() || is_proven {
        return Verdict::Refuse(Reason::Held);
    }
    match (abroad.asked, abroad.answer_until(rules)) {
        (Some(_), Some(until)) if now < until => Verdict::Wait,
        // It does not answer; its relay's lease decides. After as long again it is worth another question.
        (Some(at), Some(until)) if now < until + until.saturating_duration_since(at) => {
            Verdict::Refuse(Reason::Held)
        }
        _ => Verdict::Ask,
    }
}

impl Entry {
    /// What a grant would replace in a shared store.
    pub(super) fn replaces(&self) -> Version {
        self.abroad.as_ref().map_or(Version::ABSENT, |abroad| abroad.foreign.version)
    }
}
