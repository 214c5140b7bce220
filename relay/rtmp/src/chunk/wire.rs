//! The words of the chunk layer.

use bytes::Bytes;

/// Message type ids (RTMP 1.0 §5.4, §7.1).
pub(crate) mod kind {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_ACK_SIZE: u8 = 5;
    pub(crate) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA: u8 = 18;
    pub(crate) const COMMAND: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

/// One whole message, before anybody asks what it means.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RawMessage {
    /// One of [`kind`], or a type that nobody knows.
    pub(crate) kind: u8,
    /// Absolute, in milliseconds.
    pub(crate) timestamp: u32,
    /// The message stream it belongs to; 0 is the connection itself.
    pub(crate) stream: u32,
    pub(crate) body: Bytes,
}

/// Why a chunk stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The peer set a chunk size outside 1 to 16 MiB.
    #[error("chunk size {0} is outside 1 to 16777216")]
    ChunkSize(u32),
    /// More chunk streams than allowed.
    #[error("more than {0} chunk streams")]
    Streams(usize),
    /// A message longer than its kind may be.
    #[error("a message of type {kind} and {bytes} bytes is longer than {max}")]
    TooLong {
        /// Message type id.
        kind: u8,
        /// Announced length.
        bytes: usize,
        /// The bound for this kind.
        max: usize,
    },
    /// Unfinished messages hold more than allowed, in bytes.
    #[error("unfinished messages hold more than {0} bytes")]
    Partial(usize),
    /// A chunk refers to a header that was never sent.
    #[error("a chunk continues a header that was never sent")]
    NoHeader,
    /// A new header arrived before the message of the last one was whole.
    #[error("a message header interrupts an unfinished message of its own chunk stream")]
    Interrupted,
    /// A protocol control message of the wrong length.
    #[error("a control message of type {0} is cut short")]
    Control(u8),
}
