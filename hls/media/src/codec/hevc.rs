//! H.265: decoder configuration records and NAL units (ITU-T H.265, ISO/IEC 14496-15 §8).

use super::bits::Bits;
use crate::{TrackError, VideoCodec, VideoTrack};
use bytes::{Buf, Bytes};
use std::fmt::Write;

/// nal_unit_type of a sequence parameter set (H.265 table 7-1).
pub const NAL_SPS: u8 = 33;
/// nal_unit_type of an access unit delimiter.
pub const NAL_AUD: u8 = 35;
/// nal_unit_type of filler data: padding that nobody needs.
pub const NAL_FILLER: u8 = 38;

/// Where a record's arrays of parameter sets begin.
const ARRAYS_AT: usize = 22;
/// profile_tier_level() up to and without general_level_idc (§7.3.3), in bits.
const PROFILE_BITS: usize = 88;

/// The nal_unit_type of a NAL unit: six bits behind the first (§7.3.1.2).
#[must_use]
pub fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|byte| byte >> 1 & 0x3f)
}

pub(crate) fn track_from_hvcc(config: Bytes) -> Result<VideoTrack, TrackError> {
    let bad = TrackError::Hevc;
    let (Some(1), Some(header)) = (config.first(), config.get(..=ARRAYS_AT)) else {
        return Err(bad("it is cut short or of an unknown version"));
    };
    // lengthSizeMinusOne: the rest of the house counts on 4.
    if header[21] & 3 != 3 {
        return Err(bad("its NAL lengths are not 4 bytes wide"));
    }
    let sps = find_sps(&config).ok_or(bad("it holds no sequence parameter set"))?;
    let (width, height) = picture_size(sps).ok_or(bad("its sequence parameter set cannot be read"))?;
    Ok(VideoTrack {
        codec: VideoCodec::Hevc,
        codec_string: codec_string(header),
        width,
        height,
        frame_rate: None,
        config,
    })
}

/// ISO/IEC 14496-15 annex E.3: profile, compatibility flags in reverse bit order, tier and level, constraint bytes
/// without the zeros at their end. `hvc1`, because parameter sets stand in the sample entry alone, which Safari wants.
fn codec_string(header: &[u8]) -> String {
    let space = ["", "A", "B", "C"][usize::from(header[1] >> 6)];
    let tier = if header[1] & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes([header[2], header[3], header[4], header[5]]).reverse_bits();
    let mut text = format!("hvc1.{space}{}.{compatible:x}.{tier}{}", header[1] & 0x1f, header[12]);
    let constraints = &header[6..12];
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(text, ".{byte:x}"); // writing to a String cannot fail
    }
    text
}

/// The first sequence parameter set of a record (§8.3.3.1.2).
fn find_sps(config: &[u8]) -> Option<&[u8]> {
    let mut rest = config.get(ARRAYS_AT..)?;
    let arrays = rest.try_get_u8().ok()?;
    for _ in 0..arrays {
        let kind = rest.try_get_u8().ok()? & 0x3f;
        let units = rest.try_get_u16().ok()?;
        for _ in 0..units {
            let length = usize::from(rest.try_get_u16().ok()?);
            let (unit, after) = rest.split_at_checked(length)?;
            if kind == NAL_SPS {
                return Some(unit);
            }
            rest = after;
        }
    }
    None
}

/// Shown width and height from a sequence parameter set (§7.3.2.2.1), cropping applied.
fn picture_size(sps: &[u8]) -> Option<(u32, u32)> {
    let payload = without_emulation(sps.get(2..)?);
    let mut bits = Bits::new(&payload);
    bits.skip(4); // sps_video_parameter_set_id
    let sub_layers = bits.read(3)? as usize;
    bits.skip(1 + PROFILE_BITS + 8);
    let present: Vec<_> =
        (0..sub_layers).map(|_| Some((bits.flag()?, bits.flag()?))).collect::<Option<_>>()?;
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers));
    }
    for (profile, level) in present {
        bits.skip(if profile { PROFILE_BITS } else { 0 } + if level { 8 } else { 0 });
    }
    bits.exp_golomb()?; // sps_seq_parameter_set_id
    let chroma_format = bits.exp_golomb()?;
    if chroma_format == 3 {
        bits.skip(1); // separate_colour_plane_flag
    }
    let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let mut crop = [0; 4];
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.exp_golomb()?;
        }
    }
    // Table 6-1: cropping counts in chroma samples.
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let cropped = |size: u32, unit: u32, sides: [u32; 2]| {
        let cut = sides[0].checked_add(sides[1])?.checked_mul(unit)?;
        size.checked_sub(cut).filter(|left| (1..=u16::MAX.into()).contains(left))
    };
    Some((cropped(width, unit_x, [crop[0], crop[1]])?, cropped(height, unit_y, [crop[2], crop[3]])?))
}

/// A NAL unit's payload without its emulation prevention bytes (§7.3.1.1).
fn without_emulation(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record that ffmpeg 5.1 with libx265 writes for 640x360.
    const X265_360P: &[u8] = include_bytes!("../../tests/data/x265-640x360.hvcc");

    #[test]
    fn the_record_of_x265_says_its_size_and_its_codec() {
        let track = VideoTrack::from_hvcc(Bytes::from_static(X265_360P)).unwrap();
        assert_eq!((track.width, track.height), (640, 360));
        assert_eq!(track.codec_string, "hvc1.1.6.L63.90");
        assert_eq!(track.codec, VideoCodec::Hevc);
    }

    #[test]
    fn no_cut_or_altered_record_panics() {
        for cut in 0..X265_360P.len() {
            let _ = VideoTrack::from_hvcc(Bytes::copy_from_slice(&X265_360P[..cut]));
        }
        for at in 0..X265_360P.len().min(200) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut altered = X265_360P.to_vec();
                altered[at] = value;
                let _ = VideoTrack::from_hvcc(altered.into());
            }
        }
    }
}
