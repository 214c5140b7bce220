//! What the relay is still to hear.
//!
//! Streams write here, the control connection reads here, and neither waits for the other: of each worker only the
//! newest state is kept, so a relay that is away for an hour then hears one line per worker and not an hour of them. The
//! end of a stream is kept until it was sent, and sent again after a reconnection that follows soon, since a message that
//! was written to a dying connection may be lost. The relay takes a repeated end for what it is.

use api::control::{FromRecorder, WorkerReport};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use uuid::Uuid;

/// How long after it was sent an end is sent again on a new connection.
const RESEND_FOR: Duration = Duration::from_secs(60);
/// How many ends are kept. Far more than any recorder has slots; beyond it the oldest is lost, and the relay learns from
/// the next hello that the stream does not run.
const ENDS_MAX: usize = 1024;
/// How many answers to the relay wait; beyond it the oldest is lost, and the relay's own deadlines see to it.
const ANSWERS_MAX: usize = 256;

/// The newest state of everything.
#[derive(Debug, Default)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    workers: BTreeMap<Uuid, Newest>,
    ends: VecDeque<End>,
    answers: VecDeque<FromRecorder>,
}

#[derive(Debug)]
struct Newest {
    report: WorkerReport,
    is_news: bool,
}

#[derive(Debug)]
struct End {
    stream_id: Uuid,
    reason: String,
    detail: String,
    sent: Option<Instant>,
}

impl Board {
    /// A worker's newest state.
    pub(crate) fn report(&self, report: WorkerReport) {
        self.lock().workers.insert(report.stream_id, Newest { report, is_news: true });
        self.changed.notify_one();
    }

    /// A stream's end, after which there is no worker of it.
    pub(crate) fn ended(&self, stream_id: Uuid, reason: String, detail: String) {
        let mut inner = self.lock();
        inner.workers.remove(&stream_id);
        inner.ends.retain(|end| end.stream_id != stream_id);
        if inner.ends.len() == ENDS_MAX {
            inner.ends.pop_front();
        }
        inner.ends.push_back(End { stream_id, reason, detail, sent: None });
        drop(inner);
        self.changed.notify_one();
    }

    /// A stream begins anew: an earlier end of it is of no interest any more.
    pub(crate) fn begun(&self, stream_id: Uuid) {
        self.lock().ends.retain(|end| end.stream_id != stream_id);
    }

    /// An answer that is of use on this connection only.
    pub(crate) fn answer(&self, answer: FromRecorder) {
        let mut inner = self.lock();
        if inner.answers.len() == ANSWERS_MAX {
            inner.answers.pop_front();
        }
        inner.answers.push_back(answer);
        drop(inner);
        self.changed.notify_one();
    }

    /// A new connection: what runs, for its hello. All of it counts as said; ends are said again.
    pub(crate) fn connected(&self, now: Instant) -> Vec<WorkerReport> {
        let mut inner = self.lock();
        inner.answers.clear();
        inner.ends.retain(|end| end.sent.is_none_or(|sent| now.saturating_duration_since(sent) < RESEND_FOR));
        inner.ends.iter_mut().for_each(|end| end.sent = None);
        inner.workers.values_mut().for_each(|newest| newest.is_news = false);
        inner.workers.values().map(|newest| newest.report.clone()).collect()
    }

    /// The next message for the relay, if there is one now.
    pub(crate) fn next(&self, now: Instant) -> Option<FromRecorder> {
        let mut inner = self.lock();
        if let Some(answer) = inner.answers.pop_front() {
            return Some(answer);
        }
        if let Some(end) = inner.ends.iter_mut().find(|end| end.sent.is_none()) {
            end.sent = Some(now);
            return Some(FromRecorder::Ended {
                stream_id: end.stream_id,
                reason: end.reason.clone(),
                detail: end.detail.clone(),
            });
        }
        let newest = inner.workers.values_mut().find(|newest| newest.is_news)?;
        newest.is_news = false;
        Some(FromRecorder::Worker { worker: newest.report.clone() })
    }

    /// Waits until there may be something new.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether ends are still to be sent.
    pub(crate) fn has_unsent_ends(&self) -> bool {
        self.lock().ends.iter().any(|end| end.sent.is_none())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "virtual time begins at some real instant")]

    use super::*;

    fn report(stream: u128, state: &str) -> WorkerReport {
        WorkerReport {
            stream_id: Uuid::from_u128(stream),
            incarnation: 1,
            state: state.into(),
            detail: None,
            pid: None,
            frames_sent: 0,
            frames_dropped: 0,
            reconnects: 0,
        }
    }

    fn all(board: &Board, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| board.next(now))
            .map(|message| match message {
                FromRecorder::Worker { worker } => worker.state,
                FromRecorder::Ended { reason, .. } => reason,
                FromRecorder::Draining => "draining".into(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn of_each_worker_only_the_newest_state_is_said() {
        let (board, now) = (Board::default(), Instant::now());
        for state in ["starting", "joining", "publishing"] {
            board.report(report(1, state));
        }
        board.report(report(2, "waiting"));
        assert_eq!(all(&board, now), ["publishing", "waiting"]);
        assert_eq!(all(&board, now), [""; 0]);
    }

    #[test]
    fn an_end_replaces_its_worker_and_is_kept_until_it_is_sent() {
        let (board, now) = (Board::default(), Instant::now());
        board.report(report(1, "leaving"));
        board.ended(Uuid::from_u128(1), "stopped".into(), String::new());
        let an_hour_later = now + Duration::from_secs(3600);
        assert_eq!(board.connected(an_hour_later), []);
        assert_eq!(all(&board, an_hour_later), ["stopped"]);
        assert!(!board.has_unsent_ends());
    }

    #[test]
    fn an_end_that_was_sent_just_before_a_loss_is_sent_again() {
        let (board, now) = (Board::default(), Instant::now());
        board.ended(Uuid::from_u128(1), "call_ended".into(), String::new());
        assert_eq!(all(&board, now), ["call_ended"]);
        board.connected(now + Duration::from_secs(10));
        assert_eq!(all(&board, now + Duration::from_secs(10)), ["call_ended"]);
        board.connected(now + Duration::from_secs(71));
        assert_eq!(all(&board, now + Duration::from_secs(71)), [""; 0]);
    }

    #[test]
    fn a_stream_that_begins_anew_has_not_ended() {
        let (board, now) = (Board::default(), Instant::now());
        board.ended(Uuid::from_u128(1), "refused".into(), String::new());
        board.begun(Uuid::from_u128(1));
        assert_eq!(all(&board, now), [""; 0]);
    }

    #[test]
    fn a_hello_says_what_runs_so_that_it_needs_no_saying_again() {
        let (board, now) = (Board::default(), Instant::now());
        board.report(report(1, "publishing"));
        board.answer(FromRecorder::Draining);
        assert_eq!(board.connected(now).len(), 1);
        assert_eq!(all(&board, now), [""; 0]);
    }
}
