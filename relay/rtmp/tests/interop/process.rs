//! A child process that never outlives its test.

use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The longest that any peer may run.
const LIMIT: Duration = Duration::from_secs(30);

/// What a process left behind.
pub(crate) struct Outcome {
    pub(crate) success: bool,
    /// Both of its outputs.
    pub(crate) text: String,
}

/// A running peer; killed when dropped.
pub(crate) struct Process(Child);

pub(crate) fn spawn(line: &str) -> Process {
    let mut words = line.split_whitespace();
    let child = Command::new(words.next().expect("a program"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    Process(child)
}

impl Process {
    /// Waits until it ends by itself.
    pub(crate) async fn finish(mut self) -> Outcome {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut stdout = self.0.stdout.take().expect("piped");
        let mut stderr = self.0.stderr.take().expect("piped");
        let both = async { tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err)) };
        let ended = timeout(LIMIT, both).await;
        let hung = ended.is_err();
        if hung {
            self.0.kill().await.expect("a child can be killed");
        }
        let status = self.0.wait().await.expect("a child can be waited for");
        let text = format!("{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        assert!(!hung, "the peer did not end by itself: {text}");
        Outcome { success: status.success(), text }
    }
}
