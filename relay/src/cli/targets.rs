//! `sluice targets …`

use super::table::{age, table};
use super::{Connection, Failure};

/// See where streams are pushed to.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// All pushes.
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command::List { connection } = command;
    let targets = connection.client()?.targets().await?;
    connection.show(&targets, |targets| {
        let rows = targets.iter().map(|target| {
            [
                target.url.clone(),
                target.state.to_string(),
                age(target.since),
                target.name.clone(),
                format!("{:.1} MB", target.bytes as f64 / 1e6),
                format!("{:.1} s", target.lag_ms as f64 / 1e3),
                target.reconnects.to_string(),
                target.detail.clone().unwrap_or_default(),
            ]
        });
        let head = ["URL", "STATE", "SINCE", "STREAM", "SENT", "LAG", "RECONNECTS", "DETAIL"];
        table(head, rows, "nothing is pushed anywhere")
    })
}
