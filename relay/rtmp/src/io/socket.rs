//! A connection to a server, with what waits to be written to it.

use super::transport::Transport;
use super::{Dialer, PublishError};
use bytes::{Buf, Bytes, BytesMut};
use media::TargetUrl;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

/// How much one read takes at most, in bytes.
const READ_BYTES: usize = 64 << 10;

/// A socket with what waits to be written to it. All of its futures may be dropped at any point: what was read or
/// written stays counted.
pub(super) struct Socket {
    stream: Transport,
    input: BytesMut,
    output: Bytes,
    /// Whether the transport may hold back what it has taken.
    is_unflushed: bool,
}

/// What a socket is ready for.
pub(super) enum Progress {
    /// Bytes came in.
    Read,
    /// Some output went out.
    Wrote,
}

/// What the transport did.
enum Step {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
}

impl Socket {
    pub(super) async fn connect(url: &TargetUrl, dialer: &Dialer) -> Result<Self, PublishError> {
        let stream = dialer.dial(url).await?;
        let input = BytesMut::with_capacity(READ_BYTES);
        Ok(Self { stream, input, output: Bytes::new(), is_unflushed: false })
    }

    pub(super) fn has_output(&self) -> bool {
        self.output.has_remaining() || self.is_unflushed
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
        let Self { stream, input, output, is_unflushed } = self;
        let step = poll_fn(|cx| {
            let mut stream = Pin::new(&mut *stream);
            if let Poll::Ready(read) = poll_read_buf(stream.as_mut(), cx, input) {
                return Poll::Ready(Step::Read(read));
            }
            if output.has_remaining() {
                return stream.poll_write(cx, output).map(Step::Wrote);
            }
            if *is_unflushed {
                return stream.poll_flush(cx).map(|flushed| Step::Wrote(flushed.map(|()| 0)));
            }
            Poll::Pending
        })
        .await;
        match step {
            Step::Read(Ok(0)) => Err(PublishError::Closed),
            Step::Read(Ok(_)) => Ok(Progress::Read),
            Step::Read(Err(error)) => Err(closed_or(error)),
            Step::Wrote(Ok(0)) => {
                self.is_unflushed = false;
                Ok(Progress::Wrote)
            }
            Step::Wrote(Ok(count)) => {
                self.output.advance(count);
                self.is_unflushed = matches!(self.stream, Transport::Tls(_));
                Ok(Progress::Wrote)
            }
            // The server may have said why before it closed.
            Step::Wrote(Err(error)) => match self.read_now().await {
                Some(Ok(count)) if count > 0 => Ok(Progress::Read),
                _ => Err(closed_or(error)),
            },
        }
    }

    /// Reads what is there without waiting for more.
    async fn read_now(&mut self) -> Option<io::Result<usize>> {
        poll_fn(|cx| {
            Poll::Ready(match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input) {
                Poll::Ready(read) => Some(read),
                Poll::Pending => None,
            })
        })
        .await
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

/// A reset is how many servers close, and under TLS an end without a goodbye.
fn closed_or(error: io::Error) -> PublishError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            PublishError::Closed
        }
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
