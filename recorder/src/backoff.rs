//! Pauses between two tries, longer each time and spread a little.

use std::time::Duration;

/// The pauses; after the last, the longest that is allowed.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A row of pauses: 0.2, 1, 2, 4, 8 seconds and then the longest, each shortened by up to a fifth, so that those who
/// failed together do not try again together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    longest: Duration,
    taken: usize,
    noise: u64,
}

impl Backoff {
    pub(crate) const fn new(longest: Duration, seed: u64) -> Self {
        Self { longest, taken: 0, noise: seed }
    }

    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = PAUSES.get(self.taken).map_or(self.longest, |pause| *pause.min(&self.longest));
        self.taken = self.taken.saturating_add(1);
        pause * (100 - u32::from(self.noise_below_20())) / 100
    }

    pub(crate) const fn reset(&mut self) {
        self.taken = 0;
    }

    /// SplitMix64, by Sebastiano Vigna; public domain.
    fn noise_below_20(&mut self) -> u8 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.noise ^ (self.noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % 20) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(15), 7);
        for expected in [200, 1000, 2000, 4000, 8000, 15_000, 15_000] {
            let pause = backoff.next_pause().as_millis();
            assert!(pause <= expected && pause * 5 >= expected * 4, "{pause} for {expected}");
        }
        backoff.reset();
        assert!(backoff.next_pause() <= PAUSES[0]);
    }

    #[test]
    fn two_seeds_spread() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(15), seed);
            [(); 6].map(|()| backoff.next_pause())
        };
        assert_ne!(pauses(1), pauses(2));
    }
}
