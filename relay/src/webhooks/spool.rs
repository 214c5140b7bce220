//! What waits for one receiver: a queue per stream, so that order holds within each and none waits for another.
//!
//! Bounded by number; beyond it the oldest event goes. Pure: callers pass `now`.

use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The first wait after a failure; each further one doubles it.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// By which the receiver tells repetitions.
    pub id: Uuid,
    /// Such as `claim.granted`.
    pub kind: String,
    /// Whose order it keeps.
    pub stream: String,
    /// What is sent.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
    /// Under which it is stored; `None` if it is not.
    pub number: Option<i64>,
}

#[derive(Default)]
struct Lane {
    items: VecDeque<Item>,
    failures: u32,
    /// `None`: at once.
    due: Option<Instant>,
    is_sending: bool,
}

/// All that waits for one receiver.
pub(super) struct Spool {
    lanes: BTreeMap<String, Lane>,
    length: usize,
    max: usize,
}

impl Spool {
    pub(super) const fn new(max: usize) -> Self {
        Self { lanes: BTreeMap::new(), length: 0, max }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Puts an event behind those of its stream; returns the one that had to go.
    pub(super) fn push(&mut self, item: Item) -> Option<Item> {
        let lost = if self.length >= self.max { self.drop_oldest() } else { None };
        self.lanes.entry(item.stream.clone()).or_default().items.push_back(item);
        self.length += 1;
        lost
    }

    /// The oldest event that is not being sent.
    fn drop_oldest(&mut self) -> Option<Item> {
        let candidates = self.lanes.iter().filter_map(|(stream, lane)| {
            let place = usize::from(lane.is_sending);
            Some((lane.items.get(place)?.at, stream.clone(), place))
        });
        let (_, stream, place) = candidates.min()?;
        let lane = self.lanes.get_mut(&stream)?;
        let lost = lane.items.remove(place);
        self.length -= usize::from(lost.is_some());
        if lane.items.is_empty() {
            self.lanes.remove(&stream);
        }
        lost
    }

    /// The next event to be sent now; its stream waits until [`Spool::taken`] or [`Spool::failed`].
    pub(super) fn next(&mut self, now: Instant) -> Option<Item> {
        let is_ready = |lane: &&mut Lane| !lane.is_sending && lane.due.is_none_or(|due| due <= now);
        // Those that failed least first: one stream's trouble delays the others little.
        let lane = self.lanes.values_mut().filter(is_ready).min_by_key(|lane| lane.failures)?;
        lane.is_sending = true;
        lane.items.front().cloned()
    }

    /// When there is something to be sent again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.lanes.values().filter(|lane| !lane.is_sending).filter_map(|lane| lane.due).min()
    }

    /// A stream's first event was taken, or is given up.
    pub(super) fn taken(&mut self, stream: &str) {
        let Some(lane) = self.lanes.get_mut(stream) else { return };
        self.length -= usize::from(lane.items.pop_front().is_some());
        (lane.failures, lane.due, lane.is_sending) = (0, None, false);
        if lane.items.is_empty() {
            self.lanes.remove(stream);
        }
    }

    /// It was not taken; it is tried again after a while. `jitter` is any number from 0 to 1.
    pub(super) fn failed(&mut self, stream: &str, now: Instant, jitter: f64) {
        let Some(lane) = self.lanes.get_mut(stream) else { return };
        let wait = BACKOFF_MIN.saturating_mul(1 << lane.failures.min(16)).min(BACKOFF_MAX);
        lane.failures += 1;
        lane.is_sending = false;
        lane.due = Some(now + wait.mul_f64(0.5 + jitter / 2.0));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    fn item(stream: &str, second: i64) -> Item {
        Item {
            id: Uuid::from_u128(second as u128),
            kind: "claim.granted".into(),
            stream: stream.into(),
            body: String::new(),
            at: Timestamp::from_second(second).unwrap(),
            number: None,
        }
    }

    fn seconds(item: Option<Item>) -> Option<i64> {
        item.map(|item| item.at.as_second())
    }

    #[test]
    fn of_one_stream_events_go_one_by_one_in_order_and_others_do_not_wait() {
        let (mut spool, now) = (Spool::new(10), Instant::now());
        for (stream, second) in [("a", 1), ("a", 2), ("b", 3)] {
            assert_eq!(spool.push(item(stream, second)), None);
        }
        assert_eq!(seconds(spool.next(now)), Some(1));
        assert_eq!(seconds(spool.next(now)), Some(3), "the other stream's");
        assert_eq!(spool.next(now), None, "the second of a waits for the first");
        spool.failed("a", now, 1.0);
        assert_eq!(spool.next(now), None);
        assert_eq!(spool.due(), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(seconds(spool.next(later)), Some(1), "the first again, not the second");
        spool.taken("a");
        spool.taken("b");
        assert_eq!((seconds(spool.next(later)), spool.len()), (Some(2), 1));
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let (mut spool, mut now) = (Spool::new(10), Instant::now());
        spool.push(item("a", 1));
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(spool.next(now).is_some());
            spool.failed("a", now, 1.0);
            now += Duration::from_secs(wait);
            assert_eq!(spool.due(), Some(now));
        }
    }

    #[test]
    fn a_full_spool_loses_its_oldest_event_but_never_one_on_its_way() {
        let (mut spool, now) = (Spool::new(3), Instant::now());
        for (stream, second) in [("a", 1), ("b", 2), ("a", 3)] {
            spool.push(item(stream, second));
        }
        assert_eq!(seconds(spool.next(now)), Some(1));
        assert_eq!(seconds(spool.push(item("c", 4))), Some(2));
        assert_eq!(seconds(spool.push(item("c", 5))), Some(3));
        assert_eq!(spool.len(), 3);
        spool.taken("a");
        assert_eq!(spool.len(), 2);
    }
}
