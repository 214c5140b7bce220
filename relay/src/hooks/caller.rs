//! Calls hooks: each within its deadline, few at a time, and not at all while its breaker is open.

use super::breaker::Breaker;
use super::figures::{HookFigures, HookLabel};
use crate::clock;
use crate::endpoint::Endpoint;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tracing::{info, warn};

/// How many calls of one URL are under way at once; further ones wait for a place, within their deadline.
const CALLS_MAX: usize = 32;

/// Which hook is called; its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hook {
    Publish,
    Play,
    PublishDone,
    PlayDone,
    Done,
    Update,
}

impl Hook {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "on_publish",
            Self::Play => "on_play",
            Self::PublishDone => "on_publish_done",
            Self::PlayDone => "on_play_done",
            Self::Done => "on_done",
            Self::Update => "on_update",
        }
    }
}

/// What a hook said.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// 2xx.
    Accepted,
    /// 3xx, with where to. Secret: it may end in a stream key.
    Redirected(Option<String>),
    /// 4xx.
    Denied(u16),
}

/// Why a hook said nothing that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReply {
    /// Nothing was sent.
    NotCalled,
    /// It was or may have been called; what it made of it is unknown.
    Unknown,
}

/// One URL.
#[derive(Debug)]
struct Line {
    breaker: Mutex<Breaker>,
    places: Semaphore,
}

/// All hooks' URLs, and how they fare. Cloning shares them.
#[derive(Clone)]
pub(super) struct Caller {
    client: reqwest::Client,
    lines: Arc<HashMap<String, Line>>,
    figures: Arc<HookFigures>,
}

impl Caller {
    pub(super) fn new<'a>(
        client: reqwest::Client,
        endpoints: impl Iterator<Item = &'a Endpoint>,
        figures: Arc<HookFigures>,
    ) -> Self {
        let line = || Line { breaker: Mutex::new(Breaker::new()), places: Semaphore::new(CALLS_MAX) };
        let lines = endpoints.map(|endpoint| (endpoint.expose().to_string(), line())).collect();
        Self { client, lines: Arc::new(lines), figures }
    }

    pub(super) const fn figures(&self) -> &Arc<HookFigures> {
        &self.figures
    }

    /// How many URLs are left alone now.
    pub(super) fn open(&self) -> usize {
        self.lines.values().filter(|line| line.breaker().is_open()).count()
    }

    /// Posts one form and waits for the answer, `within` at most.
    pub(super) async fn call(
        &self,
        hook: Hook,
        endpoint: &Endpoint,
        within: Duration,
        form: String,
    ) -> Result<Reply, NoReply> {
        // All endpoints were known at the start.
        let Some(line) = self.lines.get(endpoint.expose().as_str()) else { return Err(NoReply::NotCalled) };
        let called = clock::now();
        let deadline = (called + within).into();
        let Ok(Ok(_place)) = timeout_at(deadline, line.places.acquire()).await else {
            self.figures.count(hook.as_str(), "busy");
            return Err(NoReply::NotCalled);
        };
        if !line.breaker().admit(clock::now(), within) {
            self.figures.count(hook.as_str(), "open");
            return Err(NoReply::NotCalled);
        }
        let request = self
            .client
            .post(endpoint.expose().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let outcome = timeout_at(deadline, request.send()).await;
        let now = clock::now();
        let seconds = now.saturating_duration_since(called).as_secs_f64();
        self.figures.seconds.get_or_create(&HookLabel { hook: hook.as_str() }).observe(seconds);
        let (outcome, said) = match outcome {
            Ok(Ok(answer)) => read(&answer),
            Ok(Err(error)) if error.is_connect() => (Err(NoReply::NotCalled), "failed"),
            Ok(Err(_)) => (Err(NoReply::Unknown), "failed"),
            Err(_) => (Err(NoReply::Unknown), "timeout"),
        };
        self.figures.count(hook.as_str(), said);
        self.tell(line, hook, endpoint, outcome.is_ok(), now);
        outcome
    }

    fn tell(&self, line: &Line, hook: Hook, endpoint: &Endpoint, is_answered: bool, now: std::time::Instant) {
        let mut breaker = line.breaker();
        let was_open = breaker.is_open();
        if is_answered {
            breaker.answered();
        } else {
            breaker.failed(now);
        }
        let is_open = breaker.is_open();
        drop(breaker);
        let hook = hook.as_str();
        match (was_open, is_open) {
            (false, true) => warn!(hook, %endpoint, "a hook does not answer and is left alone for a while"),
            (true, false) => info!(hook, %endpoint, "a hook answers again"),
            (true, true) | (false, false) => {}
        }
        self.figures.breakers_open.set(self.open() as i64);
    }
}

impl Line {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status is all that counts, as in nginx-rtmp; a body is not read.
fn read(answer: &reqwest::Response) -> (Result<Reply, NoReply>, &'static str) {
    let status = answer.status();
    if status.is_success() {
        (Ok(Reply::Accepted), "accepted")
    } else if status.is_redirection() {
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        (Ok(Reply::Redirected(location.map(str::to_owned))), "redirected")
    } else if status.is_client_error() {
        (Ok(Reply::Denied(status.as_u16())), "denied")
    } else {
        (Err(NoReply::Unknown), "failed")
    }
}
