//! The keeper: the process between recorder and worker that owns everything that the worker starts.
//!
//! It is a subreaper, so a process that leaves the worker's group and session becomes the keeper's child when its parent
//! ends. When the worker ends, or on [`KILL_SIGNAL`], or when the recorder is gone (the worker's standard input, which
//! the keeper holds too, is hung up), it kills and reaps all of them and ends last, with the worker's exit code. SIGTERM is
//! passed on to the worker. Its main thread starts the worker and lives as long as the process does: a
//! worker that asks for a parent-death signal gets it when the keeper dies, and not earlier.

use crate::process;
use ipc::{EndReason, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Asks the keeper to kill its cell at once.
pub const KILL_SIGNAL: Signal = Signal::QUIT;

/// How long a worker may go on after the recorder is gone: enough for a goodbye to the relay.
const ORPHAN_TIMEOUT: Duration = Duration::from_millis(800);
/// The pause between two looks for processes that are still to be killed.
const KILL_INTERVAL: Duration = Duration::from_millis(5);

/// Runs a worker and returns the keeper's exit code: the worker's, or 128 and the number of the signal that ended it.
///
/// # Errors
///
/// When this process cannot be set up; no worker was started then.
pub fn run(worker: &Path) -> io::Result<u8> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(keep(worker))
}

async fn keep(worker: &Path) -> io::Result<u8> {
    // Before the worker starts, so that none of its signals is missed.
    let mut children = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut kill = signal(SignalKind::quit())?;
    let mut hung_up = watch_input()?;
    let started = Command::new(worker).process_group(0).spawn();
    let pid = match started {
        Ok(child) => Pid::from_child(&child),
        Err(error) => {
            let detail = format!("cannot start {}: {error}", worker.display());
            write_line(&serde_json::to_string(&Report::Ended { reason: EndReason::Missing, detail })?);
            return Ok(EndReason::Missing.exit_code());
        }
    };
    write_line(&format!(r#"{{"worker_pid":{}}}"#, pid.as_raw_pid()));
    let mut cell = Kept { worker: pid, exit: None };
    loop {
        tokio::select! {
            _ = children.recv() => {
                cell.reap();
                if cell.exit.is_some() {
                    break;
                }
            }
            _ = terminate.recv() => {
                let _ = kill_process(pid, Signal::TERM);
            }
            _ = kill.recv() => break,
            _ = &mut hung_up => {
                cell.outlive_recorder().await;
                break;
            }
        }
    }
    cell.end_all().await;
    Ok(cell.exit.unwrap_or(128 + 9))
}

struct Kept {
    worker: Pid,
    /// The worker's exit code once it is reaped.
    exit: Option<u8>,
}

impl Kept {
    /// Reaps whoever has ended; false once there is no child left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.worker => self.exit = Some(exit_code(status)),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Lets the worker, which sees its input closed too, say its goodbyes.
    async fn outlive_recorder(&mut self) {
        for _ in 0..ORPHAN_TIMEOUT.as_millis() / KILL_INTERVAL.as_millis() {
            self.reap();
            if self.exit.is_some() {
                return;
            }
            sleep(KILL_INTERVAL).await;
        }
    }

    /// Kills every descendant until there is none. Children of those who are killed become ours and are found the next
    /// time; one that cannot be killed, in an uninterruptible call to the kernel, is waited for.
    async fn end_all(&mut self) {
        while self.reap() {
            let all = process::all();
            for process in process::descendants(&[std::process::id()], &all) {
                process.kill();
            }
            sleep(KILL_INTERVAL).await;
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(EndReason::Bug.exit_code())
}

/// Tells when the other side of standard input is closed. Reads nothing: what is in the pipe is the worker's. A thread of
/// its own, since it only waits, and ends with the process.
fn watch_input() -> io::Result<oneshot::Receiver<()>> {
    let (sender, hung_up) = oneshot::channel();
    std::thread::Builder::new().name("input".into()).spawn(move || {
        let stdin = io::stdin();
        // No events are asked for: a hang-up is always told.
        let mut watched = [PollFd::new(&stdin, PollFlags::empty())];
        loop {
            match poll(&mut watched, None) {
                Ok(_) if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        // The receiver is gone only when the cell ends anyway.
        let _ = sender.send(());
    })?;
    Ok(hung_up)
}

fn write_line(line: &str) {
    // One write of less than PIPE_BUF bytes, so that it is never mixed with a line of the worker. A recorder that does
    // not read any more is gone, which `hang_up` sees.
    let _ = io::stdout().write_all(format!("{line}\n").as_bytes()).and_then(|()| io::stdout().flush());
}
