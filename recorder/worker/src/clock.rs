//! The worker's only reader of clocks.

use std::time::Instant;

/// Monotonic time, for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time, for the test picture's burnt-in clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub(crate) fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
