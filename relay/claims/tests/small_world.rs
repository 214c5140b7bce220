//! Everything that can happen in a small world: one key, two processes of one recorder, a stranger and an operator, a
//! store that may fail, a relay that may die, a clock that jumps from deadline to deadline. All orders of commands are
//! tried, breadth first, up to a number of states; every step keeps the promises of `support/world.rs`, and from
//! every state the table comes to rest with nothing left behind.
//!
//! A shortest sequence that breaks a promise is printed. `SLUICE_SMALL_WORLD_STATES=N` searches further.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic and tell how it came to that")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "the random model uses more of it")]
mod world;

use claims::{ClaimKey, Holder, Rules, Timing};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};
use world::{Asking, World};

const STATES: usize = 40_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    PublishFirst,
    PublishSuccessor,
    PublishStranger,
    ReserveStranger,
    Stored,
    NotStored,
    Media,
    Pong,
    Lost,
    StaleLost,
    Release,
    Seize,
    Withdraw,
    NextDeadline,
    HalfSecond,
    Crash,
}

const ALPHABET: [Command; 16] = [
    Command::PublishFirst,
    Command::PublishSuccessor,
    Command::PublishStranger,
    Command::ReserveStranger,
    Command::Stored,
    Command::NotStored,
    Command::Media,
    Command::Pong,
    Command::Lost,
    Command::StaleLost,
    Command::Release,
    Command::Seize,
    Command::Withdraw,
    Command::NextDeadline,
    Command::HalfSecond,
    Command::Crash,
];

fn rules() -> Rules {
    let seconds = Duration::from_secs;
    Rules {
        timing: Timing { first_media: seconds(3), idle: seconds(3), grace: seconds(4) },
        block: seconds(6),
        forget_refusals: seconds(3),
        ..Rules::default()
    }
}

/// Carries the command out; false where it means nothing, so that its branch is not followed.
fn act(world: &mut World, command: Command) -> bool {
    let key = ClaimKey::Ingest("live/room".parse().unwrap());
    let recorder = |incarnation| Holder::new("fosdem", "recorder-1", "rec-1").incarnation(incarnation);
    let stranger = Holder::new("fosdem", "recorder-2", "rec-2");
    let newest = world.connections.keys().next_back().copied();
    let oldest = world.connections.keys().next().copied();
    let row = world.table.row(world.now, &key);
    let few_wait = world.contenders.len() < 3;
    match command {
        Command::PublishFirst if few_wait => {
            world.publish(&key, &recorder(0), Asking::default());
        }
        Command::PublishSuccessor if few_wait => {
            world.publish(&key, &recorder(1), Asking::default());
        }
        Command::PublishStranger if few_wait => {
            world.publish(&key, &stranger, Asking::default());
        }
        Command::ReserveStranger if few_wait => {
            world.reserve(&key, &stranger, Duration::from_secs(2));
        }
        Command::Stored if !world.writes.is_empty() => {
            world.store_next();
        }
        Command::NotStored if !world.writes.is_empty() => world.fail_next(true),
        Command::Media => match newest {
            Some(token) => world.media(token, Duration::ZERO),
            None => return false,
        },
        Command::Pong => match newest {
            Some(token) => world.pong(token),
            None => return false,
        },
        Command::Lost => match newest {
            Some(token) => world.lost(token),
            None => return false,
        },
        Command::StaleLost => match oldest.filter(|oldest| Some(*oldest) != newest) {
            Some(token) => world.lost(token),
            None => return false,
        },
        Command::Release => match row {
            Some(row) => world.release(row.claim_id),
            None => return false,
        },
        Command::Seize => match row {
            Some(row) => world.seize(row.claim_id, row.token),
            None => return false,
        },
        Command::Withdraw => match world.contenders.keys().next_back().copied() {
            Some(contender) => world.withdraw(contender),
            None => return false,
        },
        Command::NextDeadline => match world.table.poll_timeout() {
            Some(at) => {
                world.now = world.now.max(at);
                world.timeout();
            }
            None => return false,
        },
        Command::HalfSecond => world.pass(Duration::from_millis(500)),
        Command::Crash => world.crash(0),
        _ => return false,
    }
    true
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Prints how the search got where it panicked.
struct Teller(Vec<Command>);

impl Drop for Teller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it took: {:?}", self.0);
        }
    }
}

#[test]
fn no_order_of_commands_in_a_small_world_breaks_a_promise() {
    let states_max =
        std::env::var("SLUICE_SMALL_WORLD_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(STATES);
    let first = World::new(rules(), Instant::now());
    let mut seen = HashSet::from([hash(&first)]);
    let mut level = vec![(first, Vec::new())];
    let mut depth = 0;
    while !level.is_empty() && seen.len() < states_max {
        let mut next = Vec::new();
        for (world, way) in &level {
            for command in ALPHABET {
                let mut way: Vec<Command> = way.clone();
                way.push(command);
                let teller = Teller(way);
                let mut after = world.clone();
                if !act(&mut after, command) || !seen.insert(hash(&after)) {
                    continue;
                }
                after.clone().let_everything_end();
                next.push((after, teller.0.clone()));
            }
        }
        depth += 1;
        level = next;
    }
    println!("{} states, every order of up to {depth} commands", seen.len());
    assert!(depth >= 4, "the world has grown too large to be searched");
}
