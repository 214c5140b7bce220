//! Video tags.

use super::FlvError;
use super::modex::skip_modex;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use media::codec::h264::split_length_prefixed;
use media::{Frame, TrackError, VideoTrack};

/// The codec of a video tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264, legacy codec id 7 or FourCC `avc1`.
    H264,
    /// H.265, FourCC `hvc1`.
    Hevc,
    /// AV1, FourCC `av01`.
    Av1,
    /// VP9, FourCC `vp09`.
    Vp9,
    /// Anything else, by its FourCC.
    Other([u8; 4]),
}

impl VideoCodec {
    const fn from_fourcc(fourcc: [u8; 4]) -> Self {
        match &fourcc {
            b"avc1" => Self::H264,
            b"hvc1" => Self::Hevc,
            b"av01" => Self::Av1,
            b"vp09" => Self::Vp9,
            _ => Self::Other(fourcc),
        }
    }

    /// The track that a configuration record announces; `None` for a codec that is passed on unread.
    ///
    /// # Errors
    /// [`TrackError`] if the record is malformed.
    pub fn track(self, record: &Bytes) -> Option<Result<VideoTrack, TrackError>> {
        match self {
            Self::H264 => Some(VideoTrack::from_avcc(record.clone())),
            Self::Hevc => Some(VideoTrack::from_hvcc(record.clone())),
            Self::Av1 => Some(VideoTrack::from_av1c(record.clone())),
            Self::Vp9 => Some(VideoTrack::from_vpcc(record.clone())),
            Self::Other(_) => None,
        }
    }
}

/// What a video message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoTag {
    /// The decoder configuration record.
    Config {
        /// Codec.
        codec: VideoCodec,
        /// The codec's own configuration record, as [`VideoCodec::track`] reads it.
        record: Bytes,
    },
    /// One coded picture.
    Frame {
        /// Codec.
        codec: VideoCodec,
        /// Whether a decoder can start here.
        keyframe: bool,
        /// Presentation minus decoding time, in milliseconds; signed.
        composition_ms: i32,
        /// For H.264, NAL units with 4-byte lengths, all of which are known to fit; for others unchecked.
        data: Bytes,
    },
    /// The encoder says that the sequence ends.
    End,
    /// Commands, metadata, multitrack, other legacy codecs, and an empty body: to be passed on, not understood.
    Other,
}

const EX_HEADER: u8 = 0x80;
const FRAME_KEY: u8 = 1;
const FRAME_GENERATED_KEY: u8 = 4;
const FRAME_COMMAND: u8 = 5;
/// Legacy codec id of H.264.
const CODEC_AVC: u8 = 7;

/// Packet types; 0 to 2 mean the same in the legacy AVC packet and in Enhanced RTMP.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const CODED_FRAMES_X: u8 = 3;

/// Codecs whose CodedFrames carry a composition time; AV1 and VP8/9 never do.
const FOURCC_WITH_COMPOSITION: [&[u8; 4]; 3] = [b"avc1", b"hvc1", b"vvc1"];

/// Reads a video body.
///
/// # Errors
/// [`FlvError`] if it is cut short, or a NAL unit of an H.264 frame runs past its end. NAL lengths are taken to be 4
/// bytes wide, which [`VideoTrack::from_avcc`] checks for the stream.
pub fn parse_video(body: &Bytes) -> Result<VideoTag, FlvError> {
    let mut rest = &body[..];
    let Ok(first) = rest.try_get_u8() else { return Ok(VideoTag::Other) };
    // Masked, because legacy code that reads the whole high nibble sees 9 for an enhanced key frame.
    let frame_type = (first & 0x70) >> 4;
    let keyframe = frame_type == FRAME_KEY || frame_type == FRAME_GENERATED_KEY;
    if first & EX_HEADER != 0 {
        return parse_enhanced(body, rest, first & 0x0f, frame_type, keyframe);
    }
    if first & 0x0f != CODEC_AVC || frame_type == FRAME_COMMAND {
        return Ok(VideoTag::Other);
    }
    let packet_type = rest.try_get_u8().map_err(|_| FlvError::Short)?;
    let composition_ms = signed_24(&mut rest)?;
    let data = body.slice_ref(rest);
    match packet_type {
        SEQUENCE_START => Ok(VideoTag::Config { codec: VideoCodec::H264, record: data }),
        CODED_FRAMES => frame(VideoCodec::H264, keyframe, composition_ms, data),
        SEQUENCE_END => Ok(VideoTag::End),
        _ => Ok(VideoTag::Other),
    }
}

fn parse_enhanced(
    body: &Bytes,
    mut rest: &[u8],
    packet_type: u8,
    frame_type: u8,
    keyframe: bool,
) -> Result<VideoTag, FlvError> {
    let packet_type = skip_modex(packet_type, &mut rest)?;
    // A command has one byte and no FourCC; everything from Metadata on is not ours to read.
    if frame_type == FRAME_COMMAND || packet_type > CODED_FRAMES_X {
        return Ok(VideoTag::Other);
    }
    let (fourcc, after) = rest.split_first_chunk::<4>().ok_or(FlvError::Short)?;
    rest = after;
    let codec = VideoCodec::from_fourcc(*fourcc);
    match packet_type {
        SEQUENCE_START => Ok(VideoTag::Config { codec, record: body.slice_ref(rest) }),
        SEQUENCE_END => Ok(VideoTag::End),
        CODED_FRAMES if FOURCC_WITH_COMPOSITION.contains(&fourcc) => {
            let composition_ms = signed_24(&mut rest)?;
            frame(codec, keyframe, composition_ms, body.slice_ref(rest))
        }
        _ => frame(codec, keyframe, 0, body.slice_ref(rest)),
    }
}

fn frame(codec: VideoCodec, keyframe: bool, composition_ms: i32, data: Bytes) -> Result<VideoTag, FlvError> {
    if codec == VideoCodec::H264 && split_length_prefixed(&data).any(|nal| nal.is_err()) {
        return Err(FlvError::NalLength);
    }
    Ok(VideoTag::Frame { codec, keyframe, composition_ms, data })
}

/// SI24: sign-extended, since B-frames with an edit list have negative offsets.
fn signed_24(rest: &mut &[u8]) -> Result<i32, FlvError> {
    if rest.len() < 3 {
        return Err(FlvError::Short);
    }
    Ok(rest.get_int(3) as i32)
}

/// The body that announces a track: legacy AVC sequence header.
#[must_use]
pub fn video_config(track: &VideoTrack) -> Bytes {
    let mut out = BytesMut::with_capacity(5 + track.config.len());
    out.put_slice(&[FRAME_KEY << 4 | CODEC_AVC, SEQUENCE_START, 0, 0, 0]);
    out.put_slice(&track.config);
    out.freeze()
}

/// The body of one coded picture. Its message's timestamp is `frame.dts` in whole milliseconds; the composition time is
/// the distance between both rounded times, so that dts + composition is exactly the rounded pts.
#[must_use]
pub fn video_frame(frame: &Frame) -> Bytes {
    let frame_type = if frame.keyframe { FRAME_KEY } else { 2 };
    let composition = frame.pts.as_millis().saturating_sub(frame.dts.as_millis());
    let mut out = BytesMut::with_capacity(5 + frame.data.len());
    out.put_slice(&[frame_type << 4 | CODEC_AVC, CODED_FRAMES]);
    out.put_int(composition.clamp(-0x80_0000, 0x7f_ffff), 3);
    out.put_slice(&frame.data);
    out.freeze()
}
