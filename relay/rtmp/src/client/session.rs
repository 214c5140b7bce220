//! What both clients do: handshake, `connect`, `createStream`, and then their one request.

use crate::amf0::Value;
use crate::chunk::{CSID_COMMAND, RawMessage, kind};
use crate::command::{self, Command, Status};
use crate::link::{Incoming, Link, WINDOW_BYTES};
use crate::{ConnError, Limits, Message, MessageKind, control};
use bytes::Bytes;
use media::TargetUrl;
use std::collections::VecDeque;

/// Chunk stream of `publish` and `play`, where other clients send them.
const CSID_STREAM_COMMAND: u32 = 8;
/// Transactions, numbered in the order in which we send them.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;
const REQUEST: f64 = 5.0;
/// The most messages that one input may raise; see [`Limits::events_max`].
const EVENTS_MAX: usize = 32 << 10;

/// What a server said to a client connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// `NetStream.Publish.Start` or `NetStream.Play.Start`: media may flow.
    Started,
    /// The server refused, or later ended, what we asked for. The connection is of no more use.
    Refused {
        /// Such as `NetStream.Publish.BadName`. At most 200 ASCII characters, like the description.
        code: String,
        /// What the server wants people to read; may be empty.
        description: String,
    },
    /// One message of the stream that we play.
    Media(Message),
    /// The stream that we play has ended.
    Ended,
}

/// What a client wants of its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Play,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Handshake,
    Connecting,
    Creating,
    Requesting,
    Active,
    Refused,
}

/// One client connection.
pub(super) struct Session {
    pub(super) link: Link,
    url: TargetUrl,
    purpose: Purpose,
    pub(super) stage: Stage,
    /// The message stream that the server gave us.
    pub(super) stream: u32,
    pub(super) events: VecDeque<ClientEvent>,
    answered_bandwidth: bool,
}

impl Session {
    pub(super) fn new(url: TargetUrl, purpose: Purpose) -> Result<Self, ConnError> {
        Ok(Self {
            link: Link::client(&Limits::default())?,
            url,
            purpose,
            stage: Stage::Handshake,
            stream: 0,
            events: VecDeque::new(),
            answered_bandwidth: false,
        })
    }

    pub(super) fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        if self.stage == Stage::Refused {
            return Ok(());
        }
        self.link.count_input(bytes.len());
        let rest: Bytes;
        let mut input = bytes;
        if !self.link.is_established() {
            let Some(after) = self.link.shake_hands(bytes)? else { return Ok(()) };
            self.send_connect();
            rest = after;
            input = &rest;
        }
        while let Some(incoming) = self.link.read(&mut input)? {
            match incoming {
                Incoming::Message(message) => self.handle_message(message)?,
                Incoming::Pong => {}
            }
        }
        self.link.acknowledge()
    }

    fn handle_message(&mut self, message: RawMessage) -> Result<(), ConnError> {
        let kind = match message.kind {
            kind::COMMAND => return self.handle_command(&Command::parse(&message.body)?),
            kind::AUDIO => MessageKind::Audio,
            kind::VIDEO => MessageKind::Video,
            kind::DATA => MessageKind::Data,
            _ => return Ok(()),
        };
        if self.purpose == Purpose::Play && message.stream == self.stream && self.stage == Stage::Active {
            let message = Message { kind, timestamp: message.timestamp, body: message.body };
            return self.raise(ClientEvent::Media(message));
        }
        Ok(())
    }

    fn handle_command(&mut self, command: &Command) -> Result<(), ConnError> {
        let is_for = |transaction: f64| command.transaction == transaction;
        match (command.name.as_str(), self.stage) {
            ("_result", Stage::Connecting) if is_for(CONNECT) => self.send_create_stream(),
            ("_result", Stage::Creating) if is_for(CREATE_STREAM) => {
                let id = command.argument(0).as_number().unwrap_or(0.0);
                if !(1.0..=f64::from(u32::MAX)).contains(&id) {
                    return Err(ConnError::Unexpected("createStream was answered without a stream id"));
                }
                self.stream = id as u32;
                self.send_request();
            }
            ("_error", Stage::Connecting) if is_for(CONNECT) => return self.refuse(command),
            ("_error", Stage::Creating) if is_for(CREATE_STREAM) => return self.refuse(command),
            ("_error", Stage::Requesting) if is_for(REQUEST) => return self.refuse(command),
            ("onStatus", _) => return self.handle_status(command),
            // Old servers end a connection with a call of `close`.
            ("close", _) => return self.refuse(command),
            _ => {}
        }
        Ok(())
    }

    fn handle_status(&mut self, command: &Command) -> Result<(), ConnError> {
        let Some(status) = command.status() else { return Ok(()) };
        if status.is_error() {
            return self.refuse(command);
        }
        match (status.code.as_str(), self.purpose, self.stage) {
            ("NetStream.Publish.Start", Purpose::Publish, Stage::Requesting)
            | ("NetStream.Play.Start", Purpose::Play, Stage::Requesting) => {
                self.stage = Stage::Active;
                self.raise(ClientEvent::Started)
            }
            ("NetStream.Play.Stop" | "NetStream.Play.UnpublishNotify", Purpose::Play, Stage::Active) => {
                self.raise(ClientEvent::Ended)
            }
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, command: &Command) -> Result<(), ConnError> {
        let fallback =
            Status { level: String::new(), code: command::plain(&command.name), description: String::new() };
        let Status { code, description, .. } = command.status().unwrap_or(fallback);
        self.stage = Stage::Refused;
        self.raise(ClientEvent::Refused { code, description })
    }

    fn raise(&mut self, event: ClientEvent) -> Result<(), ConnError> {
        if self.events.len() >= EVENTS_MAX {
            return Err(ConnError::TooMuch { what: "messages at once", max: EVENTS_MAX });
        }
        self.events.push_back(event);
        Ok(())
    }

    fn send_connect(&mut self) {
        self.stage = Stage::Connecting;
        self.link.writer.announce_chunk_size(&mut self.link.output);
        let mut object = vec![("app".to_owned(), Value::from(self.url.app()))];
        let mut put = |name: &str, value: Value| object.push((name.to_owned(), value));
        // The plain form that every ingest understands: some refuse the fields of Enhanced RTMP, and H.264 with AAC
        // needs none of them.
        put("type", "nonprivate".into());
        put("flashVer", "FMLE/3.0 (compatible; Sluice)".into());
        put("tcUrl", Value::String(self.url.tc_url()));
        if self.purpose == Purpose::Play {
            put("fpad", false.into());
            put("capabilities", 15.0.into());
            put("audioCodecs", 4071.0.into());
            put("videoCodecs", 252.0.into());
            put("videoFunction", 1.0.into());
        }
        self.send_command(CSID_COMMAND, 0, &["connect".into(), CONNECT.into(), Value::Object(object)]);
    }

    fn send_create_stream(&mut self) {
        self.stage = Stage::Creating;
        if !self.answered_bandwidth {
            self.answered_bandwidth = true;
            control::window_ack_size(&self.link.writer, &mut self.link.output, WINDOW_BYTES);
        }
        if self.purpose == Purpose::Publish {
            let name = self.name();
            self.send_command(
                CSID_COMMAND,
                0,
                &["releaseStream".into(), 2.0.into(), Value::Null, name.clone()],
            );
            self.send_command(CSID_COMMAND, 0, &["FCPublish".into(), 3.0.into(), Value::Null, name]);
        }
        self.send_command(CSID_COMMAND, 0, &["createStream".into(), CREATE_STREAM.into(), Value::Null]);
    }

    fn send_request(&mut self) {
        self.stage = Stage::Requesting;
        let name = self.name();
        match self.purpose {
            Purpose::Publish => {
                let values = ["publish".into(), REQUEST.into(), Value::Null, name, "live".into()];
                self.send_command(CSID_STREAM_COMMAND, self.stream, &values);
            }
            Purpose::Play => {
                const BUFFER_MILLIS: u32 = 1000;
                // Start -1: only if it is live (RTMP 1.0 §7.2.2.1).
                let values = ["play".into(), REQUEST.into(), Value::Null, name, (-1.0).into()];
                self.send_command(CSID_STREAM_COMMAND, self.stream, &values);
                control::set_buffer_length(
                    &self.link.writer,
                    &mut self.link.output,
                    self.stream,
                    BUFFER_MILLIS,
                );
            }
        }
    }

    /// Says goodbye, if there is anything to leave.
    pub(super) fn finish(&mut self) {
        if self.stage != Stage::Active {
            return;
        }
        self.stage = Stage::Refused;
        if self.purpose == Purpose::Publish {
            let name = self.name();
            self.send_command(CSID_COMMAND, 0, &["FCUnpublish".into(), 6.0.into(), Value::Null, name]);
        }
        let id = f64::from(self.stream);
        self.send_command(CSID_COMMAND, 0, &["deleteStream".into(), 7.0.into(), Value::Null, id.into()]);
    }

    fn name(&self) -> Value {
        self.url.expose_name().into()
    }

    fn send_command(&mut self, csid: u32, stream: u32, values: &[Value]) {
        command::write(&self.link.writer, &mut self.link.output, csid, stream, values);
    }
}
