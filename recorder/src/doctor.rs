//! `sluice-recorder doctor`: what this machine needs to carry streams, and whether it has it.
//!
//! The recorder does not link GStreamer, so it asks the worker's program for elements.

use crate::settings::memory_kib;
use serde::Deserialize;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Programs that calls in a browser need, and their Debian packages.
pub const BROWSER_PROGRAMS: [(&str, &str); 4] =
    [("Xvfb", "xvfb"), ("pulseaudio", "pulseaudio"), ("chromium", "chromium"), ("setpriv", "util-linux")];

/// Fonts without which pages show boxes: the folder or file, and the Debian package.
const FONTS: [(&str, &str); 2] = [
    ("/usr/share/fonts/truetype/dejavu", "fonts-dejavu-core"),
    ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "fonts-noto-color-emoji"),
];

/// How long the worker's program may take to look for its elements; GStreamer's first start reads all plugins.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer of the worker's program that is read, in bytes; its answer has about two thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Shared memory that one browser needs, in bytes.
const SHM_BYTES_PER_STREAM: u64 = 512 << 20;
/// Memory that one stream needs, in KiB.
const MEMORY_KIB_PER_STREAM: u64 = 768 * 1024;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Missing,
    Warning,
}

#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    what: String,
    remark: String,
}

/// A line of `sluice-worker doctor --json`.
#[derive(Debug, Deserialize)]
struct WorkerFinding {
    element: Option<String>,
    program: Option<String>,
    package: String,
    present: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Diagnosis(Vec<Finding>);

/// Looks at everything.
pub async fn examine(worker: &Path, slots: u32) -> Diagnosis {
    let mut findings = Vec::new();
    for (program, package) in BROWSER_PROGRAMS {
        findings.push(need(is_in_path(program), format!("program {program}"), package));
    }
    for (path, package) in FONTS {
        findings.push(need(Path::new(path).exists(), format!("font {}", name_of(path)), package));
    }
    match ask_worker(worker).await {
        Ok(answers) => {
            let seen = |what: &str, findings: &[Finding]| findings.iter().any(|finding| finding.what == what);
            for answer in answers {
                let what = match (answer.element, answer.program) {
                    (Some(element), _) => format!("element {element}"),
                    (None, Some(program)) => format!("program {program}"),
                    (None, None) => continue,
                };
                if !seen(&what, &findings) {
                    findings.push(need(answer.present, what, &answer.package));
                }
            }
        }
        Err(why) => findings.push(Finding {
            verdict: Verdict::Missing,
            what: format!("worker {}", worker.display()),
            remark: format!("{why}; without it, GStreamer elements cannot be looked for"),
        }),
    }
    findings.push(shared_memory(slots));
    findings.push(memory(slots));
    Diagnosis(findings)
}

impl Diagnosis {
    /// Whether streams can be carried; warnings do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.iter().all(|finding| finding.verdict != Verdict::Missing)
    }

    /// A table for people, and what to do.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        for Finding { verdict, what, remark } in &self.0 {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Missing => "MISSING",
                Verdict::Warning => "warning",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{verdict:8} {what:28} {remark}");
        }
        if !self.is_sound() {
            table.push_str(
                "\nSomething is missing. On Debian, the last column names the package to install.\n",
            );
        }
        table
    }
}

/// Whether a program of this name is in `PATH`.
#[must_use]
pub fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(program)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

async fn ask_worker(worker: &Path) -> Result<Vec<WorkerFinding>, String> {
    let mut command = Command::new(worker);
    command.args(["doctor", "--json"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(WORKER_TIMEOUT, command.output())
        .await
        .map_err(|_| "it did not answer in time".to_owned())?
        .map_err(|error| error.to_string())?;
    if output.stdout.len() > ANSWER_BYTES_MAX {
        return Err("its answer is too long".into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Result<Vec<WorkerFinding>, _> = text.lines().map(serde_json::from_str).collect();
    let answers = answers.map_err(|_| "its answer cannot be understood".to_owned())?;
    if answers.is_empty() {
        return Err(format!("it found nothing ({})", output.status));
    }
    Ok(answers)
}

fn need(is_present: bool, what: String, package: &str) -> Finding {
    Finding {
        verdict: if is_present { Verdict::Ok } else { Verdict::Missing },
        what,
        remark: package.to_owned(),
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn shared_memory(slots: u32) -> Finding {
    let needed = SHM_BYTES_PER_STREAM * u64::from(slots);
    let size = rustix::fs::statvfs("/dev/shm").map_or(0, |stat| stat.f_blocks * stat.f_frsize);
    let remark =
        format!("{} MiB; {} MiB are enough for {slots} streams in a browser", size >> 20, needed >> 20);
    let verdict = if size >= needed { Verdict::Ok } else { Verdict::Warning };
    Finding { verdict, what: "shared memory /dev/shm".into(), remark }
}

fn memory(slots: u32) -> Finding {
    let needed = MEMORY_KIB_PER_STREAM * u64::from(slots);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = memory_kib(&meminfo, "MemAvailable").unwrap_or(0);
    let remark = format!("{} MiB free; {} MiB are enough for {slots} streams", free >> 10, needed >> 10);
    let verdict = if free >= needed { Verdict::Ok } else { Verdict::Warning };
    Finding { verdict, what: "memory".into(), remark }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_makes_the_diagnosis_unsound_and_a_warning_does_not() {
        let warning = Finding { verdict: Verdict::Warning, what: "memory".into(), remark: String::new() };
        assert!(Diagnosis(vec![need(true, "program a".into(), "a"), warning]).is_sound());
        let unsound = Diagnosis(vec![need(false, "program b".into(), "the-package")]);
        assert!(!unsound.is_sound() && unsound.table().contains("MISSING  program b"));
        assert!(unsound.table().contains("the-package"));
    }

    #[tokio::test]
    async fn a_worker_that_is_missing_is_named() {
        let diagnosis = examine(Path::new("/nonexistent/sluice-worker"), 1).await;
        assert!(!diagnosis.is_sound());
        assert!(
            diagnosis.table().contains("MISSING  worker /nonexistent/sluice-worker"),
            "{}",
            diagnosis.table()
        );
    }
}
