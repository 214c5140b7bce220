//! A frame on the stream's own timeline, and the sample that becomes of it.

use bytes::Bytes;
use media::TrackKind;

/// Ticks per second of the video track: RTMP's milliseconds are whole numbers of them.
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;

/// One frame that was accepted, its times settled.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) kind: TrackKind,
    /// Decoding time in microseconds.
    pub(crate) at: i64,
    /// The same in ticks of its track.
    pub(crate) ticks: i64,
    /// How long it lasts in ticks where the codec says so (sound); 0 where only the next frame tells.
    pub(crate) duration_ticks: u32,
    /// Presentation minus decoding time, in ticks.
    pub(crate) composition: i32,
    pub(crate) keyframe: bool,
    pub(crate) data: Bytes,
}

impl Unit {
    pub(crate) fn into_sample(self, duration_ticks: u32) -> Sample {
        Sample {
            ticks: self.ticks,
            duration_ticks,
            composition: self.composition,
            keyframe: self.keyframe,
            data: self.data,
        }
    }
}

/// What one entry of a `trun` says, with its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) ticks: i64,
    pub(crate) duration_ticks: u32,
    pub(crate) composition: i32,
    pub(crate) keyframe: bool,
    pub(crate) data: Bytes,
}
