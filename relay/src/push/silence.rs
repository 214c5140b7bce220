//! Silence in AAC, as coded frames that fit the sound around them.

use bytes::Bytes;
use media::AudioTrack;
use rtmp::flv::{AudioCodec, AudioTag, parse_audio};

/// A raw_data_block (ISO/IEC 14496-3 §4.4.2.1) of AAC-LC with one channel, in which no spectral band is coded.
const MONO: &[u8] = &[0xaf, 1, 0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
/// The same with two. Both begin with the header of an FLV tag (FLV 10.1 §E.4.2): AAC, a raw frame.
const STEREO: &[u8] = &[0xaf, 1, 0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80];

/// Silence of one format. No band is coded, so one frame serves every sample rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    body: Bytes,
    samples: u64,
    rate: u64,
}

impl Silence {
    /// For sound with this decoder configuration, as in a tag; `None` if it is not AAC-LC with one or two channels.
    pub(super) fn fitting(config: &Bytes) -> Option<Self> {
        let AudioTag::Config { codec: AudioCodec::Aac, config } = parse_audio(config).ok()? else {
            return None;
        };
        let track = AudioTrack::from_asc(config).ok()?;
        if track.codec_string != "mp4a.40.2" || track.sample_rate == 0 {
            return None;
        }
        let body = Bytes::from_static(match track.channels {
            1 => MONO,
            2 => STEREO,
            _ => return None,
        });
        Some(Self { body, samples: track.frame_samples.into(), rate: track.sample_rate.into() })
    }

    /// One frame, as a tag's body.
    pub(super) fn frame(&self) -> Bytes {
        self.body.clone()
    }

    /// How long so many frames are, in milliseconds.
    pub(super) const fn length_ms(&self, frames: u64) -> i64 {
        (frames * self.samples * 1_000 / self.rate) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(asc: &[u8]) -> Bytes {
        [&[0xaf, 0], asc].concat().into()
    }

    #[test]
    fn silence_fits_the_sound_or_there_is_none() {
        // AudioSpecificConfig: object type 2, 48 or 44.1 kHz, one, two or six channels; object type 5.
        let stereo = Silence::fitting(&config(&[0x11, 0x90])).unwrap();
        assert_eq!((stereo.frame().as_ref(), stereo.length_ms(3)), (STEREO, 64));
        let mono = Silence::fitting(&config(&[0x12, 0x08])).unwrap();
        assert_eq!((mono.frame().as_ref(), mono.length_ms(100)), (MONO, 2_321));
        for asc in [&[0x11, 0xb0][..], &[0x2b, 0x92, 0x08, 0x00], &[]] {
            assert_eq!(Silence::fitting(&config(asc)), None, "{asc:?}");
        }
        assert_eq!(Silence::fitting(&Bytes::from_static(&[0x2f, 1, 2])), None, "MP3");
    }
}
