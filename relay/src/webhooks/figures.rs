//! What webhooks did, in figures.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A label of [`WebhookFigures::attempts`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// Which `[[webhook]]` of the configuration, from 0.
    pub webhook: usize,
    /// `delivered`, or `failed` and to be tried again.
    pub outcome: &'static str,
}

/// A label of [`WebhookFigures::lost`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LossLabel {
    /// Which `[[webhook]]` of the configuration, from 0.
    pub webhook: usize,
    /// `flood`: too many at once; `full`: the spool was full; `expired`: not taken within a day.
    pub why: &'static str,
}

/// A label of what is told of each receiver.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlaceLabel {
    /// Which `[[webhook]]` of the configuration, from 0.
    pub webhook: usize,
}

/// All of them.
#[derive(Debug)]
pub struct WebhookFigures {
    /// Attempts to deliver an event.
    pub attempts: Family<OutcomeLabel, Counter>,
    /// Events that a receiver will never get.
    pub lost: Family<LossLabel, Counter>,
    /// Events that wait to be taken.
    pub waiting: Family<PlaceLabel, Gauge>,
    /// Whether the receiver did not take what it was sent last.
    pub failing: Family<PlaceLabel, Gauge>,
    /// From an attempt to its answer.
    pub seconds: Histogram,
}

/// Upper bounds of the histogram, in seconds; the deadline is 10.
const BUCKETS: [f64; 8] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];

impl WebhookFigures {
    /// All at zero.
    pub fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            attempts: Family::default(),
            lost: Family::default(),
            waiting: Family::default(),
            failing: Family::default(),
            seconds: Histogram::new(BUCKETS),
        };
        registry.register("webhook_attempts", "Attempts to deliver an event", figures.attempts.clone());
        let help = "Events that a webhook will never get";
        registry.register("webhook_lost", help, figures.lost.clone());
        registry.register(
            "webhook_waiting",
            "Events that wait to be taken by a webhook",
            figures.waiting.clone(),
        );
        let help = "Whether the webhook took no event at the last attempt (1) or did (0)";
        registry.register("webhook_failing", help, figures.failing.clone());
        let help = "From an attempt to deliver an event to its answer";
        registry.register_with_unit("webhook_attempt", help, Unit::Seconds, figures.seconds.clone());
        figures
    }
}
