//! How much arrives per second, over the last two seconds.

use std::time::{Duration, Instant};

const BUCKETS: usize = 8;
const BUCKET: Duration = Duration::from_millis(250);

/// Pictures and bytes in eight buckets of a quarter second.
#[derive(Debug)]
pub(super) struct Rate {
    started: Instant,
    /// The bucket that is being filled, counted from `started`.
    bucket: u64,
    pictures: [u32; BUCKETS],
    bytes: [u64; BUCKETS],
}

impl Rate {
    /// Nothing yet.
    #[must_use]
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, bucket: 0, pictures: [0; BUCKETS], bytes: [0; BUCKETS] }
    }

    /// Counts one message.
    pub(super) fn add(&mut self, now: Instant, bytes: usize, is_picture: bool) {
        self.advance(now);
        let slot = (self.bucket % BUCKETS as u64) as usize;
        self.bytes[slot] += bytes as u64;
        self.pictures[slot] += u32::from(is_picture);
    }

    /// Pictures and bits per second.
    pub(super) fn per_second(&mut self, now: Instant) -> (f64, u64) {
        self.advance(now);
        let age = now.saturating_duration_since(self.started).min(BUCKET * BUCKETS as u32);
        let seconds = age.as_secs_f64().max(BUCKET.as_secs_f64());
        let pictures: u32 = self.pictures.iter().sum();
        let bytes: u64 = self.bytes.iter().sum();
        (f64::from(pictures) / seconds, (bytes as f64 * 8.0 / seconds) as u64)
    }

    fn advance(&mut self, now: Instant) {
        let current = (now.saturating_duration_since(self.started).as_millis() / BUCKET.as_millis()) as u64;
        let steps = current.saturating_sub(self.bucket).min(BUCKETS as u64);
        for step in 1..=steps {
            let slot = ((current - steps + step) % BUCKETS as u64) as usize;
            self.pictures[slot] = 0;
            self.bytes[slot] = 0;
        }
        self.bucket = self.bucket.max(current);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn a_steady_stream_shows_its_rate_and_falls_to_zero_after_two_seconds() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for frame in 0..150u32 {
            rate.add(start + Duration::from_secs(1) / 30 * frame, 1_000, true);
        }
        let end = start + Duration::from_secs(5);
        let (pictures, bits) = rate.per_second(end);
        assert!((25.0..=31.0).contains(&pictures), "{pictures}");
        assert!((200_000..=248_000).contains(&bits), "{bits}");
        assert_eq!(rate.per_second(end + Duration::from_secs(3)), (0.0, 0));
    }
}
