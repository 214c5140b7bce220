//! The relay's figures, made once at the start and handed down; `/metrics` prints them.
//!
//! Labels have few values: never a stream's name, an address or a token.

use crate::access::TooMany;
use crate::hooks::HookFigures;
use crate::webhooks::WebhookFigures;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a publisher was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RefusedFor {
    /// Its stream name could not be used.
    Name,
    /// The application's rule does not let it.
    Access,
    /// Its grant is void.
    Grant,
    /// Another holds the claim.
    Held,
    /// Its application's hook said no, or nothing.
    Hook,
    /// The relay is full, draining, or its store is out of reach.
    Unavailable,
}

/// A label of [`Metrics::publish_refused`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// Why.
    pub reason: RefusedFor,
}

/// A label of [`Metrics::address_refused`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Bound {
    /// Which bound an address had reached.
    pub bound: TooMany,
}

/// A label of [`Metrics::pushes`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PushState {
    /// As in the API.
    pub state: &'static str,
}

/// What became of a certificate that was read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ReloadOutcome {
    /// It is in use.
    Taken,
    /// It cannot be used; the one before stays.
    Refused,
}

/// A label of [`Metrics::tls_reloads`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reload {
    /// How it ended.
    pub outcome: ReloadOutcome,
}

/// All figures.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// RTMP connections now.
    pub rtmp_connections: Gauge,
    /// RTMP connections closed at once because there were too many.
    pub rtmp_connections_refused: Counter,
    /// RTMP connections and attempts to publish refused because one address had too many.
    pub address_refused: Family<Bound, Counter>,
    /// RTMP connections ended because of what the peer sent.
    pub rtmp_protocol_errors: Counter,
    /// Bytes read from publishers and players.
    pub rtmp_received: Counter,
    /// Bytes written to publishers and players.
    pub rtmp_sent: Counter,
    /// Bytes given to HTTP-FLV players.
    pub flv_sent: Counter,
    /// Publishers admitted.
    pub publish_admitted: Counter,
    /// Publishers turned away, by reason.
    pub publish_refused: Family<Reason, Counter>,
    /// Messages that were not what their type says.
    pub media_malformed: Counter,
    /// Writes with an old fencing token.
    pub media_fenced: Counter,
    /// Players set forward to a keyframe because they lagged.
    pub player_skips: Counter,
    /// Media bytes taken by targets.
    pub push_sent: Counter,
    /// Connections to targets that were made anew.
    pub push_reconnects: Counter,
    /// Connections to targets that could not be made, or broke.
    pub push_failures: Counter,
    /// The largest lag of all pushes now, in seconds.
    pub push_lag: Gauge<f64, AtomicU64>,
    /// Pushes set forward to a keyframe because their target lagged.
    pub push_skips: Counter,
    /// Gaps of streams through which connections to targets were kept.
    pub push_gaps: Counter,
    /// Pushes now, by state.
    pub pushes: Family<PushState, Gauge>,
    /// Connections that did not get through their TLS handshake.
    pub tls_handshakes_failed: Counter,
    /// Certificates read anew.
    pub tls_reloads: Family<Reload, Counter>,
    /// Until when the certificate in use is good, in seconds since 1970; 0 without one.
    pub tls_not_after: Gauge,
    /// 1 while the pair in the files cannot be used and an older one is.
    pub tls_pair_refused: Gauge,
    /// Broadcasts now.
    pub broadcasts: Gauge,
    /// Broadcasts in which media arrived within the last two seconds.
    pub broadcasts_live: Gauge,
    /// RTMP players now.
    pub rtmp_players: Gauge,
    /// HTTP-FLV players now.
    pub flv_players: Gauge,
    /// HLS viewers in the last ten seconds, an estimate.
    pub hls_viewers: Gauge,
    /// Streams that bots started and that have not ended.
    pub streams: Gauge,
    /// Claims now.
    pub claims: Gauge,
    /// Calls of hooks.
    pub hooks: Arc<HookFigures>,
    /// Deliveries of webhooks.
    pub webhooks: Arc<WebhookFigures>,
    /// Recorders connected now.
    pub recorders: Gauge,
    /// Places for further streams on connected recorders.
    pub recorder_spares: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sluice");
        let version = vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        registry.register(
            "build",
            "The running version",
            prometheus_client::metrics::info::Info::new(version),
        );
        macro_rules! figure {
            ($name:literal, $help:literal) => {{
                let made = Default::default();
                registry.register($name, $help, Clone::clone(&made));
                made
            }};
            ($name:literal, $help:literal, $unit:expr) => {{
                let made = Default::default();
                registry.register_with_unit($name, $help, $unit, Clone::clone(&made));
                made
            }};
        }
        // `Default::default()` above takes its type from the field that it becomes.
        let rtmp_connections: Gauge = figure!("rtmp_connections", "RTMP connections now");
        let rtmp_connections_refused: Counter =
            figure!("rtmp_connections_refused", "RTMP connections closed because there were too many");
        let address_refused: Family<Bound, Counter> =
            figure!("rtmp_address_refused", "RTMP connections and attempts refused by a bound per address");
        let rtmp_protocol_errors: Counter =
            figure!("rtmp_protocol_errors", "RTMP connections ended because of what the peer sent");
        let rtmp_received: Counter = figure!("rtmp_received", "Bytes read from RTMP peers", Unit::Bytes);
        let flv_sent: Counter = figure!("flv_sent", "Bytes given to HTTP-FLV players", Unit::Bytes);
        let rtmp_sent: Counter = figure!("rtmp_sent", "Bytes written to RTMP peers", Unit::Bytes);
        let publish_admitted: Counter = figure!("publish_admitted", "Publishers admitted");
        let publish_refused: Family<Reason, Counter> = figure!("publish_refused", "Publishers turned away");
        let media_malformed: Counter =
            figure!("media_malformed", "Messages that were not what their type says");
        let media_fenced: Counter = figure!("media_fenced", "Writes refused because of an old fencing token");
        let player_skips: Counter =
            figure!("player_skips", "RTMP and HTTP-FLV players set forward because they lagged");
        let push_sent: Counter = figure!("push_sent", "Media bytes taken by targets", Unit::Bytes);
        let push_reconnects: Counter = figure!("push_reconnects", "Connections to targets made anew");
        let push_failures: Counter =
            figure!("push_failures", "Connections to targets that could not be made, or broke");
        let push_lag: Gauge<f64, AtomicU64> =
            figure!("push_lag", "How far the target that is most behind is behind its stream", Unit::Seconds);
        let push_skips: Counter = figure!("push_skips", "Pushes set forward because their target lagged");
        let push_gaps: Counter =
            figure!("push_gaps", "Gaps of streams through which connections to targets were kept");
        let pushes: Family<PushState, Gauge> = figure!("pushes", "Pushes to targets now, by state");
        let tls_handshakes_failed: Counter =
            figure!("tls_handshakes_failed", "Connections that did not get through their TLS handshake");
        let tls_reloads: Family<Reload, Counter> = figure!("tls_reloads", "Certificates read anew");
        let tls_not_after: Gauge = figure!(
            "tls_certificate_not_after",
            "Until when the certificate in use is good, since 1970",
            Unit::Seconds
        );
        let tls_pair_refused: Gauge =
            figure!("tls_pair_refused", "1 while the pair in the files cannot be used and an older one is");
        let broadcasts: Gauge = figure!("broadcasts", "Broadcasts now");
        let broadcasts_live: Gauge =
            figure!("broadcasts_live", "Broadcasts with media in the last two seconds");
        let rtmp_players: Gauge = figure!("rtmp_players", "RTMP players now");
        let flv_players: Gauge = figure!("flv_players", "HTTP-FLV players now");
        let hls_viewers: Gauge = figure!("hls_viewers", "HLS viewers in the last ten seconds, an estimate");
        let streams: Gauge = figure!("streams", "Started streams that have not ended");
        let claims: Gauge = figure!("claims", "Claims now");
        let recorders: Gauge = figure!("recorders", "Recorders connected now");
        let recorder_spares: Gauge =
            figure!("recorder_spares", "Places for further streams on connected recorders");
        let hooks = Arc::new(HookFigures::register(&mut registry));
        let webhooks = Arc::new(WebhookFigures::register(&mut registry));
        Self {
            registry: Mutex::new(registry),
            hooks,
            webhooks,
            rtmp_connections,
            rtmp_connections_refused,
            address_refused,
            rtmp_protocol_errors,
            rtmp_received,
            rtmp_sent,
            flv_sent,
            publish_admitted,
            publish_refused,
            media_malformed,
            media_fenced,
            player_skips,
            push_sent,
            push_reconnects,
            push_failures,
            push_lag,
            push_skips,
            push_gaps,
            pushes,
            tls_handshakes_failed,
            tls_reloads,
            tls_not_after,
            tls_pair_refused,
            broadcasts,
            broadcasts_live,
            rtmp_players,
            flv_players,
            hls_viewers,
            streams,
            claims,
            recorders,
            recorder_spares,
        }
    }

    /// Counts one refusal.
    pub fn refuse(&self, reason: RefusedFor) {
        self.publish_refused.get_or_create(&Reason { reason }).inc();
    }

    /// Counts one certificate that was read anew.
    pub fn reload(&self, outcome: ReloadOutcome) {
        self.tls_reloads.get_or_create(&Reload { outcome }).inc();
    }

    /// All figures in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_refusal_is_printed_with_its_reason() {
        let metrics = Metrics::new();
        metrics.refuse(RefusedFor::Held);
        let text = metrics.render();
        assert!(text.contains("sluice_publish_refused_total{reason=\"Held\"} 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
