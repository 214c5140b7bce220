//! Random lives of several relays around one store: whatever is lost, late, frozen, cut off or killed, the promises of
//! `support/fleet.rs` hold, and once all is well again everybody agrees.
//!
//! The seed of a failing life is in the panic's output; `SLUICE_MODEL_SEED=N` runs that life alone, and
//! `SLUICE_MODEL_STEPS=N` makes for longer or shorter runs.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic and tell how it came to that")]

#[path = "support/dice.rs"]
mod dice;
#[path = "support/fleet.rs"]
mod fleet;

use claims::{Block, ClaimId, ClaimKey, Holder, Label, Rules, Ticket};
use dice::{Dice, Teller, number};
use fleet::{Delivery, Fleet};
use std::time::Instant;
use uuid::Uuid;

const STEPS_PER_LIFE: u32 = 300;
const STEPS: u32 = 600_000;

fn key(dice: &mut Dice) -> ClaimKey {
    match dice.below(3) {
        0 => ClaimKey::Ingest("live/room-0".parse().unwrap()),
        1 => ClaimKey::Ingest("live/room-1".parse().unwrap()),
        _ => ClaimKey::Target("rtmp://elsewhere/live/key".parse::<media::TargetUrl>().unwrap().key().clone()),
    }
}

fn holder(dice: &mut Dice) -> Holder {
    let incarnation = u32::try_from(dice.below(3)).unwrap();
    match dice.below(6) {
        0 | 1 => Holder::new("fosdem", "recorder-1", "rec-1").incarnation(incarnation),
        2 => Holder::new("fosdem", "recorder-2", "rec-2").incarnation(incarnation),
        3 => Holder { priority: 5, ..Holder::new("main", "stage", "stage") },
        _ => Holder::anonymous(Label::new("obs")),
    }
}

fn step(fleet: &mut Fleet, dice: &mut Dice) {
    let at = usize::try_from(dice.below(fleet.nodes.len() as u64)).unwrap();
    let token = dice.pick(fleet.nodes[at].publishers.keys().copied());
    match dice.below(100) {
        0..14 => {
            let (key, holder) = (key(dice), holder(dice));
            let from = usize::try_from(dice.below(fleet.nodes.len() as u64)).unwrap();
            let ticket = if dice.one_in(3) { dice.pick(fleet.nodes[from].tickets.clone()) } else { None };
            fleet.publish(at, &key, &holder, (dice.one_in(2), ticket));
        }
        14..44 => {
            let how = match dice.below(12) {
                0 => Delivery::AnswerLost,
                1 => Delivery::Refused,
                2 => Delivery::Late,
                _ => Delivery::Well,
            };
            fleet.deliver(at, how);
        }
        44..60 => {
            let many = 1 + usize::try_from(dice.below(8)).unwrap();
            fleet.watch(at, many);
        }
        60..66 => fleet.media(at),
        66..70 => fleet.push(at),
        70..73 => {
            if let Some(token) = token {
                fleet.leave(at, token);
            }
        }
        73..75 => {
            if let Some(token) = token
                && let Some(publisher) = fleet.nodes[at].publishers.get_mut(&token)
            {
                publisher.is_sending = false;
            }
        }
        75..81 => fleet.keep_alive(at),
        81..85 => {
            let time = dice.millis(1_500);
            fleet.pass(time);
        }
        85..90 => fleet.timeout(at),
        90..92 => {
            let rows: Vec<_> = fleet.nodes[at].table.claims(fleet.now).collect();
            if let Some(row) = dice.pick(rows.iter().map(|row| (row.claim_id, row.token))) {
                let releases = dice.one_in(2);
                fleet.with_table(at, |table, now| {
                    let alice = Label::new("alice");
                    if releases {
                        let _ = table.release_by(now, row.0, row.1, &alice, "over");
                    } else {
                        let _ = table.seize(now, row.0, row.1, &alice, "wrong room", 0);
                    }
                });
            }
        }
        92 => {
            let (key, lasts, blocks) = (key(dice), dice.millis(20_000), dice.one_in(2));
            let id = ClaimId::new(Uuid::from_u128(u128::from(dice.roll()) | 1 << 90));
            fleet.with_table(at, |table, now| {
                let operator = Label::new("alice");
                if blocks {
                    table.block(now, Block { key, id, operator, reason: "night".into(), lasts, unix_ms: 0 });
                } else {
                    table.unblock(now, &key, &operator, "morning");
                }
            });
        }
        93 => fleet.keyframes(at),
        94 => {
            if let Some(token) = token {
                let ticket = Ticket::new(Uuid::from_u128(u128::from(dice.roll())));
                fleet.with_table(at, |table, now| {
                    table.ticket(now, token, ticket);
                });
                fleet.nodes[at].tickets.push(ticket);
            }
        }
        95 => fleet.nodes[at].is_cut_off = dice.one_in(2),
        96 => fleet.nodes[at].is_frozen = dice.one_in(2),
        97 => {
            if dice.one_in(6) {
                // A virtual machine that was stopped for minutes.
                let time = dice.millis(600_000);
                fleet.pass(time);
            }
        }
        98 => {
            if dice.one_in(3) {
                fleet.restart(at);
            }
        }
        _ => {
            if dice.one_in(4) {
                fleet.heal();
                fleet.check_agreement();
            }
        }
    }
}

fn live(seed: u64, start: Instant, steps: u32) {
    let _teller = Teller(seed);
    let mut dice = Dice::new(seed);
    let relays = 2 + usize::try_from(dice.below(2)).unwrap();
    let rules = Rules { reserve_on_loss: dice.one_in(3), ..Rules::default() };
    let mut fleet = Fleet::new(rules, start, relays);
    for _ in 0..steps {
        step(&mut fleet, &mut dice);
    }
    fleet.heal();
    fleet.check_agreement();
    fleet.let_everything_end();
}

#[test]
fn whatever_happens_to_relays_that_share_a_store_one_of_them_has_each_claim() {
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
