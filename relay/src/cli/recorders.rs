//! `sluice recorders …`

use super::table::{age, printable, table};
use super::{Connection, Failure, say};
use api::recorders::RecorderView;

/// See and drain recorders.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// All recorders.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Give a recorder no new streams; those that it carries go on.
    Drain {
        /// The recorder's name.
        recorder: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { connection } => {
            let recorders = connection.client()?.recorders().await?;
            connection.show(&recorders, |recorders| listed(recorders))
        }
        Command::Drain { recorder, connection } => {
            connection.client()?.drain_recorder(&recorder).await?;
            say(&format!("{} takes no new streams", printable(&recorder)))
        }
    }
}

fn listed(recorders: &[RecorderView]) -> String {
    let rows = recorders.iter().map(|recorder| {
        let state = match (recorder.connected, recorder.draining) {
            (false, _) => "lost",
            (true, true) => "draining",
            (true, false) => "connected",
        };
        [
            recorder.id.clone(),
            state.into(),
            age(recorder.since),
            format!("{}/{}", recorder.workers.len(), recorder.slots),
            format!("{:.0}%", recorder.stress * 100.0),
            recorder.version.clone(),
        ]
    });
    table(["NAME", "STATE", "SINCE", "STREAMS", "STRESS", "VERSION"], rows, "no recorder has connected yet")
}
