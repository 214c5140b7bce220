//! Live events: one publisher side, many readers.
//!
//! A reader that falls behind loses what it missed and is told so; it then takes a fresh snapshot, which is always
//! right, instead of catching up event by event.

use api::events::Event;
use std::sync::Arc;
use tokio::sync::broadcast;

/// How many events a reader may lag; beyond it the older ones are lost to it and it takes a snapshot.
const BACKLOG_EVENTS_MAX: usize = 1024;

/// The hub of live events. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG_EVENTS_MAX).0 }
    }
}

impl Events {
    /// Tells all readers; waits for none, and without readers does nothing.
    pub fn publish(&self, event: Event) {
        if self.sender.receiver_count() > 0 {
            // The last reader may have left meanwhile.
            let _ = self.sender.send(Arc::new(event));
        }
    }

    /// A reader of everything that is published from now on. Take the snapshot after this, so that nothing falls
    /// between the two.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    /// How many readers there are.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.sender.receiver_count()
    }
}
