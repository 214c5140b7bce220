//! A reader of a broadcast: a place in its ring, nothing more.
//!
//! It begins at the newest keyframe. When it lags too far, or the ring has moved past it, it is set to the newest
//! keyframe again; what it missed is counted, and it is told to send the decoder configuration anew.

use super::broadcast::{Broadcast, Head, Headers};
use super::item::Item;
use rtmp::{Message, MessageKind};
use std::sync::Arc;
use tokio::sync::watch;

/// A reader's place.
pub struct Subscriber {
    broadcast: Arc<Broadcast>,
    head: watch::Receiver<Head>,
    next: Option<u64>,
    lag_ms_max: i64,
    skips: u64,
}

/// What a reader gets at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Decoder configurations to send first: at the start, and after a skip.
    pub headers: Option<Headers>,
    /// Whether media was skipped before these items.
    pub skipped: bool,
    /// The messages, oldest first.
    pub items: Vec<Arc<Item>>,
    /// Whether the broadcast ended and everything has been read.
    pub ended: bool,
}

impl Batch {
    /// What a player is sent before the items, at the start and after a skip.
    pub fn opening(&self) -> impl Iterator<Item = Message> {
        let first_ms = self.items.first().map_or(0, |item| item.message.timestamp);
        let headers = self.headers.iter().flat_map(Headers::all);
        headers.map(move |header| {
            // At the time of what follows, so that the player's clock does not step back; but ffmpeg takes metadata of any
            // other time than zero for a track of its own.
            let timestamp = if header.message.kind == MessageKind::Data { 0 } else { first_ms };
            Message { timestamp, ..header.message.clone() }
        })
    }
}

impl Subscriber {
    pub(super) fn new(broadcast: Arc<Broadcast>, head: watch::Receiver<Head>, lag_ms_max: i64) -> Self {
        Self { broadcast, head, next: None, lag_ms_max, skips: 0 }
    }

    /// Which broadcast it reads.
    #[must_use]
    pub fn broadcast(&self) -> &Arc<Broadcast> {
        &self.broadcast
    }

    /// How often it was set forward.
    #[must_use]
    pub const fn skips(&self) -> u64 {
        self.skips
    }

    /// Waits until there is something new to take. Cancel-safe.
    pub async fn changed(&mut self) {
        // The sender lives in the broadcast that we hold, so this cannot fail.
        let _ = self.head.changed().await;
    }

    /// Takes up to `items_max` messages without waiting; empty if there are none.
    pub fn take(&mut self, items_max: usize) -> Batch {
        self.head.borrow_and_update();
        let ring = self.broadcast.ring();
        let end = ring.first + ring.items.len() as u64;
        let ended = ring.ended();
        let Some((from, skipped)) = self.place(&ring, end) else {
            return Batch { ended, ..Batch::default() };
        };
        let headers = (skipped || self.next.is_none()).then(|| ring.headers.clone());
        let start = usize::try_from(from - ring.first).unwrap_or(usize::MAX);
        let items: Vec<_> = ring.items.iter().skip(start).take(items_max).cloned().collect();
        drop(ring);
        let next = from + items.len() as u64;
        self.next = Some(next);
        if skipped {
            self.skips += 1;
        }
        Batch { headers, skipped, items, ended: ended && next == end }
    }

    /// Where to go on, and whether that skips something; `None` if there is nothing to start with yet.
    fn place(&self, ring: &super::broadcast::Ring, end: u64) -> Option<(u64, bool)> {
        let has_pictures = ring.headers.video.is_some();
        let newest_start = if has_pictures { ring.newest_keyframe } else { Some(end) };
        let Some(next) = self.next else {
            return newest_start.map(|start| (start, false));
        };
        let fell_out = next < ring.first;
        let lag_ms = match (ring.items.get((next.saturating_sub(ring.first)) as usize), ring.items.back()) {
            (Some(mine), Some(newest)) => newest.at_ms - mine.at_ms,
            _ => 0,
        };
        if !fell_out && lag_ms <= self.lag_ms_max {
            return Some((next, false));
        }
        match newest_start {
            Some(start) if start > next => Some((start, true)),
            // No keyframe ahead: wait for one if the ring has passed us, else go on from here.
            _ if fell_out => None,
            _ => Some((next, false)),
        }
    }
}
