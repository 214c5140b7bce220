//! `[rtmp]`: ingest and play.

use super::loopback;
use serde::Deserialize;

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
