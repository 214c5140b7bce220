//! Looks whether the certificate's files have changed, and takes the new pair; SIGHUP looks at once.

use super::{Certificates, Reloaded};
use crate::metrics::{Metrics, ReloadOutcome};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Keeps the certificate as the files have it.
pub struct Reload {
    /// What is kept.
    pub certificates: Arc<Certificates>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// What tells a file from its next version: when it was written, its size, and which file it is.
type Stamp = (i64, i64, u64, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    // Of what a link points to: many tools renew by turning a link.
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}

impl Reload {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [stamp(&self.certificates.files.certificate), stamp(&self.certificates.files.key)]
    }

    /// Looks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        self.note_expiry();
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            error!("SIGHUP cannot be watched");
            return;
        };
        let mut used = self.stamps();
        let mut seen = used;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = self.stamps();
                    // The two files are written one after the other: only what has come to rest is read.
                    let is_at_rest = now == seen;
                    seen = now;
                    if now == used || !is_at_rest {
                        continue;
                    }
                }
                _ = hangup.recv() => info!("SIGHUP: the certificate is read again"),
            }
            used = self.stamps();
            seen = used;
            self.reload().await;
        }
    }

    async fn reload(&self) {
        let certificates = self.certificates.clone();
        let Ok(reloaded) = tokio::task::spawn_blocking(move || certificates.reload()).await else { return };
        match reloaded {
            Ok(Reloaded::New) => {
                self.metrics.reload(ReloadOutcome::Taken);
                self.metrics.tls_pair_refused.set(0);
                info!(not_after = %self.certificates.not_after(), "a new certificate is in use");
            }
            Ok(Reloaded::Same) => {
                self.metrics.tls_pair_refused.set(0);
            }
            Err(why) => {
                self.metrics.reload(ReloadOutcome::Refused);
                self.metrics.tls_pair_refused.set(1);
                let not_after = self.certificates.not_after();
                error!(%why, %not_after, "the new certificate cannot be used; the one before stays");
            }
        }
        self.note_expiry();
    }

    fn note_expiry(&self) {
        self.metrics.tls_not_after.set(self.certificates.not_after().as_second());
    }
}
