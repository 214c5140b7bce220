//! What happened to one stream, for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// One reading of a stream's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments completed.
    pub segments_total: u64,
    /// Parts published, gaps not counted.
    pub parts_total: u64,
    /// Bytes of published parts.
    pub bytes_total: u64,
    /// Frames that could not be packaged: before a keyframe, late, or of a track that is not in the rendition.
    pub frames_dropped_total: u64,
    /// Discontinuities marked.
    pub discontinuities_total: u64,
    /// Requests that wait right now.
    pub waiters: usize,
    /// Bytes of media held right now, of at most [`Config::bytes_max`](crate::Config::bytes_max).
    pub held_bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct CounterCells {
    pub(crate) segments: AtomicU64,
    pub(crate) parts: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) frames_dropped: AtomicU64,
    pub(crate) discontinuities: AtomicU64,
    pub(crate) waiters: AtomicUsize,
}

impl CounterCells {
    pub(crate) fn read(&self, held_bytes: usize) -> Counters {
        Counters {
            segments_total: self.segments.load(Ordering::Relaxed),
            parts_total: self.parts.load(Ordering::Relaxed),
            bytes_total: self.bytes.load(Ordering::Relaxed),
            frames_dropped_total: self.frames_dropped.load(Ordering::Relaxed),
            discontinuities_total: self.discontinuities.load(Ordering::Relaxed),
            waiters: self.waiters.load(Ordering::Relaxed),
            held_bytes,
        }
    }
}

pub(crate) fn add(cell: &AtomicU64, count: u64) {
    cell.fetch_add(count, Ordering::Relaxed);
}
