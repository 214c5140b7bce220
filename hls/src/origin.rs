//! All live streams of one process.

use crate::config::{Config, Limits, StartPoint};
use crate::counters::Counters;
use crate::live::{Live, Stage};
use crate::packager::Packager;
use media::StreamUrl;
use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

/// Why a stream cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The origin already holds as many streams as it may.
    #[error("the origin already holds {streams_max} streams")]
    Full {
        /// The limit.
        streams_max: usize,
    },
    /// A publisher with a newer fencing token has opened it.
    #[error("a publisher with the newer fencing token {newest} has opened this stream")]
    Stale {
        /// The token that holds.
        newest: u64,
    },
}

/// The streams that can be fetched, by URL. Cloning copies a handle.
#[derive(Clone, Debug)]
pub struct Origin {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    streams: RwLock<HashMap<StreamUrl, Arc<Live>>>,
    waiters: AtomicUsize,
}

impl Origin {
    /// An origin without streams.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let shared = Shared { limits, streams: RwLock::default(), waiters: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Opens `url` for a new run, and takes it over from any packager that had it: what that one still pushes reaches
    /// nobody. Numbers start no lower than where it stopped. From now on requests for the stream are held.
    ///
    /// To let another publisher continue a run with its window kept, call [`Packager::discontinuity`] instead.
    ///
    /// # Errors
    /// [`OpenError::Full`] at the limit; [`OpenError::Stale`] if the stream was opened with a larger token.
    pub fn open(&self, url: StreamUrl, config: Config, mut start: StartPoint) -> Result<Packager, OpenError> {
        let limits = &self.shared.limits;
        let mut streams = self.shared.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = streams.get(&url) {
            let window = before.window();
            if start.token < window.token {
                return Err(OpenError::Stale { newest: window.token });
            }
            start.first_msn = start.first_msn.max(window.open_msn + u64::from(window.open.is_some()));
            // The hinted part may have been asked for.
            start.first_part = start.first_part.max(window.next_part + 1);
            start.discontinuity_sequence = start.discontinuity_sequence.max(window.discontinuities_so_far());
            start.continues |= window.learned.is_some();
        } else if streams.len() >= limits.streams_max {
            return Err(OpenError::Full { streams_max: limits.streams_max });
        }
        let live = Arc::new(Live::new(&config, limits, &start));
        if let Some(before) = streams.insert(url, Arc::clone(&live)) {
            before.publish(Stage::Gone);
        }
        Ok(Packager::new(live, config, start))
    }

    /// Forgets a stream: its URLs are unknown from now on. Meant for some time after [`Packager::finish`], when its
    /// last viewers have played it out.
    pub fn remove(&self, url: &StreamUrl) {
        let removed = self.shared.streams.write().unwrap_or_else(PoisonError::into_inner).remove(url);
        if let Some(live) = removed {
            live.publish(Stage::Gone);
        }
    }

    /// Forgets a stream as [`Origin::remove`] does, unless another packager has opened it since.
    pub fn close(&self, url: &StreamUrl, packager: &Packager) {
        let mut streams = self.shared.streams.write().unwrap_or_else(PoisonError::into_inner);
        if streams.get(url).is_some_and(|live| packager.writes(live))
            && let Some(live) = streams.remove(url)
        {
            live.publish(Stage::Gone);
        }
    }

    /// About how many watch: the distinct peers that asked for this stream's playlist within the last 10 s. 0 for an
    /// unknown stream, and where the server does not tell requests' addresses (`axum::extract::ConnectInfo`).
    #[must_use]
    pub fn viewers(&self, url: &StreamUrl, now: Instant) -> usize {
        self.streams().get(url).map_or(0, |live| live.viewers().count(now))
    }

    /// What happened to a stream so far.
    #[must_use]
    pub fn counters(&self, url: &StreamUrl) -> Option<Counters> {
        self.streams().get(url).map(|live| live.read_counters())
    }

    fn streams(&self) -> RwLockReadGuard<'_, HashMap<StreamUrl, Arc<Live>>> {
        self.shared.streams.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "http")]
impl Origin {
    pub(crate) fn find(&self, url: &StreamUrl) -> Option<Arc<Live>> {
        self.streams().get(url).cloned()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(crate) fn waiters(&self) -> &AtomicUsize {
        &self.shared.waiters
    }
}
