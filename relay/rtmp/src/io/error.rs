//! Why a client connection ended.

use crate::ConnError;
use std::io;

/// Why publishing or playing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server said no, or ended the stream with an error. Texts are at most 200 ASCII characters of its own.
    #[error("refused by the server: {code} {description}")]
    Refused {
        /// Such as `NetStream.Publish.BadName`.
        code: String,
        /// What the server wants people to read; may be empty.
        description: String,
    },
    /// The server took too long.
    #[error("no answer in time: {stage}")]
    Timeout {
        /// `connect`, `TLS handshake`, `handshake`, `request` or `write`.
        stage: &'static str,
    },
    /// The socket failed.
    #[error("socket: {0}")]
    Io(#[from] io::Error),
    /// The connection could not be secured (`rtmps://`).
    #[error("TLS: {0}")]
    Tls(#[from] super::TlsError),
    /// The server does not speak RTMP as we know it.
    #[error("protocol: {0}")]
    Protocol(#[from] ConnError),
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The URL asks for something that this build cannot do.
    #[error("{0} is not supported yet")]
    Unsupported(&'static str),
}
