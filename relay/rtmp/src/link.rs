//! What both ends of a connection share: handshake, chunks, acknowledgements and pings.

use crate::chunk::{ChunkReader, ChunkWriter, RawMessage, csid_of, kind, kind_of};
use crate::control::{self, UserControl};
use crate::handshake::Handshake;
use crate::{ConnError, Limits, Message};
use bytes::{Buf, Bytes, BytesMut};

/// How many bytes a peer may send before we acknowledge, until it says otherwise; also what we ask of it. The value
/// of Adobe's server.
pub(crate) const WINDOW_BYTES: u32 = 2_500_000;

/// One connection below its commands.
pub(crate) struct Link {
    handshake: Option<Handshake>,
    reader: ChunkReader,
    pub(crate) writer: ChunkWriter,
    pub(crate) output: BytesMut,
    /// How much of the output is media that the caller sent, which it bounds by draining.
    output_media_bytes: usize,
    output_bytes_max: usize,
    received_bytes: u64,
    acknowledged_bytes: u64,
    window_bytes: u32,
    pings_out: u32,
}

/// What the layers above have to look at.
pub(crate) enum Incoming {
    /// A command, or audio, video, data or aggregate. AMF3 forms have become AMF0.
    Message(RawMessage),
    /// The answer to a ping of ours.
    Pong,
}

impl Link {
    /// The side that waits for a handshake.
    pub(crate) fn server(limits: &Limits) -> Self {
        Self::new(limits, Handshake::server(), BytesMut::new())
    }

    /// The side that begins one; its first bytes are in the output.
    pub(crate) fn client(limits: &Limits) -> Result<Self, ConnError> {
        let (handshake, first) = Handshake::client().map_err(ConnError::Handshake)?;
        Ok(Self::new(limits, handshake, first.into()))
    }

    fn new(limits: &Limits, handshake: Handshake, output: BytesMut) -> Self {
        Self {
            handshake: Some(handshake),
            reader: ChunkReader::new(limits),
            writer: ChunkWriter::new(),
            output,
            output_media_bytes: 0,
            output_bytes_max: limits.output_bytes_max,
            received_bytes: 0,
            acknowledged_bytes: 0,
            window_bytes: WINDOW_BYTES,
            pings_out: 0,
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.handshake.is_none()
    }

    /// Counts input; every byte is counted exactly once, before anything else.
    pub(crate) fn count_input(&mut self, bytes: usize) {
        self.received_bytes += bytes as u64;
    }

    /// Goes on with the handshake. `Some`: it is over, and these bytes are what followed it.
    pub(crate) fn shake_hands(&mut self, bytes: &[u8]) -> Result<Option<Bytes>, ConnError> {
        let Some(handshake) = &mut self.handshake else { return Ok(Some(Bytes::copy_from_slice(bytes))) };
        let progress = handshake.handle_input(bytes).map_err(ConnError::Handshake)?;
        self.output.extend_from_slice(&progress.reply);
        if progress.rest.is_some() {
            self.handshake = None;
        }
        Ok(progress.rest)
    }

    /// Reads up to the next message that the layers above care about. `None`: the input is used up.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ConnError> {
        while let Some(mut message) = self.reader.read(input)? {
            let mut body = &message.body[..];
            match message.kind {
                kind::USER_CONTROL => match control::parse_user_control(body) {
                    UserControl::PingRequest(time) => {
                        control::ping_response(&self.writer, &mut self.output, time);
                        self.check_output()?;
                    }
                    UserControl::PingResponse if self.pings_out > 0 => {
                        self.pings_out -= 1;
                        return Ok(Some(Incoming::Pong));
                    }
                    UserControl::PingResponse | UserControl::Other => {}
                },
                kind::WINDOW_ACK_SIZE => {
                    // A window of 0 would ask for an acknowledgement of nothing.
                    self.window_bytes = body.try_get_u32().unwrap_or(WINDOW_BYTES).max(1);
                }
                kind::COMMAND | kind::DATA | kind::AUDIO | kind::VIDEO | kind::AGGREGATE => {
                    return Ok(Some(Incoming::Message(message)));
                }
                amf3 @ (kind::COMMAND_AMF3 | kind::DATA_AMF3) => {
                    // One byte says which AMF follows; everybody who uses these types sends 0, AMF0.
                    if message.body.first() == Some(&0) {
                        message.body.advance(1);
                    }
                    message.kind = if amf3 == kind::COMMAND_AMF3 { kind::COMMAND } else { kind::DATA };
                    return Ok(Some(Incoming::Message(message)));
                }
                // Acknowledgements and bandwidth need no answer from us; shared objects and the unknown have none.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Acknowledges if the peer's window is used up. Once per input is enough.
    pub(crate) fn acknowledge(&mut self) -> Result<(), ConnError> {
        if self.received_bytes - self.acknowledged_bytes < u64::from(self.window_bytes) {
            return Ok(());
        }
        self.acknowledged_bytes = self.received_bytes;
        control::acknowledgement(&self.writer, &mut self.output, self.received_bytes);
        self.check_output()
    }

    /// An error if the peer lets our answers pile up.
    pub(crate) fn check_output(&self) -> Result<(), ConnError> {
        let max = self.output_bytes_max;
        if self.output.len() - self.output_media_bytes > max {
            return Err(ConnError::TooMuch { what: "unread answers in bytes", max });
        }
        Ok(())
    }

    /// Sends a ping; at most one answer counts per ping sent.
    pub(crate) fn ping(&mut self, timestamp: u32) {
        self.pings_out = self.pings_out.saturating_add(1);
        control::ping_request(&self.writer, &mut self.output, timestamp);
    }

    /// Appends a media message on the given message stream.
    pub(crate) fn send(&mut self, stream: u32, message: &Message) {
        let csid = csid_of(message.kind);
        let kind = kind_of(message.kind);
        let before = self.output.len();
        self.writer.write(&mut self.output, csid, kind, message.timestamp, stream, &message.body);
        self.output_media_bytes += self.output.len() - before;
    }

    /// Takes everything that waits to be sent, as one buffer.
    pub(crate) fn poll_output(&mut self) -> Option<Bytes> {
        self.output_media_bytes = 0;
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }
}
