//! Frames without pictures in them, for everything that does not decode.

#![allow(dead_code, reason = "each test uses a part of it")]

use bytes::Bytes;
use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};

/// The record that libx264 writes for 1280x720 at 30 frames per second.
const X264_720P: &[u8] = &[
    1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x1a, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0,
    0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0,
    0xfd, 0xf8, 0xf8, 0,
];

pub(crate) fn video_track() -> VideoTrack {
    VideoTrack::from_avcc(Bytes::from_static(X264_720P)).unwrap()
}

/// The same at another level, which is another configuration.
pub(crate) fn other_video_track() -> VideoTrack {
    let mut record = X264_720P.to_vec();
    record[3] = 0x20;
    VideoTrack::from_avcc(record.into()).unwrap()
}

pub(crate) fn audio_track() -> AudioTrack {
    AudioTrack::from_asc(Bytes::from_static(&[0x11, 0x90])).unwrap()
}

/// Frame `number` of 30 per second, a keyframe every 2 s, dated as RTMP does.
pub(crate) fn picture(number: i64) -> Frame {
    let dts = Timestamp::from_millis((number * 1_000 + 15) / 30);
    let keyframe = number % 60 == 0;
    let nal = if keyframe { [0, 0, 0, 2, 0x65, number as u8] } else { [0, 0, 0, 2, 0x41, number as u8] };
    Frame { kind: TrackKind::Video, dts, pts: dts, keyframe, data: Bytes::copy_from_slice(&nal) }
}

/// Sound frame `number` at 48 kHz, dated as RTMP does.
pub(crate) fn sound(number: i64) -> Frame {
    let dts = Timestamp::from_millis(Timestamp::from_ticks(number * 1_024, 48_000).as_millis());
    Frame { kind: TrackKind::Audio, dts, pts: dts, keyframe: true, data: Bytes::from_static(b"sound") }
}
