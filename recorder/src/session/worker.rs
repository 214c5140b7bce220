//! One worker, as its session sees it, and the orders that it gets.

use super::{Exit, Limits, Unfit};
use api::control::Job;
use api::streams::CallKind;
use ipc::{EndReason, Profile, PublishStats, Report, Secret, WorkerSpec, WorkerState};
use std::time::{Duration, Instant};

/// How much longer than the time to join a worker gets for saying itself that it did not join.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    pub(super) incarnation: u32,
    pub(super) pid: Option<u32>,
    pub(super) state: WorkerState,
    pub(super) detail: Option<String>,
    pub(super) stats: PublishStats,
    pub(super) publishing_since: Option<Instant>,
    pub(super) last_word: Option<EndReason>,
    last_detail: String,
    /// By when the next state must be reached; none once it publishes.
    stage_ends: Option<Instant>,
    /// By when the next line must come, whatever it says.
    silence_ends: Instant,
}

impl Worker {
    pub(super) fn new(now: Instant, incarnation: u32, limits: &Limits) -> Self {
        Self {
            incarnation,
            pid: None,
            state: WorkerState::Starting,
            detail: None,
            stats: PublishStats::default(),
            publishing_since: None,
            last_word: None,
            last_detail: String::new(),
            stage_ends: Some(now + limits.start),
            silence_ends: now + limits.silence,
        }
    }

    /// Takes a line; true if the relay should hear of it at once.
    pub(super) fn hear(&mut self, now: Instant, report: Report, limits: &Limits) -> bool {
        let was_on_air = self.publishing_since.is_some();
        let is_news = match report {
            Report::State { state, detail } => {
                let is_new_state = self.state != state;
                if is_new_state {
                    self.stage_ends = match state {
                        WorkerState::Starting => self.stage_ends,
                        WorkerState::Joining => Some(now + limits.join + JOIN_MARGIN),
                        WorkerState::Joined => Some(now + limits.publish),
                        WorkerState::Publishing | WorkerState::Degraded => None,
                        WorkerState::Leaving => Some(now + limits.stop_within),
                    };
                }
                if state == WorkerState::Publishing && !was_on_air {
                    self.publishing_since = Some(now);
                }
                self.state = state;
                let detail = detail.map(|detail| super::cut(&detail));
                let is_news = is_new_state || self.detail != detail;
                self.detail = detail;
                is_news
            }
            Report::Stats { stats } => {
                self.stats = stats;
                false
            }
            Report::Ended { reason, detail } => {
                self.last_word = Some(reason);
                self.last_detail = super::cut(&detail);
                false
            }
        };
        self.silence_ends = now + limits.silence;
        is_news
    }

    pub(super) const fn has_joined(&self) -> bool {
        matches!(self.state, WorkerState::Joined | WorkerState::Publishing | WorkerState::Degraded)
    }

    /// When it will be late if nothing comes.
    pub(super) fn due(&self) -> Instant {
        self.stage_ends.map_or(self.silence_ends, |stage_ends| stage_ends.min(self.silence_ends))
    }

    /// What it is late with, if it is.
    pub(super) fn overdue(&self, now: Instant, limits: &Limits) -> Option<(EndReason, String)> {
        let failed = |detail: String| Some((EndReason::CellFailed, detail));
        if now >= self.silence_ends {
            return failed(format!("the worker said nothing for {} s", limits.silence.as_secs()));
        }
        if self.stage_ends.is_none_or(|stage_ends| now < stage_ends) {
            return None;
        }
        match self.state {
            WorkerState::Starting => {
                failed(format!("display, sound and browser were not up in {} s", limits.start.as_secs()))
            }
            WorkerState::Joining => {
                let detail = format!("the call did not play in {} s", limits.join.as_secs());
                Some((EndReason::JoinFailed, detail))
            }
            WorkerState::Joined => {
                failed(format!("no frame reached the relay in {} s", limits.publish.as_secs()))
            }
            // These have no stage that ends; the silence alone counts.
            WorkerState::Publishing | WorkerState::Degraded => None,
            WorkerState::Leaving => failed("the worker began to leave and did not end".into()),
        }
    }

    /// Why it ended. The exit code is the last word; the last line only adds words for people.
    pub(super) fn verdict(&self, exit: Exit) -> (EndReason, String) {
        let words = |reason: EndReason, fallback: &str| {
            let said = self.last_word == Some(reason) && !self.last_detail.is_empty();
            (reason, if said { self.last_detail.clone() } else { fallback.to_owned() })
        };
        match exit {
            Exit::Code(code) => match EndReason::from_exit_code(code) {
                Some(EndReason::Stopped) => words(EndReason::Stopped, "the worker ended unasked"),
                Some(EndReason::CallEnded) => words(EndReason::CallEnded, "the call ended"),
                Some(EndReason::JoinFailed) => words(EndReason::JoinFailed, "the call could not be joined"),
                Some(EndReason::CellFailed) => words(EndReason::CellFailed, "a part of the worker failed"),
                Some(EndReason::Refused) => words(EndReason::Refused, "the relay refused the publication"),
                Some(EndReason::BadSpec) => words(EndReason::BadSpec, "the worker cannot read its orders"),
                Some(EndReason::Missing) => words(EndReason::Missing, "something is missing on this machine"),
                Some(EndReason::Bug) => words(EndReason::Bug, "the worker has a bug"),
                None => (EndReason::CellFailed, format!("the worker ended with the unknown code {code}")),
            },
            Exit::Signal(signal) => {
                (EndReason::CellFailed, format!("the worker was ended by signal {signal}"))
            }
            Exit::NotStarted(why) => {
                (EndReason::CellFailed, format!("the worker could not be started: {why}"))
            }
        }
    }
}

/// The orders of a job's workers, apart from incarnation and publish URL.
pub(super) fn template(job: &Job, limits: &Limits) -> Result<WorkerSpec, Unfit> {
    let kind = match job.kind {
        CallKind::Test => ipc::CallKind::Test,
        CallKind::Web => ipc::CallKind::Web,
        CallKind::Auto => return Err(Unfit::Kind("auto")),
        CallKind::Jitsi => return Err(Unfit::Kind("jitsi")),
        CallKind::Janus => return Err(Unfit::Kind("janus")),
        CallKind::ElementCall => return Err(Unfit::Kind("element-call")),
        CallKind::Bbb => return Err(Unfit::Kind("bbb")),
        CallKind::Galene => return Err(Unfit::Kind("galene")),
    };
    let profile = match job.profile.as_str() {
        "540p30" => Profile::P540,
        "720p30" => Profile::P720,
        "1080p30" => Profile::P1080,
        other => return Err(Unfit::Profile(super::cut(other))),
    };
    let is_rtmp = ["rtmp://", "rtmps://"].iter().any(|scheme| job.publish_url.starts_with(scheme));
    if !is_rtmp {
        return Err(Unfit::PublishUrl);
    }
    Ok(WorkerSpec {
        stream_id: job.stream_id,
        incarnation: job.first_incarnation,
        kind,
        call_url: job.call_url.clone().map(Secret::new),
        publish_url: Secret::new(job.publish_url.clone()),
        profile,
        join_timeout_seconds: u32::try_from(limits.join.as_secs()).unwrap_or(u32::MAX),
    })
}

/// The publish URL of one worker.
pub(super) fn publish_url(url: &str, incarnation: u32) -> Secret {
    let joint = if url.contains('?') { '&' } else { '?' };
    Secret::new(format!("{url}{joint}incarnation={incarnation}"))
}

/// A state's name, as in JSON.
pub(super) const fn state_name(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Starting => "starting",
        WorkerState::Joining => "joining",
        WorkerState::Joined => "joined",
        WorkerState::Publishing => "publishing",
        WorkerState::Degraded => "degraded",
        WorkerState::Leaving => "leaving",
    }
}
