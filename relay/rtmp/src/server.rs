//! One peer that publishes to us or plays from us.
//!
//! The caller feeds bytes and `now`, sends what [`ServerConn::poll_output`] yields, acts on
//! [`ServerConn::poll_event`] and answers the one request that may be open. A connection publishes or plays, one at a
//! time; it may do several after each other.
//!
//! Nothing here decides who may do what, and nothing is remembered about a request that was refused.
//!
//! A socket that fails while writing may still hold the peer's goodbye ([`ServerEvent::Unpublished`]): read it out
//! before the connection counts as lost.

mod aggregate;
mod commands;
mod connect;
mod event;

pub use event::ServerEvent;

use crate::chunk::{RawMessage, kind};
use crate::command::{self, Command};
use crate::link::{Incoming, Link};
use crate::{ConnError, Limits, Message, MessageKind, amf0, control};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// The server's side of one connection.
pub struct ServerConn {
    link: Link,
    limits: Limits,
    /// `None` until `connect`.
    app: Option<String>,
    /// Message streams that exist.
    streams: Vec<u32>,
    active: Option<Active>,
    events: VecDeque<ServerEvent>,
    started: Instant,
    last_input: Instant,
    /// When the connection ends unless the handshake, or then a publish or play, comes first.
    deadline: Option<Instant>,
    /// Spent since the last accepted publish or play.
    unaccepted_bytes: usize,
    early_commands: usize,
    closing: bool,
}

/// The one thing that this connection does.
#[derive(Clone, Copy)]
struct Active {
    /// Its message stream.
    stream: u32,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    PublishAsked,
    Publishing,
    PlayAsked,
    Playing,
}

impl ServerConn {
    /// A connection that was just accepted; its handshake deadline runs from `now`.
    #[must_use]
    pub fn new(now: Instant, limits: Limits) -> Self {
        Self {
            link: Link::server(&limits),
            app: None,
            streams: Vec::new(),
            active: None,
            events: VecDeque::new(),
            started: now,
            last_input: now,
            deadline: Some(now + limits.handshake),
            unaccepted_bytes: 0,
            early_commands: 0,
            closing: false,
            limits,
        }
    }

    /// Takes bytes from the peer. Once [`is_closing`](Self::is_closing), they are dropped unread.
    ///
    /// # Errors
    /// [`ConnError`]: send what [`poll_output`](Self::poll_output) holds, then close the socket. Events raised before
    /// the error stay and are true.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ConnError> {
        if self.closing || bytes.is_empty() {
            return Ok(());
        }
        self.last_input = now;
        self.link.count_input(bytes.len());
        if !self.is_accepted() {
            self.unaccepted_bytes += bytes.len();
            let max = self.limits.unaccepted_bytes_max;
            if self.unaccepted_bytes > max {
                return Err(ConnError::TooMuch { what: "bytes before a publish or play", max });
            }
        }
        let rest;
        let mut input = bytes;
        if !self.link.is_established() {
            let Some(after) = self.link.shake_hands(bytes)? else { return Ok(()) };
            self.deadline = Some(now + self.limits.request);
            rest = after;
            input = &rest;
        }
        while let Some(incoming) = self.link.read(&mut input)? {
            match incoming {
                Incoming::Message(message) => self.handle_message(now, message)?,
                Incoming::Pong => self.raise(ServerEvent::Pong)?,
            }
            if self.closing {
                return Ok(());
            }
        }
        self.link.acknowledge()
    }

    /// To be called at [`poll_timeout`](Self::poll_timeout); earlier is harmless.
    ///
    /// # Errors
    /// [`ConnError::Timeout`] names what did not happen in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnError> {
        match self.deadline {
            Some(deadline) if now >= deadline && !self.closing => {
                let stage = if self.link.is_established() { "publish or play" } else { "handshake" };
                Err(ConnError::Timeout { stage })
            }
            _ => Ok(()),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. `None` while the caller decides, and while
    /// media flows: silence of a publisher is the caller's to judge, by [`last_input`](Self::last_input).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.closing)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Everything that waits to be sent, as one buffer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// Lets the peer that asked publish: `NetStream.Publish.Start`. Nothing happens if nobody asked.
    pub fn accept_publish(&mut self) {
        let Some(stream) = self.take_asked(Role::PublishAsked, Role::Publishing) else { return };
        control::stream_begin(&self.link.writer, &mut self.link.output, stream);
        self.status(stream, "status", "NetStream.Publish.Start", "Publishing");
    }

    /// Refuses the peer that asked to publish, and begins to close. Nothing happens if nobody asked.
    ///
    /// Two statuses in one write, because no single one is shown by every client: rtmp2sink explains BadName, OBS
    /// logs Denied, ffmpeg prints the description of the first. The caller then ends its sending side and drains for
    /// up to a second, since a reset would destroy the text on its way. The description is cut to 200 ASCII
    /// characters.
    pub fn refuse_publish(&mut self, description: &str) {
        let Some(Active { stream, role: Role::PublishAsked }) = self.active else { return };
        self.status(stream, "error", "NetStream.Publish.BadName", description);
        self.status(stream, "error", "NetStream.Publish.Denied", description);
        self.close();
    }

    /// Lets the peer that asked play. Nothing happens if nobody asked.
    pub fn accept_play(&mut self) {
        let Some(stream) = self.take_asked(Role::PlayAsked, Role::Playing) else { return };
        control::stream_begin(&self.link.writer, &mut self.link.output, stream);
        self.status(stream, "status", "NetStream.Play.Reset", "Playing and resetting");
        self.status(stream, "status", "NetStream.Play.Start", "Started playing");
        self.write_sample_access(stream);
    }

    /// Refuses the peer that asked to play, and begins to close. Nothing happens if nobody asked.
    pub fn refuse_play(&mut self, description: &str) {
        let Some(Active { stream, role: Role::PlayAsked }) = self.active else { return };
        self.status(stream, "error", "NetStream.Play.StreamNotFound", description);
        self.close();
    }

    /// Ends a publisher that was displaced or seized: `NetStream.Publish.Denied` with the reason, then closing. Also
    /// ends a request that is still open.
    pub fn end_publish(&mut self, description: &str) {
        let Some(Active { stream, role: Role::Publishing | Role::PublishAsked }) = self.active else {
            return;
        };
        self.status(stream, "error", "NetStream.Publish.Denied", description);
        self.close();
    }

    /// Tells a player that the stream is over, and begins to close.
    pub fn end_play(&mut self) {
        let Some(Active { stream, role: Role::Playing | Role::PlayAsked }) = self.active else { return };
        control::stream_eof(&self.link.writer, &mut self.link.output, stream);
        self.status(stream, "status", "NetStream.Play.UnpublishNotify", "The stream has ended");
        self.status(stream, "status", "NetStream.Play.Stop", "Stopped playing");
        self.close();
    }

    /// Tells a player that it is too slow, and begins to close.
    pub fn end_slow_play(&mut self) {
        let Some(Active { stream, role: Role::Playing }) = self.active else { return };
        self.status(stream, "error", "NetStream.Play.InsufficientBW", "The connection is too slow");
        self.close();
    }

    /// Sends a ping; its answer is [`ServerEvent::Pong`]. Nothing happens before the handshake is over.
    pub fn ping(&mut self, now: Instant) {
        if self.link.is_established() && !self.closing {
            let millis = now.saturating_duration_since(self.started).as_millis();
            self.link.ping(millis as u32); // wraps after 49.7 days, like every timestamp of RTMP
        }
    }

    /// Sends one message to a player, with headers of its own. The slow path: most players take
    /// [`shared_chunks`](crate::shared_chunks). The caller drains [`poll_output`](Self::poll_output) before it sends
    /// more. Nothing happens unless the peer plays.
    pub fn send(&mut self, message: &Message) {
        if let Some(Active { stream, role: Role::Playing }) = self.active {
            self.link.send(stream, message);
        }
    }

    /// Whether the peer plays on message stream 1, so that [`shared_chunks`](crate::shared_chunks) fit it as they
    /// are. They may be written between, never inside, buffers of [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn takes_shared_chunks(&self) -> bool {
        matches!(self.active, Some(Active { stream: 1, role: Role::Playing })) && !self.closing
    }

    /// When the last byte came, or the connection began.
    #[must_use]
    pub fn last_input(&self) -> Instant {
        self.last_input
    }

    /// Whether the last word is in the output: send it, end the sending side, drain for at most a second, close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    fn is_accepted(&self) -> bool {
        matches!(self.active, Some(Active { role: Role::Publishing | Role::Playing, .. }))
    }

    fn close(&mut self) {
        self.active = None;
        self.deadline = None;
        self.closing = true;
    }

    fn take_asked(&mut self, asked: Role, granted: Role) -> Option<u32> {
        let active = self.active.as_mut().filter(|active| active.role == asked)?;
        active.role = granted;
        self.unaccepted_bytes = 0;
        self.early_commands = 0;
        Some(active.stream)
    }

    fn raise(&mut self, event: ServerEvent) -> Result<(), ConnError> {
        let max = self.limits.events_max;
        if self.events.len() >= max {
            return Err(ConnError::TooMuch { what: "messages at once", max });
        }
        self.events.push_back(event);
        Ok(())
    }

    fn status(&mut self, stream: u32, level: &str, code: &str, description: &str) {
        command::write_status(&self.link.writer, &mut self.link.output, stream, level, code, description);
    }

    fn handle_message(&mut self, now: Instant, message: RawMessage) -> Result<(), ConnError> {
        match message.kind {
            kind::COMMAND => {
                let command = Command::parse(&message.body)?;
                if !self.is_accepted() {
                    self.early_commands += 1;
                    let max = self.limits.early_commands_max;
                    if self.early_commands > max {
                        return Err(ConnError::TooMuch { what: "commands before a publish or play", max });
                    }
                }
                self.handle_command(now, message.stream, &command)?;
                self.link.check_output()
            }
            _ if !self.is_publishing_on(message.stream) => Ok(()), // late media of a stream that has ended
            kind::AGGREGATE => {
                for part in aggregate::split(&message)? {
                    self.handle_media(part)?;
                }
                Ok(())
            }
            _ => self.handle_media(message),
        }
    }

    /// Some encoders send metadata on stream 0, so that counts as the publishing stream too.
    fn is_publishing_on(&self, stream: u32) -> bool {
        matches!(self.active, Some(Active { stream: own, role: Role::Publishing }) if stream == own || stream == 0)
    }

    fn handle_media(&mut self, message: RawMessage) -> Result<(), ConnError> {
        let timestamp = message.timestamp;
        let (kind, body) = match message.kind {
            kind::AUDIO => (MessageKind::Audio, message.body),
            kind::VIDEO => (MessageKind::Video, message.body),
            kind::DATA => match published_data(&message.body) {
                Some(body) => (MessageKind::Data, body),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.raise(ServerEvent::Media(Message { kind, timestamp, body }))
    }
}

/// What players get of a data message: the wrapper `@setDataFrame` is for us and goes; a message that holds nothing
/// else, or asks us to forget one, is dropped.
fn published_data(body: &Bytes) -> Option<Bytes> {
    if amf0::skip_string(body, "@clearDataFrame").is_some() {
        return None;
    }
    let inner =
        amf0::skip_string(body, "@setDataFrame").map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
    (!inner.is_empty()).then_some(inner)
}
