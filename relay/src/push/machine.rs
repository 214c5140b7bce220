//! One push as a pure state machine: when to ask for its target's claim, when to connect, and until when it may send.
//!
//! A foreign server cannot check our fencing tokens, so the claim must fence us: a [lease](Lease) counts from when its
//! renewal was *sent* and ends before the claim itself can, so that whoever follows never meets us. It reads no clock
//! and talks to nobody; the task around it does what it says.

use crate::streams::machine::Moment;
use api::targets::{TargetError, TargetHolder, TargetState};
use claims::ClaimId;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// How long a renewal keeps the claim; longer than the desk may take to answer one, and another.
pub(super) const KEEP: Duration = Duration::from_secs(20);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// After a renewal that was not answered.
const RENEW_AGAIN: Duration = Duration::from_secs(1);
/// How much earlier than its claim the lease ends.
const MARGIN: Duration = Duration::from_secs(2);
/// What a fresh claim is worth before its first renewal: less than the silence after which the desk takes it away.
const FIRST_LEASE: Duration = Duration::from_secs(8);
/// How long one that takes over from a live push waits before it connects, so that the target sees the old one go.
const GUARD: Duration = Duration::from_secs(2);
/// How often a target that another holds is asked for, beside being told that it is free.
const HELD_RETRY: Duration = Duration::from_secs(30);
/// After our claim was taken away.
const FENCED_RETRY: Duration = Duration::from_secs(5);
/// A connection that lived this long counts as success: the waits begin anew.
const PROVEN_AFTER: Duration = Duration::from_secs(30);
/// The longest wait between two tries, without its jitter.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Why the claim was not granted.
#[derive(Clone, Debug)]
pub(super) enum NotGranted {
    /// Another has it, or an operator keeps it.
    Held(TargetHolder),
    /// It could not be asked for.
    Unavailable,
}

/// How a claim was lost.
#[derive(Clone, Debug)]
pub(super) enum Loss {
    /// The desk says so, in these words.
    Ordered(String),
    /// It could not be renewed in time; it may still be ours, but we do not know it.
    NotRenewed,
}

/// Until when we may send, as far as we know.
#[derive(Clone, Copy, Debug)]
struct Lease {
    renew_at: Instant,
    ends: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// Not connected; not before then.
    Down {
        from: Instant,
    },
    Connecting,
    Up {
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Without the claim; it is asked for then.
    Asking {
        at: Instant,
    },
    Holding {
        claim: ClaimId,
        lease: Lease,
        line: Line,
    },
}

/// One push.
#[derive(Debug)]
pub(super) struct Machine {
    phase: Phase,
    state: TargetState,
    since: Timestamp,
    holder: Option<TargetHolder>,
    detail: Option<String>,
    last_error: Option<TargetError>,
    gap_since: Option<Timestamp>,
    /// Failures in a row.
    failures: u32,
    connections: u32,
}

impl Machine {
    pub(super) const fn new(moment: Moment) -> Self {
        Self {
            phase: Phase::Asking { at: moment.now },
            state: TargetState::Waiting,
            since: moment.wall,
            holder: None,
            detail: None,
            last_error: None,
            gap_since: None,
            failures: 0,
            connections: 0,
        }
    }

    pub(super) const fn state(&self) -> TargetState {
        self.state
    }

    pub(super) const fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn holder(&self) -> Option<&TargetHolder> {
        self.holder.as_ref()
    }

    /// What went wrong last, also after it was mended.
    pub(super) fn last_error(&self) -> Option<&TargetError> {
        self.last_error.as_ref()
    }

    /// Since when the stream brings nothing, while it is connected.
    pub(super) const fn gap_since(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Holding { line: Line::Up { .. }, .. } => self.gap_since,
            Phase::Holding { line: Line::Down { .. } | Line::Connecting, .. } | Phase::Asking { .. } => None,
        }
    }

    pub(super) const fn set_gap(&mut self, since: Option<Timestamp>) {
        self.gap_since = since;
    }

    /// What is wrong.
    pub(super) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub(super) const fn claim(&self) -> Option<ClaimId> {
        match self.phase {
            Phase::Asking { .. } => None,
            Phase::Holding { claim, .. } => Some(claim),
        }
    }

    /// How often it was connected, but for the first time.
    pub(super) const fn reconnects(&self) -> u32 {
        self.connections.saturating_sub(1)
    }

    /// When to ask for the claim, if it has none.
    pub(super) const fn ask_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asking { at } => Some(at),
            Phase::Holding { .. } => None,
        }
    }

    /// The claim was not granted. `jitter` is any number from 0 to 1.
    pub(super) fn not_granted(&mut self, moment: Moment, why: NotGranted, words: String, jitter: f64) {
        let (state, holder, wait) = match why {
            NotGranted::Held(holder) => (TargetState::Held, Some(holder), HELD_RETRY),
            NotGranted::Unavailable => (TargetState::Failed, None, self.next_wait()),
        };
        self.phase = Phase::Asking { at: moment.now + with_jitter(wait, jitter) };
        self.enter(moment, state);
        self.holder = holder;
        self.went_wrong(moment, words);
    }

    /// Somebody gave the target's claim up: asks at once if that is what it waits for.
    pub(super) fn may_be_free(&mut self, now: Instant) {
        if let Phase::Asking { at } = &mut self.phase
            && self.state == TargetState::Held
            && self.holder.is_some()
        {
            *at = now;
        }
    }

    /// The claim is ours from `moment`; `takes_over` from a push that was there until now.
    pub(super) fn granted(&mut self, moment: Moment, claim: ClaimId, takes_over: bool) {
        let lease = Lease { renew_at: moment.now, ends: moment.now + FIRST_LEASE };
        let from = if takes_over { moment.now + GUARD } else { moment.now };
        self.phase = Phase::Holding { claim, lease, line: Line::Down { from } };
        self.failures = 0;
        self.holder = None;
        self.detail = None;
        self.enter(moment, TargetState::Waiting);
    }

    /// When the claim is to be renewed, and until when it is safe to send without.
    pub(super) const fn lease(&self) -> Option<(Instant, Instant)> {
        match self.phase {
            Phase::Asking { .. } => None,
            Phase::Holding { lease, .. } => Some((lease.renew_at, lease.ends)),
        }
    }

    /// Whether it may send.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.lease().is_some_and(|(_, ends)| now < ends)
    }

    /// A renewal that was sent at `sent` keeps the claim for `keep` from then or later.
    pub(super) fn renewed(&mut self, sent: Instant, keep: Duration) {
        if let Phase::Holding { lease, .. } = &mut self.phase {
            let ends = sent + keep.saturating_sub(MARGIN);
            *lease = Lease { renew_at: sent + RENEW_EVERY, ends: ends.max(lease.ends) };
        }
    }

    /// A renewal was not answered.
    pub(super) fn not_renewed(&mut self, now: Instant) {
        if let Phase::Holding { lease, .. } = &mut self.phase {
            lease.renew_at = now + RENEW_AGAIN;
        }
    }

    /// The claim is not ours any more: the connection must be gone before this is called.
    pub(super) fn fenced(&mut self, moment: Moment, loss: Loss, jitter: f64) {
        let (state, words) = match loss {
            Loss::Ordered(why) => (TargetState::Held, why),
            Loss::NotRenewed => {
                (TargetState::Failed, "the claim on this target could not be renewed in time".into())
            }
        };
        self.phase = Phase::Asking { at: moment.now + with_jitter(FENCED_RETRY, jitter) };
        self.enter(moment, state);
        self.holder = None;
        self.went_wrong(moment, words);
    }

    /// From when it may connect, if it is to.
    pub(super) const fn connect_from(&self) -> Option<Instant> {
        match self.phase {
            Phase::Holding { line: Line::Down { from }, .. } => Some(from),
            Phase::Holding { line: Line::Connecting | Line::Up { .. }, .. } | Phase::Asking { .. } => None,
        }
    }

    /// It might connect, but there is nothing to push now.
    pub(super) fn nothing_to_push(&mut self, moment: Moment) {
        if self.connect_from().is_some_and(|from| from <= moment.now) {
            self.enter(moment, TargetState::Waiting);
        }
    }

    pub(super) fn connecting(&mut self, moment: Moment) {
        self.set_line(Line::Connecting);
        self.enter(moment, TargetState::Connecting);
    }

    pub(super) fn connected(&mut self, moment: Moment) {
        self.set_line(Line::Up { since: moment.now });
        self.connections = self.connections.saturating_add(1);
        self.gap_since = None;
        self.detail = None;
        self.enter(moment, TargetState::Pushing);
    }

    /// It could not be connected, or the connection ended.
    pub(super) fn failed(&mut self, moment: Moment, why: String, jitter: f64) {
        let Phase::Holding { line, .. } = self.phase else { return };
        if let Line::Up { since } = line
            && moment.now.saturating_duration_since(since) >= PROVEN_AFTER
        {
            self.failures = 0;
        }
        let wait = self.next_wait();
        self.set_line(Line::Down { from: moment.now + with_jitter(wait, jitter) });
        self.went_wrong(moment, why);
        self.enter(moment, TargetState::Failed);
    }

    /// The stream brought nothing for too long: it is connected again when there is something.
    pub(super) fn paused(&mut self, moment: Moment) {
        self.set_line(Line::Down { from: moment.now });
        self.enter(moment, TargetState::Waiting);
    }

    fn went_wrong(&mut self, moment: Moment, words: String) {
        self.last_error = Some(TargetError { detail: words.clone(), at: moment.wall });
        self.detail = Some(words);
    }

    fn set_line(&mut self, new: Line) {
        if let Phase::Holding { line, .. } = &mut self.phase {
            *line = new;
        }
    }

    /// 1, 2, 4 … 30 s.
    fn next_wait(&mut self) -> Duration {
        let wait = Duration::from_secs(1 << self.failures.min(5)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    fn enter(&mut self, moment: Moment, state: TargetState) {
        if self.state != state {
            self.state = state;
            self.since = moment.wall;
        }
    }
}

/// Up to a quarter longer, so that many that failed together do not come back together.
fn with_jitter(wait: Duration, jitter: f64) -> Duration {
    wait + wait.mul_f64(jitter.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use uuid::Uuid;

    const SECOND: Duration = Duration::from_secs(1);

    struct Story {
        start: Instant,
        machine: Machine,
    }

    impl Story {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, machine: Machine::new(at(start, 0)) }
        }

        fn granted() -> Self {
            let mut story = Self::new();
            story.machine.granted(at(story.start, 0), ClaimId::new(Uuid::nil()), false);
            story
        }

        fn at(&self, seconds: u64) -> Moment {
            at(self.start, seconds)
        }

        fn second(&self, at: Option<Instant>) -> Option<u64> {
            at.map(|at| at.saturating_duration_since(self.start).as_secs())
        }
    }

    fn at(start: Instant, seconds: u64) -> Moment {
        let wall = Timestamp::from_second(seconds.try_into().unwrap()).unwrap();
        Moment { now: start + SECOND * seconds.try_into().unwrap(), wall }
    }

    fn holder() -> TargetHolder {
        TargetHolder { label: "stream live/one".into(), since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_target_that_is_down_is_tried_after_1_2_4_8_16_30_30_seconds() {
        let mut story = Story::granted();
        let mut waits = Vec::new();
        let mut now = 0;
        for _ in 0..7 {
            story.machine.connecting(story.at(now));
            story.machine.failed(story.at(now), "refused".into(), 0.0);
            assert_eq!(story.machine.state(), TargetState::Failed);
            assert_eq!(story.machine.detail(), Some("refused"));
            let next = story.second(story.machine.connect_from()).unwrap();
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        story.machine.connecting(story.at(now));
        story.machine.failed(story.at(now), "refused".into(), 1.0);
        assert_eq!(story.second(story.machine.connect_from()), Some(now + 37), "a quarter of jitter at most");
    }

    #[test]
    fn only_a_connection_that_lasted_makes_the_waits_begin_anew() {
        let mut story = Story::granted();
        for (up, down, next) in [(0, 1, 2), (2, 3, 5), (5, 6, 10), (10, 40, 41), (41, 42, 44)] {
            story.machine.connecting(story.at(up));
            story.machine.connected(story.at(up));
            assert_eq!((story.machine.state(), story.machine.detail()), (TargetState::Pushing, None));
            story.machine.failed(story.at(down), "closed".into(), 0.0);
            assert_eq!(story.second(story.machine.connect_from()), Some(next), "up {up}, down {down}");
        }
        assert_eq!(story.machine.reconnects(), 4);
        story.machine.connected(story.at(44));
        assert_eq!(story.machine.detail(), None);
        let last = story.machine.last_error().map(|error| (error.detail.as_str(), error.at));
        assert_eq!(last, Some(("closed", story.at(42).wall)), "kept when it is mended");
    }

    #[test]
    fn a_held_target_is_asked_for_as_soon_as_it_may_be_free() {
        let mut story = Story::new();
        assert_eq!(story.second(story.machine.ask_at()), Some(0));
        story.machine.not_granted(story.at(0), NotGranted::Held(holder()), "held".into(), 0.0);
        assert_eq!((story.machine.state(), story.machine.holder()), (TargetState::Held, Some(&holder())));
        assert_eq!(story.second(story.machine.ask_at()), Some(30), "also without news");
        assert!(!story.machine.may_send(story.at(1).now));
        story.machine.may_be_free(story.at(7).now);
        assert_eq!(story.second(story.machine.ask_at()), Some(7));
        story.machine.granted(story.at(7), ClaimId::new(Uuid::nil()), false);
        assert_eq!((story.machine.state(), story.machine.holder()), (TargetState::Waiting, None));
        assert_eq!(story.second(story.machine.connect_from()), Some(7));
    }

    #[test]
    fn whoever_takes_over_from_a_live_push_waits_until_that_is_gone() {
        let mut story = Story::new();
        story.machine.granted(story.at(3), ClaimId::new(Uuid::nil()), true);
        assert_eq!(story.second(story.machine.connect_from()), Some(5));
    }

    #[test]
    fn a_push_stops_before_its_claim_can_have_ended() {
        let mut story = Story::granted();
        let (renew_at, ends) = story.machine.lease().unwrap();
        assert_eq!((story.second(Some(renew_at)), story.second(Some(ends))), (Some(0), Some(8)));
        // Sent at 0 and answered at 6: it counts from 0.
        story.machine.renewed(story.at(0).now, KEEP);
        let (renew_at, ends) = story.machine.lease().unwrap();
        assert_eq!((story.second(Some(renew_at)), story.second(Some(ends))), (Some(5), Some(18)));
        // From then on the desk is silent.
        for now in [5, 6, 15] {
            story.machine.not_renewed(story.at(now).now);
            assert_eq!(
                story.second(story.machine.lease().map(|lease| lease.0)),
                Some(now + 1),
                "asked again"
            );
        }
        assert!(story.machine.may_send(story.at(17).now));
        assert!(!story.machine.may_send(story.at(18).now), "the claim lasts until 20 at least");
        story.machine.fenced(story.at(18), Loss::NotRenewed, 0.0);
        assert_eq!((story.machine.state(), story.machine.claim()), (TargetState::Failed, None));
        assert_eq!(story.second(story.machine.ask_at()), Some(23));
        assert!(story.machine.connect_from().is_none(), "nothing is connected without a claim");
    }

    #[test]
    fn a_claim_that_an_operator_took_stops_the_push_and_says_why() {
        let mut story = Story::granted();
        story.machine.connecting(story.at(0));
        story.machine.connected(story.at(0));
        story.machine.fenced(story.at(4), Loss::Ordered("seized by alice: rehearsal".into()), 0.0);
        assert_eq!(story.machine.state(), TargetState::Held);
        assert_eq!(story.machine.detail(), Some("seized by alice: rehearsal"));
        story.machine.may_be_free(story.at(4).now);
        assert_eq!(story.second(story.machine.ask_at()), Some(9), "our own loss is no news that it is free");
        assert!(!story.machine.may_send(story.at(4).now));
    }

    #[test]
    fn a_failed_target_without_media_waits_when_its_time_has_come() {
        let mut story = Story::granted();
        story.machine.connecting(story.at(0));
        story.machine.failed(story.at(0), "closed".into(), 0.0);
        story.machine.nothing_to_push(story.at(0));
        assert_eq!(story.machine.state(), TargetState::Failed);
        story.machine.nothing_to_push(story.at(1));
        assert_eq!((story.machine.state(), story.machine.detail()), (TargetState::Waiting, Some("closed")));
        assert_eq!(story.machine.since(), story.at(1).wall);
    }
}
