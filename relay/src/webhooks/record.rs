//! How one receiver fares: for its operators, in figures and in words.

use super::figures::{LossLabel, OutcomeLabel, PlaceLabel, WebhookFigures};
use api::webhooks::{WebhookError, WebhookState, WebhookView};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Counts {
    waiting: u64,
    delivered: u64,
    lost: u64,
    failing_since: Option<Timestamp>,
    last_error: Option<WebhookError>,
}

/// What became of one receiver's events since the relay started.
#[derive(Debug)]
pub(super) struct Record {
    /// Which `[[webhook]]` of the configuration, from 0.
    place: usize,
    /// Without what may be secret.
    url: String,
    figures: Arc<WebhookFigures>,
    counts: Mutex<Counts>,
}

impl Record {
    pub(super) fn new(place: usize, url: String, figures: Arc<WebhookFigures>) -> Self {
        let record = Self { place, url, figures, counts: Mutex::default() };
        // Both are there from the start, so that an alarm sees a receiver that never was reached.
        record.figures.waiting.get_or_create(&record.label()).set(0);
        record.figures.failing.get_or_create(&record.label()).set(0);
        record
    }

    fn label(&self) -> PlaceLabel {
        PlaceLabel { webhook: self.place }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event more waits.
    pub(super) fn waits(&self) {
        self.counts().waiting += 1;
        self.figures.waiting.get_or_create(&self.label()).inc();
    }

    /// One event less waits, whatever became of it.
    pub(super) fn left(&self) {
        let mut counts = self.counts();
        counts.waiting = counts.waiting.saturating_sub(1);
        drop(counts);
        self.figures.waiting.get_or_create(&self.label()).dec();
    }

    /// Events that the receiver will never get.
    pub(super) fn lost(&self, why: &'static str, count: u64) {
        self.counts().lost += count;
        self.figures.lost.get_or_create(&LossLabel { webhook: self.place, why }).inc_by(count);
    }

    /// It took an event. Returns whether it failed before.
    pub(super) fn delivered(&self) -> bool {
        self.count("delivered");
        self.figures.failing.get_or_create(&self.label()).set(0);
        let mut counts = self.counts();
        counts.delivered += 1;
        counts.failing_since.take().is_some()
    }

    /// It did not take an event. Returns whether that is new.
    pub(super) fn failed(&self, why: &str, at: Timestamp) -> bool {
        self.count("failed");
        self.figures.failing.get_or_create(&self.label()).set(1);
        let mut counts = self.counts();
        counts.last_error = Some(WebhookError { detail: why.to_owned(), at });
        let is_new = counts.failing_since.is_none();
        counts.failing_since.get_or_insert(at);
        is_new
    }

    fn count(&self, outcome: &'static str) {
        self.figures.attempts.get_or_create(&OutcomeLabel { webhook: self.place, outcome }).inc();
    }

    pub(super) fn view(&self) -> WebhookView {
        let counts = self.counts();
        WebhookView {
            index: self.place,
            url: self.url.clone(),
            state: if counts.failing_since.is_some() { WebhookState::Failing } else { WebhookState::Good },
            failing_since: counts.failing_since,
            last_error: counts.last_error.clone(),
            waiting: counts.waiting,
            delivered: counts.delivered,
            lost: counts.lost,
        }
    }
}
