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
                if target.connected { "connected" } else { "waiting" }.into(),
                age(target.since),
                target.stream_id.to_string(),
                target.detail.clone().unwrap_or_default(),
            ]
        });
        table(["URL", "STATE", "SINCE", "STREAM", "DETAIL"], rows, "nothing is pushed anywhere")
    })
}
