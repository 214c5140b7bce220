//! Processes that die with their test.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How much of a process's output is kept; older lines are dropped.
const LINES_MAX: usize = 4_000;

/// One of our programs, built beside this test.
///
/// # Panics
/// If it has not been built: run the tests by `make test`.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built; run `make test`", path.display());
    path
}

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// A running process with its output.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

impl Process {
    /// Starts a program in a process group of its own, to die with this thread or with the handle.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: impl Into<PathBuf>, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let program = program.into();
        let name = program.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        // setpriv is part of Debian's essential util-linux.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        configure(&mut command);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, "", output.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, "! ", output.clone());
        }
        Ok(Self { name, child, output })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if it was piped.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Everything it has said, lines of standard error after `! `.
    #[must_use]
    pub fn said(&self) -> String {
        self.output.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until it says a line that the reader understands.
    ///
    /// # Errors
    /// With everything it said, if it ends or the time is over first.
    pub fn hear<T>(&mut self, seconds: f64, mut reader: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let deadline = crate::Deadline::in_seconds(seconds);
        loop {
            let ended = self.child.try_wait()?;
            {
                let lines = self.output.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(found) = lines.iter().find_map(|line| reader(line)) {
                    return Ok(found);
                }
                let step = Duration::from_millis(50);
                drop(self.output.grown.wait_timeout(lines, step).unwrap_or_else(PoisonError::into_inner));
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}) and said:\n{}", self.name, self.said());
            }
            if deadline.has_passed() {
                bail!("{} did not say it within {seconds} s, but:\n{}", self.name, self.said());
            }
        }
    }

    /// Sends a signal to the process itself.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid() as i32) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn ended(&mut self, seconds: f64) -> Result<ExitStatus> {
        let deadline = crate::Deadline::in_seconds(seconds);
        loop {
            if let Some(status) = self.child.try_wait()? {
                // The readers may still be catching up with what it said last.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(status);
            }
            if deadline.has_passed() {
                bail!("{} did not end within {seconds} s; it said:\n{}", self.name, self.said());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it at once, without a chance to clean up.
    pub fn kill_9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "what a process said is what explains a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}\n---", self.name, self.said());
        }
        let group = Pid::from_raw(self.pid() as i32);
        if let (Some(group), Ok(None)) = (group, self.child.try_wait()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl Read + Send + 'static, mark: &'static str, output: Arc<Output>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = format!("{mark}{}", String::from_utf8_lossy(&line).trim_end());
            let mut lines = output.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= LINES_MAX {
                lines.drain(..LINES_MAX / 2);
            }
            lines.push(line);
            output.grown.notify_all();
        }
    });
}

/// Whether a process exists and is not a zombie.
#[must_use]
pub fn alive(pid: u32) -> bool {
    let exists = Pid::from_raw(pid as i32).is_some_and(|pid| test_kill_process(pid).is_ok());
    exists && status(pid).is_none_or(|(_, state)| state != 'Z')
}

/// Kills a process at once.
pub fn kill_9(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Parent and state of a process, from `/proc/PID/stat` (proc(5)).
fn status(pid: u32) -> Option<(u32, char)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// All living descendants of a process, with the names of their programs.
#[must_use]
pub fn descendants(root: u32) -> BTreeMap<u32, String> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Some((parent, state)) = status(pid)
            && state != 'Z'
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeMap::new();
    let mut todo: BTreeSet<u32> = children.get(&root).into_iter().flatten().copied().collect();
    while let Some(pid) = todo.pop_first() {
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if found.insert(pid, program.trim().to_owned()).is_none() {
            todo.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}
