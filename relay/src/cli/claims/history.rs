//! `sluice claims history`: what happened, the newest at the bottom.

use super::super::table::{moment, printable, table};
use super::super::{Connection, Failure};
use super::length;
use crate::clock;
use api::claim_events::{ClaimEventView, ClaimEventsQuery};
use jiff::SignedDuration;
use uuid::Uuid;

/// Whose history, and how much of it.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The claim's id, or a name such as live/room-1; everything if absent.
    claim: Option<String>,
    /// Only what happened since then, such as 1h or 2d.
    #[arg(long, value_name = "TIME", value_parser = length)]
    since: Option<SignedDuration>,
    /// The newest so many; at most 500.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let client = arguments.connection.client()?;
    let since = arguments.since.map(|ago| clock::wall().checked_sub(ago).unwrap_or(jiff::Timestamp::MIN));
    let query = ClaimEventsQuery { since, limit: Some(arguments.limit), ..ClaimEventsQuery::default() };
    let wanted = arguments.claim.as_deref();
    let page = match wanted.and_then(|wanted| wanted.parse::<Uuid>().ok()) {
        Some(id) => client.events_of_claim(id, &query).await?,
        None => client.claim_events(&ClaimEventsQuery { key: wanted.map(Into::into), ..query }).await?,
    };
    arguments.connection.show(&page, |page| {
        let story = match wanted {
            Some(wanted) => told(&page.events, &format!("nothing happened to {}", printable(wanted))),
            None => told_of_all(&page.events),
        };
        match page.next {
            Some(_) => format!("(there is more before; --limit shows up to 500)\n{story}"),
            None => story,
        }
    })
}

/// Entries of one key, the newest last.
pub(super) fn told(events: &[ClaimEventView], none: &str) -> String {
    let rows = events.iter().rev().map(|event| {
        [moment(event.at), event.what.clone(), event.who.clone(), token(event), event.why.clone()]
    });
    table(["TIME", "WHAT", "WHO", "TOKEN", "WHY"], rows, none)
}

fn told_of_all(events: &[ClaimEventView]) -> String {
    let rows = events.iter().rev().map(|event| {
        let (at, what, key) = (moment(event.at), event.what.clone(), event.key.clone());
        [at, what, key, event.who.clone(), token(event), event.why.clone()]
    });
    table(["TIME", "WHAT", "KEY", "WHO", "TOKEN", "WHY"], rows, "nothing happened")
}

fn token(event: &ClaimEventView) -> String {
    event.token.map_or_else(|| "-".into(), |token| token.to_string())
}
