//! How long a client waits for its server.

use std::time::Duration;

/// How long each step may take. All of them together bound how long a dead server can hold a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Name resolution and TCP connection.
    pub connect: Duration,
    /// RTMP handshake; with `rtmps://`, the TLS handshake before it as well.
    pub handshake: Duration,
    /// From `connect` to `NetStream.Publish.Start` or `NetStream.Play.Start`. A server may delay a refusal by some
    /// seconds, so not too short.
    pub request: Duration,
    /// The longest that a send may go without any progress.
    pub write: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            request: Duration::from_secs(10),
            write: Duration::from_secs(10),
        }
    }
}
