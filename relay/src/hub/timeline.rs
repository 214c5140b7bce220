//! One rising timeline for a broadcast, whoever publishes it.
//!
//! Each publisher counts from where it likes, in 32 bits that wrap. Players and HLS see one count that never goes
//! back: a new publisher, or a jump of more than [`JUMP_MS`] within one, is set to where the broadcast's own clock
//! stands. Inside one publisher distances are kept to the millisecond, so that sound and picture stay together.

/// A step of more than this between two messages is a new start, in either direction.
pub(super) const JUMP_MS: i64 = 5_000;
/// Where a broadcast that never was before begins, so that small steps back at the start stay above zero.
pub const START_MS: i64 = 10_000;

/// Maps one publisher after another onto the broadcast's milliseconds.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Added to the publisher's unwrapped time; `None` until its first message.
    offset: Option<i64>,
    /// The publisher's last time, unwrapped.
    unwrapped: i64,
    /// The largest value handed out.
    newest: i64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Milliseconds on the broadcast's timeline.
    pub(super) at_ms: i64,
    /// Whether the publisher's time jumped just before this message.
    pub(super) jumped: bool,
}

impl Timeline {
    /// A timeline that has not handed out anything yet.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self { offset: None, unwrapped: 0, newest: 0 }
    }

    /// Another publisher begins; its first message is set to the broadcast's clock.
    pub(super) fn begin(&mut self) {
        self.offset = None;
    }

    /// Maps a wire timestamp, given where the broadcast's own clock stands.
    pub(super) fn map(&mut self, wire: u32, clock_ms: i64) -> Mapped {
        let step = i64::from(wire.wrapping_sub(self.unwrapped as u32) as i32);
        let jumped = self.offset.is_some() && step.abs() > JUMP_MS;
        let offset = match self.offset {
            Some(offset) if !jumped => {
                self.unwrapped += step;
                offset
            }
            _ => {
                self.unwrapped = i64::from(wire);
                let starts_at = clock_ms.max(self.newest + 1);
                let offset = starts_at - self.unwrapped;
                self.offset = Some(offset);
                offset
            }
        };
        let at_ms = (self.unwrapped + offset).max(0);
        self.newest = self.newest.max(at_ms);
        Mapped { at_ms, jumped }
    }

    /// The largest value handed out so far.
    #[must_use]
    pub(super) const fn newest(&self) -> i64 {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_within_a_publisher_are_kept_across_the_wrap() {
        let mut timeline = Timeline::new();
        let first = timeline.map(u32::MAX - 10, START_MS);
        assert_eq!(first, Mapped { at_ms: START_MS, jumped: false });
        assert_eq!(timeline.map(22, START_MS), Mapped { at_ms: START_MS + 33, jumped: false });
        assert_eq!(timeline.map(15, START_MS).at_ms, START_MS + 26, "sound may lag the picture a little");
    }

    #[test]
    fn the_next_publisher_continues_where_the_clock_stands() {
        let mut timeline = Timeline::new();
        timeline.map(0, START_MS);
        timeline.map(4_000, START_MS + 4_000);
        timeline.begin();
        assert_eq!(timeline.map(777_000, START_MS + 9_000).at_ms, START_MS + 9_000);
        timeline.begin();
        assert!(timeline.map(5, 0).at_ms > START_MS + 9_000, "never back, even if the clock says so");
    }

    #[test]
    fn a_jump_is_marked_and_closed() {
        let mut timeline = Timeline::new();
        timeline.map(100_000, START_MS);
        for wire in [3_000_000, 40] {
            let mapped = timeline.map(wire, START_MS + 1_000);
            assert!(mapped.jumped);
            assert!(mapped.at_ms <= START_MS + 1_001);
        }
    }
}
