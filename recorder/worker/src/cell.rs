//! The worker's cell: its folder, its environment, and the processes in it.
//!
//! Everything that the worker starts stays in its process group and dies with it: the kernel kills the worker when
//! the supervisor ends, and the children when the worker ends; orphans of the children come to the worker, which
//! kills them all at its own end.

use crate::clock;
use crate::ending::Ending;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use rustix::process::{set_child_subreaper, set_parent_process_death_signal};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Says that the environment is that of a cell already; holds the cell's folder.
const MARK: &str = "SLUICE_WORKER_CELL";
/// How long ending the rest may take; a killed process usually goes within a few milliseconds.
const KILL_WITHIN: Duration = Duration::from_millis(500);
/// The display server.
pub(crate) const DISPLAY_PROGRAM: &str = "Xvfb";

/// The folder of the cell, below the worker's current folder.
pub(crate) fn folder() -> io::Result<PathBuf> {
    Ok(std::env::current_dir()?.join("cell"))
}

/// Ties this process to its parent and gives it the environment of its cell.
///
/// Xlib finds its cookie through the environment only, and the environment must not be changed while threads run; so
/// the program runs itself once more. Nothing has been read from standard input yet.
pub(crate) fn enter() -> Result<(), Ending> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Ending::bug(format!("cannot be tied to the parent process: {error}")))?;
    if getppid() != parent {
        return Err(Ending::cell_failed("the supervisor has gone already"));
    }
    let folder = folder().map_err(|error| Ending::bug(format!("the current folder: {error}")))?;
    if std::env::var_os(MARK).is_some_and(|mark| mark == *folder) {
        return set_child_subreaper(Some(getpid()))
            .map_err(|error| Ending::bug(format!("cannot take over orphans: {error}")));
    }
    let again = std::env::current_exe().map(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(environment(&folder))
            .env(MARK, &folder)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .exec()
    });
    let error = again.unwrap_or_else(|error| error); // exec only returns with an error
    Err(Ending::bug(format!("cannot run again inside its cell: {error}")))
}

/// Where programs of the cell find display and sound, and where they keep their files. No secrets: only paths.
pub(crate) fn environment(folder: &Path) -> [(&'static str, OsString); 6] {
    [
        ("XAUTHORITY", xauthority(folder).into()),
        ("XDG_RUNTIME_DIR", folder.join("run").into()),
        ("PULSE_RUNTIME_PATH", folder.join("run/pulse").into()),
        ("PULSE_SERVER", pulse_server(folder)),
        ("PULSE_COOKIE", folder.join("run/pulse-cookie").into()),
        // No session bus: nothing of the cell may talk to the user's desktop.
        ("DBUS_SESSION_BUS_ADDRESS", "disabled:".into()),
    ]
}

pub(crate) fn xauthority(folder: &Path) -> PathBuf {
    folder.join("xauthority")
}

pub(crate) fn pulse_socket(folder: &Path) -> PathBuf {
    folder.join("run/pulse/native")
}

pub(crate) fn pulse_server(folder: &Path) -> OsString {
    let mut server = OsString::from("unix:");
    server.push(pulse_socket(folder));
    server
}

/// Makes the cell's folders, for this user only.
pub(crate) fn create_folders(folder: &Path) -> io::Result<()> {
    for inside in ["run/pulse", "home", "browser"] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join(inside))?;
    }
    Ok(())
}

/// A program of the cell, silent, killed when it is dropped and when the worker ends.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Kills everything that descends from this process, whatever group or session it moved to, and waits for that. All
/// but the display: Xlib would end this process at once, with an exit code of its own. The kernel kills the display
/// when this process has gone.
pub(crate) fn kill_descendants() {
    let give_up = clock::now() + KILL_WITHIN;
    loop {
        let descendants = living_descendants();
        if descendants.is_empty() || clock::now() >= give_up {
            return;
        }
        for pid in descendants {
            let _ = kill_process(pid, Signal::KILL); // gone in the meantime
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reads the process table; zombies and the display do not count.
fn living_descendants() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((name, state, parent)) = parse_stat(&stat) {
            let counts = !matches!(state, 'Z' | 'X') && name != DISPLAY_PROGRAM;
            children.entry(parent).or_default().push((pid, counts));
        }
    }
    let mut living = Vec::new();
    let mut seen = HashSet::new(); // the table is no snapshot, so what we read need not be a tree
    let mut unvisited = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = unvisited.pop() {
        for &(pid, counts) in children.get(&parent).map(Vec::as_slice).unwrap_or_default() {
            if seen.insert(pid) {
                unvisited.push(pid);
                living.extend(Pid::from_raw(pid).filter(|_| counts));
            }
        }
    }
    living
}

/// Name, state and parent in /proc/PID/stat; the name may contain anything, brackets and spaces too.
fn parse_stat(stat: &str) -> Option<(&str, char, i32)> {
    let (before, rest) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut words = rest.split_ascii_whitespace();
    Some((name, words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_and_spaces_does_not_confuse_the_process_table() {
        assert_eq!(parse_stat("12 (a) Z 1 (b c) S 34 12 12 0"), Some(("a) Z 1 (b c", 'S', 34)));
        assert_eq!(parse_stat("12 (cut"), None);
    }

    #[test]
    fn descendants_in_other_sessions_are_killed_too() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "setsid sleep 60 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = io::BufReader::new(shell.stdout.take().unwrap());
        io::BufRead::read_line(&mut out, &mut String::new()).unwrap();
        assert!(!living_descendants().is_empty());
        kill_descendants();
        assert!(living_descendants().is_empty());
        shell.wait().unwrap();
    }
}
