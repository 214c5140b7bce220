//! A cell: one worker with all processes that it starts, its working folder and its three pipes.
//!
//! Between recorder and worker stands a [`keeper`], a small process of our own program that adopts whatever the worker
//! leaves behind. So a cell's processes are exactly the keeper's descendants, however they detach themselves, and the
//! keeper ends only when all of them have. When the recorder itself dies, the keeper sees the worker's input closed and
//! ends the cell. [`CellEvent::Gone`] is told after the last process is gone and the folder is removed.

mod folder;
pub mod keeper;
mod lines;
mod nursery;
mod redact;

pub(crate) use folder::WorkDir;
pub(crate) use nursery::Nursery;

use crate::clock;
use crate::process::Process;
use crate::session::Exit;
use folder::Folder;
use ipc::{LINE_BYTES_MAX, Order, Report, WorkerSpec};
use lines::{Line, Lines, Throttle};
use redact::Redactor;
use rustix::process::{Signal, pidfd_send_signal};
use serde::Deserialize;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, Span, debug, error, info, warn};

/// How many lines of a worker may wait to be read; beyond it the worker waits, nothing is lost.
const EVENTS_MAX: usize = 64;
/// How long a line to the worker may take; its pipe is empty unless it hangs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the last lines of a worker that has ended may take to arrive.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a keeper may take to kill its cell before it is killed itself and the recorder does its work.
const KEEPER_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest line of a worker's log, in bytes; the rest is cut.
const LOG_LINE_BYTES_MAX: usize = 4096;
/// The variables of our own environment that a worker gets. No other: an operator's secrets are none of its business.
const ENVIRONMENT: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "TZ",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "XDG_DATA_DIRS",
];
/// Prefixes of further variables that a worker gets: GStreamer's settings and fontconfig's.
const ENVIRONMENT_PREFIXES: [&str; 2] = ["GST_", "FONTCONFIG_"];
/// The variable that tells a process of a cell from others, if the worst comes to the worst; its value is the folder.
const MARKER: &str = "SLUICE_CELL";

/// How cells are made.
#[derive(Debug)]
pub(crate) struct CellMaker {
    /// The worker's program.
    pub worker: PathBuf,
    /// Where working folders are.
    pub work_dir: WorkDir,
    /// Who knows our children.
    pub nursery: Arc<Nursery>,
    /// How many lines of each worker's log are taken per second; further ones are counted and dropped.
    pub log_lines_per_second: u32,
}

/// What a cell tells.
#[derive(Debug)]
pub(crate) enum CellEvent {
    /// The worker runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// The worker wrote a report.
    Report(Report),
    /// The worker wrote a line that is too long.
    Overlong,
    /// All processes and the folder are gone; nothing follows.
    Gone(Exit),
}

/// A running cell.
#[derive(Debug)]
pub(crate) struct Cell {
    stdin: ChildStdin,
    keeper: Arc<OwnedFd>,
    events: mpsc::Receiver<CellEvent>,
}

/// The keeper's own line, before the worker's.
#[derive(Deserialize)]
struct KeeperNote {
    worker_pid: u32,
}

impl CellMaker {
    /// Starts a worker with its orders.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or no process be started. A worker program that is missing is no error here: the
    /// cell starts and then ends with [`ipc::EndReason::Missing`].
    pub(crate) async fn start(&self, spec: &WorkerSpec) -> io::Result<Cell> {
        let folder = self.work_dir.create(spec.stream_id, spec.incarnation)?;
        let line = serde_json::to_string(spec)? + "\n";
        if line.len() > LINE_BYTES_MAX {
            return Err(io::Error::other("the orders are longer than a line may be"));
        }
        // Our own program, as it runs now, even if its file has been replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("cell")
            .arg(&self.worker)
            .current_dir(folder.path())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed_on)))
            .env("TMPDIR", folder.path())
            .env(MARKER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = self.nursery.spawn(&mut command)?;
        let gone = || io::Error::other("the keeper ended at once");
        let pid = child.id().ok_or_else(gone)?;
        let keeper = Process::find(pid).and_then(|process| process.open()).ok_or_else(gone)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(gone());
        };
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let redactor = Redactor::new(spec);
        let span = Span::current();
        let reports =
            tokio::spawn(read_reports(stdout, sender.clone(), redactor.clone()).instrument(span.clone()));
        let log = tokio::spawn(
            read_log(stderr, redactor, Throttle::new(clock::now(), self.log_lines_per_second))
                .instrument(span.clone()),
        );
        let wait = wait(child, pid, Arc::clone(&self.nursery), [reports, log], folder, sender);
        tokio::spawn(wait.instrument(span));
        // A worker that does not take its orders is one that says nothing: the session's deadlines see to it.
        match timeout(WRITE_TIMEOUT, stdin.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "the worker did not take its orders"),
            Err(_) => debug!("the worker did not take its orders in time"),
        }
        Ok(Cell { stdin, keeper: Arc::new(keeper), events })
    }
}

impl Cell {
    /// The next thing that happens. After [`CellEvent::Gone`] the cell is done with. Safe to cancel.
    pub(crate) async fn next(&mut self) -> CellEvent {
        let lost = || CellEvent::Gone(Exit::NotStarted("its supervision ended".into()));
        self.events.recv().await.unwrap_or_else(lost)
    }

    /// Writes an order to the worker; one that no longer reads is for the signals that follow.
    pub(crate) async fn order(&mut self, order: &Order) {
        let Ok(line) = serde_json::to_string(order) else { return };
        let write = async {
            self.stdin.write_all(line.as_bytes()).await?;
            self.stdin.write_all(b"\n").await
        };
        match timeout(WRITE_TIMEOUT / 10, write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "the worker does not take orders any more"),
            Err(_) => debug!("the worker does not take orders in time"),
        }
    }

    /// Sends SIGTERM to the worker alone.
    pub(crate) fn terminate(&self) {
        let _ = pidfd_send_signal(&*self.keeper, Signal::TERM);
    }

    /// Kills all processes of the cell.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&*self.keeper, keeper::KILL_SIGNAL);
        let keeper = Arc::clone(&self.keeper);
        tokio::spawn(async move {
            sleep(KEEPER_TIMEOUT).await;
            if pidfd_send_signal(&*keeper, Signal::KILL).is_ok() {
                warn!("the cell's keeper did not end in time and was killed");
            }
        });
    }
}

fn is_passed_on(name: &str) -> bool {
    ENVIRONMENT.contains(&name) || ENVIRONMENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

async fn read_reports(stdout: ChildStdout, sender: mpsc::Sender<CellEvent>, redactor: Redactor) {
    let mut lines = Lines::new(stdout, LINE_BYTES_MAX);
    while let Some(line) = lines.next().await {
        let event = match line {
            Line::Cut(_) => CellEvent::Overlong,
            Line::Whole(text) => {
                if let Ok(report) = serde_json::from_str(&text) {
                    CellEvent::Report(redactor.report(report))
                } else if let Ok(KeeperNote { worker_pid }) = serde_json::from_str(&text) {
                    CellEvent::Started { pid: worker_pid }
                } else {
                    // Some library prints to standard output; that is no news of the worker.
                    warn!(line = %redactor.text(&text), "the worker wrote a line that is no report");
                    continue;
                }
            }
        };
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

async fn read_log(stderr: ChildStderr, redactor: Redactor, mut throttle: Throttle) {
    let mut lines = Lines::new(stderr, LOG_LINE_BYTES_MAX);
    while let Some(Line::Whole(text) | Line::Cut(text)) = lines.next().await {
        if !throttle.admit(clock::now()) {
            continue;
        }
        let dropped = throttle.take_dropped();
        if dropped > 0 {
            warn!(dropped, "the worker wrote more than its log may have");
        }
        info!(target: "worker", "{}", redactor.text(text.trim_end()));
    }
}

/// Waits for the keeper's end and tells that everything is gone.
async fn wait(
    mut child: Child,
    pid: u32,
    nursery: Arc<Nursery>,
    mut readers: [JoinHandle<()>; 2],
    folder: Folder,
    sender: mpsc::Sender<CellEvent>,
) {
    let status = child.wait().await;
    nursery.forget(pid);
    let exit = match status {
        Ok(status) => exit_of(status),
        Err(error) => {
            error!(%error, "cannot wait for the keeper");
            Exit::Signal(Signal::KILL.as_raw())
        }
    };
    if !nursery.sweep_until_clean().await {
        error!("some processes of this machine's cells cannot be killed; waiting for them");
        while !nursery.sweep_until_clean().await {}
    }
    for reader in &mut readers {
        if timeout(LAST_LINES_TIMEOUT, &mut *reader).await.is_err() {
            reader.abort();
        }
    }
    folder.remove().await;
    let _ = sender.send(CellEvent::Gone(exit)).await;
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        // The keeper speaks as shells do: 128 and the signal's number.
        (Some(code), _) if code > 128 => Exit::Signal(code - 128),
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}
