//! Running totals, counted where frames pass and read by whoever reports.

use ipc::PublishStats;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was made, sent and lost since the start.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) frames_encoded: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) frames_dropped: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) reconnects: AtomicU64,
}

impl Totals {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    pub(crate) fn stats(&self, backlog_ms: u64) -> PublishStats {
        PublishStats {
            frames_encoded: self.frames_encoded.load(Relaxed),
            frames_sent: self.frames_sent.load(Relaxed),
            frames_dropped: self.frames_dropped.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            backlog_ms,
        }
    }
}
