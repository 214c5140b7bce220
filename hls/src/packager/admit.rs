//! From a frame, which anyone may have sent, to a unit whose times and bytes are true.

use super::error::Malformed;
use crate::clock::AudioClock;
use crate::unit::{Unit, VIDEO_TIMESCALE};
use bytes::Bytes;
use media::codec::h264::{split_length_prefixed, to_length_prefixed};
use media::codec::{av1, h264, hevc, opus};
use media::{AudioCodec, AudioTrack, Frame, Timestamp, TrackKind, VideoCodec};

/// nal_unit_type of filler data (H.264 table 7-1): padding that nobody needs.
const NAL_FILLER: u8 = 12;
/// Added to every time, since MP4 has no negative decoding time and streams may begin a little below zero.
const ORIGIN_MICROS: i64 = 10_000_000;
/// The latest time, about 140 years: ticks and sums of it stay far from overflowing.
const LATEST_MICROS: i64 = 1 << 52;
/// The least step between two pictures: frames with equal times are set this far apart.
const STEP_MICROS_MIN: i64 = 100;

/// The frame's decoding time on the packager's timeline, if it can be said.
pub(super) fn shifted(frame: &Frame) -> Option<i64> {
    let at = frame.dts.as_micros().checked_add(ORIGIN_MICROS)?;
    (0..LATEST_MICROS).contains(&at).then_some(at)
}

/// A picture, decoded after the one at `newest`.
pub(super) fn picture(
    frame: Frame,
    codec: VideoCodec,
    at: i64,
    newest: Option<i64>,
) -> Result<Unit, Malformed> {
    let data = match codec {
        VideoCodec::H264 => without_padding(frame.data, is_h264_padding)?,
        VideoCodec::Hevc => without_padding(frame.data, is_hevc_padding)?,
        VideoCodec::Av1 => av1::to_sample(&frame.data)?,
        VideoCodec::Vp9 => frame.data,
    };
    let at = newest.map_or(at, |newest| at.max(newest + STEP_MICROS_MIN));
    let composition = (frame.pts - frame.dts).to_ticks(VIDEO_TIMESCALE);
    Ok(Unit {
        kind: TrackKind::Video,
        at,
        ticks: Timestamp::from_micros(at).to_ticks(VIDEO_TIMESCALE),
        duration_ticks: 0,
        composition: i32::try_from(composition).unwrap_or(0),
        keyframe: frame.keyframe,
        data,
    })
}

/// A sound frame, or `None` if the publisher's clock is so slow that this one has no place.
pub(super) fn sound(frame: Frame, at: i64, track: &AudioTrack, clock: &mut AudioClock) -> Option<Unit> {
    let ticks = clock.place(at, samples(track, &frame.data))?;
    Some(Unit {
        kind: TrackKind::Audio,
        at: Timestamp::from_ticks(ticks, track.sample_rate).as_micros(),
        ticks,
        duration_ticks: samples(track, &frame.data),
        composition: 0,
        keyframe: true,
        data: frame.data,
    })
}

/// How long this frame sounds: each packet of Opus says it itself.
fn samples(track: &AudioTrack, data: &[u8]) -> u32 {
    match track.codec {
        AudioCodec::Aac => track.frame_samples,
        AudioCodec::Opus => opus::packet_samples(data).unwrap_or(track.frame_samples),
    }
}

/// A picture without the NAL units that nobody needs; all of its lengths are checked.
fn without_padding(data: Bytes, is_padding: fn(&[u8]) -> bool) -> Result<Bytes, Malformed> {
    let mut has_padding = false;
    for nal in split_length_prefixed(&data) {
        has_padding |= is_padding(nal?);
    }
    if !has_padding {
        return Ok(data);
    }
    let kept = split_length_prefixed(&data).filter_map(Result::ok).filter(|nal| !is_padding(nal));
    Ok(to_length_prefixed(kept))
}

fn is_h264_padding(nal: &[u8]) -> bool {
    matches!(h264::nal_type(nal), Some(h264::NAL_AUD | NAL_FILLER) | None)
}

fn is_hevc_padding(nal: &[u8]) -> bool {
    matches!(hevc::nal_type(nal), Some(hevc::NAL_AUD | hevc::NAL_FILLER) | None)
}
