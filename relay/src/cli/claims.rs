//! `sluice claims …`

mod history;
mod show;
mod watch;

use super::table::{age, printable, span_ms, table};
use super::{Connection, Failure, say};
use api::claims::{BlockRequest, ClaimAction, ClaimState, ClaimView, UnblockRequest};
use api::client::Client;
use jiff::SignedDuration;
use uuid::Uuid;

/// See and settle who holds which stream URL.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// All claims and blocked names.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// All about one claim: its holder, what arrives, who wants it, what happened.
    Show {
        /// The claim's id, or its key such as live/room-1.
        claim: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// What happened to a claim or a name, and by whom; also after it ended.
    History(history::Arguments),
    /// End a claim: its publisher is cut off, and anybody may take the URL.
    Release(Action),
    /// Take a claim from its holder, who is cut off and kept away for a minute.
    Seize(Action),
    /// Let nobody take a name for a time; a publisher that is there stays.
    Block(Block),
    /// Lift all blocks of a name.
    Unblock(Unblock),
    /// A live table, until interrupted; every change on a line of its own if not on a terminal.
    Watch {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Against one claim.
#[derive(clap::Args, Clone, Debug)]
pub struct Action {
    /// The claim's id, or its key such as live/room-1.
    claim: String,
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: String,
    /// The fencing token that you saw; if it is no longer the newest, nothing is done. The present one if absent.
    #[arg(long, value_name = "NUMBER")]
    token: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// Against one name.
#[derive(clap::Args, Clone, Debug)]
pub struct Block {
    /// The name, such as live/room-1.
    name: String,
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: String,
    /// For how long, such as 10m or 2h; at most 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = length)]
    lasts: SignedDuration,
    #[command(flatten)]
    connection: Connection,
}

/// For one name.
#[derive(clap::Args, Clone, Debug)]
pub struct Unblock {
    /// The name, such as live/room-1.
    name: String,
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// A length of time as people write it, such as `10m`, `1h 30m` or `2d`.
fn length(text: &str) -> Result<SignedDuration, String> {
    let (number, unit) = text.split_at(text.len() - text.ends_with('d') as usize);
    // Days are not of one length everywhere, so jiff has none here; ours have 24 hours.
    let days = (unit == "d").then(|| number.trim().parse::<u32>().ok()).flatten();
    let length = match days {
        Some(days) => SignedDuration::from_hours(24 * i64::from(days)),
        None => text.parse().map_err(|_| "a time is written as 90s, 10m, 1h 30m or 2d".to_owned())?,
    };
    if length.as_secs() < 1 { Err("the time must be at least a second".into()) } else { Ok(length) }
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { connection } => {
            let claims = connection.client()?.claims().await?;
            connection.show(&claims, |claims| listed(claims))
        }
        Command::Show { claim, connection } => show::run(&connection, &claim).await,
        Command::History(arguments) => history::run(&arguments).await,
        Command::Release(action) => {
            let (client, claim, order) = prepare(&action).await?;
            client.release_claim(claim.id, &order).await?;
            say(&format!("{} is released", printable(&claim.key)))
        }
        Command::Seize(action) => {
            let (client, claim, order) = prepare(&action).await?;
            client.seize_claim(claim.id, &order).await?;
            say(&format!("{} is seized from {}", printable(&claim.key), printable(&claim.holder)))
        }
        Command::Block(block) => begin_block(block).await,
        Command::Unblock(Unblock { name, reason, connection }) => {
            let request = UnblockRequest { name, reason };
            connection.client()?.unblock_name(&request).await?;
            say(&format!("{} is free again", printable(&request.name)))
        }
        Command::Watch { connection } => watch::run(&connection).await,
    }
}

async fn begin_block(block: Block) -> Result<(), Failure> {
    let seconds = u32::try_from(block.lasts.as_secs()).unwrap_or(u32::MAX);
    let request = BlockRequest { name: block.name, reason: block.reason, seconds: Some(seconds) };
    let client = block.connection.client()?;
    client.block_name(&request).await?;
    let claims = client.claims().await?;
    let there = claims.iter().find(|claim| claim.key == request.name && claim.state != ClaimState::Blocked);
    let blocked = format!("{} is blocked for {}", printable(&request.name), super::table::span(block.lasts));
    match there {
        Some(claim) => {
            say(&format!("{blocked}; {} stays until it is seized or leaves", printable(&claim.holder)))
        }
        None => say(&blocked),
    }
}

async fn prepare(action: &Action) -> Result<(Client, ClaimView, ClaimAction), Failure> {
    let client = action.connection.client()?;
    let claim = find(&client, &action.claim).await?;
    let expected_token = action.token.unwrap_or(claim.token);
    let order = ClaimAction { reason: action.reason.clone(), expected_token };
    Ok((client, claim, order))
}

async fn find(client: &Client, wanted: &str) -> Result<ClaimView, Failure> {
    if let Ok(id) = wanted.parse::<Uuid>() {
        return Ok(client.claim(id).await?);
    }
    let claims = client.claims().await?;
    let found = claims.into_iter().find(|claim| claim.key == wanted);
    found.ok_or_else(|| {
        let name = printable(wanted);
        Failure::usage(format!("nobody holds {name}; `sluice claims history {name}` tells who did"))
    })
}

/// Who has it, and at which other relay of the fleet.
fn holder(claim: &ClaimView) -> String {
    match &claim.relay {
        Some(relay) => format!("{} at {relay}", claim.holder),
        None => claim.holder.clone(),
    }
}

fn listed(claims: &[ClaimView]) -> String {
    let rows = claims.iter().map(|claim| {
        [
            claim.key.clone(),
            state(claim),
            holder(claim),
            age(claim.since),
            claim.silent_ms.map_or_else(|| "-".into(), span_ms),
            claim.contenders.len().to_string(),
            claim.refused_last_hour.to_string(),
            claim.token.to_string(),
            claim.id.to_string(),
        ]
    });
    let head = ["KEY", "STATE", "HOLDER", "SINCE", "SILENT", "WAITING", "REFUSED/H", "TOKEN", "ID"];
    table(head, rows, "nothing is claimed")
}

/// In a word, and for how long still if it is blocked.
fn state(claim: &ClaimView) -> String {
    let word = match claim.state {
        ClaimState::Reserved => "reserved",
        ClaimState::Live => "live",
        ClaimState::Probing => "probing",
        ClaimState::Lingering => "lingering",
        ClaimState::Blocked => "",
    };
    match &claim.block {
        None => word.to_owned(),
        Some(block) => {
            let left = SignedDuration::from_millis(i64::try_from(block.ends_in_ms).unwrap_or(i64::MAX));
            let comma = if word.is_empty() { "" } else { ", " };
            format!("{word}{comma}blocked {}", super::table::span(left))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_write_it() {
        let seconds = |text| length(text).map(|length| length.as_secs());
        assert_eq!(["90s", "10m", "1h 30m", "2d"].map(seconds), [90, 600, 5_400, 172_800].map(Ok));
        for wrong in ["", "d", "10", "-5m", "0s", "soon", "1.5d"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }
}
