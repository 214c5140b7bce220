//! Who may have the key: the rules in their order, and nothing else.

use super::abroad::judge_abroad;
use super::entry::{Audition, Claim, Entry, Phase, Request, Waiting};
use crate::{Holder, Reason, Rules};
use std::time::Instant;

/// The decision about one contender, as things are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may have the key.
    Admit,
    /// It may not.
    Refuse(Reason),
    /// The holder's proof of life is out, or its time to come back still runs.
    Wait,
    /// The holder must prove that it lives.
    Probe,
    /// It must show a keyframe first.
    Audition,
    /// The relay that has the claim must say whether its publisher lives.
    Ask,
}

/// Judges one contender. Pure: same state, same verdict.
pub(super) fn judge(entry: &Entry, rules: &Rules, now: Instant, waiting: &Waiting) -> Verdict {
    let holder = &waiting.request.origin().holder;
    if entry.key_block().is_some() {
        return Verdict::Refuse(Reason::KeyBlocked);
    }
    if entry.blocks_holder(holder) {
        return Verdict::Refuse(Reason::HolderBlocked);
    }
    if let Request::Publish(publish) = &waiting.request
        && let Some(only) = publish.only
        && !is_its_own(entry, only, holder)
    {
        return Verdict::Refuse(Reason::Gone);
    }
    if let Some(abroad) = &entry.abroad {
        return judge_abroad(abroad, rules, now, waiting);
    }
    let Some(claim) = &entry.claim else { return Verdict::Admit };
    if matches!(claim.phase, Phase::Vacant { .. }) {
        return Verdict::Admit;
    }
    if claim.holder.is_same(holder) {
        return judge_same(claim, rules, now, &waiting.request);
    }
    if has_ticket(claim, &waiting.request, now) {
        return Verdict::Admit;
    }
    if may_preempt(claim, rules, now, &waiting.request) {
        return match (&claim.phase, waiting.audition) {
            (Phase::Live(_), Audition::NotAsked) => Verdict::Audition,
            (Phase::Live(_), Audition::Asked) => Verdict::Wait,
            _ => Verdict::Admit,
        };
    }
    judge_stranger(claim, rules, now)
}

/// Whether the key's claim, here or at another relay, is this one and this holder's.
fn is_its_own(entry: &Entry, only: crate::ClaimId, holder: &Holder) -> bool {
    let here = entry.claim.as_ref().map(|claim| (claim.id, &claim.holder));
    let abroad = entry.abroad.as_ref().map(|abroad| &abroad.foreign.record);
    let abroad = abroad.map(|record| (record.claim_id, &record.holder));
    here.or(abroad).is_some_and(|(id, has)| id == only && has.is_same(holder))
}

fn judge_same(claim: &Claim, rules: &Rules, now: Instant, request: &Request) -> Verdict {
    let Request::Publish(publish) = request else { return Verdict::Admit };
    if publish.origin.holder.incarnation < claim.holder.incarnation {
        return Verdict::Refuse(Reason::Stale);
    }
    let flaps = claim.flaps;
    let too_often = flaps.count >= rules.flaps_max
        && flaps.since.is_some_and(|since| now.saturating_duration_since(since) < rules.flap_window);
    if too_often && matches!(claim.phase, Phase::Live(_)) {
        return contest(claim, rules, now, Reason::Shared);
    }
    Verdict::Admit
}

pub(super) fn judge_stranger(claim: &Claim, rules: &Rules, now: Instant) -> Verdict {
    match claim.phase {
        Phase::Reserved => Verdict::Refuse(Reason::Reserved),
        // Its stream renews it, so the holder is alive whatever its publisher is.
        Phase::Live(_) | Phase::Lingering { .. } if claim.kept.is_some() => Verdict::Refuse(Reason::Held),
        Phase::Live(_) => contest(claim, rules, now, Reason::Held),
        Phase::Lingering { open_at, .. } if open_at <= now => Verdict::Admit,
        Phase::Lingering { open_at, .. } if open_at <= now + rules.probe_answer => Verdict::Wait,
        Phase::Lingering { .. } => Verdict::Refuse(Reason::Held),
        Phase::Vacant { .. } => Verdict::Admit,
    }
}

/// A contested holder is asked for a sign of life, and given time for it. One that gave it lately is not asked again.
fn contest(claim: &Claim, rules: &Rules, now: Instant, if_alive: Reason) -> Verdict {
    let Phase::Live(connection) = &claim.phase else { return Verdict::Admit };
    if connection.probed.is_some() {
        return Verdict::Wait;
    }
    let is_proven = connection.proven.is_some_and(|at| now.saturating_duration_since(at) < rules.probe_quiet);
    if is_proven { Verdict::Refuse(if_alive) } else { Verdict::Probe }
}

fn has_ticket(claim: &Claim, request: &Request, now: Instant) -> bool {
    let Request::Publish(publish) = request else { return false };
    match (publish.ticket, claim.ticket) {
        (Some(shown), Some((issued, until))) => shown == issued && now < until,
        _ => false,
    }
}

fn may_preempt(claim: &Claim, rules: &Rules, now: Instant, request: &Request) -> bool {
    preempts_from(claim, rules, request).is_some_and(|from| from <= now)
}

/// From when on a contender's priority lets it displace the holder, if ever.
pub(super) fn preempts_from(claim: &Claim, rules: &Rules, request: &Request) -> Option<Instant> {
    outranks(&claim.holder, request).then(|| claim.held_since + rules.preempt_gate)
}

/// Whether a contender's priority is higher than another holder's, and its app lets that count.
pub(super) fn outranks(holder: &Holder, request: &Request) -> bool {
    let Request::Publish(publish) = request else { return false };
    let contender = &publish.origin.holder;
    publish.preempt && contender.priority > holder.priority && !holder.is_same(contender)
}
