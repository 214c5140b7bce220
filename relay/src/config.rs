//! The relay's configuration, made of each part's own.
//!
//! Every key has a default, works without a file, and can be set in TOML, in the environment
//! (`SLUICE_RTMP__LISTEN`) or by a flag. Unknown keys are refused. `config/relay.toml` shows them all.

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
}

/// RTMP ingest and play.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Address and port.
    pub listen: config::Listen,
    /// `host:port` that recorders and encoders are told to publish to; the listening address if empty.
    pub advertise: String,
    /// How many connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// How far an RTMP player may lag before it is set to the newest keyframe, in milliseconds.
    pub player_lag_ms_max: u32,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: loopback(1935),
            advertise: String::new(),
            connections_max: 2_048,
            player_lag_ms_max: 3_000,
        }
    }
}

/// Pages, API and playback.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port.
    pub listen: config::Listen,
    /// An address of their own for operator pages, API and metrics; empty: all on `listen`.
    pub admin_listen: Option<config::Listen>,
    /// Host names, besides addresses and `localhost`, under which browsers reach the operator pages.
    pub hosts: Vec<String>,
    /// The pages that may embed the widgets, as CSP `frame-ancestors` sources.
    pub frame_ancestors: String,
    /// How many connections at once; further ones wait in the listening queue.
    pub connections_max: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            admin_listen: None,
            hosts: Vec::new(),
            frame_ancestors: "*".into(),
            connections_max: 16_384,
        }
    }
}

/// Where files are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The folder; made if it is not there.
    pub path: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".local/share"))
        });
        Self { path: base.unwrap_or_else(|| PathBuf::from("/var/lib")).join("sluice") }
    }
}

/// Where claims and streams are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The embedded store's file; `sluice.db` in the data folder if empty.
    pub path: PathBuf,
}

/// How HLS is cut.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hls {
    /// The length of a part, in milliseconds, from 100 to 1000; whole frames are taken up to it.
    pub part_ms: u32,
    /// How many segments a playlist lists.
    pub window_segments: u32,
}

impl Default for Hls {
    fn default() -> Self {
        Self { part_ms: 334, window_segments: 12 }
    }
}

/// How long a claim lives without media.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// From the grant to the first media, in seconds.
    pub first_media_seconds: u32,
    /// Between media, in seconds.
    pub idle_seconds: u32,
    /// How long a lost publisher's place is kept, with its readers, in seconds.
    pub grace_seconds: u32,
    /// For how many days what happened to claims is remembered, for operators.
    pub history_days: u32,
}

impl Default for Claims {
    fn default() -> Self {
        Self { first_media_seconds: 10, idle_seconds: 10, grace_seconds: 15, history_days: 30 }
    }
}

/// The rules of one application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The application's name, such as `live`; `*` fits all.
    pub name: String,
    /// Who may publish.
    #[serde(default)]
    pub publish: Publish,
}

/// Who may publish to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// Anybody from this machine; with a grant from anywhere. The default.
    #[default]
    Local,
    /// Only with a grant.
    Grant,
    /// Anybody.
    Open,
}

impl RelayConfig {
    /// The rule for who may publish to an application.
    #[must_use]
    pub fn publish_rule(&self, app: &str) -> Publish {
        self.app
            .iter()
            .find(|rule| rule.name == app || rule.name == "*")
            .map_or(Publish::Local, |rule| rule.publish)
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
