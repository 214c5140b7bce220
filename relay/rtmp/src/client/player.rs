//! Playing from a server.

use super::ClientEvent;
use super::session::{Purpose, Session};
use crate::ConnError;
use bytes::Bytes;
use media::TargetUrl;

/// The client's side of one playing connection. Deadlines are the caller's.
pub struct PlayerConn(Session);

impl PlayerConn {
    /// A connection whose first bytes wait in [`poll_output`](Self::poll_output).
    ///
    /// # Errors
    /// [`ConnError::Handshake`] if its random part cannot be made.
    pub fn new(url: TargetUrl) -> Result<Self, ConnError> {
        Session::new(url, Purpose::Play).map(Self)
    }

    /// Takes bytes from the server.
    ///
    /// # Errors
    /// [`ConnError`]: the connection is of no more use.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        self.0.handle_input(bytes)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.0.events.pop_front()
    }

    /// Everything that waits to be sent, as one buffer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.0.link.poll_output()
    }

    /// Whether the handshake is over.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.0.link.is_established()
    }

    /// Appends deleteStream; the caller then ends its sending side.
    pub fn finish(&mut self) {
        self.0.finish();
    }
}
