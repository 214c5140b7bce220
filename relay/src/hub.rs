//! All broadcasts of this relay, by stream URL.

mod broadcast;
mod item;
mod rate;
mod subscriber;
mod timeline;

pub use broadcast::{Broadcast, Facts, Head, Headers, MultitrackHeader, PlayerCount, PlayerKind, WriteError};
pub use item::{Item, Tag};
pub use subscriber::{Batch, Subscriber};
pub use timeline::START_MS;

use media::StreamUrl;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How many broadcasts one relay carries; one more is refused before it is admitted.
pub const BROADCASTS_MAX: usize = 1_024;

/// The table of broadcasts.
#[derive(Clone, Default)]
pub struct Hub {
    broadcasts: Arc<RwLock<HashMap<StreamUrl, Arc<Broadcast>>>>,
}

impl Hub {
    /// The broadcast of a stream, if it has one.
    #[must_use]
    pub fn find(&self, url: &StreamUrl) -> Option<Arc<Broadcast>> {
        self.broadcasts.read().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    /// All broadcasts, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Broadcast>> {
        self.broadcasts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Puts a broadcast in place unless there is one already; returns the one that is there and whether it is new.
    ///
    /// `None` if there are [`BROADCASTS_MAX`] already.
    #[must_use]
    pub fn open(
        &self,
        url: &StreamUrl,
        make: impl FnOnce() -> Arc<Broadcast>,
    ) -> Option<(Arc<Broadcast>, bool)> {
        let mut table = self.broadcasts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = table.get(url) {
            return Some((found.clone(), false));
        }
        if table.len() >= BROADCASTS_MAX {
            return None;
        }
        let made = make();
        table.insert(url.clone(), made.clone());
        Some((made, true))
    }

    /// Ends a broadcast, unless it has been admitted under a newer token than the one that ended.
    pub fn end(&self, url: &StreamUrl, token: u64) {
        let mut table = self.broadcasts.write().unwrap_or_else(PoisonError::into_inner);
        if table.get(url).is_some_and(|broadcast| broadcast.token() <= token)
            && let Some(ended) = table.remove(url)
        {
            ended.end();
        }
    }
}
