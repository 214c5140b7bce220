//! Playlists as text (RFC 8216bis §4).
//!
//! URIs are relative to the playlist and never carry a viewer's query, so that caches hold one copy for all.

mod date;
mod media_playlist;
mod multivariant;

pub(crate) use media_playlist::{Scope, media_playlist};
pub(crate) use multivariant::multivariant_playlist;

use std::fmt;

/// Microseconds as seconds with all six digits: sums of them are exact.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
