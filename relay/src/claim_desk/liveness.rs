//! What connections and desk share without waiting for each other.

use claims::{ClaimKey, ContenderId, FencingToken};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Where a publisher's connection reports media. Cloning shares it.
#[derive(Clone)]
pub struct Liveness(Arc<Pulse>);

struct Pulse {
    token: FencingToken,
    shared: Arc<Shared>,
    /// Nanoseconds from the desk's start to the last media, and one; 0 before the first.
    last: AtomicU64,
    /// Whether the desk wants to hear of the next media at once.
    is_awaited: AtomicBool,
    /// Whether the publisher may write no more.
    is_fenced: AtomicBool,
}

impl Liveness {
    /// For the publisher of a token. The desk wants to hear of its first media.
    pub(super) fn new(token: FencingToken, shared: Arc<Shared>) -> Self {
        let (last, is_awaited, is_fenced) =
            (AtomicU64::new(0), AtomicBool::new(true), AtomicBool::new(false));
        Self(Arc::new(Pulse { token, shared, last, is_awaited, is_fenced }))
    }

    /// Media came. Two atomic operations, and no waiting.
    pub fn media(&self, now: Instant) {
        let pulse = &*self.0;
        let since = now.saturating_duration_since(pulse.shared.start).as_nanos();
        pulse.last.store(u64::try_from(since).unwrap_or(u64::MAX - 1).saturating_add(1), Ordering::Release);
        if pulse.is_awaited.load(Ordering::Acquire) && pulse.is_awaited.swap(false, Ordering::AcqRel) {
            pulse.shared.note(|notes| {
                notes.heard.insert(pulse.token);
            });
        }
    }

    /// Whether the publisher may write no more. True before its connection is told.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.0.is_fenced.load(Ordering::Acquire)
    }

    pub(super) fn fence(&self) {
        self.0.is_fenced.store(true, Ordering::Release);
    }

    pub(super) fn wants_media(&self) {
        self.0.is_awaited.store(true, Ordering::Release);
    }

    pub(super) fn last_media(&self) -> Option<Instant> {
        let nanos = self.0.last.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.0.shared.start + Duration::from_nanos(nanos))
    }
}

impl fmt::Debug for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Liveness({})", self.0.token)
    }
}

/// What was said to the desk without waiting. Each token and contender is noted once, so there is at most one of each
/// per connection.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) heard: BTreeSet<FencingToken>,
    pub(super) pongs: BTreeSet<FencingToken>,
    pub(super) finished: BTreeSet<FencingToken>,
    pub(super) lost: BTreeSet<FencingToken>,
    pub(super) withdrawn: BTreeSet<ContenderId>,
}

/// One per desk.
pub(super) struct Shared {
    start: Instant,
    contenders: AtomicU64,
    notes: Mutex<Notes>,
    pub(super) wake: Notify,
    writers: RwLock<HashMap<ClaimKey, FencingToken>>,
}

impl Shared {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            contenders: AtomicU64::new(0),
            notes: Mutex::default(),
            wake: Notify::new(),
            writers: RwLock::default(),
        }
    }

    pub(super) fn next_contender(&self) -> ContenderId {
        ContenderId(self.contenders.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    pub(super) fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn writer(&self, key: &ClaimKey) -> Option<FencingToken> {
        self.writers.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    pub(super) fn set_writer(&self, key: &ClaimKey, writer: Option<FencingToken>) {
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        match writer {
            Some(token) => writers.insert(key.clone(), token),
            None => writers.remove(key),
        };
    }
}
