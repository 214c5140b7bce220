//! The HTTP front door: accepts connections within bounds and hands them to a router.
//!
//! What `axum::serve` does not offer and a public port needs: a bound on connections, and a deadline for a request's
//! head, so that slow openers cannot hold places.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
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
    let places = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
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
        let connection = connection(&builder, socket, peer, router.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                debug!(%peer, %error, "an HTTP connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        debug!("answers under way were cut off");
    }
}

fn connection(
    builder: &Builder<TokioExecutor>,
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + use<>
{
    // Playlists and parts are written whole; waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request.map(Body::new))
    });
    builder.serve_connection_with_upgrades(TokioIo::new(socket), service).into_owned()
}
