//! One broadcast as HLS.

mod place;

pub(super) use place::Place;

use super::Outputs;
use crate::clock;
use crate::hub::{Batch, Broadcast, Item, Subscriber, Tag};
use ::hls::{Config, OpenError, Origin, Packager, StartPoint};
use place::Keeper;
use rtmp::flv::{AudioTag, VideoTag};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How far the packager may lag behind the broadcast, in milliseconds: nearly the whole ring.
const LAG_MS_MAX: i64 = 9_000;
/// How many messages are taken at once.
const BATCH_ITEMS: usize = 256;
/// How long an ended stream's playlist and segments stay to be fetched.
const ENDED_FOR: Duration = Duration::from_secs(60);

/// Feeds one broadcast into one packager.
pub(super) struct Task {
    subscriber: Subscriber,
    packager: Packager,
    origin: Origin,
    keeper: Keeper,
    stop: CancellationToken,
    epoch: Option<u64>,
    rejected: u64,
}

impl Task {
    pub(super) fn new(
        outputs: &Outputs,
        broadcast: &Arc<Broadcast>,
        token: u64,
        place: Place,
        keyframe_seconds: Option<u32>,
    ) -> Result<Self, OpenError> {
        let config = Config {
            part: Duration::from_millis(outputs.hls.part_ms.into()),
            window_segments: outputs.hls.window_segments as usize,
            target_duration_seconds: place.target_duration_seconds().or(keyframe_seconds),
            ..Config::default()
        };
        let start = StartPoint {
            token,
            first_msn: place.first_msn(),
            first_part: 0, // parts are numbered under the token, which is new
            discontinuity_sequence: place.discontinuity_sequence(),
            continues: place.continues(),
        };
        let packager = outputs.origin.open(broadcast.url().clone(), config, start)?;
        Ok(Self {
            subscriber: broadcast.subscribe(LAG_MS_MAX),
            packager,
            origin: outputs.origin.clone(),
            keeper: place.keep(&outputs.store, &outputs.tasks),
            stop: outputs.stop.clone(),
            epoch: None,
            rejected: 0,
        })
    }

    pub(super) async fn run(mut self) {
        let ended = loop {
            let batch = self.subscriber.take(BATCH_ITEMS);
            let ended = batch.ended;
            let is_full = batch.items.len() == BATCH_ITEMS;
            self.package(batch);
            if ended {
                break true;
            }
            if is_full {
                tokio::task::yield_now().await; // catching up must not starve others
                continue;
            }
            tokio::select! {
                () = self.subscriber.changed() => {}
                () = self.stop.cancelled() => break false,
            }
        };
        if !ended {
            return; // the relay stops; players come back to the one that follows, so nothing says "over"
        }
        debug!("the stream is over");
        self.packager.finish();
        tokio::select! {
            () = tokio::time::sleep(ENDED_FOR) => {}
            () = self.stop.cancelled() => {}
        }
        self.origin.close(self.subscriber.broadcast().url(), &self.packager);
    }

    fn package(&mut self, batch: Batch) {
        if let Some(headers) = batch.headers {
            for header in [headers.video, headers.audio].into_iter().flatten() {
                self.configure(&header);
            }
        }
        if batch.skipped {
            warn!("packaging lagged too far behind and was set to the newest keyframe");
            self.packager.discontinuity(self.subscriber.broadcast().token());
        }
        for item in batch.items {
            if self.epoch.is_some_and(|epoch| epoch != item.epoch) {
                self.packager.discontinuity(item.token);
            }
            self.epoch = Some(item.epoch);
            self.configure(&item);
            let Some(frame) = item.frame() else { continue };
            if let Err(error) = self.packager.push(clock::wall().as_microsecond(), frame) {
                self.rejected += 1;
                if self.rejected.is_power_of_two() {
                    warn!(%error, rejected = self.rejected, "a frame could not be packaged and was left out");
                }
            }
        }
        self.keeper.at(self.packager.position());
    }

    fn configure(&mut self, item: &Item) {
        match &item.tag {
            Tag::Video(VideoTag::Config { codec, record }) => match codec.track(record) {
                Some(Ok(track)) => self.packager.set_video(track),
                Some(Err(error)) => warn!(%error, "the video configuration could not be read"),
                None => {
                    warn!("this video codec reaches RTMP players only; HLS takes H.264, H.265, AV1 and VP9");
                }
            },
            Tag::Audio(AudioTag::Config { codec, config }) => match codec.track(config) {
                Some(Ok(track)) => self.packager.set_audio(track),
                Some(Err(error)) => warn!(%error, "the audio configuration could not be read"),
                None => warn!("this audio codec reaches RTMP players only; HLS takes AAC and Opus"),
            },
            Tag::Data | Tag::Video(_) | Tag::Audio(_) => {}
        }
    }
}
