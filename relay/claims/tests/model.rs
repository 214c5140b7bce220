//! Random lives of a claim table: everything that may happen to it, in any order, with clock jumps, crashes, lost and
//! repeated messages and a store that lags and fails. After every step the promises of `support/world.rs` are checked.
//!
//! The seed of a failing life is in the panic's output; `SLUICE_MODEL_SEED=N` runs that life alone, and
//! `SLUICE_MODEL_STEPS=N` makes for longer or shorter runs.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic and tell how it came to that")]

#[path = "support/dice.rs"]
mod dice;
#[path = "support/world.rs"]
mod world;

use claims::{ClaimId, ClaimKey, ContenderId, FencingToken, Holder, Label, Rules, Ticket};
use dice::{Dice, Teller, number};
use std::time::{Duration, Instant};
use world::{Asking, World};

const STEPS_PER_LIFE: u32 = 400;
const STEPS: u32 = 1_000_000;
const KEYS: u64 = 3;

fn key(number: u64) -> ClaimKey {
    match number {
        0 => ClaimKey::Ingest("live/room-0".parse().unwrap()),
        1 => ClaimKey::Ingest("live/room-1".parse().unwrap()),
        _ => ClaimKey::Target("rtmp://elsewhere/live/key".parse::<media::TargetUrl>().unwrap().key().clone()),
    }
}

/// Two recorders with the same credentials, an important one, and two that nobody knows.
fn holder(dice: &mut Dice) -> Holder {
    let incarnation = u32::try_from(dice.below(4)).unwrap();
    match dice.below(6) {
        0 | 1 => Holder::new("fosdem", "recorder-1", "rec-1").incarnation(incarnation),
        2 => Holder::new("fosdem", "recorder-2", "rec-2").incarnation(incarnation),
        3 => Holder { priority: 5, ..Holder::new("main", "stage", "stage").incarnation(incarnation) },
        4 => Holder::anonymous(Label::new("obs")),
        _ => Holder::anonymous(Label::new("rec-1")),
    }
}

fn step(world: &mut World, dice: &mut Dice) {
    let some_key = key(dice.below(KEYS));
    let token: FencingToken =
        dice.pick(world.connections.keys().copied()).unwrap_or(FencingToken::new(dice.below(9)));
    let claim: Option<ClaimId> = dice.pick(world.claim_ids.iter().copied());
    match dice.below(100) {
        0..20 => {
            let ticket: Option<Ticket> =
                if dice.one_in(3) { dice.pick(world.tickets.keys().copied()) } else { None };
            let only = if dice.one_in(6) { claim } else { None };
            let holder = holder(dice);
            world.publish(&some_key, &holder, Asking { preempt: dice.one_in(2), ticket, only });
        }
        20..25 => {
            let (holder, keep) = (holder(dice), dice.millis(40_000));
            world.reserve(&some_key, &holder, keep);
        }
        25..45 => {
            world.store_next();
        }
        45..47 => world.fail_next(dice.one_in(2)),
        47..60 => {
            let ago = if dice.one_in(4) { dice.millis(3_000) } else { Duration::ZERO };
            world.media(token, ago);
        }
        60..66 => world.pong(token),
        66..69 => world.lost(token),
        69..70 => world.finish(token),
        70..73 => {
            if let Some(claim) = claim {
                let keep = dice.millis(40_000);
                world.renew(claim, keep);
            }
        }
        73..74 => {
            if let Some(claim) = claim {
                world.release(claim);
            }
        }
        74..76 => {
            if let Some(claim) = claim {
                world.seize(claim, token);
            }
        }
        76..77 => {
            if dice.one_in(2) {
                let lasts = dice.millis(60_000);
                world.block(&some_key, lasts);
            } else {
                world.unblock(&some_key);
            }
        }
        77..78 => {
            world.ticket(token);
        }
        78..82 => {
            let contender: Option<ContenderId> = dice.pick(world.contenders.keys().copied());
            if let Some(contender) = contender {
                if dice.one_in(2) { world.withdraw(contender) } else { world.keyframe(contender) }
            }
        }
        82..88 => {
            let time = dice.millis(500);
            world.pass(time);
        }
        88..92 => {
            let time = dice.millis(5_000);
            world.pass(time);
            world.timeout();
        }
        92..98 => {
            // Exactly on time, where off-by-one errors live.
            if let Some(at) = world.table.poll_timeout() {
                world.now = world.now.max(at);
                world.timeout();
            }
        }
        98 => {
            if dice.one_in(4) {
                let time = dice.millis(4_000_000);
                world.pass(time);
            }
        }
        _ => {
            if dice.one_in(3) {
                let written = usize::try_from(dice.below(4)).unwrap();
                world.crash(written);
            }
        }
    }
}

fn live(seed: u64, start: Instant, steps: u32) {
    let _teller = Teller(seed);
    let mut dice = Dice::new(seed);
    let mut world = World::new(rules(&mut dice), start);
    for _ in 0..steps {
        step(&mut world, &mut dice);
    }
    world.let_everything_end();
}

/// The default rules, and at times small bounds, so that they are reached.
fn rules(dice: &mut Dice) -> Rules {
    let mut rules = Rules::default();
    if dice.one_in(3) {
        rules.reserve_on_loss = true;
    }
    if dice.one_in(3) {
        rules.waiting_max = 2;
        rules.held_refusals_max = 1;
        rules.keys_max = 2;
    }
    if dice.one_in(3) {
        rules.probe_quiet = Duration::from_secs(4);
    }
    rules
}

#[test]
fn a_million_random_steps_break_no_promise() {
    let start = Instant::now();
    if let Some(seed) = number("SLUICE_MODEL_SEED") {
        live(seed, start, STEPS_PER_LIFE);
        return;
    }
    let steps = number("SLUICE_MODEL_STEPS").unwrap_or(u64::from(STEPS));
    let lives = steps / u64::from(STEPS_PER_LIFE);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (1..=lives).filter(|seed| seed % threads == thread) {
                    live(seed, start, STEPS_PER_LIFE);
                }
            });
        }
    });
    println!("{} steps in {:?}", lives * u64::from(STEPS_PER_LIFE), start.elapsed());
}
