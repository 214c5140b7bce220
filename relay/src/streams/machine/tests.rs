#![allow(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]

use super::*;
use serde_json::json;

/// A stream, its clock, and what it asked for so far.
struct Story {
    machine: Machine,
    moment: Moment,
    /// Where the next place is, if there is one.
    spare: Option<&'static str>,
    told: Vec<String>,
}

fn spec(change: serde_json::Value) -> Spec {
    let mut body = json!({ "call": { "kind": "test" }, "name": "live/room-1" });
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    Spec::parse(Uuid::from_u128(7), wall(0), &serde_json::from_value(body).unwrap()).unwrap()
}

fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_268_800 + seconds).unwrap()
}

fn claim() -> Claim {
    Claim { id: Uuid::from_u128(1), token: 5 }
}

impl Story {
    fn new(change: serde_json::Value, spare: Option<&'static str>, wait: u64) -> Self {
        let moment = Moment { now: Instant::now(), wall: wall(0) };
        let machine = Machine::start(moment, spec(change), Duration::from_secs(wait));
        let mut story = Self { machine, moment, spare, told: Vec::new() };
        story.carry_out();
        story
    }

    fn live() -> Self {
        let mut story = Self::new(json!({}), Some("a"), 0);
        story.says(Event::ClaimGranted(claim()));
        story.worker("a", 1);
        story.says(Event::MediaLive);
        assert_eq!(story.state(), StreamState::Live);
        story.told.clear();
        story
    }

    fn says(&mut self, event: Event) {
        self.machine.handle(self.moment, event);
        self.carry_out();
    }

    fn worker(&mut self, recorder: &str, incarnation: u32) {
        let report =
            json!({ "stream_id": Uuid::from_u128(7), "incarnation": incarnation, "state": "joining" });
        let report = serde_json::from_value(report).unwrap();
        self.says(Event::Worker { recorder: recorder.into(), report });
    }

    fn ended(&mut self, recorder: &str, reason: &str) {
        self.says(Event::RecorderEnded {
            recorder: recorder.into(),
            reason: reason.into(),
            detail: String::new(),
        });
    }

    fn stop(&mut self) {
        self.says(Event::Stop { reason: EndReason::Stopped, debounce: STOP_DEBOUNCE });
    }

    /// Lets time pass, with every timeout on the way.
    fn wait(&mut self, seconds: f64) {
        let end = self.moment.now + Duration::from_secs_f64(seconds);
        while let Some(due) = self.machine.poll_timeout(self.moment).filter(|due| *due <= end) {
            self.pass(due.duration_since(self.moment.now).max(Duration::from_millis(1)));
            self.says(Event::Timeout);
        }
        self.pass(end.saturating_duration_since(self.moment.now));
    }

    fn pass(&mut self, time: Duration) {
        self.moment.now += time;
        self.moment.wall += jiff::SignedDuration::try_from(time).unwrap();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            let told = match effect {
                Effect::Place { never } => {
                    let spare = self.spare.filter(|name| !never.iter().any(|avoided| avoided == name));
                    let answer = match spare {
                        Some(recorder) => Event::Placed { recorder: recorder.into() },
                        None => Event::NoSpare,
                    };
                    self.machine.handle(self.moment, answer);
                    continue;
                }
                Effect::Persist | Effect::Publish | Effect::RenewClaim(_) => continue,
                Effect::FreePlace { recorder } => format!("free {recorder}"),
                Effect::ReserveClaim => "reserve".into(),
                Effect::ReleaseClaim(_) => "release".into(),
                Effect::SendStart { recorder, first_incarnation } => {
                    format!("start {recorder} {first_incarnation}")
                }
                Effect::SendStop { recorder } => format!("stop {recorder}"),
            };
            self.told.push(told);
        }
    }

    fn told(&mut self) -> String {
        std::mem::take(&mut self.told).join(", ")
    }

    fn state(&self) -> StreamState {
        self.machine.view().state
    }

    fn end_reason(&self) -> String {
        self.machine.view().end_reason.unwrap_or_default()
    }
}

#[test]
fn a_start_takes_a_place_then_the_claim_then_tells_the_recorder() {
    let mut story = Story::new(json!({}), Some("a"), 0);
    assert_eq!((story.told().as_str(), story.state()), ("reserve", StreamState::Claiming));
    assert_eq!(story.machine.outcome(), &Outcome::Pending);
    story.says(Event::ClaimGranted(claim()));
    assert_eq!((story.told().as_str(), story.state()), ("start a 1", StreamState::Joining));
    assert_eq!(story.machine.outcome(), &Outcome::Accepted);
    story.says(Event::MediaLive);
    assert_eq!(story.state(), StreamState::Live);
    assert_eq!(story.machine.view().live_since, Some(wall(0)));
}

#[test]
fn without_a_spare_recorder_a_start_fails_at_once_or_after_its_wait() {
    let story = Story::new(json!({}), None, 0);
    assert_eq!((story.machine.outcome(), story.state()), (&Outcome::NoSpare, StreamState::Ended));

    let mut patient = Story::new(json!({}), None, 30);
    patient.wait(29.0);
    assert_eq!((patient.machine.outcome(), patient.state()), (&Outcome::Pending, StreamState::Queued));
    patient.spare = Some("b");
    patient.says(Event::SpareAppeared);
    assert_eq!(patient.told(), "reserve");

    let mut vain = Story::new(json!({}), None, 30);
    vain.wait(31.0);
    assert_eq!(vain.machine.outcome(), &Outcome::NoSpare);
}

#[test]
fn a_held_name_is_the_answer_to_a_request_and_frees_the_place() {
    let mut story = Story::new(json!({}), Some("a"), 0);
    story.says(Event::ClaimRefused { holder: "obs".into(), since: wall(-60) });
    assert_eq!(story.machine.outcome(), &Outcome::Held { holder: "obs".into(), since: wall(-60) });
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("reserve, free a", "claim_held"));
}

#[test]
fn a_stop_waits_three_seconds_and_releases_the_claim_last() {
    let mut story = Story::live();
    story.stop();
    assert_eq!((story.told().as_str(), story.state()), ("", StreamState::Stopping));
    story.wait(2.9);
    assert_eq!(story.told(), "");
    story.wait(0.2);
    assert_eq!(story.told(), "stop a");
    story.says(Event::MediaLost);
    assert_eq!((story.told().as_str(), story.state()), ("", StreamState::Stopping));
    story.ended("a", "stopped");
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("free a, release", "stopped"));
    assert!(Duration::from_millis(u64::from(STOP_WITHIN_MS)) + STOP_DEBOUNCE < Duration::from_secs(5));
}

#[test]
fn a_start_within_the_debounce_keeps_the_running_recorder() {
    let mut story = Story::live();
    story.stop();
    story.wait(1.0);
    assert!(story.machine.may_resume());
    story.says(Event::Resume(Box::new(spec(json!({})))));
    story.wait(10.0);
    assert_eq!((story.told().as_str(), story.state()), ("", StreamState::Live));
    story.stop();
    story.wait(3.1);
    assert!(!story.machine.may_resume(), "the recorder was told already");
}

#[test]
fn a_recorder_that_never_confirms_a_stop_is_shut_out_by_the_release() {
    let mut story = Story::live();
    story.stop();
    story.wait(3.5);
    assert_eq!(story.told(), "stop a");
    story.wait(10.0);
    assert_eq!((story.told().as_str(), story.state()), ("free a, release", StreamState::Ended));
}

#[test]
fn media_that_flows_is_left_alone_however_long_the_recorder_is_silent() {
    let mut story = Story::live();
    story.spare = Some("b");
    story.says(Event::RecorderLost { recorder: "a".into() });
    story.wait(3600.0);
    assert_eq!((story.told().as_str(), story.state()), ("", StreamState::Live));
    story.says(Event::RecorderBack { recorder: "a".into(), carries: true });
    assert_eq!(story.told(), "start a 2", "a fresh publish URL, nothing else");
}

#[test]
fn a_recorder_that_is_gone_without_media_is_replaced_beyond_its_incarnations() {
    let mut story = Story::live();
    story.spare = Some("b");
    story.says(Event::RecorderLost { recorder: "a".into() });
    story.says(Event::MediaLost);
    assert_eq!(story.state(), StreamState::Recovering);
    story.wait(9.9);
    assert_eq!(story.told(), "");
    story.wait(0.2);
    assert_eq!(story.told(), "free a, start b 101");
    story.says(Event::RecorderBack { recorder: "a".into(), carries: true });
    assert_eq!(story.told(), "", "the old one is not kept: the welcome stops it");
    assert!(!story.machine.is_kept_by("a") && story.machine.is_kept_by("b"));
    story.says(Event::MediaLive);
    assert_eq!(story.state(), StreamState::Live);
}

#[test]
fn a_long_silent_recorder_gets_a_moment_to_replace_its_worker() {
    let mut story = Story::live();
    story.spare = Some("b");
    story.says(Event::RecorderLost { recorder: "a".into() });
    story.wait(600.0);
    story.says(Event::MediaLost);
    story.wait(4.9);
    assert_eq!(story.told(), "");
    story.says(Event::MediaLive);
    story.wait(60.0);
    assert_eq!(story.told(), "");
    story.says(Event::MediaLost);
    story.wait(5.1);
    assert_eq!(story.told(), "free a, start b 101");
}

#[test]
fn a_recorder_that_restarted_is_given_its_stream_again() {
    let mut story = Story::live();
    story.says(Event::RecorderLost { recorder: "a".into() });
    story.says(Event::MediaLost);
    story.says(Event::RecorderBack { recorder: "a".into(), carries: false });
    assert_eq!(story.told(), "start a 2");
    assert_eq!(story.state(), StreamState::Recovering);
}

#[test]
fn a_recorder_that_declines_is_not_asked_again_at_once() {
    let mut story = Story::new(json!({}), Some("a"), 0);
    story.says(Event::ClaimGranted(claim()));
    story.told.clear();
    story.says(Event::Declined { recorder: "a".into(), detail: "full".into() });
    assert_eq!((story.told().as_str(), story.state()), ("free a", StreamState::Joining));
    story.spare = Some("b");
    story.wait(2.1);
    assert_eq!(story.told(), "start b 101");
}

#[test]
fn a_call_that_cannot_be_joined_and_a_call_that_is_over_end_the_stream() {
    let mut story = Story::new(json!({}), Some("a"), 0);
    story.says(Event::ClaimGranted(claim()));
    story.told.clear();
    story.ended("a", "join_failed");
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("free a, release", "join_failed"));

    let mut story = Story::live();
    story.ended("a", "call_ended");
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("free a, release", "call_ended"));
}

#[test]
fn a_job_that_fails_again_and_again_is_given_up() {
    let mut story = Story::live();
    story.says(Event::MediaLost);
    let mut tries = 0;
    while story.state() != StreamState::Ended {
        story.ended("a", "cell_failed");
        story.wait(20.0);
        tries += 1;
        assert!(tries < 20);
    }
    assert_eq!((tries, story.end_reason().as_str()), (9, "gave_up"));
    assert!(story.told().ends_with("free a, release"));
}

#[test]
fn ten_minutes_without_media_end_the_stream() {
    let mut story = Story::live();
    story.says(Event::MediaLost);
    story.wait(601.0);
    assert_eq!(story.told(), "stop a");
    story.ended("a", "stopped");
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("free a, release", "gave_up"));
}

#[test]
fn a_planned_stream_starts_and_ends_at_its_times() {
    let change = json!({ "starts_at": wall(600), "ends_at": wall(1200) });
    let mut story = Story::new(change, Some("a"), 0);
    assert_eq!((story.machine.outcome(), story.state()), (&Outcome::Accepted, StreamState::Queued));
    story.wait(599.0);
    assert_eq!(story.told(), "");
    story.wait(2.0);
    assert_eq!(story.told(), "reserve");
    story.says(Event::ClaimRefused { holder: "obs".into(), since: wall(0) });
    story.wait(6.0);
    assert_eq!(story.told(), "free a, reserve", "a planned stream asks again");
    story.says(Event::ClaimGranted(claim()));
    story.says(Event::MediaLive);
    story.wait(600.0);
    assert_eq!(story.told(), "start a 1, stop a");
    story.ended("a", "stopped");
    assert_eq!(story.end_reason(), "ends_at");
}

#[test]
fn a_claim_that_ran_out_is_taken_again_and_a_seized_one_ends_the_stream() {
    let mut story = Story::live();
    story.says(Event::MediaLost);
    story.says(Event::ClaimGone(ClaimLoss::Expired));
    assert_eq!(story.told(), "reserve");
    story.says(Event::ClaimGranted(Claim { id: Uuid::from_u128(2), token: 9 }));
    assert_eq!(story.told(), "start a 2");
    story.says(Event::ClaimGone(ClaimLoss::Seized));
    assert_eq!(story.told(), "stop a");
    story.ended("a", "stopped");
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("free a", "seized"));
}

#[test]
fn a_stop_while_the_claim_is_asked_for_gives_it_back() {
    let mut story = Story::new(json!({}), Some("a"), 0);
    story.says(Event::Stop { reason: EndReason::Stopped, debounce: Duration::ZERO });
    assert_eq!(story.state(), StreamState::Stopping);
    story.says(Event::ClaimGranted(claim()));
    assert_eq!((story.told().as_str(), story.end_reason().as_str()), ("reserve, free a, release", "stopped"));
    assert_eq!(story.machine.outcome(), &Outcome::Stopped);
}

#[test]
fn a_restart_resumes_the_stream_with_its_recorder() {
    let story = Story::live();
    let kept = serde_json::to_string(&story.machine.document()).unwrap();
    let machine = Machine::restore(story.moment, serde_json::from_str(&kept).unwrap());
    let mut story = Story { machine, told: Vec::new(), spare: Some("b"), ..story };
    assert_eq!(story.state(), StreamState::Recovering);
    assert!(story.machine.is_kept_by("a"));
    story.wait(14.0);
    assert_eq!(story.told(), "");
    story.says(Event::RecorderBack { recorder: "a".into(), carries: true });
    story.says(Event::MediaLive);
    assert_eq!((story.told().as_str(), story.state()), ("start a 2", StreamState::Live));
}

#[test]
fn a_restart_keeps_a_promised_stop() {
    let mut story = Story::live();
    story.stop();
    let machine = Machine::restore(story.moment, story.machine.document());
    let mut story = Story { machine, ..story };
    story.wait(0.1);
    assert_eq!(story.state(), StreamState::Stopping);
    story.says(Event::RecorderBack { recorder: "a".into(), carries: true });
    assert_eq!(story.told(), "stop a");
    story.ended("a", "stopped");
    assert_eq!(story.told(), "free a, release");
}
