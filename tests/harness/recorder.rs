//! The recorder, as a user starts it.

use crate::{Process, Relay, binary, scratch};
use std::path::Path;

/// How a stream's folders are named: by the last twelve digits of its id.
#[must_use]
pub fn folder_id(stream: uuid::Uuid) -> String {
    stream.simple().to_string().split_off(20)
}

/// A running recorder.
pub struct Recorder {
    /// The process.
    pub process: Process,
    work: tempfile::TempDir,
}

impl Recorder {
    /// Starts one for a relay.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(relay: &Relay, name: &str, slots: u32) -> Self {
        let work = scratch();
        let process = Process::start(binary("sluice-recorder"), |command| {
            command.args(["run", "--relay", &relay.url(""), "--name", name, "--slots", &slots.to_string()]);
            command.arg("--work-dir").arg(work.path());
            command.env("SLUICE_LOG", "info");
        });
        Self { process: process.expect("the recorder starts"), work }
    }

    /// Where its workers have their folders.
    #[must_use]
    pub fn work_dir(&self) -> &Path {
        self.work.path()
    }
}
