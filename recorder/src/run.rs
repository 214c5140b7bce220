//! `sluice-recorder run`: from the configuration to the last worker's end.

use crate::agent::Agent;
use crate::board::Board;
use crate::cell::{CellMaker, Nursery, WorkDir};
use crate::control::{Control, Dialler, Identity};
use crate::doctor;
use crate::settings::Settings;
use anyhow::Context;
use api::streams::CallKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

/// How many of the relay's orders may wait; further ones wait in the connection.
const ORDERS_MAX: usize = 64;
/// How often orphans are looked for, should a keeper have died unseen.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How much longer than their budget all streams together may take to end before they are killed.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// How long killing everything may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the relay gets to hear of the last ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
const GOODBYE_INTERVAL: Duration = Duration::from_millis(10);

/// Runs until SIGTERM or SIGINT and the end of all streams.
///
/// # Errors
///
/// When this machine does not let us begin: a folder or the signals cannot be had.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut stop = Stop::new().context("cannot listen for signals")?;
    let recorder = &settings.recorder;
    let work_dir = WorkDir::open(&recorder.work_dir())?;
    work_dir.remove_leftovers();
    let nursery = Arc::new(Nursery::new().context("cannot take over orphaned processes")?);
    let cells = Arc::new(CellMaker {
        worker: recorder.worker(),
        work_dir,
        nursery,
        log_lines_per_second: recorder.log_lines_per_second,
    });
    if !cells.worker.is_file() {
        warn!(worker = %cells.worker.display(), "the worker's program is missing; every stream will end at once");
    }
    let identity = Identity {
        name: recorder.name(),
        instance: Uuid::new_v4(),
        slots: recorder.slots(),
        kinds: kinds(),
        labels: recorder.labels.clone(),
    };
    info!(name = identity.name, slots = identity.slots, kinds = ?identity.kinds, "recorder begins");
    let board = Arc::new(Board::default());
    let mut agent =
        Agent::new(identity.slots, settings.limits.limits(), Arc::clone(&cells), Arc::clone(&board));
    let dialler = Dialler::new(&settings.relay.url, settings.relay.token_file.clone())
        .context("the relay's address is not an http URL")?;
    let (sender, mut orders) = mpsc::channel(ORDERS_MAX);
    let control =
        Control { dialler, identity, board: Arc::clone(&board), orders: sender, carried: agent.carried() };
    let control = tokio::spawn(control.run());

    let mut sweeps = interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => agent.handle(order).await,
                // Only a panic ends the control task; streams must not be carried on unseen for ever.
                None => break,
            },
            _ = sweeps.tick() => agent.sweep(),
            () = stop.wanted() => break,
        }
    }
    info!("ending all streams");
    tokio::select! {
        ended = timeout(settings.limits.stop_within.get() + STOP_MARGIN, agent.stop_all()) => {
            if ended.is_err() {
                warn!("not all streams ended in time");
            }
        }
        () = stop.wanted() => warn!("told again to stop: killing all streams"),
    }
    if timeout(KILL_TIMEOUT, agent.kill_all()).await.is_err() {
        warn!("some processes cannot be killed");
    }
    let told = async {
        while board.has_unsent_ends() && !control.is_finished() {
            sleep(GOODBYE_INTERVAL).await;
        }
    };
    let _ = timeout(GOODBYE_TIMEOUT, told).await;
    // The control task sees that nobody takes orders any more, says goodbye and ends.
    drop(orders);
    let _ = timeout(GOODBYE_TIMEOUT, control).await;
    info!("recorder ended");
    Ok(())
}

/// What can be joined with what is installed here.
fn kinds() -> Vec<CallKind> {
    let has_browser = doctor::BROWSER_PROGRAMS.iter().all(|(program, _)| doctor::is_in_path(program));
    if has_browser { vec![CallKind::Test, CallKind::Web] } else { vec![CallKind::Test] }
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
