//! Whether the relay is alive, and whether it can do its work.
//!
//! `/healthz` answers as long as the process turns; `/readyz` tries the write path: the RTMP listener is open, the
//! store takes a write, the data folder has room. How the certificate is stands there too, without deciding.

use crate::store::Store;
use crate::tls::Certificates;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Less free room than this makes the relay not ready, in bytes: the store must always be able to write.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// How long a check may take.
const CHECK: Duration = Duration::from_secs(2);

/// What the checks look at.
pub struct Health {
    /// Where RTMP is listened for.
    pub rtmp: SocketAddr,
    /// The store.
    pub store: Store,
    /// The data folder.
    pub data: PathBuf,
    /// The certificate, if there is one. It does not decide about readiness: the doors that need none work on.
    pub certificates: Option<Arc<Certificates>>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// The two paths.
pub fn router(health: Arc<Health>) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(health)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let mut checks = vec![
        check("ingest", health.ingest()).await,
        check("store", health.store()).await,
        check("disk", health.disk()).await,
    ];
    let ready = checks.iter().all(|check| check.ok);
    if let Some(certificates) = &health.certificates {
        checks.push(check("certificate", async { certificates.health() }).await);
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks })).into_response()
}

async fn check(name: &'static str, work: impl Future<Output = Result<String, String>>) -> Check {
    let outcome = tokio::time::timeout(CHECK, work).await.unwrap_or_else(|_| Err("no answer in time".into()));
    let ok = outcome.is_ok();
    Check { name, ok, detail: outcome.unwrap_or_else(|why| why) }
}

impl Health {
    async fn ingest(&self) -> Result<String, String> {
        // Listening on every address is reached on this machine's own.
        let mut address = self.rtmp;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        match tokio::net::TcpStream::connect(address).await {
            Ok(_) => Ok(format!("RTMP answers on {}", self.rtmp)),
            Err(error) => Err(format!("RTMP does not answer on {}: {error}", self.rtmp)),
        }
    }

    async fn store(&self) -> Result<String, String> {
        self.store.probe().await.map(|()| "takes writes".into()).map_err(|error| error.to_string())
    }

    async fn disk(&self) -> Result<String, String> {
        let disk =
            rustix::fs::statvfs(&self.data).map_err(|error| format!("{}: {error}", self.data.display()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let text = format!("{} MiB free in {}", free >> 20, self.data.display());
        if free < FREE_BYTES_MIN { Err(text) } else { Ok(text) }
    }
}
