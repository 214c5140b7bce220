//! The recorder as a child of `sluice up`.

use crate::cli::logging;
use crate::clock;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long the recorder may take to stop all its workers.
const STOP: Duration = Duration::from_secs(10);
/// Between the end of a recorder and the next: doubled up to the second, so that one that cannot run does not spin.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// One that ran for so long was well: the next pause is a short one again.
const WELL: Duration = Duration::from_secs(60);

/// A recorder that is started again when it ends.
pub(super) struct Recorder {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Removed with this.
    _token: NamedTempFile,
}

impl Recorder {
    /// Starts it.
    pub(super) fn start(
        relay: &str,
        token: &str,
        program: Option<&Path>,
        slots: Option<u32>,
    ) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => beside_ourselves()?,
        };
        ensure!(
            program.exists(),
            "the recorder program {} is not there; build it with `make build` or name it with --recorder",
            program.display()
        );
        let token_file = write_token(token).context("write the recorder's token")?;
        let token_path = token_file.path().to_string_lossy().into_owned();
        let mut arguments =
            vec!["run".to_owned(), "--relay".into(), relay.into(), "--token-file".into(), token_path];
        if let Some(slots) = slots {
            arguments.extend(["--slots".into(), slots.to_string()]);
        }
        let child = spawn(&program, &arguments)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(child, program, arguments, stop.clone()));
        Ok(Self { stop, task, _token: token_file })
    }

    /// Stops it and waits until it is gone.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// Tokens are never arguments or environment variables, which every process of the machine can read. The file is this
/// user's alone.
fn write_token(token: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("sluice-token-").tempfile()?;
    file.write_all(token.as_bytes())?;
    Ok(file)
}

fn beside_ourselves() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the folder of this program")?;
    Ok(own.with_file_name("sluice-recorder"))
}

fn spawn(program: &Path, arguments: &[String]) -> Result<Child> {
    // setpriv (util-linux) asks the kernel to end it in order when we are gone, however we went. A process group of its
    // own: Ctrl-C reaches us alone.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "--"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if std::env::var_os(logging::VARIABLE).is_none() {
        command.env(logging::VARIABLE, super::LOG);
    }
    command.spawn().with_context(|| format!("start the recorder {}", program.display()))
}

async fn keep(mut child: Child, program: PathBuf, arguments: Vec<String>, stop: CancellationToken) {
    let mut pause = PAUSE.0;
    let mut since = clock::now();
    loop {
        tokio::select! {
            status = child.wait() => warn!(?status, "the recorder ended and is started again"),
            () = stop.cancelled() => return end(child).await,
        }
        if clock::now().saturating_duration_since(since) >= WELL {
            pause = PAUSE.0;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSE.1);
        match spawn(&program, &arguments) {
            Ok(started) => (child, since) = (started, clock::now()),
            // The one that ended is waited for again, which returns at once: so this is tried anew after the pause.
            Err(error) => warn!(error = format!("{error:#}"), "the recorder could not be started again"),
        }
    }
}

async fn end(mut child: Child) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(STOP, child.wait()).await {
        Ok(_) => info!("the recorder has stopped"),
        Err(_) => {
            warn!("the recorder did not stop in time and is killed");
            let _ = child.kill().await;
        }
    }
}
