//! `sluice claims …`

use super::table::{age, card, printable, table};
use super::{Connection, Failure, say};
use api::claims::{ClaimAction, ClaimState, ClaimView};
use api::client::Client;
use api::events::Event;
use uuid::Uuid;

/// See and settle who holds which stream URL.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// All claims.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// One claim, by its id or its key.
    Show {
        /// The claim's id, or its key such as live/room-1.
        claim: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a claim: its publisher is cut off, and anybody may take the URL.
    Release(Action),
    /// Take a claim from its holder, who is cut off and kept away for a minute.
    Seize(Action),
    /// Tell every change until interrupted.
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

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { connection } => {
            let claims = connection.client()?.claims().await?;
            connection.show(&claims, |claims| listed(claims))
        }
        Command::Show { claim, connection } => {
            let claim = find(&connection.client()?, &claim).await?;
            connection.show(&claim, shown)
        }
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
        Command::Watch { connection } => watch(&connection).await,
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
    found.ok_or_else(|| Failure::usage(format!("nobody holds {}", printable(wanted))))
}

async fn watch(connection: &Connection) -> Result<(), Failure> {
    let mut events = connection.client()?.events().await?;
    while let Some(event) = events.next().await? {
        match event {
            Event::Snapshot { claims, .. } => connection.show_change(&claims, |claims| listed(claims))?,
            Event::Claim { what, key, detail, at, claim } => {
                let event =
                    Event::Claim { what: what.clone(), key: key.clone(), detail: detail.clone(), at, claim };
                let line = format!("{at}  {what:<10} {}  {}", printable(&key), printable(&detail));
                connection.show_change(&event, |_| line)?;
            }
            Event::Stream { .. }
            | Event::Broadcasts { .. }
            | Event::Claims { .. }
            | Event::Recorder { .. }
            | Event::Targets { .. } => {}
        }
    }
    Err(Failure::unavailable("the relay ended the events"))
}

fn listed(claims: &[ClaimView]) -> String {
    let rows = claims.iter().map(|claim| {
        [
            claim.key.clone(),
            state(claim.state).into(),
            claim.holder.clone(),
            age(claim.since),
            claim.silent_ms.map_or_else(|| "-".into(), |ms| format!("{:.1}s", ms as f64 / 1000.0)),
            claim.refused_last_hour.to_string(),
            claim.token.to_string(),
            claim.id.to_string(),
        ]
    });
    table(
        ["KEY", "STATE", "HOLDER", "SINCE", "SILENT", "REFUSED/H", "TOKEN", "ID"],
        rows,
        "nothing is claimed",
    )
}

fn shown(claim: &ClaimView) -> String {
    let refusal = claim.last_refusal.as_ref();
    card([
        ("key", Some(claim.key.clone())),
        ("id", Some(claim.id.to_string())),
        ("state", Some(state(claim.state).into())),
        ("holder", Some(claim.holder.clone())),
        ("stream", claim.stream_id.map(|id| id.to_string())),
        ("since", Some(format!("{} ({})", claim.since, age(claim.since)))),
        ("token", Some(claim.token.to_string())),
        ("silent", claim.silent_ms.map(|ms| format!("{ms} ms"))),
        ("ends in", claim.ends_in_ms.map(|ms| format!("{ms} ms"))),
        ("refused in the last hour", Some(claim.refused_last_hour.to_string())),
        (
            "last refused",
            refusal.map(|last| format!("{} {}: {} (ref {})", last.at, last.who, last.reason, last.reference)),
        ),
    ])
}

const fn state(state: ClaimState) -> &'static str {
    match state {
        ClaimState::Reserved => "reserved",
        ClaimState::Live => "live",
        ClaimState::Probing => "probing",
        ClaimState::Lingering => "lingering",
        ClaimState::Blocked => "blocked",
    }
}
