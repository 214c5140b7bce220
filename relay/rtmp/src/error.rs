//! Why a connection ends.

use crate::amf0::Amf0Error;
use crate::chunk::ChunkError;

/// Why a connection cannot go on. The caller flushes what `poll_output` still holds and closes the socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnError {
    /// The peer took longer than allowed.
    #[error("no {stage} within its deadline")]
    Timeout {
        /// What did not happen: `handshake`, or `publish or play`.
        stage: &'static str,
    },
    /// The first bytes are not an RTMP handshake.
    #[error("handshake: {0}")]
    Handshake(String),
    /// The chunk stream is broken or crosses a bound.
    #[error("chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    /// A command is not AMF0.
    #[error("command: {0}")]
    Amf0(#[from] Amf0Error),
    /// The peer crossed a bound of [`Limits`](crate::Limits).
    #[error("more {what} than the {max} allowed")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A well-formed message that has no place here.
    #[error("{0}")]
    Unexpected(&'static str),
}
