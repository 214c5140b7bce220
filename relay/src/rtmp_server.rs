//! The RTMP front door: one task per connection, each on its own.
//!
//! A connection that fails, hangs or sends nonsense ends alone. What a publisher may do is decided by [`admission`]
//! before its first byte of media; what it then writes goes into its [`Broadcast`](crate::hub::Broadcast), which checks
//! the fencing token of every message.

mod connection;
mod outbox;
mod socket;

pub use socket::Security;

use crate::access::{Crowd, Place};
use crate::admission::Admission;
use crate::clock;
use crate::hub::Hub;
use crate::metrics::{Bound, Metrics};
use crate::output::Outputs;
use connection::Connection;
use prometheus_client::metrics::gauge::Gauge;
use socket::Socket;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};
use uuid::Uuid;

/// After a failed accept (out of file descriptors, say): how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct RtmpServer {
    /// All broadcasts.
    pub hub: Hub,
    /// Who may publish.
    pub admission: Admission,
    /// What is made of a broadcast.
    pub outputs: Outputs,
    /// The relay's figures.
    pub metrics: Arc<Metrics>,
    /// How far a player may lag, in milliseconds.
    pub player_lag_ms_max: i64,
    /// Places for connections, of all listeners together; further ones are closed at once.
    pub places: Arc<Semaphore>,
    /// The bounds of one connection.
    pub limits: rtmp::Limits,
    /// How many connections one address may have.
    pub crowd: Crowd,
}

impl RtmpServer {
    /// Accepts connections until told to stop, then closes them all and returns.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, security: Security, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "an RTMP connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                self.metrics.rtmp_connections_refused.inc();
                continue;
            };
            let at = match self.crowd.enter(peer.ip(), clock::now()) {
                Ok(at) => at,
                Err(bound) => {
                    self.metrics.address_refused.get_or_create(&Bound { bound }).inc();
                    debug!(%peer, ?bound, "a connection was refused: its address has too many");
                    continue;
                }
            };
            let id = Uuid::new_v4();
            let span = info_span!("rtmp", connection = %short(id), %peer);
            let server = self.clone();
            let (security, stop) = (security.clone(), stop.clone());
            let work = async move {
                tokio::select! {
                    () = server.attend(socket, security, id, at) => {}
                    () = stop.cancelled() => {}
                }
                drop(place);
            };
            tasks.spawn(work.instrument(span));
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn attend(self: Arc<Self>, socket: TcpStream, security: Security, id: Uuid, at: Place) {
        if let Err(error) = prepare(&socket) {
            debug!(%error, "the connection was gone before it began");
            return;
        }
        let _counted = Counted::new(self.metrics.rtmp_connections.clone());
        let socket = match security {
            Security::Plain => Socket::plain(socket),
            Security::Tls(config) => {
                let secured = tokio::time::timeout(TLS_HANDSHAKE, Socket::secure(socket, config)).await;
                match secured.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                    Ok(socket) => socket,
                    Err(error) => {
                        self.metrics.tls_handshakes_failed.inc();
                        debug!(%error, "the connection could not be secured");
                        return;
                    }
                }
            }
        };
        Connection::new(self, socket, id, at, clock::now()).run().await;
    }
}

/// Counts one connection for as long as it lives, however it ends.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How long a TLS handshake may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long an unacknowledged byte may be under way before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

fn prepare(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = socket2::SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5))
            .with_retries(3),
    )
}

/// Eight hex digits, enough to find a connection in a log.
fn short(id: Uuid) -> String {
    let mut text = id.simple().to_string();
    text.truncate(8);
    text
}
