//! What a caller decides about a stream and about the origin.

use std::time::Duration;

/// How one stream is packaged.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// About how long a part is; the declared PART-TARGET is the nearest lower number of whole frames, rounded up by a
    /// few milliseconds.
    pub part: Duration,
    /// A keyframe sooner than this after the segment's start does not end it.
    pub segment_min: Duration,
    /// Complete segments in the playlist. Below 3 counts as 3.
    pub window_segments: usize,
    /// EXT-X-TARGETDURATION in seconds if it is known already, such as from [`Position`] after a restart; otherwise it
    /// is learned. Taken as between 1 and 6.
    pub target_duration_seconds: Option<u32>,
    /// Coded bytes that one stream may hold. Over it the segments that are no longer listed go first, then the listed
    /// ones down to three, then the frames until the next keyframe.
    pub bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            part: Duration::from_micros(333_334),
            segment_min: Duration::from_secs(1),
            window_segments: 12,
            target_duration_seconds: None,
            bytes_max: 96 << 20,
        }
    }
}

/// What one origin holds at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams at once; one more is refused with [`OpenError::Full`](crate::OpenError::Full).
    pub streams_max: usize,
    /// Requests that wait for one stream; one more is answered 503.
    pub waiters_per_stream_max: usize,
    /// Requests that wait in all; one more is answered 503.
    pub waiters_max: usize,
    /// Peers that the viewer estimate of one stream remembers; further ones are not counted.
    pub viewers_max: usize,
    /// How long a request is held while the first playlist is not there yet; then it is answered 503.
    pub first_playlist_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_max: 512,
            waiters_per_stream_max: 20_000,
            waiters_max: 40_000,
            viewers_max: 20_000,
            first_playlist_wait: Duration::from_secs(8),
        }
    }
}

/// Where a packager's numbering begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartPoint {
    /// The publisher's fencing token; part of every media URL.
    pub token: u64,
    /// Media sequence number of the first segment.
    pub first_msn: u64,
    /// Number of the first part.
    pub first_part: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE of the first playlist.
    pub discontinuity_sequence: u64,
    /// Whether viewers of an earlier run may still be there: the first segment then opens with EXT-X-DISCONTINUITY.
    pub continues: bool,
}

/// Where a later [`StartPoint`] may begin without reusing a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The lowest media sequence number that no published segment or part has had.
    pub next_msn: u64,
    /// The lowest part number that was never published; it may have been hinted.
    pub next_part: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE once all that is listed now has gone.
    pub discontinuity_sequence: u64,
    /// EXT-X-TARGETDURATION once it is known; a successor should declare the same.
    pub target_duration_seconds: Option<u32>,
}
