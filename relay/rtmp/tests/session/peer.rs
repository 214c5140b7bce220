//! A client made of bytes, so that it can do what no real client does.

use bytes::{Bytes, BytesMut};
use rml_rtmp::chunk_io::ChunkDeserializer;
use rml_rtmp::messages::{MessagePayload, RtmpMessage};
use rtmp::amf0::{self, Value};
use rtmp::{ConnError, Limits, ServerConn, ServerEvent};
use std::time::Instant;

pub(crate) const SET_CHUNK_SIZE: u8 = 1;
pub(crate) const ABORT: u8 = 2;
pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const DATA: u8 = 18;
pub(crate) const COMMAND: u8 = 20;
pub(crate) const AGGREGATE: u8 = 22;

/// A server connection and the bytes that a client sends to it.
pub(crate) struct Peer {
    pub(crate) server: ServerConn,
    pub(crate) now: Instant,
    /// An independent reader of what the server sends.
    reader: ChunkDeserializer,
}

impl Peer {
    /// Right after the plain handshake (RTMP 1.0 §5.2).
    pub(crate) fn after_handshake() -> Self {
        let now = Instant::now();
        let mut server = ServerConn::new(now, Limits::default());
        let mut hello = vec![3];
        hello.extend([0; 1536]);
        server.handle_input(now, &hello).unwrap();
        let answer = server.poll_output().unwrap();
        assert_eq!(answer.len(), 1 + 1536 + 1536);
        assert_eq!(&answer[1537..], &hello[1..], "S2 repeats C1");
        server.handle_input(now, &answer[1..1537]).unwrap();
        Self { server, now, reader: ChunkDeserializer::new() }
    }

    /// Connected, with message stream 1.
    pub(crate) fn with_stream() -> Self {
        let mut peer = Self::after_handshake();
        peer.send(&connect("live")).unwrap();
        peer.send(&command(0, &["createStream".into(), 2.0.into(), Value::Null])).unwrap();
        peer.messages();
        assert!(
            matches!(peer.server.poll_event(), Some(ServerEvent::Connected { app, .. }) if app == "live")
        );
        peer
    }

    /// An accepted publisher on message stream 1.
    pub(crate) fn publishing() -> Self {
        let mut peer = Self::with_stream();
        peer.send(&publish("key")).unwrap();
        assert!(matches!(peer.server.poll_event(), Some(ServerEvent::PublishRequested { .. })));
        peer.server.accept_publish();
        assert_eq!(status_codes(&peer.messages()), ["NetStream.Publish.Start"]);
        peer
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        self.server.handle_input(self.now, bytes)
    }

    /// Everything the server has to say, as one buffer.
    pub(crate) fn output(&mut self) -> Bytes {
        let output = self.server.poll_output().unwrap_or_default();
        assert_eq!(self.server.poll_output(), None);
        output
    }

    /// Everything the server has to say, read by rml_rtmp.
    pub(crate) fn messages(&mut self) -> Vec<(MessagePayload, RtmpMessage)> {
        let output = self.output();
        let mut messages = Vec::new();
        let mut input = &output[..];
        while let Some(payload) = self.reader.get_next_message(input).unwrap() {
            input = &[];
            let message = payload.to_rtmp_message().unwrap();
            if let RtmpMessage::SetChunkSize { size } = message {
                self.reader.set_max_chunk_size(size as usize).unwrap();
            }
            messages.push((payload, message));
        }
        messages
    }

    /// The media that came out, as kind, timestamp and body.
    pub(crate) fn media(&mut self) -> Vec<(rtmp::MessageKind, u32, Bytes)> {
        std::iter::from_fn(|| self.server.poll_event())
            .map(|event| match event {
                ServerEvent::Media(message) => (message.kind, message.timestamp, message.body),
                other => panic!("expected media: {other:?}"),
            })
            .collect()
    }
}

/// The codes of all onStatus commands, in order.
pub(crate) fn status_codes(messages: &[(MessagePayload, RtmpMessage)]) -> Vec<String> {
    messages.iter().filter_map(|(_, message)| status_field(message, "code")).collect()
}

pub(crate) fn status_field(message: &RtmpMessage, field: &str) -> Option<String> {
    let RtmpMessage::Amf0Command { command_name, additional_arguments, .. } = message else { return None };
    if command_name != "onStatus" {
        return None;
    }
    let info = additional_arguments.first()?.clone().get_object_properties()?;
    info.get(field)?.clone().get_string()
}

/// A type 0 chunk. `timestamp` must be below 0xFFFFFF.
pub(crate) fn first_chunk(
    csid: u8,
    kind: u8,
    timestamp: u32,
    stream: u32,
    length: usize,
    part: &[u8],
) -> Vec<u8> {
    let mut out = vec![csid];
    out.extend(&timestamp.to_be_bytes()[1..]);
    out.extend(&(length as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream.to_le_bytes());
    out.extend(part);
    out
}

/// A type 3 chunk.
pub(crate) fn next_chunk(csid: u8, part: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc0 | csid];
    out.extend(part);
    out
}

/// A whole message at a chunk size of 128.
pub(crate) fn message(csid: u8, kind: u8, timestamp: u32, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut parts = body.chunks(128);
    let mut out = first_chunk(csid, kind, timestamp, stream, body.len(), parts.next().unwrap_or_default());
    parts.for_each(|part| out.extend(next_chunk(csid, part)));
    out
}

pub(crate) fn amf(values: &[Value]) -> Bytes {
    let mut body = BytesMut::new();
    values.iter().for_each(|value| amf0::write(&mut body, value));
    body.freeze()
}

pub(crate) fn command(stream: u32, values: &[Value]) -> Vec<u8> {
    message(3, COMMAND, 0, stream, &amf(values))
}

pub(crate) fn connect(app: &str) -> Vec<u8> {
    let object = Value::Object(vec![
        ("app".into(), app.into()),
        ("tcUrl".into(), "rtmp://relay.example/live".into()),
        ("flashVer".into(), "FMLE/3.0".into()),
    ]);
    command(0, &["connect".into(), 1.0.into(), object])
}

pub(crate) fn publish(name: &str) -> Vec<u8> {
    command(1, &["publish".into(), 3.0.into(), Value::Null, name.into(), "LIVE".into()])
}

pub(crate) fn set_chunk_size(size: u32) -> Vec<u8> {
    message(2, SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes())
}
