//! Writing chunks.
//!
//! Every message gets a full header with its absolute timestamp (type 0), so that no reader needs to remember
//! anything and any message may be left out. Continuations are type 3 and repeat an extended timestamp, as all known
//! readers expect.

use super::wire::kind;
use crate::{Message, MessageKind};
use bytes::{BufMut, Bytes, BytesMut};

/// The chunk size that we announce to every peer, in bytes: nearly every frame fits into one chunk.
pub const SHARED_CHUNK_SIZE: usize = 60_000;
/// Chunk size before anybody set another (RTMP 1.0 §5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// From this value on a timestamp moves into its own four bytes (§5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// Chunk stream of protocol control messages (§5.4).
pub(crate) const CSID_CONTROL: u32 = 2;
/// Chunk stream of commands and their answers.
pub(crate) const CSID_COMMAND: u32 = 3;
/// Chunk stream of statuses. The same as [`CSID_COMMAND`], because librtmp clients look for both there.
pub(crate) const CSID_STATUS: u32 = CSID_COMMAND;

/// The chunk stream on which we send a kind of message.
pub(crate) const fn csid_of(kind: MessageKind) -> u32 {
    match kind {
        MessageKind::Audio => 4,
        MessageKind::Data => 5,
        MessageKind::Video => 6,
    }
}

/// The message type id of a kind of message.
pub(crate) const fn kind_of(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::Audio => kind::AUDIO,
        MessageKind::Data => kind::DATA,
        MessageKind::Video => kind::VIDEO,
    }
}

/// One message as chunks that fit every player: message stream 1, chunk size [`SHARED_CHUNK_SIZE`], absolute
/// timestamp. Written once per broadcast, sent to each player as a handle.
///
/// Only for players whose [`takes_shared_chunks`](crate::ServerConn::takes_shared_chunks) is true.
#[must_use]
pub fn shared_chunks(message: &Message) -> Bytes {
    let mut out =
        BytesMut::with_capacity(message.body.len() + 12 + message.body.len() / SHARED_CHUNK_SIZE * 5);
    let writer = ChunkWriter { chunk_size: SHARED_CHUNK_SIZE };
    let body = &message.body;
    writer.write(&mut out, csid_of(message.kind), kind_of(message.kind), message.timestamp, 1, body);
    out.freeze()
}

/// Writes messages as chunks of the size that was announced last.
#[derive(Clone, Debug)]
pub(crate) struct ChunkWriter {
    chunk_size: usize,
}

impl ChunkWriter {
    pub(crate) const fn new() -> Self {
        Self { chunk_size: INITIAL_CHUNK_SIZE }
    }

    /// Announces [`SHARED_CHUNK_SIZE`] and uses it from here on.
    pub(crate) fn announce_chunk_size(&mut self, out: &mut BytesMut) {
        let size = SHARED_CHUNK_SIZE as u32;
        self.write(out, CSID_CONTROL, kind::SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes());
        self.chunk_size = SHARED_CHUNK_SIZE;
    }

    /// Appends one message. `csid` is one of the constants above, all of which fit a one-byte basic header.
    pub(crate) fn write(
        &self,
        out: &mut BytesMut,
        csid: u32,
        kind: u8,
        timestamp: u32,
        stream: u32,
        body: &[u8],
    ) {
        debug_assert!((2..64).contains(&csid), "our chunk stream ids fit one byte");
        let basic = csid as u8 & 0x3f;
        let extended = timestamp >= EXTENDED;
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).min(0xff_ffff);
        out.reserve(body.len() + 16);
        out.put_u8(basic);
        out.put_uint(u64::from(timestamp.min(EXTENDED)), 3);
        out.put_uint(u64::from(length), 3);
        out.put_u8(kind);
        out.put_u32_le(stream); // the one little-endian field of RTMP (§5.3.1.2.1)
        if extended {
            out.put_u32(timestamp);
        }
        let body = &body[..length as usize];
        for (index, part) in body.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                out.put_u8(0xc0 | basic);
                if extended {
                    out.put_u32(timestamp);
                }
            }
            out.put_slice(part);
        }
    }
}
