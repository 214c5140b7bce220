//! A stream's place in its HLS numbering, kept across restarts of the relay.
//!
//! Media sequence numbers must never go back, but a write per segment would be waste. So numbers are reserved in
//! blocks, ahead of use: after a crash the stream goes on at the end of its last reservation, a gap of at most
//! [`BLOCK`] numbers. The same row keeps when the stream's timeline began, so that decode times rise as well.

use crate::clock;
use crate::store::{HlsPosition, Store, StoreError};
use ::hls::Position;
use media::StreamUrl;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// How many media sequence numbers are reserved at once: two minutes of two-second segments.
const BLOCK: u64 = 64;
/// A new block is reserved when fewer than this are left: a minute's time to write one row.
const LOW: u64 = 32;
/// After a write that failed: how long until the next.
const RETRY: Duration = Duration::from_secs(2);

/// Where a stream goes on.
pub(crate) struct Place {
    url: StreamUrl,
    first_msn: u64,
    discontinuity_sequence: u64,
    continues: bool,
    target_duration_seconds: Option<u32>,
    origin: jiff::Timestamp,
}

impl Place {
    /// Reads the place and reserves the first block, durably.
    pub(crate) async fn load(store: &Store, url: &StreamUrl) -> Result<Self, StoreError> {
        let now = clock::wall();
        let found = store.load_hls_position(url).await?;
        let continues = found.is_some();
        let place = Self {
            url: url.clone(),
            first_msn: found.as_ref().map_or(0, |row| row.msn_reserved),
            discontinuity_sequence: found.as_ref().map_or(0, |row| row.discontinuity_sequence),
            continues,
            target_duration_seconds: found.as_ref().and_then(|row| row.target_duration_seconds),
            origin: found.map_or(now, |row| row.origin.min(now)),
        };
        store.put_hls_position(url, &place.row(place.first_reserve())).await?;
        Ok(place)
    }

    /// A place for when the store could not be asked: numbered by the wall clock, which is ahead of any count of
    /// segments longer than a second. It is kept as soon as the store can be written.
    pub(crate) fn unread(url: &StreamUrl) -> Self {
        let now = clock::wall();
        let first_msn = u64::try_from(now.as_second()).unwrap_or(0);
        Self {
            url: url.clone(),
            first_msn,
            discontinuity_sequence: 0,
            continues: false,
            target_duration_seconds: None,
            origin: now,
        }
    }

    /// Where the stream's timeline stands by the wall clock, in milliseconds since it began.
    pub(crate) fn clock_ms(&self, now: jiff::Timestamp) -> i64 {
        crate::hub::START_MS + now.as_millisecond().saturating_sub(self.origin.as_millisecond()).max(0)
    }

    pub(super) const fn first_msn(&self) -> u64 {
        self.first_msn
    }

    pub(super) const fn discontinuity_sequence(&self) -> u64 {
        self.discontinuity_sequence
    }

    pub(super) const fn target_duration_seconds(&self) -> Option<u32> {
        self.target_duration_seconds
    }

    const fn first_reserve(&self) -> Reserved {
        Reserved {
            msn: self.first_msn + BLOCK,
            discontinuity_sequence: self.discontinuity_sequence,
            target_duration_seconds: self.target_duration_seconds,
        }
    }

    pub(super) const fn continues(&self) -> bool {
        self.continues
    }

    /// Goes on reserving, in a task that ends with the returned keeper.
    pub(super) fn keep(self, store: &Store, tasks: &TaskTracker) -> Keeper {
        let (sender, mut wanted) = watch::channel(self.first_reserve());
        let store = store.clone();
        tasks.spawn(async move {
            let url = self.url.clone();
            // Only the newest wish counts, so a slow disk delays writes but never queues them.
            while wanted.changed().await.is_ok() {
                let reserved = *wanted.borrow_and_update();
                let Err(error) = store.put_hls_position(&url, &self.row(reserved)).await else { continue };
                warn!(%error, %url, "the stream's place in its HLS numbering could not be kept");
                // Numbers that are used must not stay unkept: it is tried again, unless the stream ends meanwhile.
                tokio::time::sleep(RETRY).await;
                if wanted.has_changed().is_ok() {
                    wanted.mark_changed();
                }
            }
        });
        Keeper(sender)
    }

    fn row(&self, reserved: Reserved) -> HlsPosition {
        HlsPosition {
            msn_reserved: reserved.msn,
            discontinuity_sequence: reserved.discontinuity_sequence,
            target_duration_seconds: reserved.target_duration_seconds,
            origin: self.origin,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reserved {
    msn: u64,
    discontinuity_sequence: u64,
    target_duration_seconds: Option<u32>,
}

/// Asks for more numbers in time.
pub(super) struct Keeper(watch::Sender<Reserved>);

impl Keeper {
    /// Tells where the packager is now.
    pub(super) fn at(&self, position: Position) {
        self.0.send_if_modified(|reserved| {
            let before = *reserved;
            if position.next_msn + LOW > reserved.msn {
                reserved.msn = position.next_msn + BLOCK;
            }
            reserved.discontinuity_sequence =
                reserved.discontinuity_sequence.max(position.discontinuity_sequence);
            reserved.target_duration_seconds =
                position.target_duration_seconds.or(reserved.target_duration_seconds);
            *reserved != before
        });
    }
}
