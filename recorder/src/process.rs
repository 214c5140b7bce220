//! Processes of this machine as `/proc` shows them: who descends from whom, and an end for all of them.
//!
//! A process is named by its id and its start time together, since ids are used again. Signals go through a pidfd that is
//! checked against the start time after it is opened, so none can hit a stranger.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Whether it has ended and only waits to be reaped.
    pub is_zombie: bool,
}

impl Process {
    /// The process with this id, if there is one.
    #[must_use]
    pub(crate) fn find(pid: u32) -> Option<Self> {
        parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// This very process. `None` where `/proc` is not mounted.
    #[must_use]
    pub(crate) fn current() -> Option<Self> {
        Self::find(std::process::id())
    }

    /// A handle that stays on this process and no other; `None` when it is gone.
    #[must_use]
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let is_same = Self::find(self.pid).is_some_and(|found| found.started == self.started);
        is_same.then_some(fd)
    }

    /// Sends SIGKILL. One that is gone already is what is wanted.
    pub(crate) fn kill(&self) {
        if let Some(fd) = self.open() {
            let _ = pidfd_send_signal(fd, Signal::KILL);
        }
    }
}

/// All processes that can be seen now.
#[must_use]
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::find).collect()
}

/// Those of `among` that descend from one of `roots`, without the roots.
#[must_use]
pub(crate) fn descendants(roots: &[u32], among: &[Process]) -> Vec<Process> {
    let mut family: HashSet<u32> = roots.iter().copied().collect();
    let mut found: Vec<Process> = Vec::new();
    loop {
        let before = found.len();
        for process in among {
            if family.contains(&process.parent) && family.insert(process.pid) {
                found.push(*process);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Reads proc_pid_stat(5). The second field, the program's name, may itself contain spaces and parentheses.
fn parse_stat(pid: u32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22; the third was the first here, and two are taken.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Process { pid, parent, started, is_zombie: matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1 1";
        let process = Process { pid: 42, parent: 7, started: 987_654, is_zombie: false };
        assert_eq!(parse_stat(42, stat), Some(process));
        assert_eq!(parse_stat(42, "42 (a"), None);
        assert_eq!(parse_stat(42, "42 (a) S 7"), None);
    }

    #[test]
    fn this_process_is_found_and_is_its_own() {
        let current = Process::current().unwrap();
        assert!(current.open().is_some());
        let other = Process { started: current.started + 1, ..current };
        assert!(other.open().is_none());
        assert!(all().contains(&current));
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let process = |pid, parent| Process { pid, parent, started: 0, is_zombie: false };
        let among = [process(5, 4), process(4, 3), process(3, 2), process(9, 1), process(2, 1)];
        let mut found: Vec<u32> = descendants(&[3], &among).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [4, 5]);
    }
}
