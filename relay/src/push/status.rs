//! What one push is doing, as its task writes it and everybody reads it.

use super::machine::Machine;
use crate::streams::machine::Moment;
use api::targets::TargetView;
use media::{StreamUrl, TargetUrl};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// One push's state.
pub(super) struct Status {
    pub(super) stream: Uuid,
    pub(super) name: StreamUrl,
    pub(super) url: TargetUrl,
    machine: Mutex<Machine>,
    bytes: AtomicU64,
    /// The newest message that was taken by the target, on the broadcast's timeline.
    sent_ms: AtomicI64,
}

impl Status {
    pub(super) const fn new(stream: Uuid, name: StreamUrl, url: TargetUrl, moment: Moment) -> Self {
        let machine = Mutex::new(Machine::new(moment));
        Self { stream, name, url, machine, bytes: AtomicU64::new(0), sent_ms: AtomicI64::new(i64::MAX) }
    }

    pub(super) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The target took so many bytes.
    pub(super) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It has everything up to there, on the broadcast's timeline.
    pub(super) fn reached(&self, at_ms: i64) {
        self.sent_ms.store(at_ms, Ordering::Relaxed);
    }

    /// Nothing was sent yet on the connection that begins.
    pub(super) fn begins(&self) {
        self.sent_ms.store(i64::MAX, Ordering::Relaxed);
    }

    pub(super) fn lag_ms(&self, newest_ms: i64) -> u64 {
        let behind = newest_ms.saturating_sub(self.sent_ms.load(Ordering::Relaxed));
        u64::try_from(behind).unwrap_or(0)
    }

    pub(super) fn view(&self, index: u32) -> TargetView {
        let machine = self.machine();
        TargetView {
            stream_id: self.stream,
            name: self.name.to_string(),
            index,
            url: self.url.to_string(),
            state: machine.state(),
            since: machine.since(),
            holder: machine.holder().cloned(),
            detail: machine.detail().map(str::to_owned),
            last_error: machine.last_error().cloned(),
            claim_id: machine.claim().map(claims::ClaimId::get),
            bytes: self.bytes.load(Ordering::Relaxed),
            reconnects: machine.reconnects(),
            lag_ms: 0,
            gap_since: machine.gap_since(),
        }
    }
}
