//! H.264 parameter sets inside a keyframe, as well as before it.
//!
//! A decoder configuration that changes in the middle of a stream is passed on by few readers, and dropped by many that
//! copy. A keyframe that carries its parameter sets decodes behind all of them.

use bytes::{BufMut, Bytes, BytesMut};

/// FLV 10.1 §E.4.3: a keyframe in AVC; then packet type and composition time.
const AVC_KEYFRAME: u8 = 0x17;
const HEADER_BYTES: usize = 5;

/// The keyframe with the parameter sets of its configuration before its pictures; both as tags' bodies. As it is if they
/// cannot be put there: in an enhanced header, or a configuration that is cut short.
pub(super) fn inside(keyframe: &Bytes, configuration: &Bytes) -> Bytes {
    let is_avc = [keyframe, configuration].iter().all(|body| body.first() == Some(&AVC_KEYFRAME));
    match (is_avc, keyframe.get(HEADER_BYTES..), configuration.get(HEADER_BYTES..).and_then(units)) {
        (true, Some(pictures), Some(units)) => {
            let mut body = BytesMut::with_capacity(keyframe.len() + configuration.len());
            body.put_slice(&keyframe[..HEADER_BYTES]);
            for unit in units {
                body.put_u32(unit.len() as u32); // it came with a length of 16 bits
                body.put_slice(unit);
            }
            body.put_slice(pictures);
            body.freeze()
        }
        _ => keyframe.clone(),
    }
}

/// The parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) whose NAL lengths are 4 bytes wide.
fn units(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut rest) = record.split_at_checked(5)?;
    if head[4] & 3 != 3 {
        return None;
    }
    let mut units = Vec::new();
    // Sequence parameter sets, whose count has five bits, then picture parameter sets.
    for mask in [0x1f, 0xff] {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (unit, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            units.push(unit);
            rest = after;
        }
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0x17, 1, 0, 0, 40, 0, 0, 0, 1, 0x65];
    const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68];

    #[test]
    fn a_keyframe_carries_its_parameter_sets() {
        let body = inside(&Bytes::from_static(KEY), &Bytes::from_static(CONFIG));
        let wanted = [&KEY[..5], &[0, 0, 0, 2, 0x67, 9, 0, 0, 0, 1, 0x68], &KEY[5..]].concat();
        assert_eq!(body, wanted);
    }

    #[test]
    fn what_cannot_be_read_is_left_as_it_is() {
        let key = Bytes::from_static(KEY);
        for cut in 0..CONFIG.len() {
            assert_eq!(inside(&key, &Bytes::from_static(&CONFIG[..cut])), KEY, "{cut}");
        }
        let enhanced = Bytes::from_static(&[0x91, b'a', b'v', b'c', b'1', 0, 0, 0, 0, 0, 0, 1, 0x65]);
        assert_eq!(inside(&enhanced, &Bytes::from_static(CONFIG)), enhanced);
    }
}
