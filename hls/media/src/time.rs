//! One clock for audio and video.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point on a broadcast's media timeline, or a signed distance between two such points, in microseconds.
///
/// Signed, because an encoder may start before zero and composition offsets may be negative. Microseconds hold both
/// RTMP's milliseconds and a 90 kHz tick (11.1 µs) closely enough for 292,000 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of the timeline.
    pub const ZERO: Self = Self(0);

    /// From microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds, RTMP's unit.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// In microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// In whole milliseconds, rounded to nearest (never truncated, so that a round trip through RTMP is stable).
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.saturating_add(500).div_euclid(1_000)
    }

    /// In seconds, for people.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// In ticks of `timescale` per second, rounded to nearest.
    #[must_use]
    pub const fn to_ticks(self, timescale: u32) -> i64 {
        let wide = self.0 as i128 * timescale as i128 + 500_000;
        wide.div_euclid(1_000_000) as i64
    }

    /// From ticks of `timescale` per second, rounded to nearest. A timescale of 0 counts as 1.
    #[must_use]
    pub const fn from_ticks(ticks: i64, timescale: u32) -> Self {
        let scale = if timescale == 0 { 1 } else { timescale as i128 };
        Self((ticks as i128 * 1_000_000 + scale / 2).div_euclid(scale) as i64)
    }

    /// The distance from `earlier` to here, zero if `earlier` is in fact later.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if micros < 0 { 0 } else { micros as u64 })
    }
}

impl Add for Timestamp {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Timestamp {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Timestamp {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, other: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(other.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_a_round_trip_through_ticks() {
        for millis in [-40, 0, 1, 33, 67, 4_294_967_295] {
            let ticks = Timestamp::from_millis(millis).to_ticks(90_000);
            assert_eq!(ticks, millis * 90);
            assert_eq!(Timestamp::from_ticks(ticks, 90_000).as_millis(), millis);
        }
    }

    #[test]
    fn the_far_ends_of_the_timeline_do_not_overflow() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end + end, end);
        assert_eq!(
            end.saturating_duration_since(Timestamp::from_micros(i64::MIN)).as_micros(),
            i64::MAX as u128
        );
    }
}
