//! `[hls]`: how HLS is cut.

use serde::Deserialize;

/// How HLS is cut.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hls {
    /// The length of a part, in milliseconds, from 100 to 1000; whole frames are taken up to it.
    pub part_ms: u32,
    /// How many segments a playlist lists.
    pub window_segments: u32,
}

impl Default for Hls {
    fn default() -> Self {
        Self { part_ms: 334, window_segments: 12 }
    }
}
