//! Promises of a session, in virtual time.

#![allow(clippy::disallowed_methods, reason = "virtual time begins at some real instant")]

use super::*;
use api::streams::CallKind;
use uuid::Uuid;

/// A session, its virtual time and what it last told the relay.
struct Story {
    session: Session,
    now: Instant,
    last_report: Option<WorkerReport>,
}

#[derive(Debug, PartialEq)]
enum Did {
    Spawned(u32),
    Asked,
    Terminated,
    Killed,
    Ended(String),
}
use Did::{Asked, Ended, Killed, Spawned, Terminated};

fn job() -> Job {
    Job {
        stream_id: Uuid::from_u128(7),
        name: "live/room-1".into(),
        kind: CallKind::Test,
        call_url: None,
        profile: "720p30".into(),
        publish_url: "rtmp://127.0.0.1/live/room-1?grant=hidden".into(),
        first_incarnation: 1,
    }
}

impl Story {
    fn new() -> Self {
        let now = Instant::now();
        let session = Session::new(now, job(), Limits::default(), 1).unwrap();
        Self { session, now, last_report: None }
    }

    fn drain(&mut self) -> Vec<Did> {
        let mut did = Vec::new();
        while let Some(effect) = self.session.poll_effect() {
            did.push(match effect {
                Effect::Spawn(spec) => Spawned(spec.incarnation),
                Effect::Order(Order::Stop { .. }) => Asked,
                Effect::Terminate => Terminated,
                Effect::Kill => Killed,
                Effect::Ended { reason, .. } => Ended(reason),
                Effect::Report(report) => {
                    self.last_report = Some(report);
                    continue;
                }
            });
        }
        did
    }

    fn tell(&mut self, input: Input) -> Vec<Did> {
        self.session.handle(self.now, input);
        self.drain()
    }

    fn says(&mut self, state: WorkerState) -> Vec<Did> {
        self.tell(Input::Report(Report::State { state, detail: None }))
    }

    fn exits(&mut self, reason: EndReason) -> Vec<Did> {
        self.tell(Input::Gone(Exit::Code(reason.exit_code().into())))
    }

    /// Lets time pass, stopping at each timeout as the real loop does.
    fn wait(&mut self, duration: Duration) -> Vec<Did> {
        let end = self.now + duration;
        let mut did = Vec::new();
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            did.extend(self.drain());
        }
        self.now = end;
        did
    }

    fn publishes(&mut self) {
        for state in [WorkerState::Joining, WorkerState::Joined, WorkerState::Publishing] {
            assert_eq!(self.says(state), []);
        }
    }

    /// Time passes and the worker gives signs of life.
    fn lives(&mut self, seconds_in_all: u64) -> Vec<Did> {
        let mut did = Vec::new();
        for _ in 0..seconds_in_all {
            did.extend(self.tell(STATS));
            did.extend(self.wait(seconds(1)));
        }
        did
    }

    fn state(&self) -> (&str, u32) {
        let report = self.last_report.as_ref().unwrap();
        (report.state.as_str(), report.incarnation)
    }
}
use ipc::WorkerState;

const STATS: Input = Input::Report(Report::Stats {
    stats: ipc::PublishStats {
        frames_encoded: 9,
        frames_sent: 8,
        frames_dropped: 1,
        bytes_sent: 0,
        reconnects: 2,
        backlog_ms: 0,
    },
});

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_worker_that_dies_is_replaced_by_the_next_incarnation() {
    let mut story = Story::new();
    assert_eq!(story.drain(), [Spawned(1)]);
    story.publishes();
    assert_eq!(story.state(), ("publishing", 1));
    assert_eq!(story.tell(Input::Gone(Exit::Signal(9))), []);
    assert_eq!(story.state(), ("waiting", 1));
    assert!(story.last_report.as_ref().unwrap().detail.as_deref().unwrap().contains("signal 9"));
    assert_eq!(story.wait(Duration::from_millis(200)), [Spawned(2)]);
    assert_eq!(story.state(), ("starting", 2));
}

#[test]
fn each_worker_publishes_with_its_own_incarnation() {
    let mut story = Story::new();
    let url = |session: &mut Session| loop {
        if let Effect::Spawn(spec) = session.poll_effect().unwrap() {
            return spec.publish_url.expose().to_owned();
        }
    };
    assert_eq!(url(&mut story.session), "rtmp://127.0.0.1/live/room-1?grant=hidden&incarnation=1");
    story.tell(Input::Republish { publish_url: "rtmp://other/live/room-1".into() });
    story.session.handle(story.now, Input::Gone(Exit::Code(70)));
    story.session.handle_timeout(story.now + seconds(1));
    assert_eq!(url(&mut story.session), "rtmp://other/live/room-1?incarnation=2");
}

#[test]
fn pauses_grow_and_begin_anew_after_half_a_minute_on_air() {
    let mut story = Story::new();
    story.drain();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        story.exits(EndReason::CellFailed);
        let before = story.now;
        let due = story.session.poll_timeout().unwrap();
        pauses.push((due - before).as_millis());
        while story.drain().is_empty() {
            let due = story.session.poll_timeout().unwrap();
            story.now = due;
            story.session.handle_timeout(due);
        }
    }
    // A pause longer than two seconds is interrupted by a report; the exact row is the backoff's own promise.
    assert!(pauses[0] <= 200 && pauses[1] >= 800 && pauses[2] >= 1600, "{pauses:?}");
    story.publishes();
    for _ in 0..31 {
        assert_eq!(story.wait(seconds(1)), []);
        assert_eq!(story.tell(STATS), []);
    }
    story.exits(EndReason::CellFailed);
    assert_eq!(story.wait(Duration::from_millis(200)).len(), 1);
}

#[test]
fn a_call_that_ended_is_not_joined_again() {
    for (reason, name) in [
        (EndReason::CallEnded, "call_ended"),
        (EndReason::BadSpec, "bad_spec"),
        (EndReason::Missing, "missing"),
    ] {
        let mut story = Story::new();
        story.drain();
        story.publishes();
        assert_eq!(story.exits(reason), [Ended(name.into())]);
        assert_eq!(story.session.poll_timeout(), None);
        assert_eq!(story.wait(seconds(600)), []);
    }
}

#[test]
fn a_worker_that_stops_unasked_is_replaced() {
    let mut story = Story::new();
    story.drain();
    assert_eq!(story.exits(EndReason::Stopped), []);
    assert_eq!(story.wait(seconds(1)), [Spawned(2)]);
}

#[test]
fn refusals_are_tried_again_for_a_minute_and_then_final() {
    let mut story = Story::new();
    story.drain();
    let begin = story.now;
    let mut tries = 1;
    loop {
        match story.exits(EndReason::Refused).as_slice() {
            [] => {}
            [Ended(reason)] if reason == "refused" => break,
            other => panic!("{other:?}"),
        }
        tries += 1;
        while story.drain() != [Spawned(tries)] {
            story.now = story.session.poll_timeout().unwrap();
            story.session.handle_timeout(story.now);
        }
        assert!(story.now - begin < seconds(90), "{tries}");
    }
    assert!(story.now - begin >= seconds(60));
}

#[test]
fn an_hour_on_air_makes_an_earlier_refusal_forgotten() {
    let mut story = Story::new();
    story.drain();
    story.exits(EndReason::Refused);
    story.wait(seconds(1));
    story.publishes();
    for _ in 0..360 {
        story.wait(seconds(10));
        story.tell(STATS);
    }
    assert_eq!(story.exits(EndReason::Refused), []);
    assert_eq!(story.wait(seconds(1)), [Spawned(3)]);
}

#[test]
fn five_failures_to_join_in_a_row_end_the_stream() {
    let mut story = Story::new();
    story.drain();
    for _ in 0..4 {
        story.says(WorkerState::Joining);
        assert_eq!(story.exits(EndReason::JoinFailed), []);
        while story.drain().is_empty() {
            let due = story.session.poll_timeout().unwrap();
            story.now = due;
            story.session.handle_timeout(due);
        }
    }
    assert_eq!(story.exits(EndReason::JoinFailed), [Ended("join_failed".into())]);
}

#[test]
fn a_silent_publisher_is_killed_and_replaced_once_it_is_gone() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    assert_eq!(story.wait(seconds(14)), []);
    story.tell(STATS);
    assert_eq!(story.wait(seconds(14)), []);
    assert_eq!(story.wait(seconds(1)), [Killed]);
    assert_eq!(story.state().0, "leaving");
    // Nothing is started while any of its processes lives.
    assert_eq!(story.wait(seconds(60)), []);
    assert_eq!(story.tell(Input::Gone(Exit::Signal(9))), []);
    assert_eq!(story.wait(seconds(1)), [Spawned(2)]);
}

#[test]
fn a_silent_worker_is_killed_in_every_stage() {
    for stage in [WorkerState::Starting, WorkerState::Joining, WorkerState::Joined, WorkerState::Degraded] {
        let mut story = Story::new();
        story.drain();
        story.says(stage);
        assert_eq!(story.wait(Duration::from_millis(14_999)), [], "{stage:?}");
        assert_eq!(story.wait(Duration::from_millis(1)), [Killed], "{stage:?}");
    }
}

#[test]
fn each_stage_before_publishing_has_its_deadline_however_lively_the_worker_is() {
    let mut story = Story::new();
    story.drain();
    assert_eq!(story.lives(34), []);
    story.says(WorkerState::Joining);
    assert_eq!(story.lives(34), []);
    story.says(WorkerState::Joined);
    assert_eq!(story.lives(14), []);
    assert_eq!(story.lives(1), [Killed]);
    assert_eq!(story.lives(60), []);
}

#[test]
fn a_stream_that_is_degraded_for_long_keeps_its_worker() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    story.says(WorkerState::Degraded);
    assert_eq!(story.lives(3600), []);
}

#[test]
fn a_stop_asks_then_terminates_then_kills_and_ends_only_when_all_are_gone() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    assert_eq!(
        story.tell(Input::Stop { within: Duration::from_millis(1500), by: StoppedBy::Relay }),
        [Asked]
    );
    assert_eq!(story.wait(Duration::from_millis(999)), []);
    assert_eq!(story.wait(Duration::from_millis(1)), [Terminated]);
    assert_eq!(story.wait(Duration::from_millis(499)), []);
    assert_eq!(story.wait(Duration::from_millis(1)), [Killed]);
    assert_eq!(story.wait(seconds(10)), []);
    assert_eq!(story.exits(EndReason::Stopped), [Ended("stopped".into())]);
    assert_eq!(story.tell(Input::Stop { within: seconds(1), by: StoppedBy::Relay }), []);
}

#[test]
fn a_second_stop_may_shorten_the_first_but_not_lengthen_it() {
    let mut story = Story::new();
    story.drain();
    story.tell(Input::Stop { within: seconds(30), by: StoppedBy::Relay });
    story.tell(Input::Stop { within: seconds(60), by: StoppedBy::Relay });
    assert_eq!(story.tell(Input::Stop { within: Duration::from_millis(300), by: StoppedBy::Relay }), []);
    assert_eq!(story.wait(Duration::from_millis(300)), [Terminated, Killed]);
}

#[test]
fn a_kill_is_at_once() {
    let mut story = Story::new();
    story.drain();
    assert!(story.tell(Input::Kill { by: StoppedBy::Recorder }).contains(&Killed));
    assert_eq!(story.tell(Input::Gone(Exit::Signal(9))), [Ended("recorder_stopped".into())]);
}

#[test]
fn a_stop_between_two_workers_is_done_at_once() {
    let mut story = Story::new();
    story.drain();
    story.exits(EndReason::Bug);
    assert_eq!(
        story.tell(Input::Stop { within: seconds(1), by: StoppedBy::Relay }),
        [Ended("stopped".into())]
    );
    assert_eq!(story.wait(seconds(60)), []);
}

#[test]
fn a_stop_of_a_failing_worker_is_not_forgotten() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    assert_eq!(story.wait(seconds(15)), [Killed]);
    assert_eq!(story.tell(Input::Stop { within: seconds(1), by: StoppedBy::Relay }), []);
    assert_eq!(story.tell(Input::Gone(Exit::Signal(9))), [Ended("stopped".into())]);
}

#[test]
fn a_restart_replaces_the_worker_without_a_pause() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    assert_eq!(story.tell(Input::Restart { reason: "frozen".into() }), [Asked]);
    assert_eq!(story.exits(EndReason::Stopped), [Spawned(2)]);
    assert_eq!(story.state(), ("starting", 2));
}

#[test]
fn the_relay_hears_of_an_unchanged_worker_every_two_seconds() {
    let mut story = Story::new();
    story.drain();
    story.publishes();
    story.tell(STATS);
    story.last_report = None;
    story.wait(Duration::from_millis(1999));
    assert_eq!(story.last_report, None);
    story.wait(Duration::from_millis(1));
    let report = story.last_report.unwrap();
    assert_eq!((report.frames_sent, report.frames_dropped, report.reconnects), (8, 1, 2));
}

#[test]
fn an_overlong_line_costs_the_worker_its_place() {
    let mut story = Story::new();
    story.drain();
    assert_eq!(story.tell(Input::Overlong), [Killed]);
    assert_eq!(story.tell(Input::Gone(Exit::Signal(9))), []);
    assert_eq!(story.wait(seconds(1)), [Spawned(2)]);
}

#[test]
fn a_job_that_cannot_be_done_here_is_declined() {
    let decline = |job| Session::new(Instant::now(), job, Limits::default(), 1).err();
    assert_eq!(decline(Job { kind: CallKind::Jitsi, ..job() }), Some(Unfit::Kind("jitsi")));
    assert_eq!(decline(Job { profile: "8k".into(), ..job() }), Some(Unfit::Profile("8k".into())));
    assert_eq!(decline(Job { publish_url: "http://x".into(), ..job() }), Some(Unfit::PublishUrl));
}
