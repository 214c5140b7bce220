//! Signed JSON for every change of a stream and of a claim, delivered at least once and in the order of each stream.
//!
//! An event is written to the store before it is sent and taken out after it was taken, so that from then on a restart or
//! crash of either side loses none; a crash within the milliseconds before it is written does. A receiver tells repetitions
//! by the event's id, which stays. One that does not answer is tried again
//! with backoff for a day, and holds up neither other receivers nor other streams. What is lost all the same (the spool
//! is full, a day is over, too many events at once) is logged and counted. Nothing here is on the media path.

mod event;
mod figures;
mod record;
mod sender;
mod signature;
mod spool;

pub use event::{EventPattern, PatternError};
pub use figures::WebhookFigures;
pub use signature::{KeyError, SigningKey};
pub use spool::Item;

use crate::config::Webhook;
use crate::events::Events;
use crate::store::Store;
use api::events::Event;
use api::webhooks::WebhookView;
use event::Observer;
use record::Record;
use sender::Sender;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span, warn};

/// How many events may wait to be written for one receiver; a further one is lost to it.
const INBOX_MAX: usize = 1_024;

/// When the relay stops: for how long what that does to streams and claims is still taken down.
const LAST: Duration = Duration::from_secs(1);

/// What webhooks need of the relay.
pub struct Parts<'a> {
    /// The receivers.
    pub webhooks: &'a [Webhook],
    /// What happens.
    pub events: Events,
    /// Where events are kept until they were taken.
    pub store: Store,
    /// What is counted.
    pub figures: Arc<WebhookFigures>,
    /// Their tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// One receiver's side of the distribution.
struct Subscription {
    patterns: Vec<EventPattern>,
    inbox: mpsc::Sender<Item>,
    record: Arc<Record>,
}

/// All receivers, for those who ask how they fare. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Webhooks(Arc<[Arc<Record>]>);

impl Webhooks {
    /// One row for each, in the order of the configuration.
    #[must_use]
    pub fn views(&self) -> Vec<WebhookView> {
        self.0.iter().map(|record| record.view()).collect()
    }
}

/// Starts one sender per receiver, and what hands them the events.
///
/// # Errors
/// If no HTTP client can be made.
pub fn start(parts: Parts<'_>) -> reqwest::Result<Webhooks> {
    let client = crate::endpoint::client()?;
    let known: Vec<_> = parts.webhooks.iter().map(|webhook| webhook.url.digest()).collect();
    let store = parts.store.clone();
    parts.tasks.spawn(async move {
        match store.keep_webhooks_of(known).await {
            Ok(0) => {}
            Ok(lost) => {
                warn!(lost, "events that waited for webhooks which are no longer configured were dropped");
            }
            Err(error) => error!(%error, "events of former webhooks could not be dropped"),
        }
    });
    if parts.webhooks.is_empty() {
        return Ok(Webhooks::default());
    }
    let mut subscriptions = Vec::new();
    let mut records = Vec::new();
    for (place, webhook) in parts.webhooks.iter().enumerate() {
        let record = Arc::new(Record::new(place, webhook.url.to_string(), parts.figures.clone()));
        records.push(record.clone());
        let (inbox, incoming) = mpsc::channel(INBOX_MAX);
        subscriptions.push(Subscription { patterns: webhook.events.clone(), inbox, record: record.clone() });
        let sender = Sender::new(
            webhook,
            client.clone(),
            parts.store.clone(),
            parts.figures.seconds.clone(),
            record,
            parts.stop.clone(),
        );
        let span = info_span!("webhook", url = %webhook.url);
        parts.tasks.spawn(sender.run(incoming).instrument(span));
    }
    // Subscribed here and not in the task, so that nothing happens unseen until that runs.
    let events = parts.events.subscribe();
    parts.tasks.spawn(distribute(events, subscriptions, parts.stop));
    Ok(Webhooks(records.into()))
}

async fn distribute(
    mut events: broadcast::Receiver<Arc<Event>>,
    subscriptions: Vec<Subscription>,
    stop: CancellationToken,
) {
    let mut observer = Observer::default();
    let last = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::pin!(last);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = &mut last => return,
        };
        match event {
            Ok(event) => {
                let Some(item) = observer.observe(&event, crate::clock::wall()) else { continue };
                for subscription in &subscriptions {
                    let is_wanted = subscription.patterns.iter().any(|pattern| pattern.fits(&item.kind));
                    if is_wanted && subscription.inbox.try_send(item.clone()).is_err() {
                        warn!(id = %item.id, kind = %item.kind, "too many events at once; this one is lost to a webhook");
                        subscription.record.lost("flood", 1);
                    }
                }
            }
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "events came faster than webhooks could take them; these are lost");
                subscriptions.iter().for_each(|subscription| subscription.record.lost("flood", missed));
            }
            Err(RecvError::Closed) => return,
        }
    }
}
