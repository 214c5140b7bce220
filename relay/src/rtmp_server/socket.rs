//! One peer's socket, plain or under TLS, read and written without waiting.
//!
//! TLS is driven here, on the same readiness as a plain socket: bytes that the socket takes or gives pass through
//! rustls on their way. What it has encrypted and the socket has not taken yet is at most [`SEALED_BYTES_MAX`] and one
//! record.

use rustls::server::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;

/// How many encrypted bytes may wait for the socket; more is not taken from the player's queue.
const SEALED_BYTES_MAX: usize = 64 * 1024;
/// How many encrypted bytes are read at once. With what was left of a record (RFC 8446 §5.2: at most 16 640 bytes), it
/// decrypts to less than [`READ_BYTES`].
const SEALED_READ_BYTES: usize = 32 * 1024;
/// How much a connection reads at once.
pub(super) const READ_BYTES: usize = 64 * 1024;
/// How many encrypted bytes are read at once during the handshake.
const HANDSHAKE_READ_BYTES: usize = 4 * 1024;

/// What a listener's connections begin with.
#[derive(Clone, Debug)]
pub enum Security {
    /// RTMP at once.
    Plain,
    /// A TLS handshake.
    Tls(Arc<ServerConfig>),
}

/// A peer's socket.
pub(super) struct Socket {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    session: ServerConnection,
    /// Whether decrypted bytes may wait to be read, whatever the socket says.
    has_unread: bool,
}

impl Socket {
    /// A plain one.
    pub(super) const fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// One that has been through its TLS handshake. The deadline is the caller's.
    ///
    /// # Errors
    /// If the peer speaks no TLS, agrees to nothing, or goes.
    pub(super) async fn secure(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(SEALED_BYTES_MAX));
        let mut tls = Tls { session, has_unread: false };
        loop {
            // Also when an alert says why it failed.
            while tls.session.wants_write() {
                tcp.writable().await?;
                tls.send(&tcp)?;
            }
            if !tls.session.is_handshaking() {
                tls.has_unread = true; // perhaps; reading tells
                return Ok(Self { tcp, tls: Some(Box::new(tls)) });
            }
            tcp.readable().await?;
            // What the peer says right after its handshake stays inside, and is less than a record.
            match tls.receive(&tcp, &mut [0; HANDSHAKE_READ_BYTES], &mut []) {
                Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    let _ = tls.send(&tcp);
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp.peer_addr().ok()
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        if self.tls.as_ref().is_some_and(|tls| tls.has_unread) {
            return Ok(());
        }
        self.tcp.readable().await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.tcp.writable().await
    }

    /// Reads what is there into a buffer of [`READ_BYTES`] at least. `WouldBlock` if that is nothing, `Ok(0)` if the peer
    /// has ended its side.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.try_read(buffer) };
        if std::mem::take(&mut tls.has_unread) {
            return tls.session.reader().read(buffer);
        }
        let mut sealed = [0; SEALED_READ_BYTES];
        tls.receive(&self.tcp, &mut sealed, buffer)
    }

    /// Writes what the socket takes now. `WouldBlock` if that is nothing.
    pub(super) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.try_write_vectored(slices) };
        tls.send(&self.tcp)?;
        if tls.session.wants_write() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = tls.session.writer().write_vectored(slices)?;
        tls.send(&self.tcp)?;
        Ok(taken)
    }

    /// Passes on what is encrypted already, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.send(&self.tcp))
    }

    /// Whether nothing waits inside for the socket.
    pub(super) fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.session.wants_write())
    }

    /// Ends our side: the TLS goodbye, then FIN.
    pub(super) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.session.send_close_notify();
            let _ = tls.send(&self.tcp);
        }
        let _ = socket2::SockRef::from(&self.tcp).shutdown(Shutdown::Write);
    }
}

impl Tls {
    /// Writes encrypted bytes until there are none or the socket takes no more.
    fn send(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Raw(tcp)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads encrypted bytes once, and decrypts them into `plain`, which must have room for them and one record.
    /// `WouldBlock` if that gives nothing, `Ok(0)` if the peer has ended its side.
    fn receive(&mut self, tcp: &TcpStream, sealed: &mut [u8], plain: &mut [u8]) -> io::Result<usize> {
        let count = tcp.try_read(sealed)?;
        let mut rest = &sealed[..count];
        let mut filled = 0;
        let mut has_ended = count == 0;
        while !rest.is_empty() && !has_ended {
            self.session.read_tls(&mut rest)?;
            let state = self.session.process_new_packets().map_err(io::Error::other)?;
            has_ended = state.peer_has_closed();
            // Drained each time: rustls keeps no more than one record of it.
            let waiting = state.plaintext_bytes_to_read().min(plain.len() - filled);
            if waiting > 0 {
                filled += self.session.reader().read(&mut plain[filled..filled + waiting])?;
            }
        }
        if filled == 0 && !has_ended { Err(ErrorKind::WouldBlock.into()) } else { Ok(filled) }
    }
}

/// A socket as rustls wants to write to it.
struct Raw<'a>(&'a TcpStream);

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
