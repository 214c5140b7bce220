//! What time does to a key.

use super::entry::{Audition, Claim, Entry, KeyBlock, Phase};
use super::judge::preempts_from;
use super::{Work, entry};
use crate::{BlockRecord, Change, Effect, Reason, Record, Rules, Standing, What};
use std::time::Instant;

impl Work<'_> {
    /// Brings the key to `now`: everything whose deadline has passed has happened.
    pub(super) fn age(&mut self) {
        let now = self.now;
        self.age_blocks();
        self.entry.refusals.forget(now, self.rules);
        // First the publisher, since its death may be what a contender waits for; its time to decide is longer.
        self.age_publisher();
        self.age_reservation();
        self.age_waiting();
    }

    fn age_blocks(&mut self) {
        let now = self.now;
        if self.entry.blocks.iter().all(|block| block.until > now) {
            return;
        }
        self.entry.blocks.retain(|block| block.until > now);
        self.persist_blocks();
    }

    pub(super) fn persist_blocks(&mut self) {
        let blocks = self.entry.blocks.iter().map(|block| block.record.clone()).collect();
        self.effects.push_back(Effect::Persist(Change::Blocks(self.key.clone(), blocks)));
    }

    fn age_publisher(&mut self) {
        let now = self.now;
        let Some(claim) = &mut self.entry.claim else { return };
        if claim.ticket.is_some_and(|(_, until)| until <= now) {
            claim.ticket = None;
        }
        match &claim.phase {
            Phase::Reserved => {}
            Phase::Live(connection) => {
                let unanswered = connection.answer_until(self.rules).is_some_and(|until| until <= now);
                let silent = connection.silent_until(&claim.timing) <= now;
                let why = match (unanswered, silent, connection.last_media) {
                    (true, _, _) => "no answer to a ping while another wanted the URL",
                    (false, true, None) => "no first media in time",
                    (false, true, Some(_)) => "no media for too long",
                    (false, false, _) => return,
                };
                let token = claim.token;
                self.disconnect(token, why);
                self.linger(now, why);
                // Time may have jumped over the whole grace as well; it counts from now, when the loss was noticed.
            }
            Phase::Lingering { until, .. } if *until <= now => {
                if claim.kept.is_some() {
                    // Said under the state that ends; the row stays, reserved.
                    claim.phase = Phase::Reserved;
                    claim.had_media = false;
                    self.event(What::Expired, "no publisher came back in time; the key stays reserved");
                } else {
                    self.end(What::Expired, "no publisher came back in time");
                }
            }
            Phase::Vacant { until, .. } if *until <= now => {
                self.end(What::Expired, "nobody followed the seized publisher in time");
            }
            Phase::Lingering { .. } | Phase::Vacant { .. } => {}
        }
    }

    fn age_reservation(&mut self) {
        let now = self.now;
        let Some(claim) = &mut self.entry.claim else { return };
        if claim.kept.is_none_or(|kept| kept.until > now) {
            return;
        }
        claim.kept = None;
        if matches!(claim.phase, Phase::Reserved) {
            self.end(What::Expired, "the reservation was not renewed");
        } else {
            self.persist();
        }
    }

    fn age_waiting(&mut self) {
        // Whoever can be decided now is, before its time counts as over.
        if self.entry.waiting.iter().all(|waiting| waiting.give_up > self.now) {
            return;
        }
        self.settle();
        let mut at = 0;
        while let Some(waiting) = self.entry.waiting.get(at) {
            if waiting.give_up > self.now {
                at += 1;
            } else if let Some(waiting) = self.entry.waiting.remove(at) {
                self.refuse(&waiting.request, Reason::TimedOut);
            }
        }
    }

    pub(super) fn restore_claim(&mut self, mut record: Record) {
        record.keep = record.keep.map(|keep| keep.min(self.rules.keep_max));
        let is_older = self.entry.claim.as_ref().is_some_and(|claim| claim.token >= record.token);
        if is_older {
            return;
        }
        let timing = self.rules.timing;
        let waits = record.published || record.keep.is_none();
        let phase = if waits {
            // The relay went away, not the holder: one who can be recognised gets the whole grace time.
            let until = self.now + timing.grace;
            let open_at = if record.holder.instance.is_some() { until } else { self.now };
            Phase::Lingering { until, open_at }
        } else {
            Phase::Reserved
        };
        let claim = self.new_claim(&record, phase);
        self.entry.claim = Some(Claim { had_media: waits, ..claim });
        if waits {
            self.event(What::Lingering, "the relay was restarted");
        }
    }
}

impl Entry {
    pub(super) fn restore_block(&mut self, now: Instant, rules: &Rules, record: BlockRecord) {
        let until = now + record.lasts.min(rules.block_max);
        self.blocks.push(KeyBlock { record, until });
    }

    /// When time has something to do here.
    pub(super) fn deadline(&self, rules: &Rules, now: Option<Instant>) -> Option<Instant> {
        let claim = self.claim.as_ref();
        let ticket = claim.and_then(|claim| claim.ticket).map(|(_, until)| until);
        let kept = claim.and_then(|claim| claim.kept).map(|kept: entry::Kept| kept.until);
        let phase = claim.and_then(|claim| match &claim.phase {
            Phase::Reserved => None,
            Phase::Live(connection) => {
                let silent = connection.silent_until(&claim.timing);
                Some(connection.answer_until(rules).map_or(silent, |answer| answer.min(silent)))
            }
            Phase::Lingering { until, open_at } => {
                let is_untold =
                    rules.shared && claim.kept.is_none() && claim.shown.standing != Standing::Open;
                let somebody_waits = (!self.waiting.is_empty() || is_untold) && self.saving.is_none();
                // Whoever waits here waits for the opening: were it past, it would have been judged and be gone.
                Some(if somebody_waits { *open_at.min(until) } else { *until })
            }
            Phase::Vacant { until, .. } => Some(*until),
        });
        let blocks = self.blocks.iter().map(|block| block.until).min();
        let waiting = self.waiting.iter().map(|waiting| waiting.give_up).min();
        let abroad = self.abroad.as_ref().and_then(|abroad| abroad.deadline(self, rules, now));
        let preempts = |claim| {
            let waiting = self.waiting.iter().filter(|waiting| waiting.audition == Audition::NotAsked);
            waiting.filter_map(|waiting| preempts_from(claim, rules, &waiting.request)).min()
        };
        // Whoever may preempt already has been told so, unless a save keeps all of them waiting.
        let preempts = claim.filter(|_| self.saving.is_none()).and_then(preempts);
        // With a claim the refusals are forgotten when next they matter.
        let refusals = if claim.is_none() { self.refusals.deadline(rules) } else { None };
        [ticket, kept, phase, blocks, waiting, preempts, refusals, abroad].into_iter().flatten().min()
    }
}
