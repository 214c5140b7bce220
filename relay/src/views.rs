//! The data plane as the API shows it.

use crate::http_api::DataPlane;
use crate::hub::{Broadcast, Hub};
use crate::push::Pushes;
use crate::{clock, streams};
use ::hls::Origin;
use api::streams::{BroadcastView, MediaView};
use api::targets::TargetView;
use media::StreamUrl;
use std::sync::Arc;
use std::time::Duration;

/// Media within this time makes a broadcast live.
const LIVE: Duration = Duration::from_secs(2);

/// Looks at broadcasts and their viewers.
#[derive(Clone)]
pub struct Views {
    /// All broadcasts.
    pub hub: Hub,
    /// HLS, for its viewers.
    pub origin: Origin,
    /// All pushes.
    pub pushes: Pushes,
}

impl Views {
    fn row(&self, broadcast: &Arc<Broadcast>) -> BroadcastView {
        let now = clock::now();
        let facts = broadcast.facts(now);
        let url = broadcast.url();
        let viewers = self.origin.viewers(url, now);
        BroadcastView {
            name: url.as_str().to_owned(),
            live: facts.silence.is_some_and(|silence| silence < LIVE),
            token: facts.token,
            since: broadcast.since(),
            playback: streams::playback(url),
            media: MediaView {
                width: facts.video.as_ref().map(|track| track.width),
                height: facts.video.as_ref().map(|track| track.height),
                frames_per_second: (facts.frames_per_second * 10.0).round() / 10.0,
                bits_per_second: facts.bits_per_second,
                video_codec: facts.video.map(|track| track.codec_string),
                audio_codec: facts.audio.map(|track| track.codec_string),
                rtmp_players: facts.rtmp_players,
                flv_players: facts.flv_players,
                hls_viewers: u32::try_from(viewers).unwrap_or(u32::MAX),
                silent_ms: facts.silence.map_or(u32::MAX.into(), |silence| silence.as_millis() as u64),
            },
        }
    }
}

impl DataPlane for Views {
    fn broadcasts(&self) -> Vec<BroadcastView> {
        let mut rows: Vec<_> = self.hub.all().iter().map(|broadcast| self.row(broadcast)).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    fn broadcast(&self, name: &StreamUrl) -> Option<BroadcastView> {
        self.hub.find(name).map(|broadcast| self.row(&broadcast))
    }

    fn targets(&self) -> Vec<TargetView> {
        self.pushes.all()
    }
}
