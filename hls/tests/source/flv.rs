//! Just enough of an FLV reader to hand a file's frames to a packager.

#![allow(dead_code, reason = "each test uses a part of it")]

use bytes::Bytes;
use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};

/// What a tag holds.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Video(VideoTrack),
    Audio(AudioTrack),
    Frame(Frame),
}

/// All tags of a file with H.264 and AAC, in file order.
pub(crate) fn read(file: &[u8]) -> Vec<Item> {
    let mut rest = &file[13..];
    let mut items = Vec::new();
    while rest.len() >= 11 {
        let size = u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize;
        let millis = i64::from(u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]));
        let body = &rest[11..11 + size];
        let item = match rest[0] {
            8 => audio(millis, body),
            9 => video(millis, body),
            _ => None,
        };
        items.extend(item);
        rest = &rest[11 + size + 4..];
    }
    items
}

fn audio(millis: i64, body: &[u8]) -> Option<Item> {
    assert_eq!(body[0] >> 4, 10, "AAC");
    let data = Bytes::copy_from_slice(&body[2..]);
    if body[1] == 0 {
        return Some(Item::Audio(AudioTrack::from_asc(data).unwrap()));
    }
    let dts = Timestamp::from_millis(millis);
    Some(Item::Frame(Frame { kind: TrackKind::Audio, dts, pts: dts, keyframe: true, data }))
}

fn video(millis: i64, body: &[u8]) -> Option<Item> {
    assert_eq!(body[0] & 0xf, 7, "H.264");
    let data = Bytes::copy_from_slice(&body[5..]);
    let composition = i32::from_be_bytes([body[2], body[3], body[4], 0]) >> 8;
    match body[1] {
        0 => Some(Item::Video(VideoTrack::from_avcc(data).unwrap())),
        1 => {
            let dts = Timestamp::from_millis(millis);
            let pts = Timestamp::from_millis(millis + i64::from(composition));
            let keyframe = body[0] >> 4 == 1;
            Some(Item::Frame(Frame { kind: TrackKind::Video, dts, pts, keyframe, data }))
        }
        _ => None,
    }
}
