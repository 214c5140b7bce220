//! The three clocks of a stream: where its timeline jumps, sound counted in samples, and wall time.

use media::{Timestamp, TrackKind};

/// A step further than this, or any step back, is another timeline.
pub(crate) const JUMP_MICROS: i64 = 5_000_000;

/// Watches decoding times for jumps.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    newest: Option<i64>,
    video: Option<i64>,
    audio: Option<i64>,
}

/// What a decoding time means against those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It follows.
    Follows,
    /// It belongs to another timeline; everything counts from here.
    Jump,
}

impl Timeline {
    pub(crate) fn observe(&mut self, kind: TrackKind, at: i64) -> Step {
        let last = match kind {
            TrackKind::Video => self.video,
            TrackKind::Audio => self.audio,
        };
        // Sound is dated by encoders with less care than pictures; small steps back are settled by counting samples.
        let back_max = match kind {
            TrackKind::Video => 0,
            TrackKind::Audio => JUMP_MICROS,
        };
        let back = last.is_some_and(|last| at < last - back_max);
        let ahead = self.newest.is_some_and(|newest| at > newest + JUMP_MICROS);
        if back || ahead {
            *self = Self::default();
        }
        match kind {
            TrackKind::Video => self.video = Some(at),
            TrackKind::Audio => self.audio = Some(at),
        }
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
        if back || ahead { Step::Jump } else { Step::Follows }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Counts sound in samples: RTMP's milliseconds would show as gaps and overlaps at every frame.
#[derive(Debug)]
pub(crate) struct AudioClock {
    sample_rate: u32,
    next: Option<i64>,
}

impl AudioClock {
    pub(crate) fn new(sample_rate: u32) -> Self {
        Self { sample_rate, next: None }
    }

    pub(crate) fn reset(&mut self) {
        self.next = None;
    }

    /// The decoding time in samples of a frame of `frame_samples`, or `None` if the count is two frames ahead of `at` and the frame must go.
    pub(crate) fn place(&mut self, at: i64, frame_samples: u32) -> Option<i64> {
        let stated = Timestamp::from_micros(at).to_ticks(self.sample_rate);
        let tolerance = 2 * i64::from(frame_samples);
        let counted = match self.next {
            None => stated,
            Some(next) if stated - next >= tolerance => stated,
            Some(next) if next - stated >= tolerance => return None,
            Some(next) => next,
        };
        self.next = Some(counted + i64::from(frame_samples));
        Some(counted)
    }
}

/// The most that one segment's date may move against its duration, so that a drifting encoder clock is followed
/// without a visible step.
const SLEW_MICROS: i64 = 1_000;

/// Maps the timeline to wall time for EXT-X-PROGRAM-DATE-TIME.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    offset: Option<i64>,
    /// The least `wall - at` since the last segment: the frame that was delayed least.
    observed: Option<i64>,
    /// Dates never map below this.
    floor: i64,
}

impl WallClock {
    pub(crate) fn observe(&mut self, wall: i64, at: i64) {
        let offset = wall.saturating_sub(at);
        self.observed = Some(self.observed.map_or(offset, |least| least.min(offset)));
    }

    /// The wall time at which a segment starts.
    pub(crate) fn date(&mut self, at: i64) -> i64 {
        let observed = self.observed.take();
        let offset = match (self.offset, observed) {
            (None, observed) => observed.unwrap_or(0),
            (Some(offset), None) => offset,
            (Some(offset), Some(observed)) => {
                offset.saturating_add(observed.saturating_sub(offset).clamp(-SLEW_MICROS, SLEW_MICROS))
            }
        };
        let date = at.saturating_add(offset).max(self.floor);
        self.offset = Some(date.saturating_sub(at));
        self.floor = date;
        date
    }

    /// The next frame is of another timeline; dates go on rising.
    pub(crate) fn restart(&mut self) {
        self.offset = None;
        self.observed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_counted_and_not_dated() {
        let mut clock = AudioClock::new(48_000);
        // Milliseconds as FLV has them: 21.33 ms rounded.
        let placed: Vec<_> = (0..1000i64)
            .map(|n| clock.place(Timestamp::from_ticks(n * 1024, 48_000).as_millis() * 1000, 1024).unwrap())
            .collect();
        assert!(placed.windows(2).all(|pair| pair[1] - pair[0] == 1024));
    }

    #[test]
    fn two_frames_of_deviation_resynchronise_forwards_and_drop_backwards() {
        let mut clock = AudioClock::new(48_000);
        assert_eq!(clock.place(0, 1024), Some(0));
        assert_eq!(clock.place(100_000, 1024), Some(4_800));
        assert_eq!(clock.place(20_000, 1024), None);
        assert_eq!(clock.place(121_000, 1024), Some(5_824));
    }

    #[test]
    fn a_step_back_or_over_five_seconds_is_a_jump() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.observe(TrackKind::Video, 1_000_000), Step::Follows);
        assert_eq!(timeline.observe(TrackKind::Video, 6_000_000), Step::Follows);
        assert_eq!(timeline.observe(TrackKind::Video, 5_999_999), Step::Jump);
        assert_eq!(timeline.observe(TrackKind::Video, 11_000_000), Step::Jump);
        // Sound that was muted for long follows the pictures that went on.
        assert_eq!(timeline.observe(TrackKind::Audio, 11_000_000), Step::Follows);
        assert_eq!(timeline.observe(TrackKind::Video, 15_000_000), Step::Follows);
        assert_eq!(timeline.observe(TrackKind::Video, 19_000_000), Step::Follows);
        assert_eq!(timeline.observe(TrackKind::Audio, 19_000_000), Step::Follows);
    }

    #[test]
    fn dates_never_go_back() {
        let mut wall = WallClock::default();
        wall.observe(1_000_000_000, 10_000_000);
        assert_eq!(wall.date(10_000_000), 1_000_000_000);
        wall.restart();
        wall.observe(999_000_000, 50_000_000);
        assert_eq!(wall.date(50_000_000), 1_000_000_000);
        assert_eq!(wall.date(52_000_000), 1_002_000_000);
    }
}
