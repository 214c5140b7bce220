//! The one place that reads the clock.

use std::time::Instant;

/// The monotonic time.
#[must_use]
pub(crate) fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock module; all else takes `now` as an argument"
    )]
    Instant::now()
}
