//! The commands that real clients send, and the answers that they wait for.

use super::{Active, Role, ServerConn, ServerEvent};
use crate::amf0::{self, Value};
use crate::chunk::{csid_of, kind};
use crate::command::{self, Command};
use crate::{ConnError, MessageKind};
use bytes::BytesMut;
use std::time::Instant;

/// The longest stream name with its query, in bytes. A grant fits many times.
const NAME_BYTES_MAX: usize = 4096;

impl ServerConn {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        stream: u32,
        command: &Command,
    ) -> Result<(), ConnError> {
        let name = command.name.as_str();
        if name == "connect" {
            return self.connect(command);
        }
        if self.app.is_none() {
            return Err(ConnError::Unexpected("a command before connect"));
        }
        match name {
            "createStream" => self.create_stream(command),
            "publish" => self.request(stream, command, Role::PublishAsked),
            "play" => self.request(stream, command, Role::PlayAsked),
            "deleteStream" => {
                // GStreamer 1.22 sends the stream's name instead of its id and means the one that it has.
                let own = self.active.map_or(0, |active| active.stream);
                let id = command.argument(0).as_number().map_or(own, |id| id as u32);
                self.streams.retain(|&known| known != id);
                // No status: the call has no answer (RTMP 1.0 §7.2.2.3), and most clients close right behind it.
                self.end_stream(now, id).map(|_| ())
            }
            "closeStream" => {
                if let Some((code, description)) = self.end_stream(now, stream)? {
                    self.status(stream, "status", code, description);
                }
                Ok(())
            }
            "pause" => {
                let paused = command.argument(0) == &Value::Boolean(true);
                let code = if paused { "NetStream.Pause.Notify" } else { "NetStream.Unpause.Notify" };
                // A live stream goes on; the client stops showing it.
                self.status(stream, "status", code, "The stream is live");
                Ok(())
            }
            "seek" => {
                self.status(stream, "error", "NetStream.Seek.Failed", "A live stream has no other place");
                Ok(())
            }
            // Adobe's servers answer these; encoders send them and mostly do not care. The claim is decided at
            // `publish` alone, since clients send all of them in one burst.
            "releaseStream" | "FCPublish" | "FCSubscribe" | "_checkbw" => {
                self.answer(command, Value::Undefined);
                Ok(())
            }
            "getStreamLength" => {
                self.answer(command, 0.0.into()); // live: unknown
                Ok(())
            }
            // Clients send it, then deleteStream, then close: an answer would meet a closed socket, and the error of
            // that could hide the goodbye that is still to be read.
            "FCUnpublish" => Ok(()),
            "_result" | "_error" | "onStatus" | "receiveAudio" | "receiveVideo" => Ok(()),
            _ => {
                if command.transaction != 0.0 {
                    let info =
                        command::info("error", "NetConnection.Call.Failed", "There is no such command");
                    self.write_answer("_error", command, info);
                }
                Ok(())
            }
        }
    }

    fn create_stream(&mut self, command: &Command) -> Result<(), ConnError> {
        let max = self.limits.streams_max;
        // The lowest free id, so that the first is 1, which shared chunks count on.
        let free = (1..).take(max).find(|id| !self.streams.contains(id));
        let Some(id) = free else { return Err(ConnError::TooMuch { what: "streams", max }) };
        self.streams.push(id);
        self.answer(command, f64::from(id).into());
        Ok(())
    }

    fn request(&mut self, stream: u32, command: &Command, asked: Role) -> Result<(), ConnError> {
        if !self.streams.contains(&stream) {
            return Err(ConnError::Unexpected("publish or play on a stream that was not created"));
        }
        if self.active.is_some() {
            let (code, description) = match asked {
                Role::PublishAsked | Role::Publishing => {
                    ("NetStream.Publish.Denied", "This connection is already in use")
                }
                Role::PlayAsked | Role::Playing => {
                    ("NetStream.Play.Failed", "This connection is already in use")
                }
            };
            self.status(stream, "error", code, description);
            return Ok(());
        }
        let name = command.argument(0).as_str().unwrap_or_default().to_owned();
        if name.len() > NAME_BYTES_MAX {
            return Err(ConnError::TooMuch { what: "bytes of stream name", max: NAME_BYTES_MAX });
        }
        let app = self.app.clone().unwrap_or_default();
        self.active = Some(Active { stream, role: asked });
        self.deadline = None;
        self.raise(match asked {
            Role::PublishAsked | Role::Publishing => ServerEvent::PublishRequested { app, name },
            Role::PlayAsked | Role::Playing => ServerEvent::PlayRequested { app, name },
        })
    }

    /// The peer is done with a message stream; if it is the active one, another request may follow. Returns the status
    /// that tells so.
    fn end_stream(
        &mut self,
        now: Instant,
        stream: u32,
    ) -> Result<Option<(&'static str, &'static str)>, ConnError> {
        let Some(active) = self.active.filter(|active| active.stream == stream) else { return Ok(None) };
        self.active = None;
        self.deadline = Some(now + self.limits.request);
        match active.role {
            Role::PublishAsked | Role::Publishing => {
                self.raise(ServerEvent::Unpublished)?;
                Ok(Some(("NetStream.Unpublish.Success", "Stopped publishing")))
            }
            Role::PlayAsked | Role::Playing => {
                self.raise(ServerEvent::Stopped)?;
                Ok(Some(("NetStream.Play.Stop", "Stopped playing")))
            }
        }
    }

    /// `|RtmpSampleAccess`: without it, Flash-born players refuse to read pixels; others ignore it.
    pub(super) fn write_sample_access(&mut self, stream: u32) {
        let mut body = BytesMut::new();
        for value in [Value::from("|RtmpSampleAccess"), true.into(), true.into()] {
            amf0::write(&mut body, &value);
        }
        let csid = csid_of(MessageKind::Data);
        self.link.writer.write(&mut self.link.output, csid, kind::DATA, 0, stream, &body);
    }

    /// `_result`, if the command asked for one.
    fn answer(&mut self, command: &Command, result: Value) {
        if command.transaction != 0.0 {
            self.write_answer("_result", command, result);
        }
    }

    fn write_answer(&mut self, name: &str, command: &Command, info: Value) {
        let link = &mut self.link;
        command::write_answer(&link.writer, &mut link.output, name, command.transaction, Value::Null, info);
    }
}
