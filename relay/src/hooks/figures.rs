//! What hooks did, in figures. Labels name the hook, never its URL.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A label of [`HookFigures::calls`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabel {
    /// As in the configuration: `on_publish`.
    pub hook: &'static str,
    /// `accepted`, `redirected`, `denied`; `timeout`, `failed`; `open` and `busy`, which were not made; `lost`, which
    /// found no room in the queue.
    pub outcome: &'static str,
}

/// A label of [`HookFigures::seconds`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HookLabel {
    /// As in the configuration.
    pub hook: &'static str,
}

/// A label of [`HookFigures::unanswered`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PolicyLabel {
    /// As in the configuration.
    pub hook: &'static str,
    /// `cached`: let in as the last time; `allowed`; `refused`.
    pub decision: &'static str,
}

/// All of them.
#[derive(Debug)]
pub struct HookFigures {
    /// Calls, by what became of them.
    pub calls: Family<CallLabel, Counter>,
    /// From a call to its answer or failure.
    pub seconds: Family<HookLabel, Histogram>,
    /// Publishers and players decided about without an answer.
    pub unanswered: Family<PolicyLabel, Counter>,
    /// URLs that are not called now because they failed again and again.
    pub breakers_open: Gauge,
}

/// Upper bounds of the histogram, in seconds; the longest deadline is 8.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 8.0];

impl HookFigures {
    /// All at zero.
    pub fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            unanswered: Family::default(),
            breakers_open: Gauge::default(),
        };
        registry.register("hook_calls", "Calls of hooks", figures.calls.clone());
        let help = "From a call of a hook to its answer";
        registry.register_with_unit("hook_call", help, Unit::Seconds, figures.seconds.clone());
        let help = "Publishers and players decided about without an answer of their hook";
        registry.register("hook_unanswered", help, figures.unanswered.clone());
        let help = "Hook URLs that failed again and again and are left alone for a while";
        registry.register("hook_breakers_open", help, figures.breakers_open.clone());
        figures
    }

    pub(super) fn count(&self, hook: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&CallLabel { hook, outcome }).inc();
    }
}
