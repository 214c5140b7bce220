//! From being asked for to having a recorder and the claim.

use super::{
    AVOID_MAX, CLAIM_RETRY, Carrier, Claim, Effect, EndReason, Hold, INCARNATIONS_PER_PLACEMENT, Link,
    Machine, Media, Moment, Outcome, PLACE_RETRY, Patience, RENEW_EVERY, State, URL_REFRESH,
    WITHOUT_MEDIA_MAX,
};
use jiff::Timestamp;
use std::time::Instant;

impl Machine {
    pub(super) fn look_for_recorder(&mut self, moment: Moment, give_up: Instant, patience: Patience) {
        self.state = State::Waiting { retry_at: moment.now + PLACE_RETRY, give_up, patience };
        self.ask_for_place(moment);
    }

    pub(super) fn ask_for_place(&mut self, moment: Moment) {
        self.avoid.retain(|(_, until)| *until > moment.now);
        let never = self.avoid.iter().map(|(name, _)| name.clone()).collect();
        self.effects.push_back(Effect::Place { never });
    }

    pub(super) fn stay_away_from(&mut self, recorder: &str, until: Instant) {
        self.avoid.retain(|(name, _)| name != recorder);
        if self.avoid.len() >= AVOID_MAX {
            self.avoid.remove(0);
        }
        self.avoid.push((recorder.to_owned(), until));
    }

    pub(super) fn placed(&mut self, moment: Moment, recorder: String) {
        match &mut self.state {
            State::Waiting { give_up, patience, .. } => {
                self.state = State::Claiming { recorder, give_up: *give_up, patience: *patience };
                self.effects.push_back(Effect::ReserveClaim);
                self.changed();
            }
            State::Running { hold, carrier: carrier @ Carrier::None { .. }, .. } => {
                let has_claim = matches!(hold, Hold::Held { .. });
                let link = Link::Up { refresh_at: moment.now + URL_REFRESH };
                *carrier = Carrier::On { recorder: recorder.clone(), link };
                let passed_over = self.incarnation / INCARNATIONS_PER_PLACEMENT + 1;
                self.incarnation = passed_over.saturating_mul(INCARNATIONS_PER_PLACEMENT);
                self.placements = self.placements.saturating_add(1);
                // Without the claim it is told once the claim is back.
                if has_claim {
                    self.send_start(recorder);
                }
                self.changed();
            }
            State::Running { carrier: Carrier::On { .. }, .. }
            | State::Scheduled
            | State::Claiming { .. }
            | State::Stopping { .. }
            | State::Ended { .. } => self.effects.push_back(Effect::FreePlace { recorder }),
        }
    }

    pub(super) fn no_spare(&mut self, moment: Moment) {
        match &mut self.state {
            State::Waiting { give_up, .. } => {
                if *give_up <= moment.now {
                    self.not_placed(moment);
                } else {
                    self.say("waits for a recorder with a spare place");
                }
            }
            State::Running { carrier: Carrier::None { retry_at }, .. } => {
                *retry_at = moment.now + PLACE_RETRY;
                self.say("waits for another recorder with a spare place");
            }
            State::Running { carrier: Carrier::On { .. }, .. }
            | State::Scheduled
            | State::Claiming { .. }
            | State::Stopping { .. }
            | State::Ended { .. } => {}
        }
    }

    pub(super) fn not_placed(&mut self, moment: Moment) {
        if self.outcome == Outcome::Pending {
            self.outcome = Outcome::NoSpare;
        }
        self.finish(moment, EndReason::NoSpareRecorder);
    }

    pub(super) fn spare_appeared(&mut self, moment: Moment) {
        match self.state {
            State::Waiting { give_up, patience, .. } => self.look_for_recorder(moment, give_up, patience),
            // A stream that is backing off goes on doing so: its timer asks.
            State::Running { .. }
            | State::Scheduled
            | State::Claiming { .. }
            | State::Stopping { .. }
            | State::Ended { .. } => {}
        }
    }

    pub(super) fn claim_granted(&mut self, moment: Moment, claim: Claim) {
        let held = Hold::Held { claim, renew_at: moment.now + RENEW_EVERY };
        match &mut self.state {
            State::Claiming { recorder, .. } => {
                let recorder = recorder.clone();
                let link = Link::Up { refresh_at: moment.now + URL_REFRESH };
                self.state = State::Running {
                    hold: held,
                    carrier: Carrier::On { recorder: recorder.clone(), link },
                    media: Media::NotYet { give_up: moment.now + WITHOUT_MEDIA_MAX },
                };
                self.placements = self.placements.saturating_add(1);
                let stop_is_due = self.stop.filter(|stop| stop.at <= moment.now);
                if let Some(stop) = stop_is_due {
                    // It was stopped meanwhile: the recorder was told nothing yet, so nothing runs.
                    self.effects.push_back(Effect::FreePlace { recorder });
                    self.state = State::Running {
                        hold: held,
                        carrier: Carrier::None { retry_at: moment.now },
                        media: Media::NotYet { give_up: moment.now },
                    };
                    return self.finish(moment, stop.reason);
                }
                self.outcome = Outcome::Accepted;
                self.detail = None;
                self.send_start(recorder);
                self.changed();
            }
            State::Running { hold: hold @ Hold::Asked { .. }, carrier, .. } => {
                *hold = held;
                // The old publish URL names the old claim.
                if let Carrier::On { recorder, link: Link::Up { .. } } = carrier {
                    let recorder = recorder.clone();
                    self.send_start(recorder);
                }
                self.changed();
            }
            State::Running { hold: hold @ Hold::Held { .. }, .. } => *hold = held,
            State::Stopping { hold, .. } => *hold = held,
            State::Scheduled | State::Waiting { .. } | State::Ended { .. } => {
                self.effects.push_back(Effect::ReleaseClaim(claim));
            }
        }
    }

    pub(super) fn claim_refused(&mut self, moment: Moment, holder: String, since: Timestamp) {
        match &self.state {
            State::Claiming { recorder, patience, give_up } => {
                let (recorder, patience, give_up) = (recorder.clone(), *patience, *give_up);
                self.detail = Some(format!("{holder} holds {}", self.spec.name));
                self.not_claimed(moment, recorder, patience, give_up, EndReason::ClaimHeld);
                if self.outcome == Outcome::Pending {
                    self.outcome = Outcome::Held { holder, since };
                }
            }
            State::Running { hold: Hold::Asked { .. }, .. } => {
                self.detail = Some(format!("{holder} has taken {} meanwhile", self.spec.name));
                self.finish(moment, EndReason::ClaimHeld);
            }
            State::Running { hold: Hold::Held { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Ended { .. } => {}
        }
    }

    pub(super) fn claim_unavailable(&mut self, moment: Moment, why: String) {
        match &mut self.state {
            State::Claiming { recorder, patience, give_up } => {
                let (recorder, patience, give_up) = (recorder.clone(), *patience, *give_up);
                self.detail = Some(format!("its claim could not be written: {why}"));
                self.not_claimed(moment, recorder, patience, give_up, EndReason::StoreUnavailable);
                if self.outcome == Outcome::Pending {
                    self.outcome = Outcome::Unavailable(why);
                }
            }
            State::Running { hold: Hold::Asked { retry_at }, .. } => *retry_at = moment.now + CLAIM_RETRY,
            State::Running { hold: Hold::Held { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Ended { .. } => {}
        }
    }

    /// The first claim was not granted: the answer to a request, or a reason to ask again later.
    pub(super) fn not_claimed(
        &mut self,
        moment: Moment,
        recorder: String,
        patience: Patience,
        give_up: Instant,
        reason: EndReason,
    ) {
        let stop_is_due = self.stop.filter(|stop| stop.at <= moment.now);
        let asks_again = patience == Patience::Planned && give_up > moment.now && stop_is_due.is_none();
        if asks_again {
            self.effects.push_back(Effect::FreePlace { recorder });
            self.state = State::Waiting { retry_at: moment.now + CLAIM_RETRY, give_up, patience };
            self.changed();
        } else {
            self.finish(moment, stop_is_due.map_or(reason, |stop| stop.reason));
        }
    }
}
