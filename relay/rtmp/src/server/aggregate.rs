//! Aggregate messages: several FLV tags in one message (RTMP 1.0 §7.1.6).

use crate::ConnError;
use crate::chunk::RawMessage;
use bytes::Buf;

/// How many messages one aggregate may hold. Encoders bundle a few dozen.
const PARTS_MAX: usize = 4096;
/// Type, length, timestamp in 3 + 1 bytes, stream id.
const TAG_HEADER_BYTES: usize = 11;
/// Behind each tag stands its size, for readers that go backwards. The last one may be missing.
const BACK_POINTER_BYTES: usize = 4;

/// The messages of an aggregate, moved so that the first has the aggregate's own timestamp.
pub(super) fn split(aggregate: &RawMessage) -> Result<Vec<RawMessage>, ConnError> {
    const SHORT: ConnError = ConnError::Unexpected("an aggregate message is cut short");
    let mut rest = &aggregate.body[..];
    let mut parts = Vec::new();
    let mut shift = None;
    while !rest.is_empty() {
        if rest.len() < TAG_HEADER_BYTES {
            return Err(SHORT);
        }
        if parts.len() == PARTS_MAX {
            return Err(ConnError::TooMuch { what: "messages in an aggregate", max: PARTS_MAX });
        }
        let kind = rest.get_u8();
        let length = rest.get_uint(3) as usize;
        let low = rest.get_uint(3) as u32;
        let time = u32::from(rest.get_u8()) << 24 | low;
        rest.advance(3); // a stream id that is always 0; the aggregate's own counts
        let (body, after) = rest.split_at_checked(length).ok_or(SHORT)?;
        rest = &after[after.len().min(BACK_POINTER_BYTES)..];
        let shift = *shift.get_or_insert(aggregate.timestamp.wrapping_sub(time));
        parts.push(RawMessage {
            kind,
            timestamp: time.wrapping_add(shift),
            stream: aggregate.stream,
            body: aggregate.body.slice_ref(body),
        });
    }
    Ok(parts)
}
