//! While a stream has its claim: recorders come and go, media comes and goes.

use super::{
    CLAIM_RETRY, Carrier, ClaimLoss, Effect, EndReason, Hold, Link, Machine, Media, Moment, PLACE_RETRY,
    PLACEMENTS_IN_VAIN_MAX, PROVEN_AFTER, RECORDER_LOST_MAX, RENEW_EVERY, State, URL_REFRESH,
    WITHOUT_MEDIA_MAX, WORKER_RETURN_MAX,
};
use api::control::WorkerReport;
use std::time::{Duration, Instant};

/// How long a recorder that declined is not asked again.
const AVOID_DECLINED: Duration = Duration::from_secs(5);
/// How long a recorder that is going away is not asked again.
const AVOID_LEAVING: Duration = Duration::from_secs(30);
/// How long a recorder that lacks something is not asked again.
const AVOID_LACKING: Duration = Duration::from_mins(10);
/// The longest pause between two placements.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

impl Machine {
    /// When something is due while running.
    pub(super) fn running_timeout(&self, hold: Hold, carrier: &Carrier, media: Media) -> Option<Instant> {
        let hold_due = match hold {
            Hold::Held { renew_at, .. } => Some(renew_at),
            Hold::Asked { retry_at } => Some(retry_at),
        };
        let carrier_due = match carrier {
            Carrier::None { retry_at } => Some(*retry_at),
            Carrier::On { link: Link::Up { refresh_at }, .. } => Some(*refresh_at),
            Carrier::On { link: Link::Down { give_up }, .. } => carrier_given_up_at(*give_up, media),
        };
        let media_due = match media {
            Media::NotYet { give_up } | Media::Lost { give_up, .. } => Some(give_up),
            Media::Flowing { .. } => None,
        };
        [hold_due, carrier_due, media_due].into_iter().flatten().min()
    }

    pub(super) fn running_due(&mut self, moment: Moment) {
        let State::Running { hold, carrier, media } = &mut self.state else { return };
        let without_media_too_long = match media {
            Media::NotYet { give_up } | Media::Lost { give_up, .. } => *give_up <= moment.now,
            Media::Flowing { .. } => false,
        };
        if without_media_too_long {
            self.detail = Some("no media for ten minutes".into());
            return self.finish(moment, EndReason::GaveUp);
        }
        match hold {
            Hold::Held { claim, renew_at } => {
                if *renew_at <= moment.now {
                    *renew_at = moment.now + RENEW_EVERY;
                    self.effects.push_back(Effect::RenewClaim(*claim));
                }
            }
            Hold::Asked { retry_at } => {
                if *retry_at <= moment.now {
                    *retry_at = moment.now + CLAIM_RETRY;
                    self.effects.push_back(Effect::ReserveClaim);
                }
            }
        }
        let has_claim = matches!(hold, Hold::Held { .. });
        match carrier {
            Carrier::None { retry_at } => {
                if *retry_at <= moment.now {
                    *retry_at = moment.now + PLACE_RETRY;
                    self.ask_for_place(moment);
                }
            }
            Carrier::On { recorder, link: Link::Up { refresh_at } } => {
                if *refresh_at <= moment.now {
                    *refresh_at = moment.now + URL_REFRESH;
                    let recorder = recorder.clone();
                    if has_claim {
                        self.send_start(recorder);
                    }
                }
            }
            Carrier::On { link: Link::Down { give_up }, .. } => {
                let is_given_up = carrier_given_up_at(*give_up, *media).is_some_and(|due| due <= moment.now);
                if is_given_up {
                    self.detail = Some("its recorder does not answer and no media arrives".into());
                    self.carrier_is_gone(moment);
                }
            }
        }
    }

    /// The recorder has ended, was never told, or is taken for dead: nothing of it runs that is not shut out.
    pub(super) fn carrier_is_gone(&mut self, moment: Moment) {
        match &mut self.state {
            State::Running { carrier: carrier @ Carrier::On { .. }, media, .. } => {
                let gone = std::mem::replace(carrier, Carrier::None { retry_at: moment.now });
                let proven = matches!(media, Media::Flowing { since } if *since + PROVEN_AFTER <= moment.now);
                self.in_vain = if proven { 1 } else { self.in_vain.saturating_add(1) };
                if let Carrier::On { recorder, .. } = gone {
                    self.effects.push_back(Effect::FreePlace { recorder });
                }
                self.place_again(moment);
            }
            State::Stopping { hold, recorder, reason, .. } => {
                let (hold, recorder, reason) = (*hold, std::mem::take(recorder), *reason);
                self.effects.push_back(Effect::FreePlace { recorder });
                self.release(hold);
                self.end(reason);
            }
            State::Running { carrier: Carrier::None { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Claiming { .. }
            | State::Ended { .. } => {}
        }
    }

    /// At once the first time, later and later after that.
    fn place_again(&mut self, moment: Moment) {
        if self.in_vain > PLACEMENTS_IN_VAIN_MAX {
            return self.finish(moment, EndReason::GaveUp);
        }
        let pause = match self.in_vain {
            0 | 1 => Duration::ZERO,
            tries => Duration::from_secs(1 << (tries - 2).min(4)).min(BACKOFF_MAX) + self.jitter(),
        };
        if let State::Running { carrier: Carrier::None { retry_at }, .. } = &mut self.state {
            *retry_at = moment.now + pause;
        }
        self.changed();
        self.running_due(moment);
    }

    /// Up to half a second, different for each stream, so that many do not ask in step.
    fn jitter(&self) -> Duration {
        let spread =
            self.spec.id.as_bytes().iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(*byte));
        Duration::from_millis(u64::from(spread % 500))
    }

    pub(super) fn claim_gone(&mut self, moment: Moment, loss: ClaimLoss) {
        match &mut self.state {
            State::Running { hold, .. } => match loss {
                ClaimLoss::Expired => {
                    if matches!(hold, Hold::Held { .. }) {
                        *hold = Hold::Asked { retry_at: moment.now + CLAIM_RETRY };
                        self.effects.push_back(Effect::ReserveClaim);
                        self.changed();
                    }
                }
                ClaimLoss::Seized => {
                    *hold = Hold::Asked { retry_at: moment.now + CLAIM_RETRY };
                    self.detail = Some("an operator seized its name".into());
                    self.finish(moment, EndReason::Seized);
                }
                ClaimLoss::Released => {
                    *hold = Hold::Asked { retry_at: moment.now + CLAIM_RETRY };
                    self.detail = Some("an operator released its claim".into());
                    self.finish(moment, EndReason::ClaimReleased);
                }
            },
            State::Stopping { hold, .. } => *hold = Hold::Asked { retry_at: moment.now },
            State::Scheduled | State::Waiting { .. } | State::Claiming { .. } | State::Ended { .. } => {}
        }
    }

    fn is_carried_by(&self, name: &str) -> bool {
        match &self.state {
            State::Running { carrier: Carrier::On { recorder, .. }, .. }
            | State::Stopping { recorder, .. } => recorder == name,
            State::Running { carrier: Carrier::None { .. }, .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Claiming { .. }
            | State::Ended { .. } => false,
        }
    }

    pub(super) fn declined(&mut self, moment: Moment, recorder: &str, detail: String) {
        if self.is_carried_by(recorder) {
            self.stay_away_from(recorder, moment.now + AVOID_DECLINED);
            self.detail = Some(format!("recorder {recorder} declined: {detail}"));
            self.carrier_is_gone(moment);
        }
    }

    pub(super) fn recorder_ended(&mut self, moment: Moment, recorder: &str, reason: &str, detail: String) {
        if !self.is_carried_by(recorder) {
            return;
        }
        if matches!(self.state, State::Stopping { .. }) {
            return self.carrier_is_gone(moment);
        }
        if !detail.is_empty() {
            self.detail = Some(detail);
        }
        let was_live = self.live_since.is_some();
        // A reason to end the stream, or none if another recorder may fare better.
        let ends = match reason {
            "call_ended" => Some(EndReason::CallEnded),
            "bad_spec" => Some(EndReason::BadSpec),
            "join_failed" if !was_live || self.in_vain >= 2 => Some(EndReason::JoinFailed),
            "refused" if self.in_vain >= 2 => Some(EndReason::Refused),
            "missing" if self.in_vain >= 4 => Some(EndReason::Missing),
            _ => None,
        };
        match reason {
            "missing" => self.stay_away_from(recorder, moment.now + AVOID_LACKING),
            "stopped" => self.stay_away_from(recorder, moment.now + AVOID_LEAVING),
            _ => {}
        }
        match ends {
            None => self.carrier_is_gone(moment),
            Some(reason) => {
                // Its processes are gone already: nothing is left to be told.
                if let State::Running { carrier, .. } = &mut self.state {
                    *carrier = Carrier::None { retry_at: moment.now };
                    self.effects.push_back(Effect::FreePlace { recorder: recorder.to_owned() });
                }
                self.finish(moment, reason);
            }
        }
    }

    pub(super) fn recorder_lost(&mut self, moment: Moment, name: &str) {
        if let State::Running { carrier: Carrier::On { recorder, link }, .. } = &mut self.state
            && recorder == name
            && matches!(link, Link::Up { .. })
        {
            *link = Link::Down { give_up: moment.now + RECORDER_LOST_MAX };
            self.say("its recorder's control connection is lost");
        }
    }

    pub(super) fn recorder_back(&mut self, moment: Moment, name: &str, carries: bool) {
        match &mut self.state {
            State::Running { hold, carrier: Carrier::On { recorder, link }, .. } if recorder == name => {
                *link = Link::Up { refresh_at: moment.now + URL_REFRESH };
                let (has_claim, recorder) = (matches!(hold, Hold::Held { .. }), recorder.clone());
                // If it still carries the stream this only renews the publish URL.
                if has_claim {
                    self.send_start(recorder);
                }
                if !carries {
                    self.in_vain = self.in_vain.saturating_add(1);
                }
                self.detail = None;
                self.changed();
            }
            State::Stopping { recorder, .. } if recorder == name => {
                if carries {
                    let recorder = recorder.clone();
                    self.effects.push_back(Effect::SendStop { recorder });
                } else {
                    self.carrier_is_gone(moment);
                }
            }
            State::Running { .. }
            | State::Stopping { .. }
            | State::Scheduled
            | State::Waiting { .. }
            | State::Claiming { .. }
            | State::Ended { .. } => {}
        }
    }

    pub(super) fn worker(&mut self, recorder: &str, report: WorkerReport) {
        if !self.is_carried_by(recorder) {
            return;
        }
        if report.incarnation > self.incarnation {
            self.incarnation = report.incarnation;
            self.workers = self.workers.saturating_add(1);
            self.changed();
        }
        let detail = report.detail.unwrap_or(report.state);
        let is_news = !matches!(self.state, State::Running { media: Media::Flowing { .. }, .. });
        if is_news {
            self.say(&detail);
        }
    }

    pub(super) fn media_live(&mut self, moment: Moment) {
        if let State::Running { media: media @ (Media::NotYet { .. } | Media::Lost { .. }), .. } =
            &mut self.state
        {
            *media = Media::Flowing { since: moment.now };
            self.live_since.get_or_insert(moment.wall);
            self.detail = None;
            self.changed();
        }
    }

    pub(super) fn media_lost(&mut self, moment: Moment) {
        if let State::Running { hold, media, .. } = &mut self.state
            && let Media::Flowing { since } = *media
        {
            if since + PROVEN_AFTER <= moment.now {
                self.in_vain = 0;
            }
            *media = Media::Lost { since: moment.now, give_up: moment.now + WITHOUT_MEDIA_MAX };
            if let Hold::Held { renew_at, .. } = hold {
                *renew_at = moment.now;
            }
            self.detail = Some("media stopped".into());
            self.changed();
            self.running_due(moment);
        }
    }
}

/// When a recorder without control connection is given up; never while media flows.
fn carrier_given_up_at(give_up: Instant, media: Media) -> Option<Instant> {
    match media {
        Media::NotYet { .. } => Some(give_up),
        Media::Flowing { .. } => None,
        Media::Lost { since, .. } => Some(give_up.max(since + WORKER_RETURN_MAX)),
    }
}
