//! What a decoder must know before the first frame.

use crate::codec::{aac, h264};
use bytes::Bytes;

/// A codec configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The H.264 decoder configuration record is cut short or contradicts itself.
    #[error("H.264 decoder configuration (avcC) is malformed: {0}")]
    H264(String),
    /// The AAC AudioSpecificConfig is cut short or names a reserved value.
    #[error("AAC AudioSpecificConfig is malformed: {0}")]
    Aac(&'static str),
}

/// An H.264 video track.
///
/// Equality is that of the record's bytes: two publishers with equal tracks can follow each other in one decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoTrack {
    /// The AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), kept to the byte.
    pub config: Bytes,
    /// Shown width in pixels, cropping applied.
    pub width: u32,
    /// Shown height in pixels, cropping applied.
    pub height: u32,
    /// Frames per second if the parameter set states it.
    pub frame_rate: Option<f64>,
    /// The `CODECS` string of RFC 6381, such as `avc1.64001f`.
    pub codec_string: String,
}

impl VideoTrack {
    /// Reads an AVCDecoderConfigurationRecord.
    ///
    /// # Errors
    /// [`TrackError::H264`] if it is cut short, holds no SPS, or its SPS cannot be read.
    pub fn from_avcc(config: Bytes) -> Result<Self, TrackError> {
        h264::track_from_avcc(config)
    }
}

/// An AAC audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioTrack {
    /// The AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), kept to the byte.
    pub config: Bytes,
    /// Samples per second that the core codec outputs.
    pub sample_rate: u32,
    /// Channels; 0 where the stream itself describes them.
    pub channels: u8,
    /// Samples in one frame: 1024, or 960.
    pub frame_samples: u32,
    /// The `CODECS` string of RFC 6381, such as `mp4a.40.2`.
    pub codec_string: String,
}

impl AudioTrack {
    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// [`TrackError::Aac`] if it is cut short or names a reserved sample rate.
    pub fn from_asc(config: Bytes) -> Result<Self, TrackError> {
        aac::track_from_asc(config)
    }
}
