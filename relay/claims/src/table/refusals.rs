//! Who was turned away from one key: how often lately, how late it is answered, who was last.

use crate::{HolderId, Label, Reason, Reference, Rules};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many peers' delays are remembered per key; beyond it the one refused longest ago starts at zero again.
const PEERS_MAX: usize = 64;
/// The counts of the last hour, one per minute.
const MINUTES: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// The refusals of one key. Bounded.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Refusals {
    /// The peer refused longest ago first.
    peers: VecDeque<Peer>,
    /// When the refusals that wait for their delay are answered. One whose peer hung up keeps its place until then:
    /// a storm of short connections is bounded like one of patient ones.
    held: Vec<Instant>,
    counts: VecDeque<(Instant, u32)>,
    last: Option<Last>,
}

#[derive(Clone, Debug, Hash)]
struct Peer {
    who: HolderId,
    times: u32,
    last: Instant,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Last {
    pub(super) at: Instant,
    pub(super) who: Label,
    pub(super) reason: Reason,
    pub(super) reference: Reference,
}

/// What becomes of one refusal.
pub(super) enum Answer {
    /// It is told as an event, and answered after this long.
    After(Duration),
    /// Too many are held: answered at once, counted only.
    AtOnce,
}

impl Refusals {
    pub(super) fn note(&mut self, now: Instant, rules: &Rules, who: HolderId, last: Last) -> Answer {
        self.forget(now, rules);
        match self.counts.back_mut() {
            Some((minute, count)) if now.saturating_duration_since(*minute) < MINUTE => {
                *count = count.saturating_add(1);
            }
            _ => self.counts.push_back((now, 1)),
        }
        self.last = Some(last);
        if self.held.len() >= rules.held_refusals_max {
            return Answer::AtOnce;
        }
        let known = self.peers.iter().position(|peer| peer.who == who).and_then(|at| self.peers.remove(at));
        let times = known.map_or(0, |peer| peer.times.saturating_add(1));
        if self.peers.len() >= PEERS_MAX {
            self.peers.pop_front();
        }
        self.peers.push_back(Peer { who, times, last: now });
        let step = usize::try_from(times).unwrap_or(usize::MAX).min(rules.delays.len() - 1);
        let delay = rules.delays[step];
        if !delay.is_zero() {
            self.held.push(now + delay);
        }
        Answer::After(delay)
    }

    /// Forgets what time has ended.
    pub(super) fn forget(&mut self, now: Instant, rules: &Rules) {
        self.held.retain(|until| *until > now);
        self.peers.retain(|peer| peer.last + rules.forget_refusals > now);
        while self.counts.front().is_some_and(|(at, _)| is_old(*at, now)) {
            self.counts.pop_front();
        }
    }

    pub(super) fn last_hour(&self, now: Instant) -> u32 {
        let recent = self.counts.iter().filter(|(at, _)| !is_old(*at, now));
        recent.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    pub(super) const fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Whether nobody's delay would be forgotten too early.
    pub(super) fn are_forgotten(&self) -> bool {
        self.held.is_empty() && self.peers.is_empty()
    }

    /// When [`Refusals::forget`] has something to do.
    pub(super) fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let held = self.held.iter().copied();
        held.chain(self.peers.iter().map(|peer| peer.last + rules.forget_refusals)).min()
    }
}

fn is_old(minute: Instant, now: Instant) -> bool {
    now.saturating_duration_since(minute) >= MINUTE * MINUTES as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    use super::*;

    fn note(refusals: &mut Refusals, now: Instant, rules: &Rules, who: &str) -> Option<Duration> {
        let last = Last { at: now, who: Label::new(who), reason: Reason::Held, reference: Reference(1) };
        let peer = HolderId { principal: who.into(), instance: None };
        match refusals.note(now, rules, peer, last) {
            Answer::After(delay) => Some(delay),
            Answer::AtOnce => None,
        }
    }

    #[test]
    fn a_repeated_refusal_is_answered_later_and_later_for_its_peer_alone() {
        let (rules, now) = (Rules::default(), Instant::now());
        let mut refusals = Refusals::default();
        let seconds =
            |refusals: &mut Refusals, who| note(refusals, now, &rules, who).map(|delay| delay.as_secs());
        let told: Vec<_> = (0..6).map(|_| seconds(&mut refusals, "a")).collect();
        assert_eq!(told, [0, 1, 2, 4, 4, 4].map(Some));
        assert_eq!(seconds(&mut refusals, "b"), Some(0));
        let much_later = now + rules.forget_refusals;
        assert_eq!(note(&mut refusals, much_later, &rules, "a"), Some(Duration::ZERO));
    }

    #[test]
    fn beyond_64_held_refusals_the_answer_comes_at_once() {
        let (rules, now) = (Rules::default(), Instant::now());
        let mut refusals = Refusals::default();
        let told: Vec<_> = (0..100).map(|_| note(&mut refusals, now, &rules, "storm")).collect();
        assert_eq!(told.iter().filter(|answer| answer.is_none()).count(), 100 - 65);
        assert_eq!(refusals.last_hour(now), 100, "all of them are counted");
        let answered = now + rules.delays[3];
        assert!(note(&mut refusals, answered, &rules, "storm").is_some(), "there is room again");
        assert_eq!(refusals.last_hour(answered + Duration::from_secs(3601)), 0);
    }

    #[test]
    fn a_million_peers_take_no_more_room_than_64() {
        let (rules, mut now) = (Rules::default(), Instant::now());
        let mut refusals = Refusals::default();
        for number in 0..10_000 {
            now += Duration::from_millis(500);
            note(&mut refusals, now, &rules, &format!("peer {number}"));
        }
        assert!(refusals.peers.len() <= PEERS_MAX && refusals.counts.len() <= MINUTES + 1);
        assert!(refusals.held.len() <= rules.held_refusals_max);
    }
}
