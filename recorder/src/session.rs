//! One stream's life on this recorder: a worker, the next one when it fails, and the end.
//!
//! A pure state machine. What happens comes in ([`Input`], [`Session::handle_timeout`]), what is to be done goes out
//! ([`Effect`]); it reads no clock and starts no process. It promises that at most one worker is asked for at a time, that
//! the next one is asked for only after all processes of the last one are gone, that each has a larger incarnation
//! number, and that [`Effect::Ended`] is the last effect and comes exactly once.

mod limits;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use limits::Limits;

use crate::backoff::Backoff;
use api::control::{Job, WorkerReport};
use ipc::{EndReason, Order, Report, WorkerSpec};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use worker::{Worker, state_name};

/// How often the relay hears of a worker that does not change.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);
/// The longest detail that is passed on, in bytes; the rest is cut.
const DETAIL_BYTES_MAX: usize = 512;

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The worker asked for by [`Effect::Spawn`] runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// The worker wrote a line.
    Report(Report),
    /// The worker wrote a line that is longer than any that is ours.
    Overlong,
    /// The worker and all processes that it started are gone, or it could not be started.
    Gone(Exit),
    /// The stream is to end.
    Stop {
        /// The budget.
        within: Duration,
        /// Whose wish it is.
        by: StoppedBy,
    },
    /// End at once, without asking the worker.
    Kill {
        /// Whose wish it is.
        by: StoppedBy,
    },
    /// The relay wants another worker.
    Restart {
        /// For people.
        reason: String,
    },
    /// Later workers publish here.
    Republish {
        /// The publish URL. Secret.
        publish_url: String,
    },
}

/// Who wants a stream to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoppedBy {
    /// The relay.
    Relay,
    /// This recorder, which shuts down; the stream should go on elsewhere.
    Recorder,
}

impl StoppedBy {
    fn end(self) -> Next {
        match self {
            Self::Relay => Next::End("stopped", "stopped as asked".into()),
            Self::Recorder => Next::End("recorder_stopped", "the recorder shuts down".into()),
        }
    }
}

/// How a worker's processes ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It never ran; why.
    NotStarted(String),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Start a worker with these orders.
    Spawn(Box<WorkerSpec>),
    /// Write a line to the worker.
    Order(Order),
    /// Send the worker SIGTERM.
    Terminate,
    /// Kill all of the worker's processes.
    Kill,
    /// Tell the relay.
    Report(WorkerReport),
    /// Tell the relay that the stream is over; nothing follows.
    Ended {
        /// The snake-case name of an [`EndReason`].
        reason: String,
        /// For people.
        detail: String,
    },
}

/// A job that cannot be done here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Calls of this kind cannot be entered.
    #[error("this recorder cannot enter calls of kind {0}")]
    Kind(&'static str),
    /// The profile is unknown.
    #[error("this recorder does not know the profile {0:?}")]
    Profile(String),
    /// The publish URL is none.
    #[error("the publish URL is not an RTMP URL")]
    PublishUrl,
}

enum State {
    Running(Worker),
    Ending(Ending),
    Waiting { until: Instant, last: Worker, why: String },
    Over,
}

struct Ending {
    worker: Worker,
    next: Next,
    /// When SIGTERM is due; `None` once it was sent.
    terminate: Option<Instant>,
    /// When everything is killed; `None` once that was asked for.
    kill: Option<Instant>,
}

enum Next {
    /// As if the worker had ended by itself like this.
    Judge(EndReason, String),
    /// Another worker at once.
    Renew,
    /// No other worker.
    End(&'static str, String),
}

/// One stream on this recorder.
pub(crate) struct Session {
    job: Job,
    template: WorkerSpec,
    limits: Limits,
    state: State,
    backoff: Backoff,
    join_failures: u32,
    refused_since: Option<Instant>,
    report_due: Instant,
    effects: VecDeque<Effect>,
}

impl Session {
    /// Takes a job and asks for its first worker. The seed spreads the pauses of sessions that fail together.
    ///
    /// # Errors
    ///
    /// When this recorder cannot do the job.
    pub(crate) fn new(now: Instant, job: Job, limits: Limits, seed: u64) -> Result<Self, Unfit> {
        let template = worker::template(&job, &limits)?;
        let incarnation = job.first_incarnation;
        let mut session = Self {
            template,
            limits,
            state: State::Over,
            backoff: Backoff::new(limits.backoff_max, seed),
            join_failures: 0,
            refused_since: None,
            report_due: now,
            effects: VecDeque::new(),
            job,
        };
        session.spawn(now, incarnation);
        Ok(session)
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Started { pid } => self.started(now, pid),
            Input::Report(report) => self.heard(now, report),
            Input::Overlong => self.replace(now, EndReason::Bug, "the worker wrote an overlong line".into()),
            Input::Gone(exit) => self.gone(now, exit),
            Input::Stop { within, by } => self.leave(now, within, by.end()),
            Input::Kill { by } => {
                self.leave(now, Duration::ZERO, by.end());
                self.handle_timeout(now);
            }
            Input::Restart { reason } => self.restart(now, &reason),
            Input::Republish { publish_url } => self.job.publish_url = publish_url,
        }
    }

    /// Does what is due by now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Running(worker) => {
                if let Some((reason, detail)) = worker.overdue(now, &self.limits) {
                    self.replace(now, reason, detail);
                }
            }
            State::Ending(ending) => {
                if ending.terminate.is_some_and(|due| due <= now) {
                    ending.terminate = None;
                    self.effects.push_back(Effect::Terminate);
                }
                if ending.kill.is_some_and(|due| due <= now) {
                    ending.kill = None;
                    self.effects.push_back(Effect::Kill);
                }
            }
            State::Waiting { until, last, .. } if *until <= now => {
                let incarnation = last.incarnation.saturating_add(1);
                self.spawn(now, incarnation);
            }
            State::Waiting { .. } | State::Over => {}
        }
        if self.report_due <= now {
            self.report(now);
        }
    }

    /// When [`Session::handle_timeout`] is due.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = match &self.state {
            State::Running(worker) => Some(worker.due()),
            State::Ending(ending) => [ending.terminate, ending.kill].into_iter().flatten().min(),
            State::Waiting { until, .. } => Some(*until),
            State::Over => return None,
        };
        Some(due.map_or(self.report_due, |due| due.min(self.report_due)))
    }

    /// The next thing to do.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn spawn(&mut self, now: Instant, incarnation: u32) {
        let mut spec = self.template.clone();
        spec.incarnation = incarnation;
        spec.publish_url = worker::publish_url(&self.job.publish_url, incarnation);
        self.effects.push_back(Effect::Spawn(Box::new(spec)));
        self.state = State::Running(Worker::new(now, incarnation, &self.limits));
        self.report(now);
    }

    fn started(&mut self, now: Instant, pid: u32) {
        if let State::Running(worker) | State::Ending(Ending { worker, .. }) = &mut self.state {
            worker.pid = Some(pid);
            self.report(now);
        }
    }

    fn heard(&mut self, now: Instant, report: Report) {
        let (State::Running(worker) | State::Ending(Ending { worker, .. })) = &mut self.state else { return };
        let is_news = worker.hear(now, report, &self.limits);
        if worker.has_joined() {
            self.join_failures = 0;
        }
        if worker.publishing_since.is_some() {
            self.refused_since = None;
        }
        if is_news {
            self.report(now);
        }
    }

    /// Gives up a worker that does not do its work.
    fn replace(&mut self, now: Instant, reason: EndReason, detail: String) {
        if matches!(self.state, State::Running(_)) {
            self.leave(now, Duration::ZERO, Next::Judge(reason, detail));
            self.handle_timeout(now);
        }
    }

    fn restart(&mut self, now: Instant, reason: &str) {
        match &mut self.state {
            State::Running(worker) => {
                worker.detail = Some(cut(&format!("replaced: {reason}")));
                self.leave(now, self.limits.stop_within, Next::Renew);
            }
            State::Waiting { until, .. } => *until = now,
            State::Ending(_) | State::Over => {}
        }
    }

    /// Ends the worker within a budget. An end that is already under way may become a nearer or a final one.
    fn leave(&mut self, now: Instant, within: Duration, next: Next) {
        let kill = now + within;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running(worker) => {
                let order = Order::Stop { within_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX) };
                if !within.is_zero() {
                    self.effects.push_back(Effect::Order(order));
                }
                // A third of the time is left for the worker to react to the signal.
                let terminate = (!within.is_zero()).then(|| now + within * 2 / 3);
                self.state = State::Ending(Ending { worker, next, terminate, kill: Some(kill) });
            }
            State::Ending(mut ending) => {
                ending.kill = ending.kill.map(|earlier| earlier.min(kill));
                ending.terminate = ending.terminate.map(|earlier| earlier.min(now + within * 2 / 3));
                let is_final = matches!(ending.next, Next::End(..));
                if matches!(next, Next::End(..)) && !is_final {
                    ending.next = next;
                }
                self.state = State::Ending(ending);
            }
            State::Waiting { last, until, why } => match next {
                Next::End(reason, detail) => return self.end(reason, detail),
                Next::Judge(..) | Next::Renew => self.state = State::Waiting { last, until, why },
            },
            State::Over => return,
        }
        self.report(now);
    }

    fn gone(&mut self, now: Instant, exit: Exit) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running(worker) => {
                let (reason, detail) = worker.verdict(exit);
                self.judge(now, worker, reason, detail);
            }
            State::Ending(Ending { worker, next, .. }) => match next {
                Next::Judge(reason, detail) => self.judge(now, worker, reason, detail),
                Next::Renew => self.spawn(now, worker.incarnation.saturating_add(1)),
                // A call that ended by itself meanwhile says more than that it was also stopped.
                Next::End(..) if worker.last_word == Some(EndReason::CallEnded) => {
                    self.end("call_ended", "the call ended".into());
                }
                Next::End(reason, detail) => self.end(reason, detail),
            },
            State::Waiting { until, last, why } => self.state = State::Waiting { until, last, why },
            State::Over => {}
        }
    }

    /// Decides what follows a worker's end.
    fn judge(&mut self, now: Instant, worker: Worker, reason: EndReason, detail: String) {
        if worker.publishing_since.is_some_and(|since| now - since >= self.limits.settled_after) {
            self.backoff.reset();
        }
        let detail = cut(&detail);
        match reason {
            EndReason::CallEnded => return self.end("call_ended", detail),
            EndReason::BadSpec => return self.end("bad_spec", detail),
            EndReason::Missing => return self.end("missing", detail),
            EndReason::JoinFailed => {
                self.join_failures += 1;
                if self.join_failures >= self.limits.join_attempts_max {
                    return self.end("join_failed", detail);
                }
            }
            EndReason::Refused => {
                let since = *self.refused_since.get_or_insert(now);
                if now - since >= self.limits.refused_for {
                    return self.end("refused", detail);
                }
            }
            // A worker that stopped although nobody asked for it is replaced like one that failed.
            EndReason::CellFailed | EndReason::Bug | EndReason::Stopped => {}
        }
        let until = now + self.backoff.next_pause();
        self.state = State::Waiting { until, last: worker, why: detail };
        self.report(now);
    }

    fn end(&mut self, reason: &str, detail: String) {
        self.state = State::Over;
        self.effects.push_back(Effect::Ended { reason: reason.into(), detail });
    }

    fn report(&mut self, now: Instant) {
        let (worker, state, pid, detail) = match &self.state {
            State::Running(worker) => (worker, state_name(worker.state), worker.pid, worker.detail.clone()),
            State::Ending(Ending { worker, .. }) => (worker, "leaving", worker.pid, worker.detail.clone()),
            State::Waiting { last, why, .. } => (last, "waiting", None, Some(why.clone())),
            State::Over => return,
        };
        self.report_due = now + REPORT_INTERVAL;
        self.effects.push_back(Effect::Report(WorkerReport {
            stream_id: self.job.stream_id,
            incarnation: worker.incarnation,
            state: state.into(),
            detail,
            pid,
            frames_sent: worker.stats.frames_sent,
            frames_dropped: worker.stats.frames_dropped,
            reconnects: worker.stats.reconnects,
        }));
    }
}

/// The first part of a detail.
fn cut(detail: &str) -> String {
    let end = detail.floor_char_boundary(DETAIL_BYTES_MAX);
    detail[..end].to_owned()
}
