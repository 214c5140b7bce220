//! One stream's life as a pure state machine: events go in with the time, effects come out as values.
//!
//! A stream is desired state. While it is wanted the machine keeps exactly one recorder at work under one claim; once
//! it is no longer wanted the recorder is told first and the claim is released last, so that nobody else can write
//! before the old writer is gone. Media that flows is never disturbed, whatever happens to the control connection.
//! Every wait in here has a deadline, so no stream is stuck for ever: [`Machine::poll_timeout`] names the next one.
//!
//! It reads no clock and talks to nobody: the reconciler carries its effects out.

mod durable;
mod effect;
mod end_reason;
mod event;
mod running;
mod starting;
mod view;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use super::spec::Spec;
use super::target::Target;
use super::targets::Added;
use api::streams::StreamState;
use api::{Problem, ProblemCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub use durable::Document;
pub use effect::Effect;
pub use end_reason::EndReason;
pub use event::{ClaimLoss, Event};
pub use view::playback;

/// A stop takes effect after this, so that remove-and-add keeps the running recorder.
pub const STOP_DEBOUNCE: Duration = Duration::from_secs(3);
/// How long a recorder may take to end a worker cleanly; with the debounce everything is gone in less than 5 s.
pub const STOP_WITHIN_MS: u32 = 1500;
/// A recorder that has not confirmed a stop by then is taken for dead: the claim is released, which shuts it out.
pub const STOP_CONFIRM_MAX: Duration = Duration::from_secs(10);
/// How long a recorder without control connection keeps a stream of which no media arrives.
pub const RECORDER_LOST_MAX: Duration = Duration::from_secs(10);
/// The same after the relay itself was started: its recorders need a moment to come back.
pub const RECORDER_RETURN_MAX: Duration = Duration::from_secs(15);
/// How long a recorder without control connection may take to replace a worker by itself once media stopped.
pub const WORKER_RETURN_MAX: Duration = Duration::from_secs(5);
/// A stream without media for this long is given up.
pub const WITHOUT_MEDIA_MAX: Duration = Duration::from_mins(10);
/// So many recorders in a row that bring no media, and the stream is given up.
pub const PLACEMENTS_IN_VAIN_MAX: u32 = 8;
/// Media that flowed this long counts as success: the count of vain placements begins anew.
const PROVEN_AFTER: Duration = Duration::from_secs(30);
/// How often the claim is renewed, also while media flows: a worker that says goodbye must find it still wanted.
pub const RENEW_EVERY: Duration = Duration::from_secs(8);
/// How often a starved stream asks for a place again, beside being told of new ones.
const PLACE_RETRY: Duration = Duration::from_secs(2);
/// How often a planned stream asks again for a claim that another holds, or that the store could not grant.
const CLAIM_RETRY: Duration = Duration::from_secs(5);
/// How often a recorder gets a fresh publish URL, since grants run out.
const URL_REFRESH: Duration = Duration::from_hours(1);
/// Incarnations of a new placement begin at a multiple of this, beyond any that a recorder out of reach may use.
const INCARNATIONS_PER_PLACEMENT: u32 = 100;
/// How many recorders to stay away from are remembered; the oldest is forgotten.
const AVOID_MAX: usize = 16;

/// A moment on both clocks: the monotonic one decides; the wall is for people and for times that people gave.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic.
    pub now: Instant,
    /// Wall time.
    pub wall: Timestamp,
}

/// A granted claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: Uuid,
    /// Its fencing token.
    pub token: u64,
}

/// Whether somebody waits for the answer to the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// A request does; a refusal is its answer.
    Request,
    /// Nobody does: the stream was planned, or comes from before a restart.
    Planned,
}

#[derive(Clone, Debug)]
enum State {
    /// Waits for `starts_at`.
    Scheduled,
    /// Waits for a recorder, or for another to give up the name.
    Waiting { retry_at: Instant, give_up: Instant, patience: Patience },
    /// Has a place; the claim is being taken.
    Claiming { recorder: String, give_up: Instant, patience: Patience },
    /// Has its claim; a recorder is at work or being looked for.
    Running { hold: Hold, carrier: Carrier, media: Media },
    /// The recorder was told to stop and has not confirmed.
    Stopping { hold: Hold, recorder: String, reason: EndReason, give_up: Instant },
    /// Over.
    Ended { reason: EndReason },
}

#[derive(Clone, Copy, Debug)]
enum Hold {
    /// Ours, as far as we know.
    Held { claim: Claim, renew_at: Instant },
    /// It ran out and was asked for again.
    Asked { retry_at: Instant },
}

#[derive(Clone, Debug)]
enum Carrier {
    /// None; the next is looked for then.
    None { retry_at: Instant },
    /// This recorder.
    On { recorder: String, link: Link },
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// Its control connection is open; it gets a fresh publish URL then.
    Up { refresh_at: Instant },
    /// It is not; if no media flows it is given up then.
    Down { give_up: Instant },
}

#[derive(Clone, Copy, Debug)]
enum Media {
    /// Never arrived yet.
    NotYet { give_up: Instant },
    /// Arrives.
    Flowing { since: Instant },
    /// Arrived once and is expected back.
    Lost { since: Instant, give_up: Instant },
}

#[derive(Clone, Copy, Debug)]
struct PlannedStop {
    at: Instant,
    reason: EndReason,
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// It is planned, or a recorder has it.
    Accepted,
    /// No recorder has a place.
    NoSpare,
    /// Another holds the name.
    Held {
        /// By public label.
        holder: String,
        /// Since when.
        since: Timestamp,
    },
    /// The store could not grant the claim, in words.
    Unavailable(String),
    /// It was stopped before it began.
    Stopped,
}

/// One stream.
#[derive(Clone, Debug)]
pub struct Machine {
    spec: Spec,
    state: State,
    outcome: Outcome,
    stop: Option<PlannedStop>,
    /// The highest incarnation that was seen or passed over.
    incarnation: u32,
    workers: u32,
    placements: u32,
    in_vain: u32,
    avoid: Vec<(String, Instant)>,
    detail: Option<String>,
    shown: StreamState,
    state_since: Timestamp,
    live_since: Option<Timestamp>,
    effects: VecDeque<Effect>,
}

impl Machine {
    /// A stream that was just asked for. `wait` is how long the request waits for a recorder.
    #[must_use]
    pub fn start(moment: Moment, spec: Spec, wait: Duration) -> Self {
        let mut machine = Self {
            state_since: moment.wall,
            spec,
            state: State::Scheduled,
            outcome: Outcome::Pending,
            stop: None,
            incarnation: 0,
            workers: 0,
            placements: 0,
            in_vain: 0,
            avoid: Vec::new(),
            detail: None,
            shown: StreamState::Queued,
            live_since: None,
            effects: VecDeque::from([Effect::Persist, Effect::Publish]),
        };
        if machine.spec.starts_at.is_some() {
            machine.outcome = Outcome::Accepted;
        } else {
            machine.look_for_recorder(moment, moment.now + wait, Patience::Request);
        }
        machine
    }

    /// Its orders.
    #[must_use]
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What became of its start.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether it is over and nothing more will be done for it.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Whether it is to end, but has not begun to: a start of the same call takes it over.
    #[must_use]
    pub const fn may_resume(&self) -> bool {
        let stop_is_near = self.stop.is_some();
        stop_is_near && !matches!(self.state, State::Stopping { .. } | State::Ended { .. })
    }

    /// The recorder that carries it or is to carry it.
    #[must_use]
    pub fn recorder(&self) -> Option<&str> {
        match &self.state {
            State::Claiming { recorder, .. }
            | State::Running { carrier: Carrier::On { recorder, .. }, .. }
            | State::Stopping { recorder, .. } => Some(recorder),
            State::Running { carrier: Carrier::None { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Ended { .. } => None,
        }
    }

    /// Whether its recorder is to go on carrying it: not in `Welcome.keep` otherwise.
    #[must_use]
    pub fn is_kept_by(&self, name: &str) -> bool {
        matches!(&self.state, State::Running { carrier: Carrier::On { recorder, .. }, .. } if recorder == name)
    }

    /// The claim that it holds.
    #[must_use]
    pub const fn claim(&self) -> Option<Claim> {
        match &self.state {
            State::Running { hold: Hold::Held { claim, .. }, .. }
            | State::Stopping { hold: Hold::Held { claim, .. }, .. } => Some(*claim),
            State::Running { hold: Hold::Asked { .. }, .. }
            | State::Stopping { hold: Hold::Asked { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Claiming { .. }
            | State::Ended { .. } => None,
        }
    }

    /// The next thing to do, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Event::Timeout`] is due. Wall times are looked at once a second, since that clock may step.
    #[must_use]
    pub fn poll_timeout(&self, moment: Moment) -> Option<Instant> {
        let wall = |at: Option<Timestamp>| {
            let left = at?.duration_since(moment.wall).unsigned_abs();
            Some(moment.now + left.min(Duration::from_secs(1)))
        };
        let stop = match &self.state {
            // The claim's answer comes first.
            State::Claiming { .. } => None,
            State::Stopping { .. } | State::Ended { .. } => None,
            State::Scheduled | State::Waiting { .. } | State::Running { .. } => self.stop.map(|stop| stop.at),
        };
        let ends = wall(self.spec.ends_at);
        let own = match &self.state {
            State::Scheduled => [wall(self.spec.starts_at), ends, None],
            State::Waiting { retry_at, give_up, .. } => [Some(*retry_at), Some(*give_up), ends],
            State::Claiming { .. } => [ends, None, None],
            State::Running { hold, carrier, media } => {
                [self.running_timeout(*hold, carrier, *media), ends, None]
            }
            State::Stopping { give_up, .. } => [Some(*give_up), None, None],
            State::Ended { .. } => [None; 3],
        };
        own.into_iter().chain([stop]).flatten().min()
    }

    /// Takes one event.
    pub fn handle(&mut self, moment: Moment, event: Event) {
        match event {
            Event::Placed { recorder } => self.placed(moment, recorder),
            Event::NoSpare => self.no_spare(moment),
            Event::SpareAppeared => self.spare_appeared(moment),
            Event::ClaimGranted(claim) => self.claim_granted(moment, claim),
            Event::ClaimRefused { holder, since } => self.claim_refused(moment, holder, since),
            Event::ClaimUnavailable(detail) => self.claim_unavailable(moment, detail),
            Event::ClaimGone(loss) => self.claim_gone(moment, loss),
            Event::Declined { recorder, detail } => self.declined(moment, &recorder, detail),
            Event::RecorderEnded { recorder, reason, detail } => {
                self.recorder_ended(moment, &recorder, &reason, detail);
            }
            Event::RecorderLost { recorder } => self.recorder_lost(moment, &recorder),
            Event::RecorderBack { recorder, carries } => self.recorder_back(moment, &recorder, carries),
            Event::Worker { recorder, report } => self.worker(&recorder, report),
            Event::MediaLive => self.media_live(moment),
            Event::MediaLost => self.media_lost(moment),
            Event::Stop { reason, debounce } => self.stop_requested(moment, reason, debounce),
            Event::Resume(spec) => self.resume(*spec),
            Event::Timeout => self.timeout(moment),
        }
        self.note_shown_state(moment);
    }

    /// One more target, unless the stream is over or about to be.
    ///
    /// # Errors
    /// A [`Problem`] for whoever asked.
    pub fn add_target(&mut self, target: Target) -> Result<Added, Problem> {
        if matches!(self.state, State::Stopping { .. } | State::Ended { .. }) {
            let why = "the stream is ending or has ended; start it anew with this target";
            return Err(Problem::new(ProblemCode::StreamEnded, why));
        }
        let added = self.spec.targets.add(target)?;
        if matches!(added, Added::New(_)) {
            self.changed();
        }
        Ok(added)
    }

    /// One target less; whether it had it.
    pub fn remove_target(&mut self, number: u32) -> bool {
        let had_it = self.spec.targets.remove(number);
        if had_it {
            self.changed();
        }
        had_it
    }

    fn stop_requested(&mut self, moment: Moment, reason: EndReason, debounce: Duration) {
        if matches!(self.state, State::Stopping { .. } | State::Ended { .. }) {
            return;
        }
        let at = moment.now + debounce;
        // A second stop never postpones the first.
        if self.stop.is_none_or(|stop| at < stop.at) {
            self.stop = Some(PlannedStop { at, reason });
            self.changed();
        }
        self.timeout(moment);
    }

    fn resume(&mut self, spec: Spec) {
        if self.may_resume() {
            self.stop = None;
            self.spec.ends_at = spec.ends_at;
            self.spec.labels = spec.labels;
            self.spec.targets.replace(spec.targets);
            self.changed();
        }
    }

    fn timeout(&mut self, moment: Moment) {
        let over = matches!(self.state, State::Stopping { .. } | State::Ended { .. });
        let planned_end_came = self.spec.ends_at.is_some_and(|at| at <= moment.wall);
        if planned_end_came && !over && self.stop.is_none_or(|stop| stop.at > moment.now) {
            self.stop = Some(PlannedStop { at: moment.now, reason: EndReason::EndsAt });
        }
        let stop_is_due = self.stop.filter(|stop| stop.at <= moment.now);
        if let Some(stop) = stop_is_due
            && !over
            && !matches!(self.state, State::Claiming { .. })
        {
            return self.finish(moment, stop.reason);
        }
        match &self.state {
            State::Scheduled => {
                if self.spec.starts_at.is_none_or(|at| at <= moment.wall) {
                    self.look_for_recorder(moment, moment.now + WITHOUT_MEDIA_MAX, Patience::Planned);
                }
            }
            State::Waiting { retry_at, give_up, patience } => {
                let (retry_at, give_up, patience) = (*retry_at, *give_up, *patience);
                if give_up <= moment.now {
                    self.not_placed(moment);
                } else if retry_at <= moment.now {
                    self.look_for_recorder(moment, give_up, patience);
                }
            }
            State::Claiming { .. } | State::Ended { .. } => {}
            State::Running { .. } => self.running_due(moment),
            State::Stopping { give_up, .. } => {
                if *give_up <= moment.now {
                    self.detail = Some("the recorder did not confirm the stop; it is shut out".into());
                    self.carrier_is_gone(moment);
                }
            }
        }
    }

    /// Ends it: the recorder first, the claim last.
    fn finish(&mut self, moment: Moment, reason: EndReason) {
        self.stop = None;
        match &self.state {
            State::Scheduled | State::Waiting { .. } => self.end(reason),
            State::Claiming { recorder, .. } => {
                self.effects.push_back(Effect::FreePlace { recorder: recorder.clone() });
                self.end(reason);
            }
            State::Running { hold, carrier: Carrier::None { .. }, .. } => {
                let hold = *hold;
                self.release(hold);
                self.end(reason);
            }
            State::Running { hold, carrier: Carrier::On { recorder, link }, .. } => {
                let (hold, recorder) = (*hold, recorder.clone());
                if matches!(link, Link::Up { .. }) {
                    self.effects.push_back(Effect::SendStop { recorder: recorder.clone() });
                }
                let give_up = moment.now + STOP_CONFIRM_MAX;
                self.state = State::Stopping { hold, recorder, reason, give_up };
                self.changed();
            }
            State::Stopping { .. } | State::Ended { .. } => {}
        }
    }

    fn release(&mut self, hold: Hold) {
        match hold {
            Hold::Held { claim, .. } => self.effects.push_back(Effect::ReleaseClaim(claim)),
            // If it is granted yet, it is given back then.
            Hold::Asked { .. } => {}
        }
    }

    fn end(&mut self, reason: EndReason) {
        if self.outcome == Outcome::Pending && matches!(reason, EndReason::Stopped | EndReason::EndsAt) {
            self.outcome = Outcome::Stopped;
        }
        self.state = State::Ended { reason };
        self.changed();
    }

    fn send_start(&mut self, recorder: String) {
        let first_incarnation = self.incarnation.saturating_add(1);
        self.effects.push_back(Effect::SendStart { recorder, first_incarnation });
    }

    fn say(&mut self, detail: &str) {
        if self.detail.as_deref() != Some(detail) {
            self.detail = Some(detail.to_owned());
            self.effects.push_back(Effect::Publish);
        }
    }

    fn changed(&mut self) {
        self.effects.push_back(Effect::Persist);
        self.effects.push_back(Effect::Publish);
    }
}
