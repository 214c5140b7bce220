//! Delivers to one receiver.

use super::record::Record;
use super::signature::SigningKey;
use super::spool::{Item, Spool};
use crate::clock;
use crate::config::Webhook;
use crate::endpoint::Endpoint;
use crate::store::Store;
use jiff::SignedDuration;
use prometheus_client::metrics::histogram::Histogram;
use reqwest::header::CONTENT_TYPE;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How many streams' events are under way at once.
const AT_ONCE_MAX: usize = 8;
/// How many events are written to the store at once.
const WRITE_MAX: usize = 256;
/// How long a receiver may take for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// For how long an event is tried.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct Sender {
    client: reqwest::Client,
    url: Endpoint,
    key: SigningKey,
    /// What the store knows the receiver by.
    name: String,
    store: Store,
    seconds: Histogram,
    record: Arc<Record>,
    stop: CancellationToken,
    waiting_max: usize,
    spool: Spool,
}

impl Sender {
    pub(super) fn new(
        webhook: &Webhook,
        client: reqwest::Client,
        store: Store,
        seconds: Histogram,
        record: Arc<Record>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            url: webhook.url.clone(),
            key: webhook.secret.clone(),
            name: webhook.url.digest(),
            store,
            seconds,
            record,
            stop,
            waiting_max: webhook.waiting_max.get(),
            spool: Spool::new(webhook.waiting_max.get()),
        }
    }

    /// Works until told to stop; what was not taken by then is found in the store.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Item>) {
        match self.store.webhook_events(&self.name, self.waiting_max).await {
            Ok((kept, lost)) => {
                if lost > 0 {
                    warn!(
                        lost,
                        "more events waited than now may; the oldest of them are lost to the webhook"
                    );
                    self.record.lost("full", lost);
                }
                for item in kept {
                    self.push(item);
                }
            }
            Err(error) => warn!(%error, "events of before cannot be read; they wait for the next start"),
        }
        let mut sending = JoinSet::new();
        let stop = self.stop.clone();
        loop {
            while sending.len() < AT_ONCE_MAX
                && let Some(item) = self.spool.next(clock::now())
            {
                if clock::wall().duration_since(item.at) > KEEP {
                    self.lose("expired", &item);
                    self.taken(&item);
                } else {
                    sending.spawn(self.attempt(item));
                }
            }
            // With all places taken nothing more becomes due for us.
            let due = self.spool.due().filter(|_| sending.len() < AT_ONCE_MAX);
            let mut fresh = Vec::new();
            tokio::select! {
                count = inbox.recv_many(&mut fresh, WRITE_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.keep(fresh).await;
                }
                Some(Ok((item, outcome))) = sending.join_next() => self.attempted(&item, outcome),
                () = until(due) => {}
                () = stop.cancelled() => return self.keep_the_rest(inbox).await,
            }
        }
    }

    /// What happens until the relay has stopped is kept as well.
    async fn keep_the_rest(mut self, mut inbox: mpsc::Receiver<Item>) {
        loop {
            let mut fresh = Vec::new();
            if inbox.recv_many(&mut fresh, WRITE_MAX).await == 0 {
                return;
            }
            self.keep(fresh).await;
        }
    }

    async fn keep(&mut self, mut fresh: Vec<Item>) {
        match self.store.put_webhook_events(&self.name, fresh.clone()).await {
            Ok(numbers) => {
                for (item, number) in fresh.iter_mut().zip(numbers) {
                    item.number = Some(number);
                }
            }
            Err(error) => {
                warn!(%error, count = fresh.len(), "events are not stored: a restart would lose them");
            }
        }
        for item in fresh {
            self.push(item);
        }
    }

    fn push(&mut self, item: Item) {
        self.record.waits();
        if let Some(lost) = self.spool.push(item) {
            self.lose("full", &lost);
            self.forget(&lost);
        }
    }

    fn lose(&self, why: &'static str, item: &Item) {
        warn!(why, id = %item.id, kind = %item.kind, stream = %item.stream, "an event is lost to its webhook");
        self.record.lost(why, 1);
    }

    fn taken(&mut self, item: &Item) {
        self.spool.taken(&item.stream);
        self.forget(item);
    }

    fn forget(&self, item: &Item) {
        self.record.left();
        if let Some(number) = item.number {
            // If that fails it is sent once more after a restart, with the same id.
            self.store.forget_webhook_event(number);
        }
    }

    fn attempt(&self, item: Item) -> impl Future<Output = (Item, Outcome)> + Send + use<> {
        let id = item.id.to_string();
        let timestamp = clock::wall().as_second();
        let request = self
            .client
            .post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.key.sign(&id, timestamp, &item.body))
            .timeout(ANSWER_WITHIN)
            .body(item.body.clone());
        let seconds = self.seconds.clone();
        async move {
            let began = clock::now();
            let answer = request.send().await;
            seconds.observe(clock::now().saturating_duration_since(began).as_secs_f64());
            let outcome = match answer {
                Ok(answer) if answer.status().is_success() => Outcome::Taken,
                Ok(answer) => Outcome::Failed(format!("it answered {}", answer.status().as_u16())),
                Err(error) if error.is_timeout() => Outcome::Failed("it did not answer in time".into()),
                Err(error) => Outcome::Failed(innermost(&error)),
            };
            (item, outcome)
        }
    }

    fn attempted(&mut self, item: &Item, outcome: Outcome) {
        match outcome {
            Outcome::Taken => {
                debug!(id = %item.id, kind = %item.kind, "an event was taken");
                if self.record.delivered() {
                    info!(waiting = self.spool.len(), "the webhook takes events again");
                }
                self.taken(item);
            }
            Outcome::Failed(why) => {
                if self.record.failed(&why, clock::wall()) {
                    warn!(%why, waiting = self.spool.len(), "the webhook takes no events; they are kept and tried again");
                }
                self.spool.failed(&item.stream, clock::now(), jitter());
            }
        }
    }
}

/// How an attempt ended.
enum Outcome {
    Taken,
    Failed(String),
}

/// The error at the root of another: it alone says what happened. The outer ones repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "it cannot be reached".into(), ToString::to_string)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Any number from 0 to 1.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without random numbers all wait equally long.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
