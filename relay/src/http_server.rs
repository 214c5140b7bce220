//! The HTTP front door: accepts connections within bounds and hands them to a router.
//!
//! What `axum::serve` does not offer and a public port needs: a bound on connections, a deadline for a request's head,
//! so that slow openers cannot hold places, and one for whoever takes nothing of an answer. A plain port speaks HTTP/1.1
//! alone, since telling the versions apart by their first bytes knows no deadline; under TLS the versions are told apart
//! in the handshake, so HTTP/2 is offered there.

mod watched;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};
use watched::{Thinking, Watch, Watched};

/// From the connection, or from the end of the last answer, to the end of a request's head.
const HEAD: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may take nothing while no request is thought about.
const STALL: Duration = Duration::from_secs(60);
/// At the end: how long answers under way may take.
const GRACE: Duration = Duration::from_secs(2);
/// After a failed accept (out of file descriptors, say): how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2: how many requests of one connection are answered at once (RFC 9113 §6.5.2); further ones are refused.
const STREAMS_MAX: u32 = 100;
/// HTTP/2: how many bytes of header fields one request may have.
const HEADERS_BYTES_MAX: u32 = 32 * 1024;
/// HTTP/2: how many bytes of one answer wait for a slow reader.
const SEND_BYTES_MAX: usize = 256 * 1024;

/// A listener, and what its connections begin with.
pub struct Door {
    listener: TcpListener,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    acceptor: TlsAcceptor,
    failed: Counter,
}

impl Door {
    /// One that speaks HTTP/1.1 at once.
    #[must_use]
    pub const fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }

    /// One that speaks HTTP/2 or HTTP/1.1 under TLS, and counts failed handshakes.
    #[must_use]
    pub fn secure(listener: TcpListener, config: Arc<ServerConfig>, failed: Counter) -> Self {
        Self { listener, tls: Some(Tls { acceptor: TlsAcceptor::from(config), failed }) }
    }
}

/// How long things may take.
#[derive(Clone, Copy)]
struct Deadlines {
    head: Duration,
    handshake: Duration,
    stall: Duration,
}

/// Serves a router until told to stop, then lets answers under way finish for a moment.
///
/// At most `connections_max` connections are open at once; further ones wait in the listening queue.
pub async fn serve(door: Door, router: Router, connections_max: usize, stop: CancellationToken) {
    let deadlines = Deadlines { head: HEAD, handshake: TLS_HANDSHAKE, stall: STALL };
    serve_within(deadlines, door, router, connections_max, stop).await;
}

async fn serve_within(
    deadlines: Deadlines,
    door: Door,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let Door { listener, tls } = door;
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = accept => next,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let visit = Visit { deadlines, peer, router: router.clone(), stop: stop.clone() };
        let tls = tls.clone();
        tasks.spawn(async move {
            // Playlists and parts are written whole; waiting to fill a packet would only delay them.
            let _ = socket.set_nodelay(true);
            match tls {
                None => visit.http1(socket).await,
                Some(tls) => visit.secured(socket, &tls).await,
            }
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// One connection.
struct Visit {
    deadlines: Deadlines,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
}

impl Visit {
    async fn secured(self, socket: TcpStream, tls: &Tls) {
        let handshake = tokio::time::timeout(self.deadlines.handshake, tls.acceptor.accept(socket));
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return,
            accepted = handshake => accepted.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
        };
        match accepted {
            Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream).await,
            Ok(stream) => self.http1(stream).await,
            Err(error) => {
                tls.failed.inc();
                debug!(peer = %self.peer, %error, "an HTTP connection could not be secured");
            }
        }
    }

    async fn http1(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.deadlines.head);
        let watch = Watch::default();
        let io = TokioIo::new(Watched::new(io, watch.clone()));
        let service = service_fn(|request| answer(request, self.peer, self.router.clone(), watch.thinking()));
        let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = watch.stalled(self.deadlines.stall) => return self.say_stalled(),
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let Ok(ended) = tokio::time::timeout(GRACE, connection).await else { return self.say_cut() };
                ended
            }
        };
        self.say_ended(ended);
    }

    async fn http2(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_send_buf_size(SEND_BYTES_MAX);
        let watch = Watch::default();
        let io = TokioIo::new(Watched::new(io, watch.clone()));
        let (peer, router, watched) = (self.peer, self.router.clone(), watch.clone());
        let service = service_fn(move |request| answer(request, peer, router.clone(), watched.thinking()));
        let mut connection = pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = watch.stalled(self.deadlines.stall) => return self.say_stalled(),
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let Ok(ended) = tokio::time::timeout(GRACE, connection).await else { return self.say_cut() };
                ended
            }
        };
        self.say_ended(ended);
    }

    fn say_ended(&self, ended: hyper::Result<()>) {
        if let Err(error) = ended {
            debug!(peer = %self.peer, %error, "an HTTP connection ended early");
        }
    }

    fn say_cut(&self) {
        debug!(peer = %self.peer, "an answer under way was cut off");
    }

    fn say_stalled(&self) {
        debug!(peer = %self.peer, "an HTTP connection took nothing for long and was closed");
    }
}

/// Answers one request of a connection that is watched.
fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    mut router: Router,
    thinking: Thinking,
) -> impl Future<Output = Result<Response, Infallible>> + Send + 'static {
    request.extensions_mut().insert(ConnectInfo(peer));
    name_host(&mut request);
    let answer = router.call(request.map(Body::new));
    async move {
        let answer = answer.await;
        drop(thinking);
        answer
    }
}

/// HTTP/2 has the host in the request's target (RFC 9113 §8.3.1); whoever judges a request by its Host finds it there.
fn name_host(request: &mut Request<Incoming>) {
    if request.headers().contains_key(header::HOST) {
        return;
    }
    let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(header::HOST, authority);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn brief() -> Deadlines {
        let brief = Duration::from_millis(200);
        Deadlines { head: brief, handshake: brief, stall: brief }
    }

    #[tokio::test]
    async fn who_does_not_finish_a_request_head_in_time_is_hung_up_on() {
        for opening in ["", "P", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let door = Door::plain(listener);
            let server = tokio::spawn(serve_within(brief(), door, Router::new(), 1, stop.clone()));
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(opening.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let hung_up =
                tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
            assert!(hung_up.is_ok(), "{opening:?} holds its place");
            stop.cancel();
            server.await.unwrap();
        }
    }
}
