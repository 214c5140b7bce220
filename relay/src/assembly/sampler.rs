//! Looks at everything once a second: figures for Prometheus, rows for live events.

use crate::claim_desk::ClaimDesk;
use crate::events::Events;
use crate::http_api::DataPlane;
use crate::metrics::{Metrics, PushState};
use crate::streams::Streams;
use crate::views::Views;
use api::events::Event;
use api::streams::{BroadcastView, StreamState};
use api::targets::{TargetState, TargetView};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often.
const PERIOD: Duration = Duration::from_secs(1);
/// Claims change with events; their rows are sent anew only every so many periods, for the figures in them.
const CLAIMS_EVERY: u64 = 5;

pub(super) struct Sampler {
    pub(super) views: Views,
    pub(super) desk: ClaimDesk,
    pub(super) streams: Streams,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
}

impl Sampler {
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut were_any, mut were_targets) = (false, false);
        for round in 0_u64.. {
            tokio::select! {
                _ = period.tick() => {}
                () = stop.cancelled() => return,
            }
            let broadcasts = self.views.broadcasts();
            self.count(&broadcasts);
            let is_watched = self.events.readers() > 0;
            // Once more when the last one has gone, so that readers see it go.
            let are_any = !broadcasts.is_empty();
            if is_watched && (are_any || were_any) {
                self.events.publish(Event::Broadcasts { broadcasts });
            }
            were_any = are_any;
            let targets = self.views.targets();
            self.count_targets(&targets);
            let are_targets = !targets.is_empty();
            if is_watched && (are_targets || were_targets) {
                self.events.publish(Event::Targets { targets });
            }
            were_targets = are_targets;
            if round.is_multiple_of(CLAIMS_EVERY) {
                let claims = self.desk.list().await;
                self.metrics.claims.set(claims.len() as i64);
                if is_watched {
                    self.events.publish(Event::Claims { claims });
                }
            }
        }
    }

    fn count_targets(&self, targets: &[TargetView]) {
        let lag_ms = targets.iter().map(|target| target.lag_ms).max().unwrap_or_default();
        self.metrics.push_lag.set(lag_ms as f64 / 1e3);
        for state in TargetState::ALL {
            let label = PushState { state: state.as_str() };
            let count = targets.iter().filter(|target| target.state == state).count();
            self.metrics.pushes.get_or_create(&label).set(count as i64);
        }
    }

    fn count(&self, broadcasts: &[BroadcastView]) {
        let metrics = &self.metrics;
        metrics.broadcasts.set(broadcasts.len() as i64);
        metrics.broadcasts_live.set(broadcasts.iter().filter(|it| it.live).count() as i64);
        metrics.rtmp_players.set(broadcasts.iter().map(|it| i64::from(it.media.rtmp_players)).sum());
        metrics.flv_players.set(broadcasts.iter().map(|it| i64::from(it.media.flv_players)).sum());
        metrics.hls_viewers.set(broadcasts.iter().map(|it| i64::from(it.media.hls_viewers)).sum());
        let board = self.streams.board();
        let going = board.streams().iter().filter(|it| it.state != StreamState::Ended).count();
        metrics.streams.set(going as i64);
        let recorders = board.recorders();
        let connected = || recorders.iter().filter(|it| it.connected);
        metrics.recorders.set(connected().count() as i64);
        let spares =
            connected().filter(|it| !it.draining).map(|it| i64::from(it.slots) - it.workers.len() as i64);
        metrics.recorder_spares.set(spares.map(|spare| spare.max(0)).sum());
    }
}
