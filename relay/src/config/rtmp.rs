//! `[rtmp]`: ingest and play, and what one peer or one address may cost.

use super::loopback;
use crate::access::{CrowdLimits, Network};
use ::config::{ByteSize, ConfigError, Within};
use serde::Deserialize;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// RTMP ingest and play.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Address and port.
    pub listen: ::config::Listen,
    /// `host:port` that recorders and encoders are told to publish to; the listening address if empty.
    pub advertise: String,
    /// How many connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// How far an RTMP player may lag before it is set to the newest keyframe, in milliseconds.
    pub player_lag_ms_max: u32,
    /// The longest audio, video or aggregate message of a peer.
    pub message_bytes_max: ByteSize,
    /// The largest chunk size that a peer may set.
    pub chunk_bytes_max: ByteSize,
    /// How many chunk streams a peer may use.
    pub chunk_streams_max: Within<4, 1_024>,
    /// How many message streams a peer may have at once.
    pub streams_max: Within<1, 64>,
    /// How many commands a peer may send before it publishes or plays.
    pub pending_commands_max: Within<8, 4_096>,
    /// How long a handshake may take, in seconds.
    pub handshake_seconds: Within<1, 60>,
    /// How long a peer may take to publish or play after its handshake, and again after each, in seconds.
    pub request_seconds: Within<1, 300>,
    /// How many connections at once one address may have.
    pub connections_per_address_max: Within<1, 1_000_000>,
    /// How many of them may be unfinished: before `connect`.
    pub handshakes_per_address_max: Within<1, 1_000_000>,
    /// How often one address may try to publish within a minute.
    pub publish_attempts_per_minute_max: Within<1, 1_000_000>,
    /// Addresses to which these three do not apply.
    pub exempt_from_limits: Vec<Network>,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: loopback(1935),
            advertise: String::new(),
            connections_max: 2_048,
            player_lag_ms_max: 3_000,
            message_bytes_max: ByteSize::from_mib(8),
            chunk_bytes_max: ByteSize::from_mib(16),
            chunk_streams_max: Within::new(16),
            streams_max: Within::new(4),
            pending_commands_max: Within::new(32),
            handshake_seconds: Within::new(5),
            request_seconds: Within::new(10),
            connections_per_address_max: Within::new(256),
            handshakes_per_address_max: Within::new(64),
            publish_attempts_per_minute_max: Within::new(120),
            exempt_from_limits: vec![
                Network::V4(Ipv4Addr::new(127, 0, 0, 0), 8),
                Network::V6(Ipv6Addr::LOCALHOST, 128),
            ],
        }
    }
}

/// A keyframe of a small picture has to fit.
const MESSAGE_BYTES_MIN: u64 = 64 << 10;
/// A message has at most 16 MiB (RTMP 1.0 §5.4.1), and no chunk is larger than a message.
const WIRE_BYTES_MAX: u64 = 16 << 20;
/// The size before any other was set (§5.4.1).
const CHUNK_BYTES_MIN: u64 = 128;

impl Rtmp {
    /// The bounds of one connection.
    #[must_use]
    pub fn wire_limits(&self) -> ::rtmp::Limits {
        let mut limits = ::rtmp::Limits::default();
        let bytes = |size: ByteSize| usize::try_from(size.get()).unwrap_or(usize::MAX);
        limits.handshake = Duration::from_secs(self.handshake_seconds.get());
        limits.request = Duration::from_secs(self.request_seconds.get());
        limits.media_bytes_max = bytes(self.message_bytes_max);
        limits.partial_bytes_max = limits.partial_bytes_max.max(2 * limits.media_bytes_max);
        limits.chunk_bytes_max = bytes(self.chunk_bytes_max);
        limits.chunk_streams_max = self.chunk_streams_max.count();
        limits.streams_max = self.streams_max.count();
        limits.early_commands_max = self.pending_commands_max.count();
        limits
    }

    /// The bounds of one address.
    #[must_use]
    pub fn crowd_limits(&self) -> CrowdLimits {
        CrowdLimits {
            connections_max: self.connections_per_address_max.count(),
            handshakes_max: self.handshakes_per_address_max.count(),
            attempts_per_minute_max: u32::try_from(self.publish_attempts_per_minute_max.get())
                .unwrap_or(u32::MAX),
            exempt: self.exempt_from_limits.clone(),
        }
    }

    /// Whether its sizes can work.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, size, min) in [
            ("rtmp.message_bytes_max", self.message_bytes_max, MESSAGE_BYTES_MIN),
            ("rtmp.chunk_bytes_max", self.chunk_bytes_max, CHUNK_BYTES_MIN),
        ] {
            if !(min..=WIRE_BYTES_MAX).contains(&size.get()) {
                let (min, max) = (ByteSize::from_bytes(min), ByteSize::from_bytes(WIRE_BYTES_MAX));
                return Err(ConfigError::refused(
                    key,
                    format!("expected a size from {min} to {max}, found {size}"),
                ));
            }
        }
        Ok(())
    }
}
