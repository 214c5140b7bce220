//! Lengths of time as people write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time with its unit: `250ms`, `10s`, `1.5s`, `5min` (or `5m`), `2h`, `7d`. A number without a unit is
/// refused, since nobody agrees on what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(Duration);

/// A text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time with its unit, such as \"250ms\", \"10s\", \"5min\" or \"2h\"")]
pub struct IntervalError;

/// The longest interval: ten years. Far below what overflows a clock when added to it.
const SECONDS_MAX: f64 = 10.0 * 365.0 * 86_400.0;

impl Interval {
    /// Wraps a duration.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let text = text.trim();
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(IntervalError)?;
        let (number, unit) = text.split_at(split);
        let number = number.trim();
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(IntervalError);
        }
        let number: f64 = number.parse().map_err(|_| IntervalError)?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3_600.0,
            "d" => number * 86_400.0,
            _ => return Err(IntervalError),
        };
        if seconds > SECONDS_MAX {
            return Err(IntervalError);
        }
        // Rounded to milliseconds, so that a text and its printed form are the same interval.
        Ok(Self(Duration::from_millis((seconds * 1000.0).round() as u64)))
    }
}

impl TryFrom<String> for Interval {
    type Error = IntervalError;

    fn try_from(text: String) -> Result<Self, IntervalError> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        interval.to_string()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => f.write_str("0s"),
            _ if !millis.is_multiple_of(1000) => write!(f, "{millis}ms"),
            _ if millis.is_multiple_of(86_400_000) => write!(f, "{}d", millis / 86_400_000),
            _ if millis.is_multiple_of(3_600_000) => write!(f, "{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) => write!(f, "{}min", millis / 60_000),
            _ => write!(f, "{}s", millis / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_with_their_unit_and_printed_again() {
        for (text, millis, printed) in [
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("1.5s", 1_500, "1500ms"),
            ("90 min", 5_400_000, "90min"),
            ("2h", 7_200_000, "2h"),
            ("7d", 604_800_000, "7d"),
            ("0s", 0, "0s"),
        ] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.get(), Duration::from_millis(millis), "{text}");
            assert_eq!(interval.to_string(), printed);
            assert_eq!(printed.parse(), Ok(interval));
        }
    }

    #[test]
    fn intervals_without_a_unit_or_without_an_end_are_refused() {
        for text in ["10", "", "s", "-1s", "1e9s", "9999999d", "10 parsecs", "1.2.3s"] {
            assert_eq!(text.parse::<Interval>(), Err(IntervalError), "{text}");
        }
    }
}
