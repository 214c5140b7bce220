//! Streams: what bots start, see and stop.
//!
//! [`machine`] is one stream's life, pure; the reconciler is the one task that owns all of them and carries their
//! effects out: claims, recorders, store, events. [`Streams`] is the handle to it: requests go in through a bounded
//! queue, and readers look at the [`board`] without asking the task.

pub mod board;
mod desk;
pub mod machine;
pub mod ports;
mod reconciler;
mod rtmp_address;
pub mod spec;
pub mod target;
pub mod targets;

use crate::recorders::{ConnectionId, Hello};
use api::control::{FromRecorder, FromRelay};
use api::streams::{StartStream, StreamView};
use api::targets::TargetView;
use api::{Problem, ProblemCode};
use board::Board;
use machine::ClaimLoss;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use desk::{DeskClaims, claim_news};
pub use machine::playback;
pub use reconciler::{Parts, Reconciler};
pub use rtmp_address::RtmpAddress;
pub use target::Target;
pub use targets::Targets;

/// How many requests may wait for the reconciler; a further one is answered `busy`.
const REQUESTS_MAX: usize = 1024;
/// How long a request may wait for the reconciler's answer, beside the time that it asked to wait for a recorder.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Who asks, and the idempotency key that it gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StartKey {
    /// Whom the credentials name.
    pub principal: String,
    /// The key.
    pub key: String,
}

/// What happened to the claim of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimNews {
    /// Media arrives under it.
    Live,
    /// Media no longer arrives.
    Lost,
    /// The stream has it no longer.
    Gone(ClaimLoss),
}

/// What a recorder's connection tells the reconciler.
pub(crate) enum RecorderNews {
    Arrived {
        connection: ConnectionId,
        hello: Box<Hello>,
        /// The host under which the recorder reaches this relay.
        reached_at: Option<String>,
        outgoing: mpsc::Sender<FromRelay>,
        reply: oneshot::Sender<Result<(), crate::recorders::Refusal>>,
    },
    Said {
        connection: ConnectionId,
        message: FromRecorder,
    },
    Left {
        connection: ConnectionId,
    },
}

pub(crate) enum Command {
    Start {
        key: Option<StartKey>,
        request: Box<StartStream>,
        reply: oneshot::Sender<Result<StreamView, Problem>>,
    },
    Stop {
        id: Uuid,
        reply: oneshot::Sender<Result<StreamView, Problem>>,
    },
    AddTarget {
        id: Uuid,
        target: Target,
        reply: oneshot::Sender<Result<Addition, Problem>>,
    },
    RemoveTarget {
        id: Uuid,
        number: u32,
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    Recorder(RecorderNews),
    DrainRecorder {
        name: String,
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    Claim {
        stream: Uuid,
        news: ClaimNews,
    },
    Drain,
}

/// The handle to all streams. Cloning shares them.
#[derive(Clone)]
pub struct Streams {
    commands: mpsc::Sender<Command>,
    board: Board,
}

impl Streams {
    /// Starts a stream, or finds the one that the same key started before.
    ///
    /// # Errors
    /// A [`Problem`] as of `POST /streams`.
    pub async fn start(&self, key: Option<StartKey>, request: StartStream) -> Result<StreamView, Problem> {
        let seconds = request.wait_seconds.unwrap_or(0).min(spec::WAIT_SECONDS_MAX);
        let within = ANSWER_WITHIN + Duration::from_secs(seconds.into());
        self.ask(within, |reply| Command::Start { key, request: Box::new(request), reply }).await
    }

    /// Asks for a stream's end; it is over when its state says so. Repeating it changes nothing.
    ///
    /// # Errors
    /// `not_found`, or `busy`.
    pub async fn stop(&self, id: Uuid) -> Result<StreamView, Problem> {
        self.ask(ANSWER_WITHIN, |reply| Command::Stop { id, reply }).await
    }

    /// Has a stream pushed to one target more, until its end or until that is removed. The answer comes when that is
    /// durable. Repeating it changes nothing.
    ///
    /// # Errors
    /// `invalid_field`, `not_found`, `stream_ended`, `store_unavailable` or `busy`.
    pub async fn add_target(&self, id: Uuid, url: &str) -> Result<Addition, Problem> {
        let target = Target::parse(url).map_err(|why| Problem::field("url", why))?;
        self.ask(ANSWER_WITHIN, |reply| Command::AddTarget { id, target, reply }).await
    }

    /// Ends the push to one target of a stream, which goes on. The answer comes when that is durable.
    ///
    /// # Errors
    /// `not_found`, `store_unavailable` or `busy`.
    pub async fn remove_target(&self, id: Uuid, number: u32) -> Result<(), Problem> {
        self.ask(ANSWER_WITHIN, |reply| Command::RemoveTarget { id, number, reply }).await
    }

    /// Gives a recorder no new streams; those that it carries go on.
    ///
    /// # Errors
    /// `not_found`, or `busy`.
    pub async fn drain_recorder(&self, name: String) -> Result<(), Problem> {
        self.ask(ANSWER_WITHIN, |reply| Command::DrainRecorder { name, reply }).await
    }

    /// Tells what happened to the claim of a stream. Waits while the queue is full.
    pub async fn claim_news(&self, stream: Uuid, news: ClaimNews) {
        // The reconciler ends only with the relay.
        let _ = self.commands.send(Command::Claim { stream, news }).await;
    }

    /// Starts no further streams; those that run go on.
    pub async fn drain(&self) {
        let _ = self.commands.send(Command::Drain).await;
    }

    /// What readers see.
    #[must_use]
    pub const fn board(&self) -> &Board {
        &self.board
    }

    pub(crate) async fn recorder_news(&self, news: RecorderNews) -> Result<(), Gone> {
        self.commands.send(Command::Recorder(news)).await.map_err(|_| Gone)
    }

    async fn ask<T>(
        &self,
        within: Duration,
        command: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Command,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let busy = |what: &str| Problem::new(ProblemCode::Busy, what).retry_after(2);
        self.commands
            .try_send(command(reply))
            .map_err(|_| busy("too many requests wait; nothing was changed"))?;
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(busy("the relay is stopping")),
            Err(_) => Err(busy("there was no answer in time; ask again with the same idempotency key")),
        }
    }
}

/// A target that a stream has now.
#[derive(Clone, Debug)]
pub struct Addition {
    /// Its row.
    pub target: TargetView,
    /// Whether the stream had it already.
    pub was_known: bool,
}

/// The reconciler has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;
