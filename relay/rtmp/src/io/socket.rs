//! A TCP connection to a server.

use super::tuning::tune;
use super::{Deadlines, PublishError};
use bytes::{Buf, Bytes, BytesMut};
use media::{RtmpScheme, TargetUrl};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much one read takes at most, in bytes.
const READ_BYTES: usize = 64 << 10;

/// A socket with what waits to be written to it. All of its futures may be dropped at any point: what was read or
/// written stays counted.
pub(super) struct Socket {
    stream: TcpStream,
    input: BytesMut,
    output: Bytes,
}

/// What a socket is ready for.
pub(super) enum Progress {
    /// Bytes came in.
    Read,
    /// Some output went out.
    Wrote,
}

impl Socket {
    pub(super) async fn connect(url: &TargetUrl, deadlines: &Deadlines) -> Result<Self, PublishError> {
        if url.scheme() == RtmpScheme::Rtmps {
            return Err(PublishError::Unsupported("rtmps"));
        }
        let connecting = TcpStream::connect((url.host(), url.port()));
        let stream = within(deadlines.connect, "connect", async { Ok(connecting.await?) }).await?;
        tune(&stream)?;
        Ok(Self { stream, input: BytesMut::with_capacity(READ_BYTES), output: Bytes::new() })
    }

    pub(super) fn has_output(&self) -> bool {
        self.output.has_remaining()
    }

    /// Queues what a connection has to say, behind nothing: only called when the last output is gone.
    pub(super) fn set_output(&mut self, output: Bytes) {
        debug_assert!(!self.has_output(), "the last output is written before the next is taken");
        self.output = output;
    }

    /// Takes what was read.
    pub(super) fn take_input(&mut self) -> Bytes {
        self.input.split().freeze()
    }

    /// Waits until bytes were read, or some of the output was written. Reading goes first, so that a refusal is seen
    /// before more is sent.
    pub(super) async fn progress(&mut self) -> Result<Progress, PublishError> {
        self.input.reserve(READ_BYTES);
        let (mut reader, mut writer) = self.stream.split();
        let read = async {
            match reader.read_buf(&mut self.input).await {
                Ok(0) => Err(PublishError::Closed),
                Ok(_) => Ok(Progress::Read),
                Err(error) => Err(closed_or(error)),
            }
        };
        if !self.output.has_remaining() {
            return read.await;
        }
        let written = tokio::select! {
            biased;
            outcome = read => return outcome,
            outcome = writer.write(&self.output) => outcome,
        };
        match written {
            Ok(count) => {
                self.output.advance(count);
                Ok(Progress::Wrote)
            }
            // The server may have said why before it closed.
            Err(error) => match self.stream.try_read_buf(&mut self.input) {
                Ok(count) if count > 0 => Ok(Progress::Read),
                _ => Err(closed_or(error)),
            },
        }
    }

    /// Ends the sending side and waits shortly for the server to do the same, so that what was sent arrives.
    pub(super) async fn close(mut self, linger: Duration) {
        let closing = async {
            self.stream.shutdown().await?;
            while self.stream.read_buf(&mut self.input).await? > 0 {
                self.input.clear();
            }
            Ok::<(), io::Error>(())
        };
        // Whatever goes wrong here, the connection is over.
        let _ = timeout(linger, closing).await;
    }
}

/// A reset is how many servers close.
fn closed_or(error: io::Error) -> PublishError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => PublishError::Closed,
        _ => PublishError::Io(error),
    }
}

/// Bounds one step.
pub(super) async fn within<T>(
    limit: Duration,
    stage: &'static str,
    step: impl Future<Output = Result<T, PublishError>>,
) -> Result<T, PublishError> {
    timeout(limit, step).await.unwrap_or(Err(PublishError::Timeout { stage }))
}
