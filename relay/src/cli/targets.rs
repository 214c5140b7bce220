//! `sluice targets …`

use super::streams::find;
use super::table::{age, table};
use super::{Connection, Failure, say};
use api::targets::{AddTarget, TargetView};
use std::io::BufRead;

/// See and change where streams are pushed to.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// All pushes.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Push a stream to one target more. Its URL is read from standard input: an argument would show its key to
    /// everybody on this machine.
    Add {
        /// The stream's id, or its name such as live/room-1.
        stream: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// End the push to one target; the stream goes on.
    Remove {
        /// The stream's id, or its name such as live/room-1.
        stream: String,
        /// The target's number, as in the list.
        index: u32,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { connection } => {
            let targets = connection.client()?.targets().await?;
            connection.show(&targets, |targets| rows(targets))
        }
        Command::Add { stream, connection } => {
            let client = connection.client()?;
            let stream = find(&client, &stream).await?.id;
            let added = client.add_target(stream, &AddTarget { url: from_input()? }).await?;
            connection.show(&added, |added| rows(std::slice::from_ref(added)))
        }
        Command::Remove { stream, index, connection } => {
            let client = connection.client()?;
            let stream = find(&client, &stream).await?.id;
            client.remove_target(stream, index).await?;
            say("removed")
        }
    }
}

/// The first line of standard input.
fn from_input() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let line = line.trim();
    if read.is_err() || line.is_empty() {
        return Err(Failure::usage("give the target's URL on standard input, as one line"));
    }
    Ok(line.to_owned())
}

fn rows(targets: &[TargetView]) -> String {
    let rows = targets.iter().map(|target| {
        [
            target.name.clone(),
            target.index.to_string(),
            target.url.clone(),
            target.state.to_string(),
            age(target.since),
            format!("{:.1} MB", target.bytes as f64 / 1e6),
            format!("{:.1} s", target.lag_ms as f64 / 1e3),
            target.reconnects.to_string(),
            target.detail.clone().or_else(|| gap(target)).or_else(|| past_error(target)).unwrap_or_default(),
        ]
    });
    let head = ["STREAM", "#", "URL", "STATE", "SINCE", "SENT", "LAG", "RECONNECTS", "DETAIL"];
    table(head, rows, "nothing is pushed anywhere")
}

fn gap(target: &TargetView) -> Option<String> {
    Some(format!("the stream brings nothing for {}", age(target.gap_since?)))
}

fn past_error(target: &TargetView) -> Option<String> {
    let last = target.last_error.as_ref()?;
    Some(format!("{} ago: {}", age(last.at), last.detail))
}
