//! The recorder's children: which are keepers of running cells, and which were left to it.
//!
//! The recorder is a subreaper as well. While keepers live, they adopt what workers leave behind; if a keeper itself is
//! killed, its cell's processes become the recorder's children. So a child that is not a known keeper is such an orphan,
//! and it and its descendants are killed.

use crate::process::{self, Process};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// How often orphans are looked for before somebody is told that some cannot be killed: about two seconds.
const SWEEPS_MAX: u32 = 200;
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);

/// All keepers that were started and not waited for.
#[derive(Debug, Default)]
pub(crate) struct Nursery {
    /// Held while a child is started and while orphans are looked for, so that a new child is no orphan. Never across
    /// an await.
    known: Mutex<HashSet<u32>>,
}

impl Nursery {
    /// Makes this process the one that orphans come to.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, which no Linux since 3.4 does.
    pub(crate) fn new() -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self::default())
    }

    /// Starts a child that is known until [`Nursery::forget`].
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        known.extend(child.id());
        Ok(child)
    }

    /// Forgets a child that has been waited for.
    pub(super) fn forget(&self, pid: u32) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// Kills and reaps orphans until there are none; false if some are still there after two seconds.
    pub(super) async fn sweep_until_clean(&self) -> bool {
        for _ in 0..SWEEPS_MAX {
            if self.sweep() == 0 {
                return true;
            }
            sleep(SWEEP_INTERVAL).await;
        }
        false
    }

    /// Kills orphans and reaps those that have ended; the number that was found.
    pub(crate) fn sweep(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = std::process::id();
        let all = process::all();
        let orphans: Vec<Process> =
            all.iter().filter(|child| child.parent == ours && !known.contains(&child.pid)).copied().collect();
        let pids: Vec<u32> = orphans.iter().map(|orphan| orphan.pid).collect();
        for process in orphans.iter().chain(&process::descendants(&pids, &all)) {
            process.kill();
        }
        for pid in pids {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
        }
        orphans.len()
    }
}
