//! What readers see of streams and recorders, without asking the reconciler: written by it, read by everybody.

use api::recorders::RecorderView;
use api::streams::{StreamState, StreamView};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Default)]
struct Rows {
    streams: BTreeMap<Uuid, Arc<StreamView>>,
    /// The newest stream of each name.
    newest: HashMap<String, Uuid>,
    recorders: Vec<RecorderView>,
}

/// The rows. Cloning shares them.
#[derive(Clone)]
pub struct Board {
    rows: Arc<RwLock<Rows>>,
    changes: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { rows: Arc::default(), changes: watch::Sender::new(0) }
    }
}

impl Board {
    /// All streams, oldest first.
    #[must_use]
    pub fn streams(&self) -> Vec<Arc<StreamView>> {
        self.read().streams.values().cloned().collect()
    }

    /// One stream.
    #[must_use]
    pub fn stream(&self, id: Uuid) -> Option<Arc<StreamView>> {
        self.read().streams.get(&id).cloned()
    }

    /// The newest stream of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<StreamView>> {
        let rows = self.read();
        rows.newest.get(name).and_then(|id| rows.streams.get(id)).cloned()
    }

    /// All recorders.
    #[must_use]
    pub fn recorders(&self) -> Vec<RecorderView> {
        self.read().recorders.clone()
    }

    /// Wakes after each change of a stream; which one is not said.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How many streams are in each state, for the figures.
    #[must_use]
    pub fn count(&self, state: StreamState) -> usize {
        self.read().streams.values().filter(|stream| stream.state == state).count()
    }

    pub(super) fn put(&self, view: Arc<StreamView>) {
        let mut rows = self.write();
        let is_newest = rows.newest.get(&view.name).is_none_or(|newest| *newest <= view.id);
        if is_newest {
            rows.newest.insert(view.name.clone(), view.id);
        }
        rows.streams.insert(view.id, view);
        drop(rows);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn remove(&self, id: Uuid) {
        let mut rows = self.write();
        if let Some(gone) = rows.streams.remove(&id)
            && rows.newest.get(&gone.name) == Some(&id)
        {
            rows.newest.remove(&gone.name);
        }
        drop(rows);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn put_recorders(&self, recorders: Vec<RecorderView>) {
        self.write().recorders = recorders;
    }

    // A reader that panicked leaves the rows whole: they are only ever replaced.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}
