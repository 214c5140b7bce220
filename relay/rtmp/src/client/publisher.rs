//! Publishing to a server.

use super::ClientEvent;
use super::session::{Purpose, Session, Stage};
use crate::amf0::{self, Value};
use crate::{ConnError, Message, MessageKind};
use bytes::{Bytes, BytesMut};
use media::TargetUrl;

/// The client's side of one publishing connection. Deadlines are the caller's.
pub struct PublisherConn(Session);

impl PublisherConn {
    /// A connection whose first bytes wait in [`poll_output`](Self::poll_output).
    ///
    /// # Errors
    /// [`ConnError::Handshake`] if its random part cannot be made.
    pub fn new(url: TargetUrl) -> Result<Self, ConnError> {
        Session::new(url, Purpose::Publish).map(Self)
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

    /// Appends one message to the output; `onMetaData` and other data get their `@setDataFrame` back. Nothing happens
    /// before [`ClientEvent::Started`]. The caller drains the output before it sends more.
    pub fn send(&mut self, message: &Message) {
        if self.0.stage != Stage::Active {
            return;
        }
        if message.kind != MessageKind::Data || amf0::skip_string(&message.body, "onMetaData").is_none() {
            return self.0.link.send(self.0.stream, message);
        }
        let mut body = BytesMut::with_capacity(message.body.len() + 16);
        amf0::write(&mut body, &Value::from("@setDataFrame"));
        body.extend_from_slice(&message.body);
        let wrapped = Message { body: body.freeze(), ..*message };
        self.0.link.send(self.0.stream, &wrapped);
    }

    /// Appends FCUnpublish and deleteStream; the caller then ends its sending side.
    pub fn finish(&mut self) {
        self.0.finish();
    }
}
