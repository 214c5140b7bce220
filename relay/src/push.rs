//! Pushes: streams on their way to their targets, which are outgoing RTMP URLs.
//!
//! Each target of a stream is one task with a claim of its own on the target, so that the whole relay never writes to
//! one target twice. A push follows its stream, not a publisher: its connection stays while publishers change, and
//! ends with the stream. It reads the broadcast like any other subscriber; one that fails or lags loses only its own.

mod feed;
mod machine;
mod parameter_sets;
mod publication;
mod rules;
mod silence;
mod slate;
mod status;
mod task;
mod words;

pub use publication::PublicationPushes;
pub(crate) use rules::LAG_MS_MAX;
pub use rules::{Rules, RulesError};

use crate::claim_desk::ClaimDesk;
use crate::clock;
use crate::events::Events;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::streams::ports::{PushOrder, Pushes as Port};
use api::events::Event;
use api::targets::{TargetState, TargetView};
use claims::Holder;
use media::{StreamUrl, TargetKey};
use rtmp::io::Dialer;
use status::Status;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use task::Task;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};
use uuid::Uuid;

/// Whom pushes hold targets as; their instance is the stream's id.
const PRINCIPAL: &str = "push";

/// What pushes need of the relay.
#[derive(Clone)]
pub struct Parts {
    /// Who holds which target.
    pub desk: ClaimDesk,
    /// Where streams are read.
    pub hub: Hub,
    /// How they behave.
    pub rules: Rules,
    /// Who is told of changes.
    pub events: Events,
    /// How targets are connected to.
    pub dialer: Dialer,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The pushes' tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// All pushes. Cloning shares them.
#[derive(Clone)]
pub struct Pushes {
    parts: Parts,
    table: Arc<Mutex<Table>>,
}

/// Bounded by the streams that are alive, and the targets of each.
#[derive(Default)]
struct Table {
    /// The pushes of each stream, in the order of its targets.
    streams: BTreeMap<Uuid, Vec<Push>>,
    /// Pushes that are saying goodbye, for a few seconds: their next one waits for them.
    leaving: Vec<Push>,
}

/// One push.
struct Push {
    /// Its number among the targets of its stream.
    number: u32,
    status: Arc<Status>,
    written_since: watch::Sender<Option<u64>>,
    stop: CancellationToken,
    /// Cancelled when its task has ended, however.
    ended: CancellationToken,
}

impl Push {
    fn is(&self, stream: Uuid, key: &TargetKey) -> bool {
        self.status.stream == stream && self.status.url.key() == key
    }
}

impl Pushes {
    /// No pushes yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, table: Arc::default() }
    }

    /// All of them now, by stream.
    #[must_use]
    pub fn all(&self) -> Vec<TargetView> {
        self.table().streams.values().flat_map(|pushes| self.views(pushes)).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Rows are put in and taken out whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn views(&self, pushes: &[Push]) -> Vec<TargetView> {
        pushes.iter().map(|push| self.view(push.number, &push.status)).collect()
    }

    fn view(&self, index: u32, status: &Status) -> TargetView {
        let mut view = status.view(index);
        if view.state == TargetState::Pushing
            && let Some(broadcast) = self.parts.hub.find(&status.name)
        {
            view.lag_ms = status.lag_ms(broadcast.newest_ms());
        }
        view
    }

    /// Tells whoever watches how all pushes are.
    fn tell(&self) {
        if self.parts.events.readers() > 0 {
            self.parts.events.publish(Event::Targets { targets: self.all() });
        }
    }

    fn start(
        &self,
        stream: Uuid,
        number: u32,
        order: &PushOrder,
        target: &media::TargetUrl,
        leaving: &[Push],
    ) -> Push {
        let holder =
            Holder { stream_id: Some(stream), ..Holder::new(PRINCIPAL, stream.to_string(), &order.label) };
        let name: StreamUrl = order.name.clone();
        let moment = crate::streams::machine::Moment { now: clock::now(), wall: clock::wall() };
        let status = Arc::new(Status::new(stream, name, target.clone(), moment));
        let (written_since, since) = watch::channel(order.written_since);
        let stop = self.parts.stop.child_token();
        let ended = CancellationToken::new();
        let before = leaving.iter().find(|push| push.is(stream, target.key())).map(|push| push.ended.clone());
        let span = info_span!(parent: None, "push", %stream, url = %target);
        let task = Task::new(self.clone(), status.clone(), holder, since, stop.clone());
        let ends = ended.clone().drop_guard();
        let run = async move {
            let _ends = ends;
            if let Some(before) = before {
                before.cancelled().await;
            }
            task.run().await;
        };
        self.parts.tasks.spawn(run.instrument(span));
        Push { number, status, written_since, stop, ended }
    }
}

impl Port for Pushes {
    fn set(&self, stream: Uuid, order: Option<PushOrder>) {
        let mut table = self.table();
        table.leaving.retain(|push| !push.ended.is_cancelled());
        let mut old = table.streams.remove(&stream).unwrap_or_default();
        if let Some(order) = order {
            let mut pushes = Vec::new();
            for (number, target) in order.targets.iter() {
                let key = target.url().key();
                let same = old.iter().position(|push| push.is(stream, key));
                match same {
                    Some(at) => {
                        let push = Push { number, ..old.remove(at) };
                        push.written_since.send_replace(order.written_since);
                        pushes.push(push);
                    }
                    None => {
                        let push = self.start(stream, number, &order, target.url(), &table.leaving);
                        pushes.push(push);
                    }
                }
            }
            table.streams.insert(stream, pushes);
        }
        for push in old {
            push.stop.cancel();
            table.leaving.push(push);
        }
        drop(table);
        self.tell();
    }

    fn rows(&self, stream: Uuid) -> Vec<TargetView> {
        self.table().streams.get(&stream).map(|pushes| self.views(pushes)).unwrap_or_default()
    }
}
