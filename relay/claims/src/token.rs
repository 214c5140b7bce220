//! Fencing tokens: numbers that only rise.

use std::fmt;

/// The number of one admission. A sink that has seen a larger one on the same key refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(pub u64);

impl FencingToken {
    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where tokens come from: one counter for all keys, continued from the store's high-water mark.
///
/// Never rebuilt from the claims that happen to be alive: "release, restart, acquire" would hand a number out twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenSource {
    last: u64,
}

impl TokenSource {
    /// How many bits of a token count within one epoch.
    pub const EPOCH_SHIFT: u32 = 48;

    /// Goes on after the largest token that was ever stored; `FencingToken::new(0)` for a new store.
    #[must_use]
    pub const fn after(last: FencingToken) -> Self {
        Self { last: last.0 }
    }

    /// The same within an epoch that an operator raises after a store was restored from a backup: tokens are
    /// `(epoch << 48) | counter`, so all of a later epoch are larger than all of an earlier one.
    #[must_use]
    pub const fn in_epoch(epoch: u16, last: FencingToken) -> Self {
        let floor = (epoch as u64) << Self::EPOCH_SHIFT;
        Self { last: if last.0 > floor { last.0 } else { floor } }
    }

    /// The largest token handed out so far.
    #[must_use]
    pub const fn last(&self) -> FencingToken {
        FencingToken(self.last)
    }

    /// The next token; `None` after the last number of all, since wrapping would reuse one.
    /// Goes on above a token that a shared store gave.
    pub(crate) fn raise(&mut self, token: FencingToken) {
        self.last = self.last.max(token.0);
    }

    pub(crate) fn next(&mut self) -> Option<FencingToken> {
        self.last = self.last.checked_add(1)?;
        Some(FencingToken(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_above_every_token_of_an_earlier_one() {
        let mut old = TokenSource::after(FencingToken::new(7));
        let before = old.next().unwrap();
        let mut restored = TokenSource::in_epoch(1, FencingToken::new(3));
        assert!(restored.next().unwrap() > before);
        let mut same_epoch = TokenSource::in_epoch(1, restored.last());
        assert!(same_epoch.next().unwrap() > restored.last());
    }

    #[test]
    fn the_last_number_of_all_is_not_followed_by_a_used_one() {
        let mut source = TokenSource::after(FencingToken::new(u64::MAX - 1));
        assert_eq!(source.next(), Some(FencingToken::new(u64::MAX)));
        assert_eq!(source.next(), None);
        assert_eq!(source.next(), None);
    }
}
