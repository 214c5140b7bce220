//! What of a stream can be fetched: the listed segments, the one that grows, and those that left the list lately.
//!
//! A segment stays fetchable after it left the list for its own duration and that of the longest list it was in
//! (RFC 8216bis §6.2.2), unless the stream's bytes run out before. Sequence numbers only rise.

use crate::learn::{Learned, Rules};
use bytes::Bytes;
use std::collections::VecDeque;

/// Listed segments that are kept even when the bytes run out: the least a live playlist may have (three targets).
pub(crate) const LISTED_MIN: usize = 3;

/// An init section's address: `{token}/init-{number}.mp4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitId {
    pub(crate) token: u64,
    /// The media sequence number of the first segment that needs it: unique, since those are.
    pub(crate) number: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct WindowPart {
    /// In microseconds.
    pub(crate) duration: i64,
    pub(crate) independent: bool,
    /// `None` in a gap.
    pub(crate) bytes: Option<Bytes>,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) msn: u64,
    pub(crate) token: u64,
    pub(crate) first_part: u64,
    pub(crate) discontinuity: bool,
    pub(crate) init: InitId,
    /// Wall time of its start, in microseconds since the UNIX epoch.
    pub(crate) date: i64,
    pub(crate) parts: Vec<WindowPart>,
    /// Where the stream's clock of listed durations stood when it left the list, in microseconds.
    removed_at: i64,
}

impl Segment {
    pub(crate) fn new(
        msn: u64,
        token: u64,
        first_part: u64,
        discontinuity: bool,
        init: InitId,
        date: i64,
    ) -> Self {
        Self { msn, token, first_part, discontinuity, init, date, parts: Vec::new(), removed_at: 0 }
    }

    pub(crate) fn duration(&self) -> i64 {
        self.parts.iter().map(|part| part.duration).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().filter_map(|part| part.bytes.as_ref()).map(Bytes::len).sum()
    }

    pub(crate) fn is_gap(&self) -> bool {
        self.parts.iter().all(|part| part.bytes.is_none())
    }

    pub(crate) fn is_independent(&self) -> bool {
        self.parts.first().is_some_and(|part| part.independent)
    }
}

/// The segments of one stream.
#[derive(Debug)]
pub(crate) struct Window {
    listed_max: usize,
    bytes_max: usize,
    /// Complete segments, oldest first; the last `listed` of them are in the playlist.
    complete: VecDeque<Segment>,
    listed: usize,
    pub(crate) open: Option<Segment>,
    inits: VecDeque<(InitId, Bytes)>,
    /// Of the first listed segment.
    pub(crate) discontinuity_sequence: u64,
    /// The media sequence number of the open segment, or of the next if none is open.
    pub(crate) open_msn: u64,
    pub(crate) next_part: u64,
    /// The fencing token of whose media comes next.
    pub(crate) token: u64,
    pub(crate) learned: Option<Learned>,
    /// Sum of all completed durations, in microseconds.
    elapsed: i64,
    longest_list: i64,
    bytes_complete: usize,
    rate: Rate,
}

/// Bits per second of the segments so far.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    peak: u64,
    bytes: u64,
    micros: i64,
}

impl Window {
    pub(crate) fn new(listed_max: usize, bytes_max: usize, start: &crate::StartPoint) -> Self {
        Self {
            listed_max: listed_max.max(LISTED_MIN),
            bytes_max,
            complete: VecDeque::new(),
            listed: 0,
            open: None,
            inits: VecDeque::new(),
            discontinuity_sequence: start.discontinuity_sequence,
            open_msn: start.first_msn,
            next_part: start.first_part,
            token: start.token,
            learned: None,
            elapsed: 0,
            longest_list: 0,
            bytes_complete: 0,
            rate: Rate::default(),
        }
    }

    pub(crate) fn rules(&self) -> Option<Rules> {
        self.learned.map(|learned| learned.rules)
    }

    /// The complete segments of the playlist, oldest first.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.complete.range(self.complete.len() - self.listed..)
    }

    /// Every segment in the playlist, the open one last.
    pub(crate) fn listed_and_open(&self) -> impl Iterator<Item = &Segment> {
        self.listed().chain(&self.open)
    }

    pub(crate) fn add_init(&mut self, id: InitId, bytes: Bytes) {
        self.inits.push_back((id, bytes));
    }

    /// Adds a part to the open segment, which the caller has opened.
    pub(crate) fn add_part(&mut self, part: WindowPart) {
        let Some(open) = &mut self.open else { return };
        open.parts.push(part);
        self.next_part += 1;
    }

    /// Completes the open segment, and lets go of what is over the bounds.
    pub(crate) fn close_segment(&mut self) {
        let Some(segment) = self.open.take() else { return };
        let (duration, bytes) = (segment.duration(), segment.bytes());
        self.elapsed += duration;
        self.bytes_complete += bytes;
        self.rate.bytes += bytes as u64;
        self.rate.micros += duration;
        let target = self.rules().map_or(2, |rules| i64::from(rules.target_duration)) * 1_000_000;
        // RFC 8216bis §4.4.6.2: the peak is that of runs of half a target at least.
        if duration * 2 >= target {
            self.rate.peak = self.rate.peak.max(bits_per_second(bytes as u64, duration));
        }
        self.open_msn = segment.msn + 1;
        self.complete.push_back(segment);
        self.listed += 1;
        while self.listed > self.listed_max {
            self.unlist_oldest();
        }
        self.longest_list = self.longest_list.max(self.listed().map(Segment::duration).sum());
        while self.front_is_stale() {
            self.forget_oldest();
        }
        self.make_room(0);
    }

    /// Lets old segments go until the open one may have `open_bytes`; false if it may not, even so.
    pub(crate) fn make_room(&mut self, open_bytes: usize) -> bool {
        while self.bytes_complete + open_bytes > self.bytes_max {
            if self.complete.len() > self.listed {
                self.forget_oldest();
            } else if self.listed > LISTED_MIN {
                self.unlist_oldest();
            } else {
                return false;
            }
        }
        true
    }

    fn unlist_oldest(&mut self) {
        let at = self.complete.len() - self.listed;
        let Some(segment) = self.complete.get_mut(at) else { return };
        segment.removed_at = self.elapsed;
        self.discontinuity_sequence += u64::from(segment.discontinuity);
        self.listed -= 1;
    }

    fn front_is_stale(&self) -> bool {
        self.complete.len() > self.listed
            && self.complete.front().is_some_and(|segment| {
                self.elapsed - segment.removed_at >= segment.duration() + self.longest_list
            })
    }

    fn forget_oldest(&mut self) {
        let Some(segment) = self.complete.pop_front() else { return };
        self.bytes_complete -= segment.bytes();
        let needed = self.complete.front().or(self.open.as_ref()).map(|segment| segment.init);
        while self.inits.len() > 1 && self.inits.front().map(|(id, _)| *id) != needed {
            self.inits.pop_front();
        }
    }

    /// The highest rate of a segment so far, and the average, in bits per second; both at least 1.
    pub(crate) fn bandwidth(&self) -> (u64, u64) {
        let open = self.open.as_ref().map_or((0, 0), |open| (open.bytes() as u64, open.duration()));
        let (bytes, micros) = if self.rate.micros > 0 { (self.rate.bytes, self.rate.micros) } else { open };
        let average = bits_per_second(bytes, micros).max(1);
        (self.rate.peak.max(average), average)
    }

    /// Bytes of all media that can be fetched.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes_complete + self.open.as_ref().map_or(0, Segment::bytes)
    }

    /// EXT-X-DISCONTINUITY-SEQUENCE once all that is listed now has gone.
    pub(crate) fn discontinuities_so_far(&self) -> u64 {
        let listed = self.listed_and_open().filter(|segment| segment.discontinuity).count();
        self.discontinuity_sequence + listed as u64
    }

    /// The init section `{token}/init-{number}.mp4`.
    pub(crate) fn init(&self, token: u64, number: u64) -> Option<Bytes> {
        let wanted = InitId { token, number };
        self.inits.iter().find(|(id, _)| *id == wanted).map(|(_, bytes)| bytes.clone())
    }

    /// The part `{token}/p{number}.m4s`.
    pub(crate) fn part(&self, token: u64, number: u64) -> Option<Bytes> {
        let after = self.complete.partition_point(|segment| segment.first_part <= number);
        let in_open = self.open.as_ref().filter(|open| open.first_part <= number);
        let segment = in_open.or_else(|| self.complete.get(after.checked_sub(1)?))?;
        let index = usize::try_from(number - segment.first_part).ok()?;
        segment.parts.get(index).filter(|_| segment.token == token)?.bytes.clone()
    }

    /// The bytes of the complete segment `{token}/s{msn}.m4s`, part by part.
    pub(crate) fn segment(&self, token: u64, msn: u64) -> Option<Vec<Bytes>> {
        let first = self.complete.front()?.msn;
        let segment = self.complete.get(usize::try_from(msn.checked_sub(first)?).ok()?)?;
        let found = segment.token == token && !segment.is_gap();
        found.then(|| segment.parts.iter().filter_map(|part| part.bytes.clone()).collect())
    }
}

fn bits_per_second(bytes: u64, micros: i64) -> u64 {
    let micros = u64::try_from(micros).unwrap_or(0);
    if micros == 0 { 0 } else { (bytes.saturating_mul(8_000_000)).div_ceil(micros) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StartPoint;

    const INIT: InitId = InitId { token: 7, number: 100 };

    fn window(bytes_max: usize) -> Window {
        let start = StartPoint { token: 7, first_msn: 100, first_part: 5_000, ..StartPoint::default() };
        let mut window = Window::new(4, bytes_max, &start);
        window.add_init(INIT, Bytes::from_static(b"init"));
        window
    }

    fn add_segment(window: &mut Window, discontinuity: bool) {
        window.open = Some(Segment::new(window.open_msn, 7, window.next_part, discontinuity, INIT, 0));
        for _ in 0..2 {
            let bytes = Bytes::from(window.next_part.to_string());
            window.add_part(WindowPart { duration: 1_000_000, independent: true, bytes: Some(bytes) });
        }
        window.close_segment();
    }

    #[test]
    fn a_removed_segment_stays_for_its_duration_and_that_of_the_list() {
        let mut window = window(1 << 20);
        for _ in 0..4 {
            add_segment(&mut window, false);
        }
        assert_eq!(window.listed().next().unwrap().msn, 100);
        add_segment(&mut window, false);
        assert_eq!(window.listed().next().unwrap().msn, 101);
        // Segment 2 s + list 8 s = five segments more.
        for _ in 0..4 {
            add_segment(&mut window, false);
            assert_eq!(window.segment(7, 100).unwrap().concat(), b"50005001");
            assert_eq!(window.part(7, 5_001).unwrap(), "5001");
        }
        add_segment(&mut window, false);
        assert!(window.segment(7, 100).is_none() && window.part(7, 5_001).is_none());
        assert!(window.segment(7, 101).is_some());
        assert!(window.segment(8, 101).is_none(), "another token is another address");
        assert!(window.init(7, 100).is_some());
    }

    #[test]
    fn a_discontinuity_is_counted_when_it_leaves_the_list() {
        let mut window = window(1 << 20);
        for n in 0..10 {
            add_segment(&mut window, n == 1);
            let expected = u64::from(n >= 5);
            assert_eq!(window.discontinuity_sequence, expected, "segment {n}");
            assert_eq!(window.discontinuities_so_far(), u64::from(n >= 1));
        }
    }

    #[test]
    fn bytes_run_out_oldest_first_and_three_segments_stay() {
        let mut window = window(40);
        for _ in 0..10 {
            add_segment(&mut window, false);
        }
        assert_eq!(window.listed().len(), 4);
        assert!(window.complete.len() <= 5);
        assert!(window.make_room(16), "three segments of 8 bytes stay");
        assert_eq!(window.listed().len(), 3);
        assert!(!window.make_room(17));
        assert_eq!(window.listed().len(), 3);
    }
}
