//! Time as the relay lived through it.
//!
//! A process that was stopped, or whose machine was, wakes with all its deadlines past and with media of the meantime still
//! unread. Judged by the clock, every publisher would be dead. So the desk looks at the clock at least every [`PULSE`], and
//! where it looks much later, what was missed does not count: nobody loses a claim because the *relay* was away. What may be
//! another's by then is not decided here: leases in a shared store, and those of pushes, run on.

use std::time::{Duration, Instant};

/// How often the desk looks at the clock, at least.
pub(super) const PULSE: Duration = Duration::from_millis(500);
/// Looked at so late, it was frozen meanwhile.
const FROZEN: Duration = Duration::from_millis(1_500);

/// The desk's clock.
#[derive(Debug)]
pub(super) struct Awake {
    seen: Instant,
    /// For how long it was frozen in all, and before it was so for the last time.
    frozen: Duration,
    frozen_before: Duration,
    woke: Option<Instant>,
}

impl Awake {
    pub(super) const fn new(clock: Instant) -> Self {
        Self { seen: clock, frozen: Duration::ZERO, frozen_before: Duration::ZERO, woke: None }
    }

    /// What time it is when the clock says so; and for how long it was frozen, if it just woke.
    pub(super) fn look(&mut self, clock: Instant) -> (Instant, Option<Duration>) {
        let gap = clock.saturating_duration_since(self.seen);
        self.seen = self.seen.max(clock);
        let missed = (gap > FROZEN).then_some(gap);
        if let Some(missed) = missed {
            self.frozen_before = self.frozen;
            self.frozen += missed;
            self.woke = Some(clock);
        }
        (back(self.seen, self.frozen), missed)
    }

    /// What time it was when the clock said so, lately; never later than the last look.
    pub(super) fn at(&self, clock: Instant) -> Instant {
        let is_before = self.woke.is_some_and(|woke| clock < woke);
        let frozen = if is_before { self.frozen_before } else { self.frozen };
        back(clock, frozen).min(back(self.seen, self.frozen))
    }

    /// What the clock will say at a time to come.
    pub(super) fn clock(&self, time: Instant) -> Instant {
        time + self.frozen
    }
}

fn back(clock: Instant, by: Duration) -> Instant {
    clock.checked_sub(by).unwrap_or(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn what_was_missed_does_not_count() {
        let start = Instant::now();
        let seconds = |seconds: u64| start + Duration::from_secs(seconds);
        let mut awake = Awake::new(start);
        assert_eq!(awake.look(seconds(1)), (seconds(1), None));
        // Nine minutes pass without us.
        assert_eq!(awake.look(seconds(541)), (seconds(1), Some(Duration::from_secs(540))));
        assert_eq!(awake.look(seconds(542)), (seconds(2), None));
        assert_eq!(awake.at(seconds(1)), seconds(1), "media of before is as old as it was");
        assert_eq!(awake.at(seconds(540)), seconds(2), "media of meanwhile is from now");
        assert_eq!(awake.at(seconds(542)), seconds(2));
        assert_eq!(awake.clock(seconds(3)), seconds(543), "a deadline waits for as long as it should");
    }
}
