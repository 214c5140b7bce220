//! One coded access unit.

use crate::Timestamp;
use bytes::Bytes;

/// Which of a broadcast's two kinds of track a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One coded access unit of one track: an H.264 or H.265 picture as length-prefixed NAL units (4-byte lengths, as in its
/// record), a temporal unit of AV1, a frame of VP9, one raw AAC frame without an ADTS header, or one Opus packet. Never
/// raw samples, never a transport packet.
///
/// Cloning copies a handle, not the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Picture or sound.
    pub kind: TrackKind,
    /// When it is decoded; rises within a track.
    pub dts: Timestamp,
    /// When it is shown. May be below `dts` only in broken input; equal to it for sound.
    pub pts: Timestamp,
    /// Whether a decoder can start here. Every sound frame is one.
    pub keyframe: bool,
    /// The coded bytes.
    pub data: Bytes,
}
