//! VP9: configuration records and keyframe headers ("VP codec ISO media file format binding"; VP9 bitstream §6.2).

use super::bits::Bits;
use crate::{TrackError, VideoCodec, VideoTrack};
use bytes::Bytes;

/// frame_sync_code of every keyframe (§6.2, §7.2).
const SYNC_CODE: u32 = 0x49_8342;
/// color_space of RGB (§7.2.2).
const COLOUR_RGB: u32 = 7;

pub(crate) fn track_from_vpcc(config: Bytes) -> Result<VideoTrack, TrackError> {
    // The record alone, or as it stands in its box, behind version 1 and flags: encoders send both.
    let config = match config.strip_prefix(&[1, 0, 0, 0]) {
        Some(record) if record.len() >= 8 => config.slice(4..12),
        _ if config.len() >= 8 => config.slice(..8),
        _ => return Err(TrackError::Vp9("it is cut short")),
    };
    let [profile, level, packed, primaries, transfer, matrix, size_high, size_low] = config[..] else {
        return Err(TrackError::Vp9("it is cut short"));
    };
    if [size_high, size_low] != [0, 0] {
        return Err(TrackError::Vp9("VP9 has no initialization data"));
    }
    let (depth, chroma, full_range) = (packed >> 4, packed >> 1 & 7, packed & 1);
    let codec_string = format!(
        "vp09.{profile:02}.{level:02}.{depth:02}.{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range:02}"
    );
    Ok(VideoTrack { codec: VideoCodec::Vp9, codec_string, width: 0, height: 0, frame_rate: None, config })
}

/// Width and height that a keyframe's uncompressed header states (§6.2).
#[must_use]
pub fn picture_size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(frame);
    let marker = bits.read(2)?;
    let (low, high) = (bits.read(1)?, bits.read(1)?);
    let profile = high << 1 | low;
    if profile == 3 {
        bits.skip(1); // reserved_zero
    }
    let shows_existing = bits.flag()?;
    let is_inter = bits.flag()?;
    bits.skip(2); // show_frame, error_resilient_mode
    if marker != 2 || shows_existing || is_inter || bits.read(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1); // ten_or_twelve_bit
    }
    let is_rgb = bits.read(3)? == COLOUR_RGB;
    match (is_rgb, profile) {
        (false, 1 | 3) => bits.skip(1 + 3), // color_range, subsampling, reserved_zero
        (false, _) => bits.skip(1),
        (true, 1 | 3) => bits.skip(1),
        (true, _) => return None,
    }
    Some((bits.read(16)? + 1, bits.read(16)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_with_and_without_its_box_header() {
        let record = [0, 21, 0x82, 1, 1, 1, 0, 0];
        let boxed = [&[1, 0, 0, 0][..], &record].concat();
        for config in [record.to_vec(), boxed] {
            let track = VideoTrack::from_vpcc(config.into()).unwrap();
            assert_eq!(track.codec_string, "vp09.00.21.08.01.01.01.01.00");
            assert_eq!(track.config[..], record);
        }
        for cut in 0..8 {
            assert!(VideoTrack::from_vpcc(Bytes::copy_from_slice(&record[..cut])).is_err());
        }
    }

    #[test]
    fn a_keyframe_says_its_size_and_no_other_frame_does() {
        // Marker 10, profile 0, keyframe shown, sync code, BT.601 limited, 640 and 360 less one.
        let keyframe = [0b1000_0010, 0x49, 0x83, 0x42, 0b0010_0010, 0x77, 0xf1, 0x67, 0xf0];
        let size = picture_size(&[0b1000_0010, 0x49, 0x83, 0x42, 0b0010_0000, 0x27, 0xf0, 0x16, 0x70]);
        assert_eq!(size, Some((640, 360)));
        for cut in 0..8 {
            assert_eq!(picture_size(&keyframe[..cut]), None);
        }
        assert_eq!(picture_size(&[0b1000_0110, 0x49, 0x83, 0x42, 0, 0, 0, 0, 0]), None);
    }
}
