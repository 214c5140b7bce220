//! From a verdict to a grant: save first, then admit; refuse without a trace.

use super::entry::{Audition, Claim, Connection, Flaps, Kept, Phase, Request, Saving, Waiting};
use super::judge::{Verdict, judge};
use super::refusals::{Answer, Last};
use super::{Work, told};
use crate::{
    Admission, ClaimId, Effect, Event, FencingToken, Publish, Reason, Record, Refusal, Reserve, SaveId,
    Shown, Standing, What,
};
use std::time::Duration;

impl Work<'_> {
    /// Judges all who wait, first come first served, until one is being granted.
    pub(super) fn settle(&mut self) {
        let mut at = 0;
        while self.entry.saving.is_none() {
            let Some(waiting) = self.entry.waiting.get(at) else { return };
            match judge(self.entry, self.rules, self.now, waiting) {
                Verdict::Admit => {
                    if let Some(waiting) = self.entry.waiting.remove(at) {
                        self.save(waiting);
                    }
                }
                Verdict::Refuse(reason) => {
                    if let Some(waiting) = self.entry.waiting.remove(at) {
                        self.refuse(&waiting.request, reason);
                    }
                }
                Verdict::Wait => at += 1,
                Verdict::Probe => {
                    self.probe();
                    at += 1;
                }
                Verdict::Audition => {
                    let contender = waiting.contender();
                    self.entry.waiting[at].audition = Audition::Asked;
                    self.effects.push_back(Effect::Audition { contender });
                    at += 1;
                }
                Verdict::Ask => {
                    self.ask_abroad();
                    at += 1;
                }
            }
        }
    }

    pub(super) fn probe(&mut self) {
        let Some(claim) = &mut self.entry.claim else { return };
        let Phase::Live(connection) = &mut claim.phase else { return };
        connection.probed = Some(self.now);
        self.effects.push_back(Effect::Probe { token: claim.token });
    }

    /// Asks the caller to make the grant durable. The present holder notices nothing yet.
    fn save(&mut self, waiting: Waiting) {
        let Some(record) = self.record_for(&waiting.request) else {
            self.refuse(&waiting.request, Reason::StoreUnavailable);
            return;
        };
        let save = SaveId(*self.next_save);
        *self.next_save += 1;
        self.by_save.insert(save, self.key.clone());
        let standing = match &waiting.request {
            Request::Publish(_) => Standing::Held,
            Request::Reserve(_) => {
                let own = self.own_claim(&waiting.request);
                own.map_or(Standing::Reserved, |claim| claim.standing(self.now))
            }
        };
        let replaces = self.entry.replaces();
        self.effects.push_back(Effect::Save { save, record: record.clone(), replaces, standing });
        self.entry.saving = Some(Saving { save, waiting, record, replaces, withdrawn: false, dirty: false });
    }

    /// What the claim will be once granted; `None` when there are no tokens left.
    fn record_for(&mut self, request: &Request) -> Option<Record> {
        let origin = request.origin();
        let own = self.own_claim(request);
        let abroad = self.own_abroad(request);
        let known = own.map(|claim| &claim.holder).or_else(|| abroad.map(|record| &record.holder));
        let mut holder = known.unwrap_or(&origin.holder).clone();
        holder.incarnation = holder.incarnation.max(origin.holder.incarnation);
        let (keep, published) = match request {
            // Another relay's renewals do not reach us.
            Request::Publish(_) => (own.and_then(|claim| claim.kept).map(|kept| kept.keep), true),
            Request::Reserve(reserve) => {
                (Some(self.keep_of(reserve)), own.is_some_and(|claim| claim.published))
            }
        };
        let known = own.map(|claim| (claim.id, claim.since_unix_ms));
        let known = known.or_else(|| abroad.map(|record| (record.claim_id, record.since_unix_ms)));
        let (claim_id, since_unix_ms) = known.unwrap_or((origin.fresh_id, origin.unix_ms));
        let same_token = own.filter(|_| matches!(request, Request::Reserve(_))).map(|claim| claim.token);
        let token = match same_token {
            Some(token) => token,
            None => self.tokens.next()?,
        };
        Some(Record { key: self.key.clone(), claim_id, token, holder, since_unix_ms, keep, published })
    }

    /// The claim that the request's holder has already.
    fn own_claim(&self, request: &Request) -> Option<&Claim> {
        let claim = self.entry.claim.as_ref()?;
        let is_own =
            claim.holder.is_same(&request.origin().holder) && !matches!(claim.phase, Phase::Vacant { .. });
        is_own.then_some(claim)
    }

    /// The claim that the request's holder has at another relay.
    fn own_abroad(&self, request: &Request) -> Option<&Record> {
        let record = &self.entry.abroad.as_ref()?.foreign.record;
        record.holder.is_same(&request.origin().holder).then_some(record)
    }

    /// The id that the request's claim has, or will have.
    fn id_for(&self, request: &Request) -> ClaimId {
        let own = self.own_claim(request).map(|claim| claim.id);
        let abroad = || self.own_abroad(request).map(|record| record.claim_id);
        own.or_else(abroad).unwrap_or(request.origin().fresh_id)
    }

    fn keep_of(&self, reserve: &Reserve) -> Duration {
        reserve.keep.min(self.rules.keep_max)
    }

    /// The grant is durable: lets the winner in, unless something happened meanwhile that forbids it.
    pub(super) fn stored(&mut self, save: SaveId, token: Option<FencingToken>) {
        let Some(saving) = self.entry.saving.take_if(|saving| saving.save == save) else { return };
        let Saving { waiting, mut record, replaces, withdrawn, dirty, .. } = saving;
        if let Some(token) = token {
            record.token = token;
            self.tokens.raise(token);
            if self.entry.replaces() != replaces {
                // Heard of while it was being stored, and gone by then: the store found what was to be replaced.
                self.foreign_ended("ended");
            }
        }
        if withdrawn {
            self.foreign_ended("replaced by one who hung up");
            self.persist();
            return;
        }
        let still_true = self.id_for(&waiting.request) == record.claim_id;
        let still_wins = still_true && judge(self.entry, self.rules, self.now, &waiting) == Verdict::Admit;
        if !still_wins {
            // What was stored is not so. The truth is written, and the contender is judged anew before all others.
            self.foreign_ended("replaced by one who may not follow");
            self.persist();
            self.entry.waiting.push_front(waiting);
            return;
        }
        self.by_contender.remove(&waiting.contender());
        // Whatever another relay had is replaced in the store.
        self.entry.abroad = None;
        match waiting.request {
            Request::Publish(publish) => self.admit(publish, record),
            Request::Reserve(reserve) => self.keep(reserve, record),
        }
        if dirty {
            self.persist();
        }
    }

    /// The grant is not durable: nothing happened, but for the winner who is refused.
    pub(super) fn not_stored(&mut self, save: SaveId) {
        let Some(saving) = self.entry.saving.take_if(|saving| saving.save == save) else { return };
        if !saving.withdrawn {
            self.refuse(&saving.waiting.request, Reason::StoreUnavailable);
        }
        // Nobody knows whether the store has it after all.
        self.persist();
    }

    fn admit(&mut self, publish: Publish, record: Record) {
        let contender = publish.origin.contender;
        let token = record.token;
        let timing = publish.timing.unwrap_or(self.rules.timing);
        let before = self.entry.claim.take();
        let is_own = before.as_ref().is_some_and(|claim| claim.id == record.claim_id);
        let (kind, claim_id) = match before {
            Some(claim) if is_own => (self.succeed_self(claim, token, &record, timing), record.claim_id),
            Some(claim) => (self.succeed_other(claim, &record, timing), record.claim_id),
            None => {
                let claim = self.new_claim(&record, Phase::Live(Connection::new(self.now)));
                self.entry.claim = Some(Claim { timing, ..claim });
                self.event(What::Granted, "publisher admitted");
                (Admission::New, record.claim_id)
            }
        };
        self.effects.push_back(Effect::Admitted { contender, key: self.key.clone(), claim_id, token, kind });
    }

    /// The same holder's next connection.
    fn succeed_self(
        &mut self,
        before: Claim,
        token: FencingToken,
        record: &Record,
        timing: crate::Timing,
    ) -> Admission {
        let old_token = before.token;
        let mut flaps = before.flaps;
        let (kind, what, why) = match &before.phase {
            Phase::Live(old) => {
                let is_healthy = self.now.saturating_duration_since(old.last_sign()) < self.rules.probe_quiet;
                if is_healthy {
                    flaps = self.flapped(flaps);
                }
                self.disconnect(old_token, "superseded by a newer connection of the same publisher");
                (Admission::Displaced { old_token }, What::Displaced, "by its own newer connection")
            }
            Phase::Lingering { .. } => (Admission::Resumed, What::Resumed, "the same holder is back"),
            _ if before.had_media => (Admission::Resumed, What::Resumed, "the same holder is back"),
            _ => (Admission::New, What::Granted, "the publisher of the reservation came"),
        };
        let holder = record.holder.clone();
        let phase = Phase::Live(Connection::new(self.now));
        self.entry.claim = Some(Claim {
            token,
            holder,
            phase,
            published: true,
            ticket: None,
            timing,
            flaps,
            shown: Shown { standing: Standing::Held, ticket: None },
            ..before
        });
        self.event(what, why);
        kind
    }

    fn flapped(&self, flaps: Flaps) -> Flaps {
        let is_recent = |since| self.now.saturating_duration_since(since) < self.rules.flap_window;
        match flaps.since {
            Some(since) if is_recent(since) => Flaps { count: flaps.count.saturating_add(1), ..flaps },
            _ => Flaps { count: 1, since: Some(self.now) },
        }
    }

    /// Another holder's first connection.
    fn succeed_other(&mut self, before: Claim, record: &Record, timing: crate::Timing) -> Admission {
        let old_token = before.token;
        let had_media = before.had_media;
        self.displace(before, record);
        let claim = self.new_claim(record, Phase::Live(Connection::new(self.now)));
        self.entry.claim = Some(Claim { had_media, timing, ..claim });
        self.event(What::Granted, "publisher admitted; readers are kept");
        Admission::Takeover { old_token }
    }

    /// Tells the former holder and the log, unless a seizure already did.
    fn displace(&mut self, before: Claim, record: &Record) {
        let is_seized = matches!(before.phase, Phase::Vacant { .. });
        let why = told(&format!("replaced by {}", record.holder.label));
        if let Some(token) = before.writer() {
            self.disconnect(token, &why);
        }
        self.entry.claim = Some(before);
        if !is_seized {
            self.event(What::Displaced, &why);
        }
        self.entry.claim = None;
    }

    fn keep(&mut self, reserve: Reserve, record: Record) {
        let keep = self.keep_of(&reserve);
        let kept = Some(Kept { until: self.now + keep, keep });
        match self.entry.claim.take() {
            Some(claim) if claim.id == record.claim_id => {
                self.entry.claim = Some(Claim { holder: record.holder, kept, ..claim });
            }
            before => {
                if let Some(before) = before {
                    self.displace(before, &record);
                }
                let claim = self.new_claim(&record, Phase::Reserved);
                let shown = Shown { standing: Standing::Reserved, ticket: None };
                self.entry.claim = Some(Claim { kept, shown, ..claim });
                self.event(What::Granted, "reserved");
            }
        }
        self.effects.push_back(Effect::Reserved {
            contender: reserve.origin.contender,
            key: self.key.clone(),
            claim_id: record.claim_id,
            token: record.token,
            keep,
        });
    }

    pub(super) fn new_claim(&self, record: &Record, phase: Phase) -> Claim {
        Claim {
            id: record.claim_id,
            token: record.token,
            holder: record.holder.clone(),
            since_unix_ms: record.since_unix_ms,
            held_since: self.now,
            kept: record.keep.map(|keep| Kept { until: self.now + keep, keep }),
            phase,
            had_media: false,
            published: record.published,
            ticket: None,
            timing: self.rules.timing,
            flaps: Flaps::default(),
            shown: Shown { standing: Standing::Held, ticket: None },
        }
    }

    /// Turns a contender away: a row, a counter, an event of its own, and nothing else.
    pub(super) fn refuse(&mut self, request: &Request, reason: Reason) {
        let origin = request.origin();
        self.by_contender.remove(&origin.contender);
        let here = self.entry.claim.as_ref().map(|claim| (claim.holder.label.clone(), claim.since_unix_ms));
        let abroad = self.entry.abroad.as_ref().map(|abroad| &abroad.foreign.record);
        let abroad = abroad.map(|record| (record.holder.label.clone(), record.since_unix_ms));
        let names_holder = matches!(reason, Reason::Held | Reason::Reserved | Reason::Stale | Reason::Shared);
        let named = here.or(abroad).filter(|_| names_holder);
        let refusal = Refusal {
            reason,
            since_unix_ms: named.as_ref().map(|(_, since)| *since),
            holder: named.map(|(label, _)| label),
            reference: origin.reference,
        };
        let last =
            Last { at: self.now, who: origin.holder.label.clone(), reason, reference: origin.reference };
        let answer = self.entry.refusals.note(self.now, self.rules, origin.holder.id(), last);
        let after = match answer {
            Answer::AtOnce => Duration::ZERO,
            Answer::After(delay) => {
                self.effects.push_back(Effect::Event(Event {
                    what: What::Refused,
                    key: self.key.clone(),
                    claim_id: None,
                    token: None,
                    stream_id: None,
                    who: origin.holder.label.clone(),
                    why: told(&refusal.text()),
                }));
                delay
            }
        };
        self.effects.push_back(Effect::Refused { contender: origin.contender, refusal, after });
    }
}
