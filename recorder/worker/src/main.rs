//! `sluice-worker`: one call, one process.
//!
//! It reads its orders ([`ipc::WorkerSpec`]) from standard input, brings up what shows the call, encodes what it sees
//! and hears, and publishes that to the relay. Standard output carries [`ipc::Report`] lines and nothing else, the log
//! goes to standard error, and the exit code is an [`ipc::EndReason`]. It works in its current folder, which it takes
//! to be private, and kills everything that it started before it exits; the kernel kills it when its parent ends.
//!
//! The only program of the house that links GStreamer.

mod backlog;
mod cell;
mod clock;
mod doctor;
mod encode;
mod ending;
mod life;
mod orders;
mod pipeline;
mod publish;
mod reports;
mod source;
mod tap;
mod totals;

use clap::{Parser, Subcommand};
use ending::Ending;
use ipc::{CallKind, EndReason, WorkerSpec};
use orders::Orders;
use reports::Reports;
use source::{TestSource, WebSource};
use std::process::ExitCode;
use tracing::{Instrument, error, info, info_span};

/// Records one call and publishes it to the relay. Started by sluice-recorder, with its orders on standard input.
#[derive(Parser)]
#[command(name = "sluice-worker", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Tells whether every program and GStreamer element that a worker needs is installed.
    Doctor {
        /// One JSON object per line instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    if let Some(Command::Doctor { json }) = Args::parse().command {
        return doctor::report(json);
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let reports = Reports::default();
    let ending = cell::enter().map_or_else(|failed| failed, |()| serve(&reports));
    match ending.reason {
        EndReason::Stopped | EndReason::CallEnded => info!(reason = ?ending.reason, "{}", ending.detail),
        reason => error!(?reason, "{}", ending.detail),
    }
    let code = ending.reason.exit_code();
    reports.ended(&ending);
    cell::kill_descendants();
    // Not a return from main: threads of GStreamer and the one that reads standard input may still be blocked.
    std::process::exit(code.into())
}

fn serve(reports: &Reports) -> Ending {
    // One thread: the kernel's death signal for our children is tied to the thread that started them, and GStreamer
    // has threads of its own for the heavy work.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let ending = runtime.block_on(obey(reports));
            runtime.shutdown_background(); // or it would wait for the thread that reads standard input
            ending
        }
        Err(error) => Ending::bug(format!("cannot start the runtime: {error}")),
    }
}

async fn obey(reports: &Reports) -> Ending {
    let (spec, orders) = match Orders::read(tokio::io::stdin()).await {
        Ok(orders) => orders,
        Err(ending) => return ending,
    };
    let span = info_span!("worker", stream = %spec.stream_id, incarnation = spec.incarnation);
    live(spec, orders, reports).instrument(span).await
}

async fn live(spec: WorkerSpec, orders: Orders, reports: &Reports) -> Ending {
    if let Err(ending) = doctor::check(spec.kind) {
        return ending;
    }
    match spec.kind {
        CallKind::Test => life::run(TestSource::new(spec.profile), &spec, orders, reports).await,
        CallKind::Web => match WebSource::new(&spec) {
            Ok(source) => life::run(source, &spec, orders, reports).await,
            Err(ending) => ending,
        },
    }
}
