//! The HTTP front door: accepts connections within bounds and hands them to a router.
//!
//! What `axum::serve` does not offer and a public port needs: a bound on connections, and a deadline for a request's
//! head, so that slow openers cannot hold places. HTTP/1.1 alone is spoken, since that deadline holds from the first
//! moment there; a reverse proxy that offers HTTP/2 and TLS to viewers speaks it to us.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};

/// From the connection, or from the end of the last answer, to the end of a request's head.
const HEAD: Duration = Duration::from_secs(30);
/// At the end: how long answers under way may take.
const GRACE: Duration = Duration::from_secs(2);
/// After a failed accept (out of file descriptors, say): how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a router until told to stop, then lets answers under way finish for a moment.
///
/// At most `connections_max` connections are open at once; further ones wait in the listening queue.
pub async fn serve(listener: TcpListener, router: Router, connections_max: usize, stop: CancellationToken) {
    serve_within(HEAD, listener, router, connections_max, stop).await;
}

async fn serve_within(
    head: Duration,
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head);
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
        let (builder, router, stop) = (builder.clone(), router.clone(), stop.clone());
        tasks.spawn(async move {
            attend(&builder, socket, peer, router, stop).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn attend(
    builder: &Builder,
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    // Playlists and parts are written whole; waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request.map(Body::new))
    });
    let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = tokio::time::timeout(GRACE, connection).await else {
                debug!(%peer, "an answer under way was cut off");
                return;
            };
            ended
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "an HTTP connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn who_does_not_finish_a_request_head_in_time_is_hung_up_on() {
        let head = Duration::from_millis(200);
        for opening in ["", "P", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let server = tokio::spawn(serve_within(head, listener, Router::new(), 1, stop.clone()));
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
