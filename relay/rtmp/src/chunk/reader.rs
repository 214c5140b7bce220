//! Reading chunks, whatever order they come in and however much of them is missing.
//!
//! Each chunk stream keeps its own header and its own unfinished message, so streams may interleave freely. Payload
//! goes straight from the input into the message that it belongs to. Memory grows with bytes received, never with
//! lengths announced.

use super::wire::{ChunkError, RawMessage, kind};
use crate::Limits;
use bytes::{Buf, Bytes};

/// A timestamp field of this value means: the real one follows in four bytes (RTMP 1.0 §5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;
/// Chunk size before the peer set another (§5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// The largest chunk size that makes sense: a message has at most 16 MiB (§5.4.1).
const CHUNK_SIZE_MAX: usize = 1 << 24;
/// Basic header 3, message header 11, extended timestamp 4.
const HEADER_BYTES_MAX: usize = 18;
/// What an unfinished message reserves at its start; beyond it memory follows the bytes that arrive.
const RESERVE_BYTES_MAX: usize = 64 << 10;
/// Control messages have 4 to 10 bytes; this leaves room for user control events that we do not know.
const CONTROL_BYTES_MAX: usize = 1024;

/// One direction of a connection, as messages.
pub(crate) struct ChunkReader {
    chunk_size: usize,
    caps: Caps,
    streams: Vec<Stream>,
    /// Bytes that were taken from the input but not yet used: a header that is not whole.
    held: Held,
    /// The chunk whose payload is being read: index into `streams`, and what is left of this chunk.
    payload: Option<(usize, usize)>,
    /// Sum of all unfinished messages, in bytes.
    partial_bytes: usize,
}

/// The bounds of a reader; see [`Limits`].
#[derive(Clone, Debug)]
struct Caps {
    media: usize,
    command: usize,
    data: usize,
    partial: usize,
    chunk: usize,
    streams: usize,
}

#[derive(Default)]
struct Held {
    bytes: [u8; HEADER_BYTES_MAX],
    length: usize,
}

impl Held {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

/// What one chunk stream remembers between chunks.
struct Stream {
    csid: u32,
    /// Absolute timestamp of the message that is being read, or of the last one.
    timestamp: u32,
    /// What a type 3 header that begins a message adds. 0 after a type 0 header: the specification would add its
    /// timestamp again (§5.3.1.2.4), but librtmp, nginx-rtmp and rml_rtmp all mean "same time".
    delta: u32,
    /// The value in the timestamp field, or behind it, which continuations repeat if `extended`.
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    partial: Vec<u8>,
    /// Whether `partial` belongs to a message that has begun; an empty one may have.
    begun: bool,
}

/// A parsed chunk header.
struct Header {
    csid: u32,
    /// `None`: type 3.
    message: Option<MessageHeader>,
    bytes_used: usize,
}

struct MessageHeader {
    /// Whether the timestamp is absolute (type 0).
    absolute: bool,
    field: u32,
    extended: bool,
    length_and_kind: Option<(usize, u8)>,
    stream: Option<u32>,
}

impl ChunkReader {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            chunk_size: INITIAL_CHUNK_SIZE,
            caps: Caps {
                media: limits.media_bytes_max,
                command: limits.command_bytes_max,
                data: limits.data_bytes_max,
                partial: limits.partial_bytes_max,
                chunk: limits.chunk_bytes_max.min(CHUNK_SIZE_MAX),
                streams: limits.chunk_streams_max,
            },
            streams: Vec::new(),
            held: Held::default(),
            payload: None,
            partial_bytes: 0,
        }
    }

    /// Reads up to the end of the next message and takes what it read from `input`. `None`: all of the input is used
    /// up. SetChunkSize and Abort take effect here and are not returned.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<RawMessage>, ChunkError> {
        loop {
            let Some((index, left)) = self.payload else {
                let Some(header) = self.read_header(input)? else { return Ok(None) };
                let index = self.begin_chunk(&header)?;
                let stream = &self.streams[index];
                let left = (stream.length - stream.partial.len()).min(self.chunk_size);
                self.payload = Some((index, left));
                continue;
            };
            let left = left - self.copy_payload(index, left, input)?;
            if left > 0 {
                self.payload = Some((index, left));
                return Ok(None);
            }
            self.payload = None;
            let stream = &mut self.streams[index];
            if stream.partial.len() < stream.length {
                continue;
            }
            stream.begun = false;
            let body = Bytes::from(std::mem::take(&mut stream.partial));
            self.partial_bytes -= body.len();
            let message =
                RawMessage { kind: stream.kind, timestamp: stream.timestamp, stream: stream.stream, body };
            match message.kind {
                kind::SET_CHUNK_SIZE => self.set_chunk_size(message.body)?,
                kind::ABORT => self.abort(message.body)?,
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Moves payload from what is held, then from the input; returns how many bytes.
    fn copy_payload(&mut self, index: usize, left: usize, input: &mut &[u8]) -> Result<usize, ChunkError> {
        let from_held = left.min(self.held.length);
        let from_input = (left - from_held).min(input.len());
        self.partial_bytes += from_held + from_input;
        if self.partial_bytes > self.caps.partial {
            return Err(ChunkError::Partial(self.caps.partial));
        }
        let stream = &mut self.streams[index];
        stream.make_room(from_held + from_input);
        let partial = &mut stream.partial;
        partial.extend_from_slice(&self.held.bytes[..from_held]);
        self.held.consume(from_held);
        partial.extend_from_slice(&input[..from_input]);
        input.advance(from_input);
        Ok(from_held + from_input)
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ChunkError> {
        // The common case reads in place; only a header cut by the end of the input is held over.
        if self.held.length == 0
            && let Some(header) = self.parse_header(input)?
        {
            input.advance(header.bytes_used);
            return Ok(Some(header));
        }
        loop {
            if let Some(header) = self.parse_header(self.held.as_slice())? {
                self.held.consume(header.bytes_used);
                return Ok(Some(header));
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            self.held.push(byte);
            *input = rest;
        }
    }

    /// `None`: more bytes are needed. Never asks for more than [`HEADER_BYTES_MAX`].
    fn parse_header(&self, bytes: &[u8]) -> Result<Option<Header>, ChunkError> {
        let mut rest = bytes;
        let Some((csid, format)) = basic_header(&mut rest) else { return Ok(None) };
        let known = self.streams.iter().find(|stream| stream.csid == csid);
        if format == 3 {
            let stream = known.ok_or(ChunkError::NoHeader)?;
            let Some(extra) = repeated_timestamp(stream, rest) else { return Ok(None) };
            let bytes_used = bytes.len() - rest.len() + extra;
            return Ok(Some(Header { csid, message: None, bytes_used }));
        }
        // Type 1 on a fresh chunk stream is accepted, because old librtmp begins its pings with one; type 2 leaves
        // the length unknown.
        if format == 2 && known.is_none() {
            return Err(ChunkError::NoHeader);
        }
        let size = [11, 7, 3][usize::from(format)];
        if rest.len() < size {
            return Ok(None);
        }
        let mut fields = &rest[..size];
        rest.advance(size);
        let mut field = fields.get_uint(3) as u32;
        let length_and_kind =
            (format < 2).then(|| fields.get_uint(3) as usize).map(|length| (length, fields.get_u8()));
        let stream = (format == 0).then(|| fields.get_u32_le());
        let extended = field == EXTENDED;
        if extended {
            if rest.len() < 4 {
                return Ok(None);
            }
            field = rest.get_u32();
        }
        let message = MessageHeader { absolute: format == 0, field, extended, length_and_kind, stream };
        Ok(Some(Header { csid, message: Some(message), bytes_used: bytes.len() - rest.len() }))
    }

    /// Applies a header to its chunk stream and returns the stream's index.
    fn begin_chunk(&mut self, header: &Header) -> Result<usize, ChunkError> {
        let index = match self.streams.iter().position(|stream| stream.csid == header.csid) {
            Some(index) => index,
            None if self.streams.len() >= self.caps.streams => {
                return Err(ChunkError::Streams(self.caps.streams));
            }
            None => {
                self.streams.push(Stream::new(header.csid));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        match &header.message {
            Some(_) if stream.begun => return Err(ChunkError::Interrupted),
            Some(message) => stream.apply(message),
            None if stream.begun => return Ok(index),
            None => stream.timestamp = stream.timestamp.wrapping_add(stream.delta),
        }
        let max = self.caps.max_for(stream.kind);
        if stream.length > max {
            return Err(ChunkError::TooLong { kind: stream.kind, bytes: stream.length, max });
        }
        stream.begun = true;
        stream.partial = Vec::with_capacity(stream.length.min(RESERVE_BYTES_MAX));
        Ok(index)
    }

    fn set_chunk_size(&mut self, mut body: Bytes) -> Result<(), ChunkError> {
        let size = body.try_get_u32().map_err(|_| ChunkError::Control(kind::SET_CHUNK_SIZE))?;
        if size == 0 || size as usize > self.caps.chunk {
            return Err(ChunkError::ChunkSize(size));
        }
        self.chunk_size = size as usize;
        Ok(())
    }

    fn abort(&mut self, mut body: Bytes) -> Result<(), ChunkError> {
        let csid = body.try_get_u32().map_err(|_| ChunkError::Control(kind::ABORT))?;
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
            self.partial_bytes -= stream.partial.len();
            stream.partial = Vec::new();
            stream.begun = false;
        }
        Ok(())
    }
}

impl Caps {
    fn max_for(&self, kind: u8) -> usize {
        match kind {
            kind::AUDIO | kind::VIDEO | kind::AGGREGATE => self.media,
            kind::COMMAND | kind::COMMAND_AMF3 => self.command,
            1..=6 => CONTROL_BYTES_MAX,
            _ => self.data,
        }
    }
}

impl Stream {
    fn new(csid: u32) -> Self {
        Self {
            csid,
            timestamp: 0,
            delta: 0,
            field: 0,
            extended: false,
            length: 0,
            kind: 0,
            stream: 0,
            partial: Vec::new(),
            begun: false,
        }
    }

    /// Doubles what the unfinished message may hold, but never past its length.
    fn make_room(&mut self, bytes: usize) {
        let wanted = self.partial.len() + bytes;
        if wanted > self.partial.capacity() {
            let room = wanted.max(self.partial.capacity() * 2).min(self.length);
            self.partial.reserve_exact(room - self.partial.len());
        }
    }

    fn apply(&mut self, header: &MessageHeader) {
        self.field = header.field;
        self.extended = header.extended;
        if header.absolute {
            self.timestamp = header.field;
            self.delta = 0;
        } else {
            self.delta = header.field;
            self.timestamp = self.timestamp.wrapping_add(header.field);
        }
        if let Some((length, kind)) = header.length_and_kind {
            self.length = length;
            self.kind = kind;
        }
        if let Some(stream) = header.stream {
            self.stream = stream;
        }
    }
}

/// Chunk stream id and header type (§5.3.1.1). `None`: more bytes are needed.
fn basic_header(rest: &mut &[u8]) -> Option<(u32, u8)> {
    let (&first, after) = rest.split_first()?;
    let (csid, after) = match first & 0x3f {
        0 => {
            let (&low, after) = after.split_first()?;
            (64 + u32::from(low), after)
        }
        1 => {
            let (&[low, high], after) = after.split_first_chunk::<2>()?;
            (64 + u32::from(low) + 256 * u32::from(high), after)
        }
        short => (u32::from(short), after),
    };
    *rest = after;
    Some((csid, first >> 6))
}

/// How many bytes of an extended timestamp a type 3 chunk repeats: 4 or 0. `None`: that cannot be told yet.
///
/// The specification wants it repeated (§5.3.1.3) and most do, some with the field and some with the absolute time;
/// other encoders leave it out. So the bytes are taken for a timestamp only if they are one of the two.
fn repeated_timestamp(stream: &Stream, rest: &[u8]) -> Option<usize> {
    if !stream.extended {
        return Some(0);
    }
    let seen = &rest[..rest.len().min(4)];
    let repeats = [stream.field, stream.timestamp].iter().any(|time| time.to_be_bytes().starts_with(seen));
    match (repeats, seen.len()) {
        (false, _) => Some(0),
        (true, 4) => Some(4),
        (true, _) => None,
    }
}
