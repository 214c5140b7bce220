//! `[http]`: pages, API and playback.

use super::loopback;
use serde::Deserialize;

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
