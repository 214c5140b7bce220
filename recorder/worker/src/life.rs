//! A worker's way from its orders to its end.
//!
//! `starting → joining → joined → publishing ⇄ degraded → leaving`, each step with a deadline. Whatever happens
//! first decides the end: an order to stop, the call's own end, a death in the cell, the relay's final no.

use crate::backlog::Backlog;
use crate::clock;
use crate::ending::Ending;
use crate::orders::Orders;
use crate::pipeline::Pipeline;
use crate::publish::Publishing;
use crate::reports::{REPORT_EVERY, Reports};
use crate::source::CallSource;
use crate::tap::Tap;
use crate::totals::Totals;
use ipc::{EndReason, WorkerSpec, WorkerState};
use media::TargetUrl;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How long display, sound and browser may take to come up.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// How long the pipeline may take to start.
const PLAY_WITHIN: Duration = Duration::from_secs(10);
/// How long the encoder may be silent.
const FRAMES_WITHIN: Duration = Duration::from_secs(5);
/// How long leaving may take in all, whatever the order allows; and each of its first steps.
const LEAVE_WITHIN: Duration = Duration::from_millis(900);
const STEP_WITHIN: Duration = Duration::from_millis(300);

/// What passes from the encoder to the relay.
#[derive(Clone, Default)]
struct Flow {
    backlog: Arc<Backlog>,
    totals: Arc<Totals>,
}

/// What must be stopped in order once it runs.
#[derive(Default)]
struct Running<'a> {
    pipeline: Option<Pipeline>,
    publishing: Option<Publishing<'a>>,
}

/// Does everything, and leaves nothing of its own behind but what [`crate::cell::kill_descendants`] ends.
pub(crate) async fn run(
    mut source: impl CallSource,
    spec: &WorkerSpec,
    mut orders: Orders,
    reports: &Reports,
) -> Ending {
    let flow = Flow::default();
    let mut running = Running::default();
    let (ending, within) = tokio::select! {
        ending = work(&mut source, spec, &flow, reports, &mut running) => (ending, LEAVE_WITHIN),
        within = orders.stopped() => {
            (Ending::new(EndReason::Stopped, "stopped as ordered"), within.min(LEAVE_WITHIN))
        }
        never = show_life(&flow, reports) => match never {},
    };
    reports.state(WorkerState::Leaving, Some(&ending.detail));
    if matches!(ending.reason, EndReason::CellFailed | EndReason::Bug) {
        abandon(source, running, &ending, reports);
    } else {
        leave(source, running, within).await;
    }
    ending
}

async fn work<'a>(
    source: &mut impl CallSource,
    spec: &WorkerSpec,
    flow: &Flow,
    reports: &'a Reports,
    running: &mut Running<'a>,
) -> Ending {
    match try_work(source, spec, flow, reports, running).await {
        Ok(never) => match never {},
        Err(ending) => ending,
    }
}

async fn try_work<'a>(
    source: &mut impl CallSource,
    spec: &WorkerSpec,
    flow: &Flow,
    reports: &'a Reports,
    running: &mut Running<'a>,
) -> Result<Infallible, Ending> {
    // Its errors print no secret.
    let url: TargetUrl = spec
        .publish_url
        .expose()
        .parse()
        .map_err(|error| Ending::new(EndReason::BadSpec, format!("the URL to publish to: {error}")))?;
    reports.state(WorkerState::Starting, None);
    tokio::time::timeout(OPEN_WITHIN, source.open())
        .await
        .map_err(|_| Ending::cell_failed(format!("the cell was not up within {OPEN_WITHIN:?}")))??;

    reports.state(WorkerState::Joining, None);
    let join_within = Duration::from_secs(spec.join_timeout_seconds.into());
    source.join(join_within).await?;

    reports.state(WorkerState::Joined, None);
    let Flow { backlog, totals } = flow.clone();
    let tap = Arc::new(Tap { backlog: Arc::clone(&backlog), totals: Arc::clone(&totals) });
    let built = Pipeline::build(source, spec.profile, &tap);
    let pipeline = running.pipeline.insert(built.map_err(|error| Ending::cell_failed(error.to_string()))?);
    pipeline.start(PLAY_WITHIN).await.map_err(|error| Ending::cell_failed(error.to_string()))?;
    let publishing =
        running.publishing.insert(Publishing::new(url, spec.profile.video_kbps(), backlog, totals, reports));

    Err(tokio::select! {
        ending = source.ended() => ending,
        failure = pipeline.failed() => Ending::cell_failed(failure),
        ending = publishing.run() => ending,
        ending = frames_cease(&flow.totals) => ending,
    })
}

/// Waits until the encoder has made nothing for [`FRAMES_WITHIN`].
async fn frames_cease(totals: &Totals) -> Ending {
    let mut before = None;
    loop {
        let made = totals.frames_encoded.load(Relaxed);
        if before.replace(made) == Some(made) {
            return Ending::cell_failed(format!("the encoder made no picture for {FRAMES_WITHIN:?}"));
        }
        sleep(FRAMES_WITHIN).await;
    }
}

/// Writes at least one report every [`REPORT_EVERY`].
async fn show_life(flow: &Flow, reports: &Reports) -> Infallible {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let backlog_ms = u64::try_from(flow.backlog.span().as_millis()).unwrap_or(u64::MAX);
        let stats = flow.totals.stats(backlog_ms);
        if stats.frames_encoded == 0 {
            reports.repeat();
        } else {
            reports.stats(stats);
        }
    }
}

/// Leaves a broken cell: the last word comes first, since every step may hang, and Xlib ends the whole process at the
/// next picture once its display has gone. Nothing is stopped in order, and nobody says goodbye to the relay: it then
/// keeps the stream for the worker that replaces this one.
fn abandon(source: impl CallSource, running: Running<'_>, ending: &Ending, reports: &Reports) {
    reports.ended(ending);
    std::mem::forget(running.pipeline); // stopping it would talk to the display
    std::mem::forget(source); // dropping it would kill the display while it is captured
}

/// The relay first, so that it sees an end and not a loss; then the encoder; then the call.
async fn leave(mut source: impl CallSource, running: Running<'_>, within: Duration) {
    let give_up = clock::now() + within;
    let left = || give_up.saturating_duration_since(clock::now());
    if let Some(publishing) = running.publishing {
        publishing.goodbye(STEP_WITHIN.min(left())).await;
    }
    if let Some(pipeline) = running.pipeline {
        pipeline.stop(STEP_WITHIN.min(left())).await;
    }
    source.leave(left()).await;
}
