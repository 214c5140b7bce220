//! A circuit breaker: after some failures in a row nothing is tried for a while, then one try decides.
//!
//! Pure: callers pass `now`.

use std::time::{Duration, Instant};

/// So many failures in a row open it.
const FAILURES_MAX: u32 = 5;
/// For how long it opens at first; each failed trial doubles that.
const OPEN_MIN: Duration = Duration::from_secs(5);
/// The longest that it opens for.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// One breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Calls go through.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// Calls fail at once.
    Open {
        /// Until then.
        until: Instant,
        /// For how long it was opened.
        lasts: Duration,
    },
    /// One call is on its trial; others fail at once.
    Trial {
        /// When the trial counts as failed, should its caller never say.
        until: Instant,
        /// For how long it was open.
        lasted: Duration,
    },
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    /// Whether a call may be made now, which may take `deadline`. If so, its outcome is to be told.
    pub(super) fn admit(&mut self, now: Instant, deadline: Duration) -> bool {
        match *self {
            Self::Closed { .. } => true,
            Self::Open { until, lasts: lasted } | Self::Trial { until, lasted } if now >= until => {
                *self = Self::Trial { until: now + deadline, lasted };
                true
            }
            Self::Open { .. } | Self::Trial { .. } => false,
        }
    }

    /// A call was answered.
    pub(super) const fn answered(&mut self) {
        *self = Self::new();
    }

    /// A call failed.
    pub(super) fn failed(&mut self, now: Instant) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES_MAX => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::Open { until: now + OPEN_MIN, lasts: OPEN_MIN },
            Self::Trial { lasted, .. } => {
                let lasts = (2 * lasted).min(OPEN_MAX);
                Self::Open { until: now + lasts, lasts }
            }
            // A call that began before it opened.
            open @ Self::Open { .. } => open,
        };
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Trial { .. })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(3);

    #[test]
    fn five_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..4 {
            breaker.failed(now);
        }
        breaker.answered();
        for _ in 0..4 {
            breaker.failed(now);
        }
        assert!(breaker.admit(now, DEADLINE));
        breaker.failed(now);
        assert!(breaker.is_open() && !breaker.admit(now, DEADLINE));
        let later = now + OPEN_MIN;
        assert!(breaker.admit(later, DEADLINE), "one trial");
        assert!(!breaker.admit(later, DEADLINE), "and only one");
        breaker.answered();
        assert!(breaker.admit(later, DEADLINE) && !breaker.is_open());
    }

    #[test]
    fn each_failed_trial_doubles_the_wait_up_to_a_minute_and_a_lost_trial_is_made_again() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        for _ in 0..5 {
            breaker.failed(now);
        }
        for wait in [5, 10, 20, 40, 60, 60] {
            assert!(!breaker.admit(now + Duration::from_secs(wait) - Duration::from_millis(1), DEADLINE));
            now += Duration::from_secs(wait);
            assert!(breaker.admit(now, DEADLINE), "after {wait} s");
            breaker.failed(now);
        }
        now += OPEN_MAX;
        assert!(breaker.admit(now, DEADLINE));
        assert!(breaker.admit(now + DEADLINE, DEADLINE), "the first trial was never heard of");
    }
}
