//! Until when our claims are ours.

use super::LEASE;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A watch that is so far behind is begun anew with another member.
const BEHIND: Duration = Duration::from_secs(5);
/// How many heartbeats are remembered until they come back.
const BEATS_MAX: usize = 16;

/// Until when our claims cannot be another's.
#[derive(Debug)]
pub(super) struct Life {
    until: Mutex<Until>,
}

#[derive(Clone, Copy, Debug)]
struct Until {
    /// Our lease lives: counted from when its renewal was sent.
    leased: Instant,
    /// We would know if somebody else had been granted one of them: counted from when the last heartbeat that came
    /// back in the watch was sent.
    told: Instant,
}

impl Life {
    pub(super) const fn new(now: Instant) -> Self {
        Self { until: Mutex::new(Until { leased: now, told: now }) }
    }

    pub(super) fn left(&self, now: Instant) -> Duration {
        let until = self.get();
        until.leased.min(until.told).saturating_duration_since(now)
    }

    /// News up to those of a heartbeat that was sent at `sent` are known.
    pub(super) fn told(&self, sent: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.told = until.told.max(sent + LEASE);
    }

    pub(super) fn leased(&self, sent: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.leased = until.leased.max(sent + LEASE);
    }

    pub(super) fn is_behind(&self, now: Instant) -> bool {
        self.get().told.saturating_duration_since(now) < LEASE - BEHIND
    }

    fn get(&self) -> Until {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heartbeats on their way.
#[derive(Debug, Default)]
pub(super) struct Beats(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    last: u64,
    /// The newest, with when they were sent.
    newest: VecDeque<(u64, Instant)>,
}

impl Beats {
    pub(super) fn send(&self, now: Instant) -> u64 {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.last += 1;
        let number = sent.last;
        sent.newest.push_back((number, now));
        if sent.newest.len() > BEATS_MAX {
            sent.newest.pop_front();
        }
        number
    }

    pub(super) fn sent(&self, number: u64) -> Option<Instant> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.newest.iter().find(|(known, _)| *known == number).map(|(_, at)| *at)
    }
}
