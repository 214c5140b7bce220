//! The multivariant playlist: one rendition, truthfully described.

use crate::window::{Segment, Window};
use media::{AudioTrack, VideoTrack};
use std::fmt::Write;

/// The multivariant playlist for what `window` holds.
pub(crate) fn multivariant_playlist(
    window: &Window,
    video: Option<&VideoTrack>,
    audio: Option<&AudioTrack>,
) -> String {
    let (peak, average) = window.bandwidth();
    let codecs: Vec<&str> =
        [video.map(|track| &*track.codec_string), audio.map(|track| &*track.codec_string)]
            .into_iter()
            .flatten()
            .collect();
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n");
    if window.listed_and_open().all(Segment::is_independent) {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\"",
        codecs.join(",")
    );
    if let Some(video) = video {
        let _ = write!(text, ",RESOLUTION={}x{}", video.width, video.height);
        let learned = window.learned.and_then(|learned| learned.frame_rate);
        if let Some(rate) = learned.or(video.frame_rate) {
            let _ = write!(text, ",FRAME-RATE={rate:.3}");
        }
    }
    text.push_str("\nmedia.m3u8\n");
    text
}
