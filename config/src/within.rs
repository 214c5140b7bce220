//! Numbers with bounds.

use serde::Deserialize;
use std::fmt;

/// A number from `MIN` to `MAX`; any other is refused with both named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "u64")]
pub struct Within<const MIN: u64, const MAX: u64>(u64);

/// A number out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from {min} to {max}, found {found}")]
pub struct OutOfBounds {
    min: u64,
    max: u64,
    found: u64,
}

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    /// A default; does not compile, as a constant, unless it is within the bounds.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        assert!(MIN <= number && number <= MAX, "a default lies within its bounds");
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number, as a count of things in memory.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0 as usize // the relay runs on 64-bit machines
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Within<MIN, MAX> {
    type Error = OutOfBounds;

    fn try_from(found: u64) -> Result<Self, OutOfBounds> {
        if (MIN..=MAX).contains(&found) {
            Ok(Self(found))
        } else {
            Err(OutOfBounds { min: MIN, max: MAX, found })
        }
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Within<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_its_bounds_is_refused_with_both_named() {
        assert_eq!(Within::<1, 10>::try_from(10).map(Within::get), Ok(10));
        for number in [0, 11] {
            let error = Within::<1, 10>::try_from(number).unwrap_err().to_string();
            assert_eq!(error, format!("expected a number from 1 to 10, found {number}"));
        }
    }
}
