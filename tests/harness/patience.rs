//! Waiting for what should become true.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(50);

/// A moment until which a test waits.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So many seconds from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "tests live in real time")]
    pub fn in_seconds(seconds: f64) -> Self {
        Self(Instant::now() + Duration::from_secs_f64(seconds))
    }

    /// Whether it has passed.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "tests live in real time")]
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks again and again until the condition yields a value.
///
/// # Panics
/// With the last reason why not, once `seconds` have passed.
pub async fn eventually<T, F, A>(seconds: f64, what: &str, mut condition: F) -> T
where
    F: FnMut() -> A,
    A: Future<Output = anyhow::Result<T>>,
{
    let deadline = Deadline::in_seconds(seconds);
    loop {
        let why = match condition().await {
            Ok(value) => return value,
            Err(why) => why,
        };
        assert!(!deadline.has_passed(), "{what}: not within {seconds} s: {why:#}");
        tokio::time::sleep(STEP).await;
    }
}
