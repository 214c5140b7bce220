//! H.264: decoder configuration records and NAL units (ITU-T H.264, ISO/IEC 14496-15).

use crate::{TrackError, VideoCodec, VideoTrack};
use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::avcc::AvcDecoderConfigurationRecord;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};

/// nal_unit_type of an IDR picture (H.264 table 7-1).
pub const NAL_IDR: u8 = 5;
/// nal_unit_type of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// nal_unit_type of a picture parameter set.
pub const NAL_PPS: u8 = 8;
/// nal_unit_type of an access unit delimiter.
pub const NAL_AUD: u8 = 9;

pub(crate) fn track_from_avcc(config: Bytes) -> Result<VideoTrack, TrackError> {
    let bad = |why: String| TrackError::H264(why);
    let record = AvcDecoderConfigurationRecord::try_from(&config[..]).map_err(|e| bad(format!("{e:?}")))?;
    // lengthSizeMinusOne: we pass access units on as they are and fMP4 readers take any size, but the rest of the
    // house counts on 4.
    if config.get(4).is_none_or(|byte| byte & 3 != 3) {
        return Err(bad("its NAL lengths are not 4 bytes wide".into()));
    }
    let sps_bytes = record
        .sequence_parameter_sets()
        .next()
        .ok_or_else(|| bad("it holds no sequence parameter set".into()))?
        .map_err(|e| bad(format!("{e:?}")))?;
    if sps_bytes.is_empty() {
        return Err(bad("its sequence parameter set is empty".into()));
    }
    let nal = RefNal::new(sps_bytes, &[], true);
    let sps = SeqParameterSet::from_bits(nal.rbsp_bits()).map_err(|e| bad(format!("{e:?}")))?;
    let (width, height) = sps.pixel_dimensions().map_err(|e| bad(format!("{e:?}")))?;
    let frame_rate = sps.fps().filter(|fps| fps.is_finite() && (1.0..=1000.0).contains(fps));
    // RFC 6381 §3.3: the three bytes after configurationVersion, in hex.
    let codec_string = format!("avc1.{:02x}{:02x}{:02x}", config[1], config[2], config[3]);
    Ok(VideoTrack { codec: VideoCodec::H264, config, width, height, frame_rate, codec_string })
}

/// Splits an Annex B byte stream (H.264 annex B) into NAL units without their start codes.
pub fn split_annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = skip_to_start_code(stream);
    std::iter::from_fn(move || {
        let body = rest?;
        let end = find_start_code(body).unwrap_or(body.len());
        rest = skip_to_start_code(&body[end..]);
        let trimmed = body[..end].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&body[..trimmed])
    })
    .filter(|nal| !nal.is_empty())
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

fn skip_to_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

/// Splits a length-prefixed access unit (4-byte lengths) into NAL units.
///
/// A length that runs past the end ends the walk with [`BadLength`] as its last item.
pub fn split_length_prefixed(mut unit: &[u8]) -> impl Iterator<Item = Result<&[u8], BadLength>> {
    std::iter::from_fn(move || {
        if unit.is_empty() {
            return None;
        }
        let parsed = unit.split_first_chunk::<4>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
        });
        let Some((nal, rest)) = parsed else {
            unit = &[];
            return Some(Err(BadLength));
        };
        unit = rest;
        Some(Ok(nal))
    })
}

/// A NAL unit's length prefix runs past the end of its access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a NAL length runs past the end of its access unit")]
pub struct BadLength;

/// The nal_unit_type of a NAL unit: the low five bits of its first byte.
#[must_use]
pub fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|byte| byte & 0x1f)
}

/// Writes NAL units with 4-byte lengths, leaving out access unit delimiters.
#[must_use]
pub fn to_length_prefixed<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = BytesMut::new();
    for nal in nals {
        if nal_type(nal) == Some(NAL_AUD) {
            continue;
        }
        out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        out.put_slice(nal);
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_sequence_parameter_set_is_refused() {
        // One SPS of no bytes, and seven PPS of none: the count reads as the header of an SPS.
        let record = [&[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 0, 7][..], &[0; 14]].concat().into();
        let error = track_from_avcc(record).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
    }

    #[test]
    fn annex_b_and_length_prefixed_carry_the_same_nal_units() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 5, 6];
        let nals: Vec<_> = split_annex_b(&stream).collect();
        assert_eq!(nals, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 4, 5, 6]]);
        let unit = to_length_prefixed(nals.iter().copied());
        let back: Vec<_> = split_length_prefixed(&unit).map(Result::unwrap).collect();
        assert_eq!(back, nals);
    }

    #[test]
    fn a_length_past_the_end_is_an_error_and_not_a_panic() {
        let items: Vec<_> = split_length_prefixed(&[0, 0, 0, 9, 1, 2]).collect();
        assert_eq!(items, [Err(BadLength)]);
        assert_eq!(split_length_prefixed(&[255, 255, 255]).collect::<Vec<_>>(), [Err(BadLength)]);
    }

    #[test]
    fn no_garbage_record_panics() {
        for length in 0..40 {
            for fill in [0u8, 1, 0x42, 0x67, 0xff] {
                let _ = VideoTrack::from_avcc(vec![fill; length].into());
            }
        }
        // The record that libx264 writes for 1280x720 at 30 frames per second.
        let x264_720p = Bytes::from_static(&[
            1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x1a, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1,
            0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3,
            0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0,
        ]);
        for cut in 0..x264_720p.len() {
            let _ = VideoTrack::from_avcc(x264_720p.slice(..cut));
        }
        let track = VideoTrack::from_avcc(x264_720p).unwrap();
        assert_eq!((track.width, track.height), (1280, 720));
        assert_eq!(track.codec_string, "avc1.64001f");
        assert_eq!(track.frame_rate, Some(30.0));
    }
}
