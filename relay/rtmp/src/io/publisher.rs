//! A publishing client over TCP.

use super::socket::{Progress, Socket, within};
use super::{Deadlines, PublishError};
use crate::Message;
use crate::client::{ClientEvent, PublisherConn};
use media::TargetUrl;
use std::convert::Infallible;
use std::time::Duration;

/// How long a closing publisher waits for the server to close too.
const LINGER: Duration = Duration::from_secs(1);

/// A connection on which a stream is published.
///
/// Dropping it closes the socket at once; [`close`](Self::close) says goodbye first.
pub struct Publisher {
    conn: PublisherConn,
    socket: Socket,
    write_deadline: Duration,
}

impl Publisher {
    /// Connects and asks to publish; returns once the server has said `NetStream.Publish.Start`.
    ///
    /// # Errors
    /// [`PublishError`] says which step failed, with the server's own words if it had any.
    pub async fn connect(url: &TargetUrl, deadlines: Deadlines) -> Result<Self, PublishError> {
        let socket = Socket::connect(url, &deadlines).await?;
        let conn = PublisherConn::new(url.clone())?;
        let mut publisher = Self { conn, socket, write_deadline: deadlines.write };
        within(deadlines.handshake, "handshake", async {
            while !publisher.conn.is_established() {
                publisher.step().await?;
            }
            Ok(())
        })
        .await?;
        within(deadlines.request, "request", async {
            loop {
                if publisher.take_event()? {
                    return Ok(());
                }
                publisher.step().await?;
            }
        })
        .await?;
        Ok(publisher)
    }

    /// Sends messages, all in one buffer, and answers what the server asks meanwhile.
    ///
    /// May be dropped: what is not yet written goes out with the next call.
    ///
    /// # Errors
    /// [`PublishError`] if the server refused, closed, or took no byte for the write deadline. The connection is then
    /// of no more use.
    pub async fn send(&mut self, messages: &[Message]) -> Result<(), PublishError> {
        messages.iter().for_each(|message| self.conn.send(message));
        self.flush().await
    }

    /// Watches an idle connection; returns only when it has ended. May be dropped at any point.
    pub async fn failed(&mut self) -> PublishError {
        match self.watch().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// Says goodbye and closes; takes at most a write deadline and a second.
    pub async fn close(mut self) {
        self.conn.finish();
        // A server that is gone cannot be told goodbye.
        let _ = self.flush().await;
        self.socket.close(LINGER).await;
    }

    async fn flush(&mut self) -> Result<(), PublishError> {
        self.fill_output();
        while self.socket.has_output() {
            self.step_within_deadline().await?;
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<Infallible, PublishError> {
        loop {
            self.flush().await?;
            self.step().await?;
            self.take_event()?;
        }
    }

    async fn step_within_deadline(&mut self) -> Result<(), PublishError> {
        // Progress in either direction restarts the deadline: a server that acknowledges is alive.
        within(self.write_deadline, "write", self.step()).await?;
        self.take_event()?;
        Ok(())
    }

    fn fill_output(&mut self) {
        if !self.socket.has_output()
            && let Some(output) = self.conn.poll_output()
        {
            self.socket.set_output(output);
        }
    }

    async fn step(&mut self) -> Result<(), PublishError> {
        self.fill_output();
        match self.socket.progress().await? {
            Progress::Wrote => {}
            Progress::Read => self.conn.handle_input(&self.socket.take_input())?,
        }
        self.fill_output();
        Ok(())
    }

    /// Whether the server has said start.
    fn take_event(&mut self) -> Result<bool, PublishError> {
        match self.conn.poll_event() {
            Some(ClientEvent::Started) => Ok(true),
            Some(ClientEvent::Refused { code, description }) => {
                Err(PublishError::Refused { code, description })
            }
            Some(ClientEvent::Media(_) | ClientEvent::Ended) | None => Ok(false),
        }
    }
}
