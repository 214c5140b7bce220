//! `onMetaData`, the description that players read before the first frame.

use crate::amf0::{self, Value};
use bytes::{Bytes, BytesMut};
use media::{AudioTrack, VideoTrack};

/// The body of a data message that describes the tracks (FLV 10.1 §E.5). `kbps` is the video bit rate; 0 leaves it out.
#[must_use]
pub fn metadata(video: Option<&VideoTrack>, audio: Option<&AudioTrack>, kbps: u32) -> Bytes {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| pairs.push((name.to_owned(), value));
    put("duration", 0.0.into()); // live; gst and flv.js read its absence as an error
    if let Some(track) = video {
        put("width", f64::from(track.width).into());
        put("height", f64::from(track.height).into());
        put("videocodecid", 7.0.into());
        if let Some(rate) = track.frame_rate {
            put("framerate", rate.into());
        }
        if kbps > 0 {
            put("videodatarate", f64::from(kbps).into());
        }
    }
    if let Some(track) = audio {
        put("audiocodecid", 10.0.into());
        put("audiosamplerate", f64::from(track.sample_rate).into());
        put("audiosamplesize", 16.0.into());
        put("audiochannels", f64::from(track.channels).into());
        put("stereo", (track.channels == 2).into());
    }
    put("encoder", "Sluice".into());
    let mut out = BytesMut::new();
    amf0::write(&mut out, &"onMetaData".into());
    amf0::write(&mut out, &Value::EcmaArray(pairs));
    out.freeze()
}
