//! Notices a connection that takes nothing any more.
//!
//! HTTP has no deadline of its own for a client that asks and then does not read, nor HTTP/2 one for a client that says
//! nothing at all. What they have in common: nothing is written to them, and nobody here is thinking about an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is known of one connection. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Counts>);

#[derive(Default)]
struct Counts {
    /// How often something was written.
    writes: AtomicU64,
    /// How many requests wait for their answer's head.
    thinking: AtomicUsize,
}

impl Watch {
    /// For as long as an answer is thought about.
    pub(super) fn thinking(&self) -> Thinking {
        self.0.thinking.fetch_add(1, Ordering::Relaxed);
        Thinking(self.clone())
    }

    /// Returns once nothing was written for `limit`, and at most twice that, while nobody was thinking.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let before = self.0.writes.load(Ordering::Relaxed);
            tokio::time::sleep(limit).await;
            let is_busy = self.0.thinking.load(Ordering::Relaxed) > 0;
            if !is_busy && self.0.writes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// One request that is thought about.
pub(super) struct Thinking(Watch);

impl Drop for Thinking {
    fn drop(&mut self) {
        self.0.0.thinking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection whose writes are counted.
pub(super) struct Watched<S> {
    inner: S,
    watch: Watch,
}

impl<S> Watched<S> {
    pub(super) const fn new(inner: S, watch: Watch) -> Self {
        Self { inner, watch }
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.watch.0.writes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
