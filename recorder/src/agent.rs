//! The recorder as a whole: takes the relay's orders, has one carrier for each stream, and ends them all at the end.

use crate::board::Board;
use crate::carrier::carry;
use crate::cell::CellMaker;
use crate::clock;
use crate::session::{Input, Limits, Session, StoppedBy};
use api::control::{FromRecorder, FromRelay, Job};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, info, info_span, warn};
use uuid::Uuid;

/// How many orders may wait for one stream. Its carrier takes each at once, so the relay never waits for one.
const ORDERS_MAX: usize = 16;

/// All streams of this recorder.
pub(crate) struct Agent {
    slots: usize,
    limits: Limits,
    cells: Arc<CellMaker>,
    board: Arc<Board>,
    carriers: HashMap<Uuid, mpsc::Sender<Input>>,
    tasks: JoinSet<()>,
    is_draining: bool,
    carried: Arc<AtomicUsize>,
}

impl Agent {
    /// An agent without any stream.
    #[must_use]
    pub(crate) fn new(slots: u32, limits: Limits, cells: Arc<CellMaker>, board: Arc<Board>) -> Self {
        Self {
            slots: usize::try_from(slots).unwrap_or(usize::MAX),
            limits,
            cells,
            board,
            carriers: HashMap::new(),
            tasks: JoinSet::new(),
            is_draining: false,
            carried: Arc::default(),
        }
    }

    /// The number of streams that are carried, as others may read it.
    #[must_use]
    pub(crate) fn carried(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.carried)
    }

    /// Does what the relay says.
    pub(crate) async fn handle(&mut self, order: FromRelay) {
        self.forget_ended();
        match order {
            FromRelay::Welcome { keep } => {
                if self.is_draining {
                    self.board.answer(FromRecorder::Draining);
                }
                let unwanted: Vec<Uuid> =
                    self.carriers.keys().filter(|stream| !keep.contains(stream)).copied().collect();
                for stream in unwanted {
                    info!(%stream, "the relay does not know this stream any more");
                    let within = self.limits.stop_within;
                    self.tell(stream, Input::Stop { within, by: StoppedBy::Relay }).await;
                }
            }
            FromRelay::Start { job } => self.start(*job).await,
            FromRelay::Stop { stream_id, within_ms } => {
                let within = Duration::from_millis(within_ms.into());
                if !self.tell(stream_id, Input::Stop { within, by: StoppedBy::Relay }).await {
                    let detail = "nothing runs for this stream here";
                    self.board.ended(stream_id, "stopped".into(), detail.into());
                }
            }
            FromRelay::Restart { stream_id, reason } => {
                self.tell(stream_id, Input::Restart { reason }).await;
            }
            FromRelay::Drain => {
                info!("draining: no new streams");
                self.is_draining = true;
                self.board.answer(FromRecorder::Draining);
            }
        }
        self.carried.store(self.carriers.len(), Ordering::Relaxed);
    }

    /// Asks all streams to end and waits until they have. The future may be dropped; [`Agent::kill_all`] is next then.
    pub(crate) async fn stop_all(&mut self) {
        self.is_draining = true;
        self.board.answer(FromRecorder::Draining);
        let within = self.limits.stop_within;
        for stream in self.carriers.keys().copied().collect::<Vec<_>>() {
            self.tell(stream, Input::Stop { within, by: StoppedBy::Recorder }).await;
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Kills all streams and waits until they are gone.
    pub(crate) async fn kill_all(&mut self) {
        for stream in self.carriers.keys().copied().collect::<Vec<_>>() {
            self.tell(stream, Input::Kill { by: StoppedBy::Recorder }).await;
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Kills and reaps what a dead keeper left behind, should one have died unseen.
    pub(crate) fn sweep(&mut self) {
        self.forget_ended();
        self.carried.store(self.carriers.len(), Ordering::Relaxed);
        let orphans = self.cells.nursery.sweep();
        if orphans > 0 {
            warn!(orphans, "killed processes that a cell left behind");
        }
    }

    async fn start(&mut self, job: Job) {
        let stream_id = job.stream_id;
        let publish_url = job.publish_url.clone();
        if self.tell(stream_id, Input::Republish { publish_url }).await {
            return;
        }
        if self.is_draining {
            return self.decline(stream_id, "this recorder is draining".into());
        }
        if self.carriers.len() >= self.slots {
            return self.decline(stream_id, format!("all {} slots are taken", self.slots));
        }
        let span = info_span!("stream", id = %stream_id, name = job.name);
        // Two streams of one recorder that fail together shall not try again together.
        let (high, low) = stream_id.as_u64_pair();
        match Session::new(clock::now(), job, self.limits, high ^ low) {
            Ok(session) => {
                let (sender, orders) = mpsc::channel(ORDERS_MAX);
                self.board.begun(stream_id);
                self.carriers.insert(stream_id, sender);
                let carrier =
                    carry(stream_id, session, orders, Arc::clone(&self.cells), Arc::clone(&self.board));
                self.tasks.spawn(carrier.instrument(span));
            }
            Err(unfit) => self.decline(stream_id, unfit.to_string()),
        }
    }

    fn decline(&self, stream_id: Uuid, detail: String) {
        warn!(stream = %stream_id, detail, "declined a stream");
        self.board.answer(FromRecorder::Declined { stream_id, detail });
    }

    /// False if nothing runs for the stream.
    async fn tell(&self, stream: Uuid, input: Input) -> bool {
        match self.carriers.get(&stream) {
            Some(carrier) => carrier.send(input).await.is_ok(),
            None => false,
        }
    }

    fn forget_ended(&mut self) {
        self.carriers.retain(|_, carrier| !carrier.is_closed());
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                // The cell's processes ended with the task, since a dropped keeper is killed.
                warn!(%error, "a stream's task failed");
            }
        }
    }
}
