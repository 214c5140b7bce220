//! Audio tags.

use super::FlvError;
use super::modex::skip_modex;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use media::{AudioTrack, Frame, TrackError};

/// The codec of an audio tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC, legacy sound format 10 or FourCC `mp4a`.
    Aac,
    /// Opus, FourCC `Opus`.
    Opus,
    /// Anything else, by its FourCC.
    Other([u8; 4]),
}

impl AudioCodec {
    const fn from_fourcc(fourcc: [u8; 4]) -> Self {
        match &fourcc {
            b"mp4a" => Self::Aac,
            b"Opus" => Self::Opus,
            _ => Self::Other(fourcc),
        }
    }

    /// The track that a configuration announces; `None` for a codec that is passed on unread.
    ///
    /// # Errors
    /// [`TrackError`] if the configuration is malformed.
    pub fn track(self, config: &Bytes) -> Option<Result<AudioTrack, TrackError>> {
        match self {
            Self::Aac => Some(AudioTrack::from_asc(config.clone())),
            Self::Opus => Some(AudioTrack::from_opus_head(config.clone())),
            Self::Other(_) => None,
        }
    }
}

/// What an audio message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioTag {
    /// The decoder configuration.
    Config {
        /// Codec.
        codec: AudioCodec,
        /// For AAC the AudioSpecificConfig, for Opus the identification header (RFC 7845 §5.1).
        config: Bytes,
    },
    /// One coded frame.
    Frame {
        /// Codec.
        codec: AudioCodec,
        /// For AAC one raw frame without ADTS header, for Opus one packet.
        data: Bytes,
    },
    /// Silence (an empty body, which is legal), sequence end, multichannel configuration, multitrack and other legacy
    /// codecs: to be passed on, not understood.
    Other,
}

/// Sound format that announces an enhanced header.
const EX_HEADER: u8 = 9;
const FORMAT_AAC: u8 = 10;
/// AAC, 44 kHz, 16 bit, stereo: what every AAC tag says, whatever its config says (FLV 10.1 §E.4.2.1).
const AAC_HEADER: u8 = 0xaf;

/// Packet types; both mean the same in the legacy AAC packet and in Enhanced RTMP.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;

/// Reads an audio body.
///
/// # Errors
/// [`FlvError::Short`] if it ends inside its header.
pub fn parse_audio(body: &Bytes) -> Result<AudioTag, FlvError> {
    let mut rest = &body[..];
    let Ok(first) = rest.try_get_u8() else { return Ok(AudioTag::Other) };
    let (codec, packet_type) = match first >> 4 {
        FORMAT_AAC => (AudioCodec::Aac, rest.try_get_u8().map_err(|_| FlvError::Short)?),
        EX_HEADER => {
            let packet_type = skip_modex(first & 0x0f, &mut rest)?;
            if packet_type > CODED_FRAMES {
                return Ok(AudioTag::Other);
            }
            let (fourcc, after) = rest.split_first_chunk::<4>().ok_or(FlvError::Short)?;
            rest = after;
            (AudioCodec::from_fourcc(*fourcc), packet_type)
        }
        _ => return Ok(AudioTag::Other),
    };
    let data = body.slice_ref(rest);
    match packet_type {
        SEQUENCE_START => Ok(AudioTag::Config { codec, config: data }),
        CODED_FRAMES => Ok(AudioTag::Frame { codec, data }),
        _ => Ok(AudioTag::Other),
    }
}

/// The body that announces a track: legacy AAC sequence header.
#[must_use]
pub fn audio_config(track: &AudioTrack) -> Bytes {
    aac(SEQUENCE_START, &track.config)
}

/// The body of one coded frame. Its message's timestamp is `frame.pts` in whole milliseconds.
#[must_use]
pub fn audio_frame(frame: &Frame) -> Bytes {
    aac(CODED_FRAMES, &frame.data)
}

fn aac(packet_type: u8, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + data.len());
    out.put_slice(&[AAC_HEADER, packet_type]);
    out.put_slice(data);
    out.freeze()
}
