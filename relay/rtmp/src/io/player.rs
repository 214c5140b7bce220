//! A playing client over TCP, plain or under TLS.

use super::socket::{Progress, Socket, within};
use super::{Dialer, PublishError};
use crate::Message;
use crate::client::{ClientEvent, PlayerConn};
use media::TargetUrl;

/// A connection on which a stream is played.
pub struct Player {
    conn: PlayerConn,
    socket: Socket,
}

impl Player {
    /// Connects and asks to play; returns once the server has said `NetStream.Play.Start`.
    ///
    /// # Errors
    /// [`PublishError`] says which step failed, with the server's own words if it had any.
    pub async fn connect(url: &TargetUrl, dialer: impl Into<Dialer>) -> Result<Self, PublishError> {
        let dialer = dialer.into();
        let deadlines = *dialer.deadlines();
        let socket = Socket::connect(url, &dialer).await?;
        let mut player = Self { conn: PlayerConn::new(url.clone())?, socket };
        within(deadlines.handshake, "handshake", async {
            while !player.conn.is_established() {
                player.step().await?;
            }
            Ok(())
        })
        .await?;
        within(deadlines.request, "request", async {
            loop {
                match player.conn.poll_event() {
                    Some(ClientEvent::Started) => return Ok(()),
                    Some(event) => {
                        outcome(event)?;
                    }
                    None => player.step().await?,
                }
            }
        })
        .await?;
        Ok(player)
    }

    /// The next message. Waits without a deadline, as a live stream may pause; may be dropped at any point.
    ///
    /// # Errors
    /// [`PublishError::Closed`] once the stream has ended, or whatever else ended it.
    pub async fn next(&mut self) -> Result<Message, PublishError> {
        loop {
            match self.conn.poll_event() {
                Some(event) => {
                    if let Some(message) = outcome(event)? {
                        return Ok(message);
                    }
                }
                None => self.step().await?,
            }
        }
    }

    async fn step(&mut self) -> Result<(), PublishError> {
        if !self.socket.has_output()
            && let Some(output) = self.conn.poll_output()
        {
            self.socket.set_output(output);
        }
        match self.socket.progress().await? {
            Progress::Wrote => {}
            Progress::Read => self.conn.handle_input(&self.socket.take_input())?,
        }
        Ok(())
    }
}

fn outcome(event: ClientEvent) -> Result<Option<Message>, PublishError> {
    match event {
        ClientEvent::Media(message) => Ok(Some(message)),
        ClientEvent::Refused { code, description } => Err(PublishError::Refused { code, description }),
        ClientEvent::Ended => Err(PublishError::Closed),
        ClientEvent::Started => Ok(None),
    }
}
