//! One stream in memory, shared between its packager and those who fetch it.

use crate::config::{Config, Limits, StartPoint};
use crate::counters::{CounterCells, Counters};
use crate::snapshot::Snapshot;
use crate::viewers::Viewers;
use crate::window::Window;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Where a stream is in its life, as those who wait see it.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// No playlist yet.
    Starting,
    /// The latest publication; the last one says that it ended.
    Published(Arc<Snapshot>),
    /// Removed, or taken over by another packager for the same URL.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Live {
    /// Written by the packager alone; locked for the time of a copy of handles.
    window: RwLock<Window>,
    stage: watch::Sender<Stage>,
    viewers: Mutex<Viewers>,
    pub(crate) counters: CounterCells,
}

impl Live {
    pub(crate) fn new(config: &Config, limits: &Limits, start: &StartPoint) -> Self {
        Self {
            window: RwLock::new(Window::new(config.window_segments, config.bytes_max, start)),
            stage: watch::Sender::new(Stage::Starting),
            viewers: Mutex::new(Viewers::new(limits.viewers_max)),
            counters: CounterCells::default(),
        }
    }

    // A panic while one of these locks is held leaves the plain data behind it whole enough to go on.
    pub(crate) fn window(&self) -> RwLockReadGuard<'_, Window> {
        self.window.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn window_mut(&self) -> RwLockWriteGuard<'_, Window> {
        self.window.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn viewers(&self) -> MutexGuard<'_, Viewers> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read_counters(&self) -> Counters {
        self.counters.read(self.window().held_bytes())
    }

    #[cfg(feature = "http")]
    pub(crate) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    #[cfg(feature = "http")]
    pub(crate) fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Wakes all who wait; nothing follows [`Stage::Gone`].
    pub(crate) fn publish(&self, stage: Stage) {
        self.stage.send_if_modified(|current| {
            let goes_on = !matches!(current, Stage::Gone);
            if goes_on {
                *current = stage;
            }
            goes_on
        });
    }
}
