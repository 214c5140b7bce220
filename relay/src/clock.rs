//! The relay's only reader of clocks. Everything below the binaries takes `now` as an argument.

use std::time::Instant;

/// Monotonic time, for leases, deadlines and rates.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall time, for people, logs and PROGRAM-DATE-TIME; never for a decision.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
#[must_use]
pub fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
