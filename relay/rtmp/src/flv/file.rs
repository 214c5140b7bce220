//! FLV as a file or an HTTP response (FLV 10.1 §E.2, §E.3).

use crate::chunk::kind_of;
use crate::{Message, MessageKind};
use bytes::{BufMut, Bytes, BytesMut};

/// The first bytes of a file with these kinds of track.
#[must_use]
pub fn file_header(has_video: bool, has_audio: bool) -> Bytes {
    let kinds = u8::from(has_audio) << 2 | u8::from(has_video);
    // Signature, version 1, kinds, header length, and the size of the tag before the first: none.
    let header = [b'F', b'L', b'V', 1, kinds, 0, 0, 0, 9, 0, 0, 0, 0];
    Bytes::copy_from_slice(&header)
}

/// One tag, ended by its own size.
#[must_use]
pub fn file_tag(message: &Message) -> Bytes {
    const TAG_HEADER_BYTES: u32 = 11;
    let kind = match message.kind {
        kind @ (MessageKind::Audio | MessageKind::Video | MessageKind::Data) => kind_of(kind),
    };
    let length = u32::try_from(message.body.len()).unwrap_or(u32::MAX).min(0xff_ffff);
    let mut out = BytesMut::with_capacity(length as usize + 15);
    out.put_u8(kind);
    out.put_uint(u64::from(length), 3);
    out.put_uint(u64::from(message.timestamp & 0xff_ffff), 3);
    out.put_u8((message.timestamp >> 24) as u8);
    out.put_uint(0, 3); // stream id, always 0
    out.put_slice(&message.body[..length as usize]);
    out.put_u32(length + TAG_HEADER_BYTES);
    out.freeze()
}
