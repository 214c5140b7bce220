//! A model of the world around one stream: two recorders, their connections, the claims, media and time.
//!
//! Whatever happens in whatever order, three things hold: the claim is given back last, a second recorder is told only
//! when the first is done or has been out of reach for its time, and every stream ends once it is stopped or forgotten.

#![allow(clippy::disallowed_methods, reason = "a test's clock begins somewhere")]

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeSet, VecDeque};

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Obey(usize),
    Hear(usize),
    Disconnect(usize),
    Reconnect(usize),
    Crash(usize),
    Fail(usize, &'static str),
    Media(bool),
    Answer(u8),
    Lose(ClaimLoss),
    Stop,
    Resume,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let recorder = 0..NAMES.len();
    prop_oneof![
        4 => (1_u64..15_000).prop_map(Step::Wait),
        6 => recorder.clone().prop_map(Step::Obey),
        6 => recorder.clone().prop_map(Step::Hear),
        2 => recorder.clone().prop_map(Step::Disconnect),
        3 => recorder.clone().prop_map(Step::Reconnect),
        1 => recorder.clone().prop_map(Step::Crash),
        1 => (recorder, prop::sample::select(vec!["cell_failed", "missing", "refused", "stopped", "join_failed"]))
            .prop_map(|(recorder, reason)| Step::Fail(recorder, reason)),
        4 => any::<bool>().prop_map(Step::Media),
        6 => (0_u8..8).prop_map(Step::Answer),
        1 => prop::sample::select(vec![ClaimLoss::Expired, ClaimLoss::Seized, ClaimLoss::Released])
            .prop_map(Step::Lose),
        1 => Just(Step::Stop),
        1 => Just(Step::Resume),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug)]
enum Order {
    Start,
    Stop,
}

#[derive(Debug)]
struct Recorder {
    /// Since when its connection is gone.
    lost: Option<Instant>,
    runs: bool,
    orders: VecDeque<Order>,
    news: VecDeque<&'static str>,
}

struct World {
    machine: Machine,
    moment: Moment,
    recorders: [Recorder; 2],
    /// Claims being asked for.
    asked: u32,
    tokens: u64,
    held: BTreeSet<u64>,
    /// Recorders that were told to carry it and have not said that they are done.
    told: BTreeSet<usize>,
    /// Since when the machine waits for a recorder to confirm the stop.
    stopping: Option<Instant>,
}

impl World {
    fn new() -> Self {
        let moment = Moment { now: Instant::now(), wall: Timestamp::from_second(1_767_268_800).unwrap() };
        let body = json!({ "call": { "kind": "test" }, "name": "live/room-1" });
        let spec =
            Spec::parse(Uuid::from_u128(7), moment.wall, &serde_json::from_value(body).unwrap()).unwrap();
        let machine = Machine::start(moment, spec, Duration::from_secs(30));
        let recorder =
            || Recorder { lost: None, runs: false, orders: VecDeque::new(), news: VecDeque::new() };
        let mut world = Self {
            machine,
            moment,
            recorders: [recorder(), recorder()],
            asked: 0,
            tokens: 0,
            held: BTreeSet::new(),
            told: BTreeSet::new(),
            stopping: None,
        };
        world.carry_out();
        world
    }

    fn tell(&mut self, event: Event) {
        self.machine.handle(self.moment, event);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let is_stopping = matches!(self.machine.state, State::Stopping { .. });
        if is_stopping {
            self.stopping.get_or_insert(self.moment.now);
        }
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Place { never } => {
                    let spare = NAMES.iter().zip(&self.recorders).find(|(name, recorder)| {
                        recorder.lost.is_none()
                            && !recorder.runs
                            && !never.iter().any(|avoided| avoided == *name)
                    });
                    let answer = match spare {
                        Some((name, _)) => Event::Placed { recorder: (*name).into() },
                        None => Event::NoSpare,
                    };
                    self.machine.handle(self.moment, answer);
                }
                Effect::ReserveClaim => self.asked += 1,
                Effect::ReleaseClaim(claim) => self.released(claim),
                Effect::SendStart { recorder, .. } => self.started(&recorder),
                Effect::SendStop { recorder } => self.order(index(&recorder), Order::Stop),
                Effect::RenewClaim(_) | Effect::FreePlace { .. } | Effect::Persist | Effect::Publish => {}
            }
        }
    }

    fn released(&mut self, claim: Claim) {
        let was_held = self.held.remove(&claim.token);
        assert!(was_held, "a claim is given back once, and only if it was had");
        let waited = self.stopping.is_some_and(|since| self.moment.now - since >= STOP_CONFIRM_MAX);
        for recorder in &self.told {
            assert!(waited || self.is_long_lost(*recorder), "{recorder} may still write");
        }
    }

    fn started(&mut self, name: &str) {
        let at = index(name);
        for other in self.told.clone() {
            assert!(other == at || self.is_long_lost(other), "{other} was not done when {at} was told");
        }
        assert!(!self.held.is_empty(), "told without a claim");
        self.told.retain(|other| *other == at);
        if self.recorders[at].lost.is_none() {
            self.told.insert(at);
            self.order(at, Order::Start);
        } else {
            self.machine.handle(self.moment, Event::RecorderLost { recorder: name.into() });
        }
    }

    fn is_long_lost(&self, at: usize) -> bool {
        self.recorders[at].lost.is_some_and(|since| self.moment.now - since >= RECORDER_LOST_MAX)
    }

    fn order(&mut self, at: usize, order: Order) {
        if self.recorders[at].lost.is_none() {
            self.recorders[at].orders.push_back(order);
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.wait(Duration::from_millis(ms)),
            Step::Obey(at) => self.obey(at),
            Step::Hear(at) => self.hear(at),
            Step::Disconnect(at) => self.disconnect(at),
            Step::Reconnect(at) => self.reconnect(at),
            Step::Crash(at) => {
                self.recorders[at].runs = false;
                self.disconnect(at);
            }
            Step::Fail(at, reason) => {
                let recorder = &mut self.recorders[at];
                if recorder.runs && recorder.lost.is_none() {
                    recorder.runs = false;
                    recorder.news.push_back(reason);
                }
            }
            Step::Media(flows) => {
                let somebody_runs = self.recorders.iter().any(|recorder| recorder.runs);
                if flows && somebody_runs {
                    self.tell(Event::MediaLive);
                } else if !flows {
                    self.tell(Event::MediaLost);
                }
            }
            Step::Answer(kind) => self.answer(kind),
            Step::Lose(loss) => {
                if let Some(claim) = self.machine.claim() {
                    self.held.remove(&claim.token);
                    self.tell(Event::ClaimGone(loss));
                }
            }
            Step::Stop => self.tell(Event::Stop { reason: EndReason::Stopped, debounce: STOP_DEBOUNCE }),
            Step::Resume => {
                let spec = self.machine.spec().clone();
                self.tell(Event::Resume(Box::new(spec)));
            }
            Step::Restart => self.restart(),
        }
    }

    fn obey(&mut self, at: usize) {
        let recorder = &mut self.recorders[at];
        match recorder.orders.pop_front() {
            Some(Order::Start) => recorder.runs = true,
            Some(Order::Stop) => {
                recorder.runs = false;
                recorder.news.push_back("stopped");
            }
            None => {}
        }
    }

    fn hear(&mut self, at: usize) {
        if let Some(reason) = self.recorders[at].news.pop_front() {
            // A fresh URL that was under way meanwhile may start a worker again; its first report gives it away, and
            // until then its lower incarnation shuts it out.
            self.told.remove(&at);
            let (recorder, reason) = (NAMES[at].into(), reason.into());
            self.tell(Event::RecorderEnded { recorder, reason, detail: String::new() });
        }
    }

    /// A worker says that it runs; the reconciler stops those that it does not know of.
    fn report(&mut self, at: usize) {
        let is_unknown = self.machine.recorder() != Some(NAMES[at]);
        if self.recorders[at].runs && is_unknown {
            self.order(at, Order::Stop);
        }
    }

    fn disconnect(&mut self, at: usize) {
        let recorder = &mut self.recorders[at];
        if recorder.lost.is_none() {
            recorder.lost = Some(self.moment.now);
            recorder.orders.clear();
            recorder.news.clear();
            if self.machine.recorder() == Some(NAMES[at]) {
                self.tell(Event::RecorderLost { recorder: NAMES[at].into() });
            }
        }
    }

    fn reconnect(&mut self, at: usize) {
        if self.recorders[at].lost.take().is_none() {
            return;
        }
        let carries = self.recorders[at].runs;
        let is_kept = self.machine.is_kept_by(NAMES[at]);
        if !is_kept {
            // The welcome stops it, and says nothing of it unless it is told so.
            self.recorders[at].runs = false;
            self.told.remove(&at);
        }
        if !carries {
            self.told.remove(&at);
        }
        if self.machine.recorder() == Some(NAMES[at]) {
            self.tell(Event::RecorderBack { recorder: NAMES[at].into(), carries });
        }
    }

    fn answer(&mut self, kind: u8) {
        if self.asked == 0 {
            return;
        }
        self.asked -= 1;
        let event = match kind {
            0 => Event::ClaimRefused { holder: "obs".into(), since: self.moment.wall },
            1 => Event::ClaimUnavailable("no answer".into()),
            _ => {
                // Asking twice finds the same claim.
                let token = self.held.first().copied().unwrap_or_else(|| {
                    self.tokens += 1;
                    self.tokens
                });
                self.held.insert(token);
                Event::ClaimGranted(Claim { id: Uuid::from_u128(token.into()), token })
            }
        };
        self.tell(event);
    }

    /// The relay starts anew: what was asked is forgotten, what is durable stays.
    fn restart(&mut self) {
        if self.machine.outcome() != &Outcome::Accepted {
            return;
        }
        for at in 0..NAMES.len() {
            let recorder = &mut self.recorders[at];
            recorder.lost.get_or_insert(self.moment.now);
            recorder.orders.clear();
            recorder.news.clear();
        }
        self.asked = 0;
        self.stopping = None;
        self.machine = Machine::restore(self.moment, self.machine.document());
        self.carry_out();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.moment.now + time;
        while let Some(due) = self.machine.poll_timeout(self.moment).filter(|due| *due <= end) {
            self.pass(due.saturating_duration_since(self.moment.now).max(Duration::from_millis(1)));
            self.tell(Event::Timeout);
        }
        self.pass(end.saturating_duration_since(self.moment.now));
    }

    fn pass(&mut self, time: Duration) {
        self.moment.now += time;
        self.moment.wall += jiff::SignedDuration::try_from(time).unwrap();
    }

    fn settle(&mut self) {
        for _ in 0..8 {
            for at in 0..NAMES.len() {
                self.obey(at);
                self.hear(at);
                self.report(at);
            }
            self.answer(2);
        }
    }

    /// Everything works again, for a while.
    fn work_well(&mut self, seconds: u64) {
        for at in 0..NAMES.len() {
            self.reconnect(at);
        }
        for _ in 0..seconds {
            self.settle();
            self.wait(Duration::from_secs(1));
        }
        self.settle();
    }

    fn assert_nothing_is_left(&self) {
        assert!(self.machine.is_ended(), "{:?}", self.machine.state);
        assert!(self.held.is_empty(), "claims are left: {:?}", self.held);
        assert_eq!(self.machine.poll_timeout(self.moment), None);
    }
}

fn index(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_stopped_stream_ends_soon_and_leaves_no_claim(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.take(&Step::Stop);
        world.work_well(20);
        world.assert_nothing_is_left();
        prop_assert!(world.recorders.iter().all(|recorder| !recorder.runs), "a worker is left");
    }

    #[test]
    fn a_forgotten_stream_gives_up_by_itself(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        // Nobody stops it, no media comes, no recorder comes back, the claims answer.
        world.take(&Step::Media(false));
        for at in 0..NAMES.len() {
            world.disconnect(at);
        }
        for _ in 0..(WITHOUT_MEDIA_MAX.as_secs() * 2 / 10) {
            world.answer(2);
            world.wait(Duration::from_secs(10));
        }
        world.answer(2);
        world.assert_nothing_is_left();
    }
}
