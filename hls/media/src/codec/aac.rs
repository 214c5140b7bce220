//! AAC: the AudioSpecificConfig of ISO/IEC 14496-3 §1.6.2.1.

use super::bits::Bits;
use crate::{AudioCodec, AudioTrack, TrackError};
use bytes::Bytes;

/// Table 1.18, samplingFrequencyIndex.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// samplingFrequencyIndex of a rate written out in 24 bits.
const EXPLICIT_RATE: u32 = 0xf;
/// audioObjectType that announces a wider type field.
const ESCAPE_TYPE: u32 = 31;
/// audioObjectTypes of HE-AAC and HE-AAC v2, which wrap the core's.
const SBR: u32 = 5;
const PS: u32 = 29;

/// The fields of a config, in its order.
struct Fields<'a>(Bits<'a>);

impl Fields<'_> {
    fn read(&mut self, count: usize) -> Result<u32, TrackError> {
        self.0.read(count).ok_or(TrackError::Aac("it ends early"))
    }

    fn object_type(&mut self) -> Result<u32, TrackError> {
        match self.read(5)? {
            ESCAPE_TYPE => Ok(32 + self.read(6)?),
            plain => Ok(plain),
        }
    }

    fn sample_rate(&mut self) -> Result<u32, TrackError> {
        match self.read(4)? {
            EXPLICIT_RATE => self.read(24),
            index => SAMPLE_RATES
                .get(index as usize)
                .copied()
                .ok_or(TrackError::Aac("its sample rate index is reserved")),
        }
    }
}

pub(crate) fn track_from_asc(config: Bytes) -> Result<AudioTrack, TrackError> {
    let mut bits = Fields(Bits::new(&config));
    let object_type = bits.object_type()?;
    let sample_rate = bits.sample_rate()?;
    if sample_rate == 0 {
        return Err(TrackError::Aac("its sample rate is zero"));
    }
    let channel_configuration = bits.read(4)?;
    let core_type = if object_type == SBR || object_type == PS {
        bits.sample_rate()?; // the extension's rate; the core's decides how frames are counted
        bits.object_type()?
    } else {
        object_type
    };
    // GASpecificConfig opens with frameLengthFlag for the general audio types.
    let short_frames = matches!(core_type, 1..=4 | 6 | 7) && bits.read(1)? == 1;
    // Table 1.19: configuration 7 is 7.1, the others below it name their count.
    let channels = match channel_configuration {
        7 => 8,
        count @ 0..=6 => count as u8,
        _ => return Err(TrackError::Aac("its channel configuration is reserved")),
    };
    Ok(AudioTrack {
        codec: AudioCodec::Aac,
        codec_string: format!("mp4a.40.{object_type}"),
        config,
        sample_rate,
        channels,
        frame_samples: if short_frames { 960 } else { 1024 },
    })
}

/// The AudioSpecificConfig of plain AAC-LC.
///
/// Returns `None` for a sample rate outside table 1.18 or more than 6 channels.
#[must_use]
pub fn low_complexity_config(sample_rate: u32, channels: u8) -> Option<Bytes> {
    let index = SAMPLE_RATES.iter().position(|&rate| rate == sample_rate)? as u16;
    if !(1..=6).contains(&channels) {
        return None;
    }
    let packed: u16 = 2 << 11 | index << 7 | u16::from(channels) << 3;
    Some(Bytes::copy_from_slice(&packed.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_with_a_trailing_sync_extension_is_kept_to_the_byte() {
        // What ffmpeg 5.1 writes for 48 kHz stereo.
        let bytes = Bytes::from_static(&[0x11, 0x90, 0x56, 0xe5, 0x00]);
        let track = AudioTrack::from_asc(bytes.clone()).unwrap();
        assert_eq!((track.sample_rate, track.channels, track.frame_samples), (48_000, 2, 1024));
        assert_eq!(track.codec_string, "mp4a.40.2");
        assert_eq!(track.config, bytes);
    }

    #[test]
    fn the_plain_config_reads_back() {
        let track = AudioTrack::from_asc(low_complexity_config(44_100, 1).unwrap()).unwrap();
        assert_eq!((track.sample_rate, track.channels), (44_100, 1));
    }

    #[test]
    fn no_short_or_reserved_config_panics() {
        for length in 0..4 {
            for first in 0..=255u8 {
                let _ = AudioTrack::from_asc(vec![first; length].into());
            }
        }
        assert!(AudioTrack::from_asc(Bytes::new()).is_err());
    }
}
