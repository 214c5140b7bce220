//! The ModEx prefix of Enhanced RTMP v2: extensions that stand between the first byte and the FourCC.

use super::FlvError;
use bytes::Buf;

/// Packet type 7 in both the audio and the video enumeration.
const MOD_EX: u8 = 7;

/// Skips all ModEx prefixes; returns the real packet type. The nanosecond offset is finer than our timeline's source
/// and is dropped here; the relay passes the raw bytes on.
pub(super) fn skip_modex(packet_type: u8, rest: &mut &[u8]) -> Result<u8, FlvError> {
    let mut packet_type = packet_type;
    while packet_type == MOD_EX {
        let mut size = usize::from(rest.try_get_u8().map_err(|_| FlvError::Short)?) + 1;
        if size == 256 {
            size = usize::from(rest.try_get_u16().map_err(|_| FlvError::Short)?) + 1;
        }
        *rest = rest.get(size..).ok_or(FlvError::Short)?;
        packet_type = rest.try_get_u8().map_err(|_| FlvError::Short)? & 0x0f;
    }
    Ok(packet_type)
}
