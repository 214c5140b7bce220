//! One running worker, its reports, and the processes below it.

use ipc::{CallKind, Order, Profile, Report, Secret, WorkerSpec, WorkerState};
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long, since tests share a machine; nothing waits for it unless something is wrong.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Worker {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) folder: TempDir,
    reports: Receiver<Report>,
}

pub(crate) fn spec(kind: CallKind, call_url: Option<&str>, publish_url: &str) -> WorkerSpec {
    WorkerSpec {
        stream_id: uuid::Uuid::nil(),
        incarnation: 1,
        kind,
        call_url: call_url.map(Secret::new),
        publish_url: Secret::new(publish_url),
        profile: Profile::P540,
        join_timeout_seconds: 20,
    }
}

impl Worker {
    pub(crate) fn start(spec: &WorkerSpec) -> Self {
        Self::start_with_line(&serde_json::to_string(spec).unwrap())
    }

    pub(crate) fn start_with_line(line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice-worker"))
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{line}").unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, reports) = sync_channel(4096);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let report = serde_json::from_str(&line).expect("standard output carries reports only");
                let _ = sender.send(report);
            }
        });
        Self { child, input: Some(input), folder, reports }
    }

    pub(crate) fn next_report(&self) -> Option<Report> {
        self.reports.recv_timeout(SOON).ok()
    }

    /// Reads reports until this state; fails if the worker ends first.
    pub(crate) fn until(&self, wanted: WorkerState) {
        loop {
            match self.next_report() {
                Some(Report::State { state, .. }) if state == wanted => return,
                Some(Report::Ended { .. }) | None => panic!("ended before {wanted:?}:\n{}", self.log()),
                Some(_) => {}
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        let order = serde_json::to_string(&Order::Stop { within_ms: 1_000 }).unwrap();
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Waits for the exit; gives its code and the last report's detail.
    pub(crate) fn exit_code(&mut self) -> (Option<i32>, String) {
        let give_up = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < give_up, "the worker does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut last = String::new();
        while let Ok(report) = self.reports.recv_timeout(Duration::from_secs(1)) {
            if let Report::Ended { reason, detail } = report {
                // Xlib ends the process with 1 when its display has gone, at any moment after the last word.
                let told = Some(reason.exit_code().into());
                assert!(status.code() == told || status.code() == Some(1), "{reason:?}, but {status}");
                last = detail;
            }
        }
        (status.code(), last)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Everything that descends from the worker, as (pid, command line).
    pub(crate) fn descendants(&self) -> Vec<(u32, String)> {
        let mut known = HashSet::from([self.child.id()]);
        let table = process_table();
        loop {
            let before = known.len();
            known.extend(
                table
                    .iter()
                    .filter(|(_, parent)| known.contains(parent))
                    .map(|(pid, _)| *pid)
                    .collect::<Vec<_>>(),
            );
            if known.len() == before {
                break;
            }
        }
        known.remove(&self.child.id());
        known.into_iter().map(|pid| (pid, command_line(pid))).collect()
    }

    /// The descendant whose command line has all of the words.
    pub(crate) fn descendant(&self, has: impl Fn(&str) -> bool) -> u32 {
        let give_up = Instant::now() + SOON;
        while Instant::now() < give_up {
            if let Some((pid, _)) = self.descendants().into_iter().find(|(_, line)| has(line)) {
                return pid;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no such process: {:?}", self.descendants());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

fn process_table() -> Vec<(u32, u32)> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    })
    .collect()
}

fn command_line(pid: u32) -> String {
    let raw = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ")
}

/// Whether a process of this id runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Waits until none of the processes runs any more.
pub(crate) fn assert_all_gone(processes: &[(u32, String)], within: Duration) {
    let give_up = Instant::now() + within;
    loop {
        let left: Vec<_> = processes.iter().filter(|(pid, _)| runs(*pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < give_up, "still running: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
