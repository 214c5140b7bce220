//! The relay's configuration, one file per section.
//!
//! Every key has a default, works without a file, and can be set in TOML, in the environment
//! (`SLUICE_RTMP__LISTEN`) or by a flag. Unknown keys are refused. `config/relay.toml` shows them all.

mod app;
mod claims;
mod data;
mod hls;
mod http;
mod push_template;
mod rtmp;
mod tls;
mod webhook;

pub use app::{App, OnError, Play, Publish, PushGap};
pub use claims::Claims;
pub use data::{Data, StoreConfig};
pub use hls::Hls;
pub use http::Http;
pub use push_template::PushTemplate;
pub use rtmp::Rtmp;
pub use tls::{Https, PairFiles, Rtmps, Tls};
pub use webhook::Webhook;

use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

fn loopback(port: u16) -> config::Listen {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

/// Everything that `sluice serve` can be told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// RTMP ingest and play.
    pub rtmp: Rtmp,
    /// Pages, API and playback.
    pub http: Http,
    /// The relay's certificate, and whose certificates it believes.
    pub tls: Tls,
    /// RTMP under TLS.
    pub rtmps: Rtmps,
    /// HTTP under TLS.
    pub https: Https,
    /// Where files are kept.
    pub data: Data,
    /// Where claims and streams are kept.
    pub store: StoreConfig,
    /// How HLS is cut.
    pub hls: Hls,
    /// How long a claim lives without media, and for how long what happened to it is remembered.
    pub claims: Claims,
    /// Rules per application; the first whose name fits holds.
    pub app: Vec<App>,
    /// Who is told what happens to streams and claims.
    pub webhook: Vec<Webhook>,
}

impl RelayConfig {
    /// Whether its values go together, as far as that shows without opening anything.
    ///
    /// # Errors
    /// [`ConfigError`](::config::ConfigError) with the key and the fix.
    pub fn check(&self) -> Result<(), ::config::ConfigError> {
        self.rtmp.check()?;
        self.store.check()?;
        webhook::check(&self.webhook)?;
        self.app.iter().enumerate().try_for_each(|(at, app)| app.check(at))
    }

    /// The embedded store's file.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        if self.store.path.as_os_str().is_empty() {
            self.data.path.join("sluice.db")
        } else {
            self.store.path.clone()
        }
    }
}
