//! How a browser is started.
//!
//! Chromium expects its debugging pipe at descriptors 3 and 4. The standard library can only hand over descriptors 0
//! to 2 without unsafe code, so the pipes go there, and a one-line shell script moves them up and becomes Chromium.

use crate::LaunchError;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// `$0` and `$@` are the program and its arguments; `exec` keeps the process id.
const MOVE_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#;

/// Where the browser draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Nowhere: screenshots only.
    Headless,
    /// On the X display of this name, such as `:7`.
    Display(OsString),
}

/// Whether Chromium shields the machine from its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// As Chromium is meant to run. Needs an ordinary user, and user namespaces or the setuid helper.
    On,
    /// `--no-sandbox`: the only way as root. Open only pages that you trust.
    Off,
}

impl Sandbox {
    /// [`Sandbox::Off`] for root, where Chromium refuses to start otherwise, and [`Sandbox::On`] for everyone else.
    #[must_use]
    pub fn for_this_user() -> Self {
        if rustix::process::geteuid().is_root() { Self::Off } else { Self::On }
    }
}

/// Whose process group the browser's processes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessGroup {
    /// One of its own; the whole group is killed when the [`crate::Browser`] is dropped.
    Own,
    /// The caller's. Only the browser's main process is killed on drop (the others follow it within a moment);
    /// whoever owns the group kills the rest.
    Inherited,
}

/// What to start, and how. [`LaunchOptions::headless`] has sensible values for tests.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// The program, looked up in `PATH` unless it contains a slash.
    pub program: OsString,
    /// Further arguments. Arguments can be read by every user of the machine: no URLs with secrets here.
    pub args: Vec<OsString>,
    /// A private folder for the profile. The caller creates and removes it.
    pub user_data_dir: PathBuf,
    /// Environment variables set on top of our own.
    pub env: Vec<(OsString, OsString)>,
    /// Where it draws.
    pub screen: Screen,
    /// Whether Chromium shields the machine from its pages.
    pub sandbox: Sandbox,
    /// Whose process group.
    pub process_group: ProcessGroup,
    /// Whether the kernel kills the browser when the thread that started it ends (through `setpriv`, util-linux).
    /// Start it from a thread that lives as long as the program, then.
    pub die_with_parent: bool,
    /// How long it may take to answer its first call.
    pub ready_within: Duration,
}

impl LaunchOptions {
    /// A headless `chromium` from `PATH` with its profile in `user_data_dir` and a process group of its own.
    #[must_use]
    pub fn headless(user_data_dir: &Path) -> Self {
        Self {
            program: "chromium".into(),
            args: Vec::new(),
            user_data_dir: user_data_dir.to_owned(),
            env: Vec::new(),
            screen: Screen::Headless,
            sandbox: Sandbox::for_this_user(),
            process_group: ProcessGroup::Own,
            die_with_parent: false,
            ready_within: Duration::from_secs(20),
        }
    }

    /// Starts the program with all three standard streams piped: calls, news, complaints.
    pub(crate) fn spawn(&self) -> Result<Child, LaunchError> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(MOVE_PIPES);
        if self.die_with_parent {
            command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
        }
        let mut profile = OsString::from("--user-data-dir=");
        profile.push(&self.user_data_dir);
        command
            .arg(&self.program)
            .arg("--remote-debugging-pipe")
            .arg(profile)
            .args(["--no-first-run", "--no-default-browser-check", "--password-store=basic"])
            .args(self.screen_and_sandbox_args())
            .args(&self.args)
            .arg("about:blank")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Screen::Display(display) = &self.screen {
            command.env("DISPLAY", display);
        }
        if self.process_group == ProcessGroup::Own {
            command.process_group(0);
        }
        command.spawn().map_err(|source| LaunchError::Spawn {
            program: self.program.to_string_lossy().into_owned(),
            source,
        })
    }

    fn screen_and_sandbox_args(&self) -> impl Iterator<Item = &OsStr> {
        let headless = (self.screen == Screen::Headless).then_some("--headless=new");
        let open = (self.sandbox == Sandbox::Off).then_some("--no-sandbox");
        headless.into_iter().chain(open).map(OsStr::new)
    }
}
