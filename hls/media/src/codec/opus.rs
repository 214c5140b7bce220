//! Opus: identification headers (RFC 7845 §5.1) and packets (RFC 6716 §3).

use crate::{AudioCodec, AudioTrack, TrackError};
use bytes::{Buf, Bytes};

/// Opus is counted at this rate, whatever was recorded (RFC 7845 §4).
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in a packet of 20 ms, which nearly every encoder makes.
const USUAL_SAMPLES: u32 = 960;
/// The most samples that a packet may hold, 120 ms (RFC 6716 §3.2.5).
const SAMPLES_MAX: u32 = 5_760;

/// What an identification header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Output channels, at least 1.
    pub channels: u8,
    /// Samples to drop at the start, at 48 kHz.
    pub pre_skip: u16,
    /// Sample rate of what was recorded, in hertz; 0 if unknown.
    pub input_sample_rate: u32,
    /// Gain to apply, in 1/256 dB.
    pub output_gain: i16,
    /// Channel mapping family and its table; `None` for family 0, mono or stereo.
    pub mapping: Option<Mapping>,
}

/// A channel mapping table (RFC 7845 §5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Mapping family, not 0.
    pub family: u8,
    /// Streams in each packet.
    pub streams: u8,
    /// How many of them are stereo.
    pub coupled: u8,
    /// One entry per output channel.
    pub channels: Vec<u8>,
}

impl Head {
    /// Reads an identification header.
    ///
    /// # Errors
    /// [`TrackError::Opus`] if it is cut short, of another major version or without channels.
    pub fn parse(config: &[u8]) -> Result<Self, TrackError> {
        let bad = TrackError::Opus;
        let short = |_| bad("it is cut short");
        let mut rest = config.strip_prefix(b"OpusHead").ok_or(bad("it does not begin with OpusHead"))?;
        // The upper half is the major version (§5.1).
        if rest.try_get_u8().map_err(short)? > 0x0f {
            return Err(bad("its version is unknown"));
        }
        let channels = rest.try_get_u8().map_err(short)?;
        let pre_skip = rest.try_get_u16_le().map_err(short)?;
        let input_sample_rate = rest.try_get_u32_le().map_err(short)?;
        let output_gain = rest.try_get_i16_le().map_err(short)?;
        let family = rest.try_get_u8().map_err(short)?;
        if channels == 0 || (family == 0 && channels > 2) {
            return Err(bad("its channel count does not fit its mapping"));
        }
        let mapping = match family {
            0 => None,
            family => {
                let (streams, coupled) =
                    (rest.try_get_u8().map_err(short)?, rest.try_get_u8().map_err(short)?);
                let channels = rest.get(..usize::from(channels)).ok_or(bad("it is cut short"))?.to_vec();
                Some(Mapping { family, streams, coupled, channels })
            }
        };
        Ok(Self { channels, pre_skip, input_sample_rate, output_gain, mapping })
    }
}

pub(crate) fn track_from_head(config: Bytes) -> Result<AudioTrack, TrackError> {
    let head = Head::parse(&config)?;
    Ok(AudioTrack {
        codec: AudioCodec::Opus,
        codec_string: "opus".into(),
        sample_rate: SAMPLE_RATE,
        channels: head.channels,
        frame_samples: USUAL_SAMPLES,
        config,
    })
}

/// How many samples a packet holds, at 48 kHz (RFC 6716 §3.1, §3.2); `None` if it is malformed.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms; hybrid: 10, 20 ms; CELT: 2.5, 5, 10, 20 ms (table 2).
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=SAMPLES_MAX).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffmpeg 5.1 with libopus writes for stereo.
    const STEREO: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn a_header_says_channels_and_pre_skip() {
        let head = Head::parse(STEREO).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.input_sample_rate), (2, 312, 48_000));
        let track = AudioTrack::from_opus_head(Bytes::from_static(STEREO)).unwrap();
        assert_eq!((track.sample_rate, track.channels, &*track.codec_string), (48_000, 2, "opus"));
        for cut in 0..STEREO.len() {
            assert!(Head::parse(&STEREO[..cut]).is_err());
        }
        let surround =
            [&b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\x01\x04\x02"[..], &[0, 4, 1, 2, 3, 5]].concat();
        assert_eq!(Head::parse(&surround).unwrap().mapping.unwrap().channels, [0, 4, 1, 2, 3, 5]);
        assert!(Head::parse(&surround[..surround.len() - 1]).is_err());
    }

    #[test]
    fn a_packet_says_how_long_it_is() {
        for (packet, samples) in [
            (&[0xfc, 1][..], Some(960)), // CELT 20 ms, one frame
            (&[0x01], Some(960)),        // SILK 10 ms, two frames
            (&[0x1b, 2], Some(5_760)),   // SILK 60 ms, two frames by count
            (&[0x1b, 3], None),          // 180 ms
            (&[0x83, 0], None),
            (&[0x83], None),
            (&[], None),
        ] {
            assert_eq!(packet_samples(packet), samples, "{packet:?}");
        }
    }
}
