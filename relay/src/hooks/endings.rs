//! Tells hooks of ends: in the background, each once, and of one stream's publishers in order.

use super::caller::{Caller, Hook};
use super::form::{Call, form};
use super::visit::{Kind, Told, Visit};
use media::StreamUrl;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// How many ends may wait to be told; a further one is lost, and counted as such.
const WAITING_MAX: usize = 1_024;
/// How many are told at once.
const AT_ONCE_MAX: usize = 64;
/// When the relay stops: how long until the last ends have to be told.
const LAST: Duration = Duration::from_secs(3);

/// Where ends are handed in. Cloning shares it.
#[derive(Clone)]
pub(super) struct Endings {
    queue: mpsc::Sender<Arc<Told>>,
    ledger: Arc<Ledger>,
    caller: Caller,
}

/// Who publishes what, as hooks know it. Bounded by the publishers that are connected.
#[derive(Default)]
struct Ledger {
    rows: Mutex<HashMap<StreamUrl, Row>>,
    changed: Notify,
}

#[derive(Default)]
struct Row {
    /// The newest publisher, while its end was not handed in.
    newest: Option<Arc<Told>>,
    /// Ends of publishers that are being told.
    telling: usize,
}

impl Ledger {
    fn rows(&self) -> MutexGuard<'_, HashMap<StreamUrl, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, told: &Told) {
        if told.kind == Kind::Player {
            return;
        }
        let mut rows = self.rows();
        if let Some(row) = rows.get_mut(&told.subject.url) {
            row.telling = row.telling.saturating_sub(1);
            if row.telling == 0 && row.newest.is_none() {
                rows.remove(&told.subject.url);
            }
        }
        drop(rows);
        self.changed.notify_waiters();
    }
}

impl Endings {
    pub(super) fn start(caller: Caller, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let endings = Self { queue, ledger: Arc::default(), caller: caller.clone() };
        tasks.spawn(tell_all(waiting, caller, endings.ledger.clone(), stop));
        endings
    }

    /// A publisher follows on others of its stream: the end of one that is still there is handed in now, though its
    /// connection may notice later, and all that is being told is waited for, as long as one telling may take.
    pub(super) async fn succeed(&self, visit: &Visit) {
        let Some(told) = visit.told() else { return };
        let url = &told.subject.url;
        let former = self.ledger.rows().entry(url.clone()).or_default().newest.replace(told.clone());
        if let Some(former) = former {
            self.hand_in(&former);
        }
        let settled = async {
            loop {
                let changed = self.ledger.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable(); // before looking, so that no change falls between
                if self.ledger.rows().get(url).is_none_or(|row| row.telling == 0) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(told.within, settled).await.is_err() {
            warn!(%url, "a publisher's end is still being told; the next one is asked about all the same");
        }
    }

    /// Somebody's stay is over. Waits for nobody.
    pub(super) fn end(&self, told: &Arc<Told>) {
        let mut rows = self.ledger.rows();
        if let Some(row) = rows.get_mut(&told.subject.url)
            && row.newest.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, told))
        {
            row.newest = None;
            if row.telling == 0 {
                rows.remove(&told.subject.url);
            }
        }
        drop(rows);
        self.hand_in(told);
    }

    fn hand_in(&self, told: &Arc<Told>) {
        if !told.settle() || (told.own_done.is_none() && told.done.is_none()) {
            return;
        }
        if told.kind == Kind::Publisher {
            self.ledger.rows().entry(told.subject.url.clone()).or_default().telling += 1;
        }
        if self.queue.try_send(told.clone()).is_err() {
            warn!(url = %told.subject.url, "too many ends wait to be told to hooks; this one is lost");
            self.caller.figures().count(Hook::Done.as_str(), "lost");
            self.ledger.told(told);
        }
    }
}

async fn tell_all(
    mut waiting: mpsc::Receiver<Arc<Told>>,
    caller: Caller,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let mut telling = JoinSet::new();
    let last = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::pin!(last);
    loop {
        let next = tokio::select! {
            next = waiting.recv(), if telling.len() < AT_ONCE_MAX => next,
            Some(_) = telling.join_next() => continue,
            () = &mut last => return,
        };
        let Some(told) = next else { break };
        let (caller, ledger) = (caller.clone(), ledger.clone());
        telling.spawn(async move {
            tell(&caller, &told).await;
            ledger.told(&told);
        });
    }
    while telling.join_next().await.is_some() {}
}

/// Once each: what has to arrive is a webhook's.
async fn tell(caller: &Caller, told: &Told) {
    let (hook, call) = match told.kind {
        Kind::Publisher => (Hook::PublishDone, Call::PublishDone),
        Kind::Player => (Hook::PlayDone, Call::PlayDone),
    };
    for (hook, endpoint, call) in [(hook, &told.own_done, call), (Hook::Done, &told.done, Call::Done)] {
        if let Some(endpoint) = endpoint {
            // Figures and the breaker know how it went; there is nobody else to tell.
            let _ = caller.call(hook, endpoint, told.within, form(&told.subject, call)).await;
        }
    }
}
