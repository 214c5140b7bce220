//! AV1: configuration records and OBUs (AV1 bitstream §5; "AV1 codec ISO media file format binding" §2).

use super::bits::Bits;
use crate::{TrackError, VideoCodec, VideoTrack};
use bytes::{BufMut, Bytes, BytesMut};

/// obu_type of a sequence header (§6.2.2).
const OBU_SEQUENCE_HEADER: u8 = 1;
/// obu_type of a temporal delimiter, which a sample must not have (binding §2.4).
const OBU_TEMPORAL_DELIMITER: u8 = 2;
/// obu_type of a tile list, which belongs to large scale tile decoding only.
const OBU_TILE_LIST: u8 = 8;
/// obu_type of padding.
const OBU_PADDING: u8 = 15;

/// An OBU runs past the end of its temporal unit, or its header is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an OBU runs past the end of its temporal unit")]
pub struct BadObu;

/// One OBU: its header included, and its payload alone.
struct Obu<'a> {
    kind: u8,
    whole: &'a [u8],
    payload: &'a [u8],
}

pub(crate) fn track_from_av1c(config: Bytes) -> Result<VideoTrack, TrackError> {
    let bad = TrackError::Av1;
    // marker and version (binding §2.3.3).
    let (Some(&[0x81, second, third, _]), Some(units)) = (config.first_chunk::<4>(), config.get(4..)) else {
        return Err(bad("it is cut short or of an unknown version"));
    };
    let size = match obus(units).collect::<Result<Vec<_>, _>>() {
        // Legal: the sequence header then stands in front of each keyframe alone.
        Ok(units) if units.is_empty() => (0, 0),
        Ok(units) => size_of(&units).ok_or(bad("its sequence header cannot be read"))?,
        Err(_) => return Err(bad("its OBUs run past its end")),
    };
    Ok(VideoTrack {
        codec: VideoCodec::Av1,
        codec_string: codec_string(second, third),
        width: size.0,
        height: size.1,
        frame_rate: None,
        config,
    })
}

/// Binding §5: profile, level and tier, bit depth; and the rest where it is not what its absence means, 4:2:0.
fn codec_string(second: u8, third: u8) -> String {
    let (profile, level) = (second >> 5, second & 0x1f);
    let bit = |place: u8| third >> place & 1;
    let tier = if bit(7) == 0 { 'M' } else { 'H' };
    let depth = match (bit(6), bit(5)) {
        (0, _) => 8,
        (_, 0) => 10,
        _ => 12,
    };
    let mut text = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
    let (monochrome, x, y) = (bit(4), bit(3), bit(2));
    if (monochrome, x, y) != (0, 1, 1) {
        // Colours as where nothing is said: BT.709, limited range.
        text.push_str(&format!(".{monochrome}.{x}{y}{}.01.01.01.0", third & 3));
    }
    text
}

/// Width and height that a temporal unit states, if it holds a sequence header.
#[must_use]
pub fn picture_size(unit: &[u8]) -> Option<(u32, u32)> {
    let units: Vec<_> = obus(unit).collect::<Result<_, _>>().ok()?;
    size_of(&units)
}

/// A temporal unit as a sample of an MP4 file: without delimiters, padding and tile lists.
///
/// # Errors
/// [`BadObu`] if its lengths contradict its size.
pub fn to_sample(unit: &Bytes) -> Result<Bytes, BadObu> {
    let is_kept = |kind| !matches!(kind, OBU_TEMPORAL_DELIMITER | OBU_PADDING | OBU_TILE_LIST);
    let mut has_others = false;
    for obu in obus(unit) {
        has_others |= !is_kept(obu?.kind);
    }
    if !has_others {
        return Ok(unit.clone());
    }
    let mut out = BytesMut::with_capacity(unit.len());
    for obu in obus(unit).flatten().filter(|obu| is_kept(obu.kind)) {
        out.put_slice(obu.whole);
    }
    Ok(out.freeze())
}

fn size_of(units: &[Obu<'_>]) -> Option<(u32, u32)> {
    let header = units.iter().find(|obu| obu.kind == OBU_SEQUENCE_HEADER)?;
    sequence_size(header.payload)
}

/// max_frame_width and max_frame_height of a sequence header (§5.5.1).
fn sequence_size(header: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(header);
    bits.skip(3 + 1); // seq_profile, still_picture
    if bits.flag()? {
        bits.skip(5); // reduced: one level, nothing else
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits = bits.read(4)? as usize + 1;
    let height_bits = bits.read(4)? as usize + 1;
    Some((bits.read(width_bits)? + 1, bits.read(height_bits)? + 1))
}

/// Timing, decoder model and operating points, up to frame_width_bits_minus_1.
fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(32 + 32); // timing_info (§5.5.3)
        if bits.flag()? {
            bits.exp_golomb()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.read(5)? as usize + 1); // decoder_model_info (§5.5.4)
            bits.skip(32 + 5 + 5);
        }
    }
    let has_display_delays = bits.flag()?;
    let points = bits.read(5)? + 1;
    for _ in 0..points {
        bits.skip(12); // operating_point_idc
        if bits.read(5)? > 7 {
            bits.skip(1); // seq_tier
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1);
        }
        if has_display_delays && bits.flag()? {
            bits.skip(4);
        }
    }
    Some(())
}

/// The OBUs of a temporal unit in the low-overhead format (§5.2). A malformed one is the last item.
fn obus(mut rest: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, BadObu>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((obu, after)) = split_obu(rest) else {
            rest = &[];
            return Some(Err(BadObu));
        };
        rest = after;
        Some(Ok(obu))
    })
}

/// obu_header (§5.3.2), size as leb128 (§4.10.5), payload.
fn split_obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let first = *bytes.first()?;
    let (is_forbidden, has_extension, has_size) = (first & 0x80 != 0, first & 4 != 0, first & 2 != 0);
    if is_forbidden {
        return None;
    }
    let mut at = if has_extension { 2 } else { 1 };
    let mut size = bytes.len().checked_sub(at)?; // without a size it is the last
    if has_size {
        let mut value = 0u64;
        let length = (0..8).find_map(|index| {
            let byte = *bytes.get(at + index)?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            (byte & 0x80 == 0).then_some(index + 1)
        })?;
        at += length;
        size = usize::try_from(value).ok()?;
    }
    let end = at.checked_add(size)?;
    let (whole, after) = bytes.split_at_checked(end)?;
    Some((Obu { kind: first >> 3 & 0xf, whole, payload: whole.get(at..)? }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record that ffmpeg 5.1 with libaom writes for 640x360.
    const AOM_360P: &[u8] = include_bytes!("../../tests/data/aom-640x360.av1c");

    #[test]
    fn the_record_of_libaom_says_its_size_and_its_codec() {
        let track = VideoTrack::from_av1c(Bytes::from_static(AOM_360P)).unwrap();
        assert_eq!((track.width, track.height), (640, 360));
        assert_eq!(track.codec_string, "av01.0.01M.08");
    }

    #[test]
    fn a_record_without_a_sequence_header_takes_its_size_from_a_keyframe() {
        let track = VideoTrack::from_av1c(Bytes::copy_from_slice(&AOM_360P[..4])).unwrap();
        assert_eq!((track.width, track.height), (0, 0));
        let delimiter = [0x12, 0];
        let unit = [&delimiter[..], &AOM_360P[4..]].concat();
        let sized = track.sized_by(&unit).unwrap();
        assert_eq!((sized.width, sized.height), (640, 360));
        assert_eq!(sized.sized_by(&unit), None, "nothing new");
    }

    #[test]
    fn delimiters_and_padding_do_not_reach_a_sample() {
        let frame = [0x32, 2, 7, 7];
        let unit = [&[0x12, 0][..], &frame, &[0x7a, 1, 0]].concat();
        assert_eq!(to_sample(&unit.into()).unwrap()[..], frame);
        let untouched = Bytes::copy_from_slice(&[0x30, 7, 7, 7]); // no size: up to the end
        assert_eq!(to_sample(&untouched), Ok(untouched.clone()));
        assert_eq!(to_sample(&Bytes::from_static(&[0x32, 3, 7, 7])), Err(BadObu));
        assert_eq!(to_sample(&Bytes::from_static(&[0x32, 0xff, 0xff])), Err(BadObu));
    }

    #[test]
    fn no_cut_or_altered_record_panics() {
        for cut in 0..AOM_360P.len() {
            let _ = VideoTrack::from_av1c(Bytes::copy_from_slice(&AOM_360P[..cut]));
        }
        for at in 0..AOM_360P.len() {
            for value in 0..=255 {
                let mut altered = AOM_360P.to_vec();
                altered[at] = value;
                let _ = VideoTrack::from_av1c(altered.into());
            }
        }
    }
}
