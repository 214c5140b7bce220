//! How much one connection may hold, and how long it may take.

use std::time::Duration;

/// The bounds of one server connection. Crossing any of them ends that connection with an error and loses only what
/// that peer sent; nobody else notices.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the first moment to the end of the handshake.
    pub handshake: Duration,
    /// From the handshake to `publish` or `play`, and again after each of them has ended. The time in which the caller
    /// thinks about a request does not count.
    pub request: Duration,
    /// One audio, video or aggregate message, in bytes.
    pub media_bytes_max: usize,
    /// One command, in bytes.
    pub command_bytes_max: usize,
    /// One data message, and any message of a kind that we skip, in bytes.
    pub data_bytes_max: usize,
    /// Everything received while no publish or play is accepted, in bytes.
    pub unaccepted_bytes_max: usize,
    /// Unfinished messages of all chunk streams together, in bytes.
    pub partial_bytes_max: usize,
    /// The largest chunk size that a peer may set, in bytes.
    pub chunk_bytes_max: usize,
    /// Chunk streams that a peer may use in the life of a connection.
    pub chunk_streams_max: usize,
    /// Message streams that exist at once.
    pub streams_max: usize,
    /// Commands received while no publish or play is accepted.
    pub early_commands_max: usize,
    /// Answers that wait to be taken by `poll_output`, in bytes. A peer that asks without reading reaches it.
    pub output_bytes_max: usize,
    /// Events that one call of `handle_input` may raise: a defence against floods of empty messages.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            request: Duration::from_secs(10),
            media_bytes_max: 8 << 20,
            command_bytes_max: 64 << 10,
            data_bytes_max: 256 << 10,
            unaccepted_bytes_max: 1 << 20,
            partial_bytes_max: 16 << 20,
            chunk_bytes_max: 16 << 20,
            chunk_streams_max: 16,
            streams_max: 4,
            early_commands_max: 32,
            output_bytes_max: 1 << 20,
            events_max: 32 << 10,
        }
    }
}
