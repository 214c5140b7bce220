//! Where parts and segments end.
//!
//! Parts are intervals of the decoding timeline that follow each other without a hole; a part carries the samples
//! that begin in it. One track drives: video where there is any, else sound. A part ends before the frame that would
//! overrun PART-TARGET; where that would leave it under 85 % (a frame that lasts long, a hole), it ends at exactly
//! PART-TARGET instead, so both bounds hold for every frame rate. Intervals in which nothing begins are gaps.
//!
//! A segment ends at a keyframe once it has its least duration, or before the part that would make it too long; after
//! such a cut, at the next keyframe however soon. One driving frame is held, since only the next tells how long it
//! lasts. Reads no clock; cuts come out of [`Segmenter::next_cut`].

use crate::learn::Rules;
use crate::unit::{Sample, Unit, VIDEO_TIMESCALE};
use media::{Timestamp, TrackKind};
use std::collections::VecDeque;

/// How far sound may run ahead of pictures before parts go on without them, in microseconds.
const STALL_MICROS: i64 = 1_000_000;

/// How many sound frames wait for their part: beyond it the oldest go. Twice what [`STALL_MICROS`] and a hole of 5 s
/// can hold at 96 kHz.
const AUDIO_QUEUE_MAX: usize = 1_200;

/// One decision.
#[derive(Debug)]
pub(crate) enum Cut {
    /// A part is complete.
    Part(Part),
    /// The segment ends with the last part.
    Segment,
}

/// One interval of the timeline and what begins in it.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where it starts, in microseconds.
    pub(crate) start: i64,
    /// How long it is, in microseconds.
    pub(crate) duration: i64,
    /// Whether decoding can start with its first sample.
    pub(crate) independent: bool,
    pub(crate) video: Vec<Sample>,
    pub(crate) audio: Vec<Sample>,
}

impl Part {
    pub(crate) fn is_gap(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }
}

/// Cuts one run of frames without a discontinuity.
#[derive(Debug)]
pub(crate) struct Segmenter {
    rules: Rules,
    driver: TrackKind,
    segment_start: i64,
    segment_parts: usize,
    segment_is_independent: bool,
    part_start: i64,
    held: Option<Unit>,
    /// How long the last driving frame lasted, in microseconds and ticks.
    frame: (i64, u32),
    video: Vec<Sample>,
    audio: VecDeque<Unit>,
    cuts: VecDeque<Cut>,
}

impl Segmenter {
    /// For a run that begins with `first`, which drives it.
    pub(crate) fn start(rules: Rules, first: Unit) -> Self {
        Self {
            rules,
            driver: first.kind,
            segment_start: first.at,
            segment_parts: 0,
            segment_is_independent: true,
            part_start: first.at,
            frame: (33_333, first.duration_ticks.max(3_000)),
            held: Some(first),
            video: Vec::new(),
            audio: VecDeque::new(),
            cuts: VecDeque::new(),
        }
    }

    pub(crate) fn driver(&self) -> TrackKind {
        self.driver
    }

    pub(crate) fn next_cut(&mut self) -> Option<Cut> {
        self.cuts.pop_front()
    }

    /// Takes the next frame of either track; those of one track rise.
    pub(crate) fn push(&mut self, unit: Unit) {
        if unit.kind == self.driver {
            self.push_driving(unit);
        } else {
            self.push_sound(unit);
        }
    }

    /// Ends the run: everything that is left becomes the last parts of its last segment.
    pub(crate) fn finish(&mut self) {
        let mut end = self.part_start;
        if let Some(last) = self.held.take() {
            let next_at = last.at + self.frame.0;
            let duration = if last.duration_ticks > 0 { last.duration_ticks } else { self.frame.1 };
            self.settle(last, next_at, duration);
            end = next_at;
        }
        if let Some(sound) = self.audio.back() {
            end = end.max(sound.at + 1);
        }
        while end > self.part_start + self.rules.part_target {
            self.close_part(self.part_start + self.rules.part_target);
        }
        if end > self.part_start {
            self.close_part(end);
        }
        self.end_segment();
    }

    fn push_driving(&mut self, unit: Unit) {
        if let Some(held) = self.held.take() {
            let ticks = if held.duration_ticks > 0 {
                held.duration_ticks
            } else {
                u32::try_from(unit.ticks - held.ticks).unwrap_or(1).max(1)
            };
            self.settle(held, unit.at, ticks);
        }
        // Sound went on alone, and these pictures come further on than its last part.
        while unit.at > self.part_start + self.rules.part_target {
            self.close_part(self.part_start + self.rules.part_target);
        }
        if self.starts_segment(&unit) {
            if unit.at > self.part_start {
                self.close_part(unit.at);
            }
            self.end_segment();
        }
        self.held = Some(unit);
    }

    fn push_sound(&mut self, unit: Unit) {
        let newest = unit.at;
        if self.audio.len() == AUDIO_QUEUE_MAX {
            self.audio.pop_front();
        }
        self.audio.push_back(unit);
        // Pictures stand still: the one we hold lasts to the end of its part, and parts go on with sound alone.
        while newest > self.part_start + self.rules.part_target + STALL_MICROS {
            let end = self.part_start + self.rules.part_target;
            if let Some(held) = self.held.take() {
                let until = Timestamp::from_micros(end).to_ticks(VIDEO_TIMESCALE);
                let ticks = u32::try_from(until - held.ticks).unwrap_or(1).max(1);
                self.add(held, ticks);
            }
            self.close_part(end);
        }
    }

    /// Puts a driving frame, whose end is now known, where it belongs.
    fn settle(&mut self, unit: Unit, next_at: i64, ticks: u32) {
        let target = self.rules.part_target;
        let lasts = next_at - unit.at;
        if lasts <= 2 * target {
            self.frame = (lasts.max(1), ticks);
        }
        let overruns = next_at > self.part_start + target;
        if overruns && unit.at - self.part_start >= self.rules.part_min() {
            self.close_part(unit.at);
        }
        self.add(unit, ticks);
        while next_at > self.part_start + target {
            self.close_part(self.part_start + target);
        }
        // Another frame like this one would overrun: there is no need to wait for it.
        let filled = next_at - self.part_start;
        if filled >= self.rules.part_min() && filled + lasts / 2 > target {
            self.close_part(next_at);
        }
    }

    fn add(&mut self, unit: Unit, ticks: u32) {
        match self.driver {
            TrackKind::Video => self.video.push(unit.into_sample(ticks)),
            TrackKind::Audio => self.audio.push_back(unit),
        }
    }

    fn starts_segment(&self, unit: &Unit) -> bool {
        let length = unit.at - self.segment_start;
        if length <= 0 {
            return false;
        }
        match self.driver {
            TrackKind::Video => {
                unit.keyframe && (length >= self.rules.segment_min || !self.segment_is_independent)
            }
            TrackKind::Audio => {
                let full = i64::from(self.rules.target_duration) * 1_000_000 - self.rules.part_target / 2;
                unit.at == self.part_start && length >= full
            }
        }
    }

    fn close_part(&mut self, end: i64) {
        if end - self.segment_start > self.rules.segment_max() {
            self.end_segment();
        }
        let video = std::mem::take(&mut self.video);
        let in_time = self.audio.iter().take_while(|unit| unit.at < end).count();
        let audio: Vec<Sample> = self
            .audio
            .drain(..in_time)
            .map(|unit| {
                let ticks = unit.duration_ticks;
                unit.into_sample(ticks)
            })
            .collect();
        let independent = match self.driver {
            TrackKind::Video => video.first().is_some_and(|sample| sample.keyframe),
            TrackKind::Audio => !audio.is_empty(),
        };
        if self.segment_parts == 0 {
            self.segment_is_independent = independent;
        }
        self.segment_parts += 1;
        let part =
            Part { start: self.part_start, duration: end - self.part_start, independent, video, audio };
        self.cuts.push_back(Cut::Part(part));
        self.part_start = end;
    }

    fn end_segment(&mut self) {
        if self.segment_parts > 0 {
            self.cuts.push_back(Cut::Segment);
        }
        self.segment_start = self.part_start;
        self.segment_parts = 0;
        self.segment_is_independent = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    const RULES: Rules = Rules { target_duration: 2, part_target: 340_000, segment_min: 1_000_000 };

    fn picture(at: i64, keyframe: bool) -> Unit {
        Unit {
            kind: TrackKind::Video,
            at,
            ticks: Timestamp::from_micros(at).to_ticks(VIDEO_TIMESCALE),
            duration_ticks: 0,
            composition: 0,
            keyframe,
            data: Bytes::from_static(b"picture"),
        }
    }

    fn sound(frame: i64) -> Unit {
        Unit {
            kind: TrackKind::Audio,
            at: Timestamp::from_ticks(frame * 1024, 48_000).as_micros(),
            ticks: frame * 1024,
            duration_ticks: 1024,
            composition: 0,
            keyframe: true,
            data: Bytes::from_static(b"sound"),
        }
    }

    /// Segments of parts, in microseconds.
    fn cut(rules: Rules, units: impl IntoIterator<Item = Unit>) -> Vec<Vec<Part>> {
        let mut units = units.into_iter();
        let mut segmenter = Segmenter::start(rules, units.next().unwrap());
        let mut segments = vec![Vec::new()];
        let mut take = |segmenter: &mut Segmenter| {
            while let Some(cut) = segmenter.next_cut() {
                match cut {
                    Cut::Part(part) => segments.last_mut().unwrap().push(part),
                    Cut::Segment => segments.push(Vec::new()),
                }
            }
        };
        for unit in units {
            segmenter.push(unit);
            take(&mut segmenter);
        }
        segmenter.finish();
        take(&mut segmenter);
        assert!(segments.pop().unwrap().is_empty(), "the run ends with its segment");
        segments
    }

    fn durations(segment: &[Part]) -> Vec<i64> {
        segment.iter().map(|part| part.duration / 1_000).collect()
    }

    fn assert_rules(rules: &Rules, segments: &[Vec<Part>], from: i64, to: i64) {
        let mut at = from;
        for (number, segment) in segments.iter().enumerate() {
            let length: i64 = segment.iter().map(|part| part.duration).sum();
            assert!(length <= rules.segment_max(), "segment {number} lasts {length}");
            for (index, part) in segment.iter().enumerate() {
                assert_eq!(part.start, at, "parts follow each other");
                at += part.duration;
                assert!(part.duration > 0 && part.duration <= rules.part_target, "{}", part.duration);
                let is_last = index + 1 == segment.len();
                assert!(is_last || part.duration * 100 >= rules.part_target * 85, "{}", part.duration);
                let starts_with_key = part.video.first().is_some_and(|sample| sample.keyframe);
                assert!(!part.independent || starts_with_key || part.video.is_empty());
            }
        }
        assert_eq!(at, to, "the durations add up to the real time");
    }

    #[test]
    fn thirty_frames_a_second_make_six_parts_of_ten_frames() {
        let units = (0..180i64).map(|n| picture((n * 100 + 1) / 3 * 1000, n % 60 == 0));
        let segments = cut(RULES, units);
        assert_eq!(segments.len(), 3);
        for segment in &segments {
            assert_eq!(segment.len(), 6, "{:?}", durations(segment));
            assert!(segment.iter().all(|part| part.video.len() == 10));
            let independent: Vec<_> = segment.iter().map(|part| part.independent).collect();
            assert_eq!(independent, [true, false, false, false, false, false]);
        }
    }

    #[test]
    fn a_part_is_out_as_soon_as_another_frame_cannot_fit() {
        let mut segmenter = Segmenter::start(RULES, picture(0, true));
        for n in 1..10 {
            segmenter.push(picture(n * 33_333, false));
            assert!(segmenter.next_cut().is_none());
        }
        segmenter.push(picture(333_333, false));
        assert!(matches!(segmenter.next_cut(), Some(Cut::Part(part)) if part.video.len() == 10));
    }

    #[test]
    fn an_early_keyframe_does_not_cut_a_segment_and_a_late_one_is_not_waited_for() {
        let units = (0..300i64).map(|n| picture(n * 33_333, n % 300 == 0 || n == 5));
        let segments = cut(RULES, units);
        assert_rules(&RULES, &segments, 0, 300 * 33_333);
        assert!(!segments[0][0].video[1].keyframe && segments[0][0].video[5].keyframe);
        let lengths: Vec<i64> = segments.iter().map(|s| durations(s).iter().sum()).collect();
        assert!(lengths[..4].iter().all(|length| (2_000..2_500).contains(length)), "{lengths:?}");
        assert!(!segments[1][0].independent);
    }

    #[test]
    fn after_a_cut_inside_a_gop_the_next_keyframe_starts_a_segment() {
        // GOPs of 2.7 s against a target of 2 s.
        let units = (0..243i64).map(|n| picture(n * 33_333, n % 81 == 0));
        let segments = cut(RULES, units);
        let independent: Vec<_> = segments.iter().map(|segment| segment[0].independent).collect();
        assert_eq!(independent, [true, false, true, false, true, false]);
    }

    #[test]
    fn a_hole_is_listed_as_gaps_and_loses_no_time() {
        let mut units: Vec<_> = (0..45).map(|n| picture(n * 33_333, n == 0)).collect();
        let resume = 44 * 33_333 + 3_000_000;
        units.extend((0..30).map(|n| picture(resume + n * 33_333, n == 20)));
        let segments = cut(RULES, units);
        assert_rules(&RULES, &segments, 0, resume + 30 * 33_333);
        let gaps = segments.iter().flatten().filter(|part| part.is_gap()).count();
        assert!((6..=8).contains(&gaps), "{gaps}");
        // The picture before the hole lasts through it, so that a player's buffer has none.
        let longest = segments.iter().flatten().flat_map(|part| &part.video).map(|s| s.duration_ticks).max();
        assert_eq!(longest, Some(270_000));
    }

    #[test]
    fn sound_goes_on_while_pictures_stand_still() {
        let pictures = (0..60).map(|n| picture(n * 33_333, n == 0)).collect::<Vec<_>>();
        let mut all: Vec<_> = pictures.into_iter().chain((0..400).map(sound)).collect();
        all.sort_by_key(|unit| unit.at);
        let segments = cut(RULES, all);
        assert!(segments.iter().flatten().all(|part| !part.is_gap()));
        let frames: usize = segments.iter().flatten().map(|part| part.audio.len()).sum();
        assert_eq!(frames, 400);
        assert!(segments.last().unwrap().iter().all(|part| part.video.is_empty() && !part.independent));
    }

    #[test]
    fn sound_alone_makes_segments_of_the_target_duration() {
        let rules = Rules { part_target: 325_000, ..RULES };
        let segments = cut(rules, (0..600).map(sound));
        assert!(segments.iter().flatten().all(|part| part.independent));
        let lengths: Vec<i64> = segments.iter().map(|s| durations(s).iter().sum()).collect();
        assert!(lengths[..lengths.len() - 1].iter().all(|ms| (1_800..2_200).contains(ms)), "{lengths:?}");
        let frames: usize = segments.iter().flatten().map(|part| part.audio.len()).sum();
        assert_eq!(frames, 600);
    }

    proptest! {
        #[test]
        fn the_rules_hold_for_every_rate_jitter_and_gop(
            frame_micros in 4_000i64..700_000,
            jitter_percent in 0i64..60,
            gop in 1usize..400,
            noise in prop::collection::vec((0i64..100, prop::bool::weighted(0.02)), 50..600),
            with_sound in any::<bool>(),
        ) {
            let mut at = 0;
            let mut units = Vec::new();
            for (n, (noise, hole)) in noise.iter().enumerate() {
                units.push(picture(at, n % gop == 0));
                // As RTMP states it: whole milliseconds.
                let step = frame_micros + frame_micros * jitter_percent * (noise - 50) / 5_000;
                at += (step / 1_000).max(1) * 1_000 + if *hole { 1_500_000 } else { 0 };
            }
            let frame = frame_micros as f64;
            let last = units.last().unwrap().at;
            let count = units.len();
            let learned = crate::learn::learn(
                &units[..count.min(gop + 1)],
                TrackKind::Video,
                None,
                std::time::Duration::from_micros(333_334),
                std::time::Duration::from_secs(1),
            );
            if with_sound {
                units.extend((0..).map(sound).take_while(|unit| unit.at <= last));
                units.sort_by_key(|unit| unit.at);
                if units[0].kind == TrackKind::Audio { units.remove(0); }
            }
            let segments = cut(learned.rules, units);
            let parts: Vec<&Part> = segments.iter().flatten().collect();
            let end = parts.last().map(|part| part.start + part.duration).unwrap();
            assert_rules(&learned.rules, &segments, 0, end);
            // Within a frame (the last one's length is a guess) of the real time.
            prop_assert!((end - last) as f64 <= frame * 1.7 + 34_000.0 && end >= last, "{end} {last}");
            let pictures: usize = parts.iter().map(|part| part.video.len()).sum();
            prop_assert_eq!(pictures, count);
            let decode_times: Vec<i64> = parts.iter().flat_map(|part| &part.video).map(|s| s.ticks).collect();
            prop_assert!(decode_times.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
