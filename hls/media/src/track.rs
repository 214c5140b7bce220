//! What a decoder must know before the first frame.

use crate::codec::{aac, av1, h264, hevc, opus, vp9};
use bytes::Bytes;

/// A codec configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The H.264 decoder configuration record is cut short or contradicts itself.
    #[error("H.264 decoder configuration (avcC) is malformed: {0}")]
    H264(String),
    /// The H.265 decoder configuration record is cut short or contradicts itself.
    #[error("H.265 decoder configuration (hvcC) is malformed: {0}")]
    Hevc(&'static str),
    /// The AV1 configuration record is cut short or contradicts itself.
    #[error("AV1 configuration (av1C) is malformed: {0}")]
    Av1(&'static str),
    /// The VP9 configuration record is cut short or contradicts itself.
    #[error("VP9 configuration (vpcC) is malformed: {0}")]
    Vp9(&'static str),
    /// The AAC AudioSpecificConfig is cut short or names a reserved value.
    #[error("AAC AudioSpecificConfig is malformed: {0}")]
    Aac(&'static str),
    /// The Opus identification header is cut short or contradicts itself.
    #[error("Opus identification header is malformed: {0}")]
    Opus(&'static str),
}

/// The codecs of pictures that are understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264, AVC.
    H264,
    /// H.265, HEVC.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
}

/// The codecs of sound that are understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC in any of its forms.
    Aac,
    /// Opus.
    Opus,
}

/// A video track.
///
/// Equality is that of the record's bytes: two publishers with equal tracks can follow each other in one decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoTrack {
    /// What it is coded with.
    pub codec: VideoCodec,
    /// The codec's configuration record, kept to the byte: AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1),
    /// HEVCDecoderConfigurationRecord (§8.3.3.1), AV1CodecConfigurationRecord, or VPCodecConfigurationRecord without its
    /// box's version and flags.
    pub config: Bytes,
    /// Shown width in pixels, cropping applied. 0 until a keyframe said it, where the record does not: see
    /// [`VideoTrack::sized_by`].
    pub width: u32,
    /// Shown height in pixels, cropping applied; 0 like the width.
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

    /// Reads an HEVCDecoderConfigurationRecord.
    ///
    /// # Errors
    /// [`TrackError::Hevc`] if it is cut short, holds no SPS, or its SPS cannot be read.
    pub fn from_hvcc(config: Bytes) -> Result<Self, TrackError> {
        hevc::track_from_hvcc(config)
    }

    /// Reads an AV1CodecConfigurationRecord.
    ///
    /// # Errors
    /// [`TrackError::Av1`] if it is cut short or its sequence header cannot be read.
    pub fn from_av1c(config: Bytes) -> Result<Self, TrackError> {
        av1::track_from_av1c(config)
    }

    /// Reads a VPCodecConfigurationRecord of VP9.
    ///
    /// # Errors
    /// [`TrackError::Vp9`] if it is cut short.
    pub fn from_vpcc(config: Bytes) -> Result<Self, TrackError> {
        vp9::track_from_vpcc(config)
    }

    /// The track with the size that this keyframe states, for codecs whose keyframes state it; `None` if that is nothing
    /// new.
    #[must_use]
    pub fn sized_by(&self, keyframe: &[u8]) -> Option<Self> {
        let (width, height) = match self.codec {
            // Another size needs another record.
            VideoCodec::H264 | VideoCodec::Hevc => None,
            VideoCodec::Av1 => av1::picture_size(keyframe),
            VideoCodec::Vp9 => vp9::picture_size(keyframe),
        }?;
        let is_new = (width, height) != (self.width, self.height);
        is_new.then(|| Self { width, height, ..self.clone() })
    }

    /// Whether its size is known.
    #[must_use]
    pub const fn is_sized(&self) -> bool {
        self.width > 0 && self.height > 0
    }
}

/// An audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioTrack {
    /// What it is coded with.
    pub codec: AudioCodec,
    /// The AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), or the identification header of Opus (RFC 7845 §5.1), kept to
    /// the byte.
    pub config: Bytes,
    /// Samples per second that the core codec outputs.
    pub sample_rate: u32,
    /// Channels; 0 where the stream itself describes them.
    pub channels: u8,
    /// Samples in one frame: 1024, or 960. Of Opus, what is usual: each packet says its own.
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

    /// Reads an identification header of Opus.
    ///
    /// # Errors
    /// [`TrackError::Opus`] if it is cut short or contradicts itself.
    pub fn from_opus_head(config: Bytes) -> Result<Self, TrackError> {
        opus::track_from_head(config)
    }
}
