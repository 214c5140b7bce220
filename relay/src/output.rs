//! What is made of a broadcast besides RTMP play: HLS now.
//!
//! Each output is a task of its own that reads the broadcast like any other subscriber; one that fails or lags loses
//! only its own.

mod hls;

use crate::clock;
use crate::config::Hls;
use crate::hub::{Broadcast, Hub, START_MS};
use crate::store::Store;
use ::hls::Origin;
use media::StreamUrl;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span, warn};

/// Makes broadcasts and starts their outputs.
#[derive(Clone)]
pub struct Outputs {
    /// Where HLS is served from.
    pub origin: Origin,
    /// Keeps each stream's place in its HLS numbering.
    pub store: Store,
    /// How HLS is cut.
    pub hls: Hls,
    /// The outputs' tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Outputs {
    /// The broadcast of a stream whose claim was just granted: the one that lingers, or a new one that continues the
    /// stream's timeline and HLS numbering where they were, be it before a restart.
    ///
    /// `keyframe_seconds` is the publisher's keyframe interval, where it is known beforehand. `None` if there are too many
    /// broadcasts.
    pub async fn broadcast(
        &self,
        hub: &Hub,
        url: &StreamUrl,
        token: u64,
        keyframe_seconds: Option<u32>,
    ) -> Option<Arc<Broadcast>> {
        if let Some(found) = hub.find(url) {
            return Some(found);
        }
        let place = match hls::Place::load(&self.store, url).await {
            Ok(place) => place,
            Err(error) => {
                // Media goes on without a durable place: after a crash viewers might have to reload.
                warn!(%error, %url, "the stream's place in its HLS numbering could not be read");
                hls::Place::unread(url)
            }
        };
        let clock_ms = START_MS.max(place.clock_ms(clock::wall()));
        let (broadcast, is_new) =
            hub.open(url, || Broadcast::new(url.clone(), clock::now(), clock::wall(), clock_ms))?;
        if is_new {
            let span = info_span!("hls", %url);
            match hls::Task::new(self, &broadcast, token, place, keyframe_seconds) {
                Ok(task) => drop(self.tasks.spawn(task.run().instrument(span))),
                Err(error) => warn!(%error, %url, "there is no HLS of this stream"),
            }
        }
        Some(broadcast)
    }
}
