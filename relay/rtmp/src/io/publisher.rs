//! A publishing client over TCP, plain or under TLS.

use super::socket::{Progress, Socket, within};
use super::{Dialer, PublishError};
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
    pub async fn connect(url: &TargetUrl, dialer: impl Into<Dialer>) -> Result<Self, PublishError> {
        let dialer = dialer.into();
        let deadlines = *dialer.deadlines();
        let socket = Socket::connect(url, &dialer).await?;
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
                if publisher.take_events()? {
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
    /// May be dropped at any point: a message is then sent whole by the next call, or not at all.
    ///
    /// # Errors
    /// [`PublishError`] if the server refused, closed, or took no byte for the write deadline. The connection is then
    /// of no more use.
    pub async fn send(&mut self, messages: &[Message]) -> Result<(), PublishError> {
        self.flush().await?; // what a dropped call left over goes first, so that it cannot pile up
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
            // Only bytes taken count: a server that talks but does not listen is as dead as a silent one.
            within(self.write_deadline, "write", async {
                while let Progress::Read = self.step().await? {
                    self.take_events()?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<Infallible, PublishError> {
        loop {
            self.flush().await?;
            self.step().await?;
            self.take_events()?;
        }
    }

    fn fill_output(&mut self) {
        if !self.socket.has_output()
            && let Some(output) = self.conn.poll_output()
        {
            self.socket.set_output(output);
        }
    }

    async fn step(&mut self) -> Result<Progress, PublishError> {
        self.fill_output();
        let progress = self.socket.progress().await?;
        if let Progress::Read = progress {
            self.conn.handle_input(&self.socket.take_input())?;
        }
        self.fill_output();
        Ok(progress)
    }

    /// Takes what the server has said; whether start was part of it.
    fn take_events(&mut self) -> Result<bool, PublishError> {
        let mut started = false;
        while let Some(event) = self.conn.poll_event() {
            match event {
                ClientEvent::Started => started = true,
                ClientEvent::Refused { code, description } => {
                    return Err(PublishError::Refused { code, description });
                }
                ClientEvent::Media(_) | ClientEvent::Ended => {}
            }
        }
        Ok(started)
    }
}
