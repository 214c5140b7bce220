//! What of a stream is kept across a restart of the relay.
//!
//! Clocks do not survive: deadlines begin anew, which only ever gives a stream more time. Whether media flows is told
//! by the claims after the restart. A document holds the call's URL, so the store is as secret as the calls are.

use super::{
    Carrier, Claim, EndReason, Hold, Link, Machine, Media, Moment, Outcome, Patience, PlannedStop,
    RECORDER_RETURN_MAX, STOP_CONFIRM_MAX, State, WITHOUT_MEDIA_MAX,
};
use crate::streams::spec::Spec;
use api::streams::StreamState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One stream in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its orders.
    pub spec: Spec,
    /// How far it is.
    pub phase: Phase,
    /// Why it is to end soon, if somebody said so.
    #[serde(default)]
    pub stop: Option<EndReason>,
    /// The highest incarnation that was seen or passed over.
    pub incarnation: u32,
    /// How many workers it has had.
    pub workers: u32,
    /// For people.
    #[serde(default)]
    pub detail: Option<String>,
    /// When the shown state was reached.
    pub state_since: Timestamp,
    /// When media first arrived.
    #[serde(default)]
    pub live_since: Option<Timestamp>,
}

/// How far a stream is, as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Waits for its time.
    Scheduled,
    /// Was asked for; has no claim that we know of.
    Asked,
    /// Has, or had, its claim.
    Running {
        /// The claim.
        claim: Option<Claim>,
        /// Who carries it.
        recorder: Option<String>,
    },
    /// Its recorder was told to stop.
    Stopping {
        /// The claim.
        claim: Option<Claim>,
        /// Who carried it.
        recorder: String,
        /// Why it ends.
        reason: EndReason,
    },
    /// Over.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

impl Machine {
    /// What is to be kept now.
    #[must_use]
    pub fn document(&self) -> Document {
        let phase = match &self.state {
            State::Scheduled => Phase::Scheduled,
            State::Waiting { .. } | State::Claiming { .. } => Phase::Asked,
            State::Running { .. } => {
                Phase::Running { claim: self.claim(), recorder: self.recorder().map(str::to_owned) }
            }
            State::Stopping { recorder, reason, .. } => {
                Phase::Stopping { claim: self.claim(), recorder: recorder.clone(), reason: *reason }
            }
            State::Ended { reason } => Phase::Ended { reason: *reason },
        };
        Document {
            spec: self.spec.clone(),
            phase,
            stop: self.stop.map(|stop| stop.reason),
            incarnation: self.incarnation,
            workers: self.workers,
            detail: self.detail.clone(),
            state_since: self.state_since,
            live_since: self.live_since,
        }
    }

    /// Takes a stream up again after a restart. Its claim is asked for again, under the same holder.
    #[must_use]
    pub fn restore(moment: Moment, document: Document) -> Self {
        let held = |claim: Option<Claim>| match claim {
            Some(claim) => Hold::Held { claim, renew_at: moment.now },
            None => Hold::Asked { retry_at: moment.now },
        };
        let was_live = document.live_since.is_some();
        let give_up = moment.now + WITHOUT_MEDIA_MAX;
        let state = match document.phase {
            Phase::Scheduled => State::Scheduled,
            Phase::Asked => State::Waiting { retry_at: moment.now, give_up, patience: Patience::Planned },
            Phase::Running { claim, recorder } => State::Running {
                hold: held(claim),
                carrier: match recorder {
                    None => Carrier::None { retry_at: moment.now + RECORDER_RETURN_MAX / 3 },
                    Some(recorder) => {
                        let link = Link::Down { give_up: moment.now + RECORDER_RETURN_MAX };
                        Carrier::On { recorder, link }
                    }
                },
                media: if was_live {
                    Media::Lost { since: moment.now, give_up }
                } else {
                    Media::NotYet { give_up }
                },
            },
            Phase::Stopping { claim, recorder, reason } => {
                let give_up = moment.now + STOP_CONFIRM_MAX;
                State::Stopping { hold: held(claim), recorder, reason, give_up }
            }
            Phase::Ended { reason } => State::Ended { reason },
        };
        let mut machine = Self {
            spec: document.spec,
            state,
            outcome: Outcome::Accepted,
            stop: document.stop.map(|reason| PlannedStop { at: moment.now, reason }),
            incarnation: document.incarnation,
            workers: document.workers,
            placements: u32::from(document.incarnation > 0),
            in_vain: 0,
            avoid: Vec::new(),
            detail: document.detail,
            shown: StreamState::Queued,
            state_since: document.state_since,
            live_since: document.live_since,
            effects: VecDeque::new(),
        };
        machine.shown = machine.state_now();
        machine
    }
}
