//! News for the supervisor: standard output.
//!
//! Written and flushed line by line. A supervisor that has gone is no error here: it is noticed at standard input.

use crate::ending::Ending;
use ipc::{PublishStats, Report, WorkerState};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::info;

/// How often a line is written at the latest, so that the supervisor sees that we live.
pub(crate) const REPORT_EVERY: Duration = Duration::from_secs(2);

/// What was reported last. Shared by reference; there is one per process.
#[derive(Default)]
pub(crate) struct Reports {
    last: Mutex<Option<(WorkerState, Option<String>)>>,
    ended: AtomicBool,
}

impl Reports {
    /// Reports a new state; does nothing if it was reported last, with the same detail.
    pub(crate) fn state(&self, state: WorkerState, detail: Option<&str>) {
        let new = Some((state, detail.map(str::to_owned)));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == new {
            return;
        }
        *last = new;
        drop(last);
        info!(?state, detail, "state");
        write(&Report::State { state, detail: detail.map(str::to_owned) });
    }

    /// Says the last state again: a sign of life.
    pub(crate) fn repeat(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((state, detail)) = last {
            write(&Report::State { state, detail });
        }
    }

    /// Reports running totals.
    pub(crate) fn stats(&self, stats: PublishStats) {
        write(&Report::Stats { stats });
    }

    /// The last line; written once.
    pub(crate) fn ended(&self, ending: &Ending) {
        if !self.ended.swap(true, Relaxed) {
            write(&Report::Ended { reason: ending.reason, detail: ending.detail.clone() });
        }
    }
}

fn write(report: &Report) {
    let Ok(mut line) = serde_json::to_string(report) else { return }; // a report always has a JSON form
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush()); // nobody is left to tell
}
