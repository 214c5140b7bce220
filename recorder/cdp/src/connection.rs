//! Calls and events over the pipe.
//!
//! Two tasks: one writes calls, one reads answers and events. An answer goes to the call that waits for it; an event
//! goes to its session's ring. The ring is bounded: a reader that falls behind loses the oldest events and is told
//! how many.

use crate::CdpError;
use crate::splitter::Splitter;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::debug;

/// Calls that may wait for an answer at once; one more is refused with [`CdpError::Busy`].
const WAITING_CALLS_MAX: usize = 64;
/// Calls that may wait to be written; the caller waits for room, within its deadline.
const UNWRITTEN_CALLS_MAX: usize = 16;
/// Events kept per session for a slow reader; beyond it the oldest are lost and counted.
const EVENTS_KEPT_MAX: usize = 256;

/// An event as the browser sent it.
#[derive(Debug)]
pub(crate) struct RawEvent {
    pub(crate) method: String,
    pub(crate) params: Value,
}

type Answer = Result<Value, String>;

#[derive(Default)]
struct Table {
    closed: bool,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    sessions: HashMap<String, broadcast::Sender<Arc<RawEvent>>>,
}

/// One pipe to one browser. Shared by the browser and its pages.
pub(crate) struct Connection {
    unwritten: mpsc::Sender<Vec<u8>>,
    table: Arc<Mutex<Table>>,
    next_id: AtomicU64,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Deserialize)]
struct Incoming {
    id: Option<u64>,
    method: Option<String>,
    #[serde(rename = "sessionId")]
    session_id: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<IncomingError>,
}

#[derive(Deserialize)]
struct IncomingError {
    #[serde(default)]
    message: String,
}

impl Connection {
    pub(crate) fn start(calls: ChildStdin, news: ChildStdout) -> Self {
        let table = Arc::new(Mutex::new(Table::default()));
        let (unwritten, to_write) = mpsc::channel(UNWRITTEN_CALLS_MAX);
        let tasks = [tokio::spawn(write(calls, to_write)), tokio::spawn(read(news, Arc::clone(&table)))];
        Self { unwritten, table, next_id: AtomicU64::new(1), tasks }
    }

    /// Calls `method`, in `session` or of the browser itself, and waits for its answer.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &'static str,
        params: Value,
        deadline: Duration,
    ) -> Result<Value, CdpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let (sender, answer) = oneshot::channel();
        let _waiting = self.wait_for(id, sender)?;
        let exchange = async {
            self.unwritten.send(bytes).await.map_err(|_| CdpError::Closed)?;
            answer.await.map_err(|_| CdpError::Closed)
        };
        match timeout(deadline, exchange).await {
            Ok(answer) => answer?.map_err(|message| CdpError::Refused { method, message }),
            Err(_) => Err(CdpError::Timeout { method, deadline }),
        }
    }

    fn wait_for(&self, id: u64, sender: oneshot::Sender<Answer>) -> Result<Waiting<'_>, CdpError> {
        let mut table = lock(&self.table);
        if table.closed {
            return Err(CdpError::Closed);
        }
        if table.waiting.len() >= WAITING_CALLS_MAX {
            return Err(CdpError::Busy);
        }
        table.waiting.insert(id, sender);
        Ok(Waiting { table: &self.table, id })
    }

    /// Begins to keep the events of a session. Its ring ends when the session or the browser does.
    pub(crate) fn open_session(&self, session: &str) {
        let mut table = lock(&self.table);
        if !table.closed {
            table.sessions.insert(session.to_owned(), broadcast::channel(EVENTS_KEPT_MAX).0);
        }
    }

    pub(crate) fn close_session(&self, session: &str) {
        lock(&self.table).sessions.remove(session);
    }

    /// The session's events from now on; `None` if it has ended.
    pub(crate) fn subscribe(&self, session: &str) -> Option<broadcast::Receiver<Arc<RawEvent>>> {
        lock(&self.table).sessions.get(session).map(broadcast::Sender::subscribe)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        close(&self.table);
    }
}

/// Forgets a call whose caller has gone, so that the table cannot fill up with them.
struct Waiting<'a> {
    table: &'a Mutex<Table>,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.table).waiting.remove(&self.id);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Dropping the senders ends every waiting call and every event stream.
fn close(table: &Mutex<Table>) {
    *lock(table) = Table { closed: true, ..Table::default() };
}

async fn write(mut pipe: ChildStdin, mut calls: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = calls.recv().await {
        if pipe.write_all(&bytes).await.is_err() {
            return; // the reader sees the end of the browser too, and tells everyone
        }
    }
}

async fn read(mut pipe: ChildStdout, table: Arc<Mutex<Table>>) {
    let mut splitter = Splitter::default();
    'pipe: while pipe.read_buf(&mut splitter.buffer).await.is_ok_and(|count| count > 0) {
        loop {
            match splitter.next_message() {
                Ok(Some(message)) => dispatch(&table, &message),
                Ok(None) => break,
                Err(_) => break 'pipe,
            }
        }
    }
    close(&table);
}

fn dispatch(table: &Mutex<Table>, message: &[u8]) {
    let Ok(incoming) = serde_json::from_slice::<Incoming>(message) else {
        debug!(bytes = message.len(), "the browser sent something that is no message");
        return;
    };
    let mut table = lock(table);
    if let Some(id) = incoming.id {
        if let Some(waiting) = table.waiting.remove(&id) {
            let answer = incoming.error.map_or(Ok(incoming.result), |error| Err(error.message));
            let _ = waiting.send(answer); // its caller may have given up in this moment
        }
    } else if let (Some(method), Some(session)) = (incoming.method, incoming.session_id)
        && let Some(ring) = table.sessions.get(&session)
    {
        let _ = ring.send(Arc::new(RawEvent { method, params: incoming.params })); // nobody may be listening
    }
}
