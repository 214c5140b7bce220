//! One running Chromium.

use crate::connection::Connection;
use crate::{CdpError, LaunchError, LaunchOptions, Page, ProcessGroup};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

/// How much of the browser's standard error is kept for [`LaunchError::NotReady`], in bytes: the newest. Everything
/// that it says after it is ready is read and thrown away, since it may name pages.
const LAST_WORDS_BYTES_MAX: usize = 4096;

/// A browser that we started. Dropping it kills it, with its process group if that is its own.
pub struct Browser {
    connection: Arc<Connection>,
    child: Child,
    own_group: Option<Pid>,
    process_id: u32,
}

impl Browser {
    /// Starts a browser and waits until it answers.
    ///
    /// # Errors
    /// [`LaunchError::Spawn`] if its program does not start, [`LaunchError::NotReady`] if it starts but does not
    /// answer in time; nothing is left running then.
    pub async fn launch(options: LaunchOptions) -> Result<Self, LaunchError> {
        let mut child = options.spawn()?;
        let process_id = child.id().unwrap_or_default();
        let own_group = match options.process_group {
            ProcessGroup::Own => i32::try_from(process_id).ok().and_then(Pid::from_raw),
            ProcessGroup::Inherited => None,
        };
        let (Some(calls), Some(news), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three streams were asked for as pipes");
        };
        let last_words = Arc::new(Mutex::new(Some(Vec::new())));
        tokio::spawn(listen(stderr, Arc::clone(&last_words)));
        let connection = Arc::new(Connection::start(calls, news));
        let browser = Self { connection, child, own_group, process_id };
        let answer = browser.call("Browser.getVersion", options.ready_within).await;
        let words = last_words.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        match answer {
            Ok(()) => Ok(browser),
            Err(why) => {
                let stderr = String::from_utf8_lossy(&words).trim().to_owned();
                Err(LaunchError::NotReady { why, stderr })
            }
        }
    }

    /// The process id of its main process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Attaches to the page that the browser came up with.
    ///
    /// # Errors
    /// [`CdpError`] if there is none, or the browser does not answer.
    pub async fn first_page(&self, deadline: Duration) -> Result<Page, CdpError> {
        const METHOD: &str = "Target.getTargets";
        let answer = self.connection.call(None, METHOD, json!({}), deadline).await?;
        let targets = answer["targetInfos"].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = targets
            .iter()
            .find(|target| target["type"] == "page")
            .and_then(|target| target["targetId"].as_str())
            .ok_or(CdpError::Malformed { method: METHOD, what: "a page" })?;
        Page::attach(Arc::clone(&self.connection), id, deadline).await
    }

    /// Opens another page, empty.
    ///
    /// # Errors
    /// [`CdpError`] if the browser refuses or does not answer.
    pub async fn new_page(&self, deadline: Duration) -> Result<Page, CdpError> {
        const METHOD: &str = "Target.createTarget";
        let answer = self.connection.call(None, METHOD, json!({ "url": "about:blank" }), deadline).await?;
        let id =
            answer["targetId"].as_str().ok_or(CdpError::Malformed { method: METHOD, what: "targetId" })?;
        Page::attach(Arc::clone(&self.connection), id, deadline).await
    }

    /// Waits until the browser's main process has ended. Can be dropped while waiting and called again.
    ///
    /// # Errors
    /// If the operating system cannot say.
    pub async fn exited(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the browser to close and waits for it; past the deadline it is killed.
    pub async fn close(mut self, deadline: Duration) {
        let leave = async {
            let _ = self.call("Browser.close", deadline).await; // it may close the pipe instead of answering
            let _ = self.child.wait().await;
        };
        let _ = timeout(deadline, leave).await; // what is left is killed by the drop below
        self.kill();
        let _ = timeout(Duration::from_secs(1), self.child.wait()).await; // a killed process is reaped at once
    }

    /// Kills the browser, with its process group if that is its own.
    pub fn kill(&mut self) {
        // Once the leader is reaped, another process could have its id; the group id stays taken while it has members.
        if let Some(group) = self.own_group {
            let _ = kill_process_group(group, Signal::KILL); // gone already
        }
        let _ = self.child.start_kill();
    }

    async fn call(&self, method: &'static str, deadline: Duration) -> Result<(), CdpError> {
        self.connection.call(None, method, json!({}), deadline).await.map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps the pipe empty, and its last bytes while somebody may ask for them.
async fn listen(mut stderr: ChildStderr, last_words: Arc<Mutex<Option<Vec<u8>>>>) {
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = words.as_mut() {
            words.extend_from_slice(&piece[..count]);
            let surplus = words.len().saturating_sub(LAST_WORDS_BYTES_MAX);
            words.drain(..surplus);
        }
    }
}
