//! The targets that never change, learned from the first frames.

use crate::unit::Unit;
use media::TrackKind;
use std::time::Duration;

/// EXT-X-TARGETDURATION that suits most publishers; smaller ones gain nothing with parts.
pub(crate) const TARGET_DURATION_MIN: u32 = 2;
/// The longest target; a GOP beyond it is cut.
pub(crate) const TARGET_DURATION_MAX: u32 = 6;
/// How much of a stream is looked at when its target duration is already known.
const FRAMES_ONLY_MICROS: i64 = 500_000;
/// How much sound is looked at when there are no pictures.
const SOUND_MICROS: i64 = 2_000_000;
/// A GOP this much longer than whole seconds still counts as them.
const GOP_SLACK_MICROS: i64 = 250_000;
/// The longest part: slower pictures than one in two seconds are listed with gaps between.
const PART_MICROS_MAX: i64 = 2_000_000;
/// How much is kept while learning; beyond it we start with what we know.
const LEARN_BYTES_MAX: usize = 24 << 20;

/// What is constant for a packager's life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rules {
    /// EXT-X-TARGETDURATION, in seconds.
    pub(crate) target_duration: u32,
    /// PART-TARGET, in microseconds; whole milliseconds.
    pub(crate) part_target: i64,
    /// A keyframe sooner than this does not end a segment, in microseconds.
    pub(crate) segment_min: i64,
}

impl Rules {
    /// The longest segment: its duration rounded to nearest must not exceed the target (RFC 8216bis §4.4.3.1).
    pub(crate) fn segment_max(&self) -> i64 {
        i64::from(self.target_duration) * 1_000_000 + 499_999
    }

    /// The shortest part that need not be its segment's last (§4.4.4.9: 85 %), rounded up.
    pub(crate) fn part_min(&self) -> i64 {
        (self.part_target * 85 + 99) / 100
    }

    /// How many parts ahead of the last one may be asked for (§6.2.5.2, Advance Part Limit).
    pub(crate) fn advance_part_limit(&self) -> u64 {
        if self.part_target < 1_000_000 { (3_000_000 / self.part_target.max(1)) as u64 + 1 } else { 3 }
    }
}

/// What was seen of the frame rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Learned {
    pub(crate) rules: Rules,
    /// Pictures per second, where there are any.
    pub(crate) frame_rate: Option<f64>,
}

/// Whether `units`, all of one run that began with a unit of `driver`, say enough.
pub(crate) fn is_enough(
    units: &[Unit],
    driver: TrackKind,
    known: Option<u32>,
    segment_min: Duration,
) -> bool {
    let mut driving = units.iter().filter(|unit| unit.kind == driver);
    let (Some(first), Some(last)) = (driving.next(), driving.next_back()) else { return false };
    let seen = last.at - first.at;
    let bytes: usize = units.iter().map(|unit| unit.data.len()).sum();
    let enough = match (known, driver) {
        (Some(_), _) => FRAMES_ONLY_MICROS,
        (None, TrackKind::Audio) => SOUND_MICROS,
        (None, TrackKind::Video) => i64::from(TARGET_DURATION_MAX) * 1_000_000,
    };
    let gop_is_over = driver == TrackKind::Video && last.keyframe && seen >= micros(segment_min);
    seen >= enough || gop_is_over || bytes > LEARN_BYTES_MAX
}

/// The targets for a stream that begins with `units`.
pub(crate) fn learn(
    units: &[Unit],
    driver: TrackKind,
    known: Option<u32>,
    part: Duration,
    segment_min: Duration,
) -> Learned {
    let times: Vec<i64> = units.iter().filter(|unit| unit.kind == driver).map(|unit| unit.at).collect();
    let seen = times.last().zip(times.first()).map_or(0, |(last, first)| last - first);
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let middle = steps.len() / 2;
    let median = if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 };
    let average = seen as f64 / times.len().saturating_sub(1).max(1) as f64;
    // Frames lost to a hiccup would stretch the average; milliseconds would coarsen the median.
    let frame = if (average - median as f64).abs() <= 1_000.0 { average } else { median as f64 }.max(1_000.0);
    let target_duration = known.map_or_else(
        || {
            let ceiled = (seen - GOP_SLACK_MICROS + 999_999).div_euclid(1_000_000);
            u32::try_from(ceiled).unwrap_or(0).clamp(TARGET_DURATION_MIN, TARGET_DURATION_MAX)
        },
        |known| known.clamp(1, TARGET_DURATION_MAX),
    );
    let wanted = micros(part).clamp(100_000, 1_000_000) as f64;
    let frames = ((wanted + 1_000.0) / frame).floor().max(1.0);
    // A few milliseconds of room, since a frame's date is rounded to a millisecond; then up to a round number.
    let part_target = (((frames * frame + 4_000.0) / 5_000.0).ceil() as i64 * 5_000).min(PART_MICROS_MAX);
    Learned {
        rules: Rules { target_duration, part_target, segment_min: micros(segment_min) },
        frame_rate: (driver == TrackKind::Video && times.len() > 1).then(|| 1e6 / frame),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn pictures(frames_per_second: f64, count: i64) -> Vec<Unit> {
        (0..count)
            .map(|n| Unit {
                kind: TrackKind::Video,
                at: (n as f64 * 1000.0 / frames_per_second).round() as i64 * 1000,
                ticks: 0,
                duration_ticks: 0,
                composition: 0,
                keyframe: n == 0,
                data: Bytes::new(),
            })
            .collect()
    }

    fn targets(frames_per_second: f64, gop: i64) -> (u32, i64) {
        let units = pictures(frames_per_second, gop + 1);
        let config = crate::Config::default();
        let learned = learn(&units, TrackKind::Video, None, config.part, config.segment_min);
        assert!((learned.frame_rate.unwrap() - frames_per_second).abs() < 0.02 * frames_per_second);
        (learned.rules.target_duration, learned.rules.part_target)
    }

    #[test]
    fn a_part_is_whole_frames_of_about_a_third_of_a_second() {
        assert_eq!(targets(30.0, 60), (2, 340_000));
        assert_eq!(targets(25.0, 50), (2, 325_000));
        assert_eq!(targets(60.0, 60), (2, 340_000));
        assert_eq!(targets(50.0, 200), (4, 325_000));
        assert_eq!(targets(30.0, 180), (6, 340_000));
        assert_eq!(targets(1.0, 2), (2, 1_005_000));
    }
}
