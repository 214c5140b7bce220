//! What waits to be written to one peer.
//!
//! Filled only when empty (by a player) or with small answers, so it is bounded by one batch and by the session's own
//! limit on answers; a peer that does not read is noticed by its age.

use super::socket::Socket;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Result};
use std::time::{Duration, Instant};

/// How many pieces one system call takes.
const SLICES_MAX: usize = 64;

/// Bytes on their way to a peer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    /// When the peer last took something, while anything waits.
    since: Option<Instant>,
}

impl Outbox {
    pub(super) fn push(&mut self, now: Instant, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.since.get_or_insert(now);
        self.pieces.push_back(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// When a peer that takes nothing more is given up.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.since.map(|since| since + patience)
    }

    /// Writes as much as the socket takes now; returns how many bytes that was.
    pub(super) fn write_to(&mut self, now: Instant, socket: &mut Socket) -> Result<usize> {
        let mut total = 0;
        socket.flush()?;
        while !self.pieces.is_empty() {
            let slices: Vec<_> =
                self.pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
            match socket.try_write_vectored(&slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.advance(written);
                    self.since = Some(now);
                    total += written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(total),
                Err(error) => return Err(error),
            }
        }
        if socket.is_flushed() {
            self.since = None;
        }
        Ok(total)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.pieces.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.pieces.pop_front();
        }
    }
}
