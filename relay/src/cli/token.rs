//! `sluice token …`

use super::{Connection, Failure, say};
use api::tokens::{Scope, TokenRequest};

/// Mint tokens.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Mint a token and print it, once: only its digest is kept.
    New(New),
}

/// Which token.
#[derive(clap::Args, Clone, Debug)]
pub struct New {
    /// Whose it is.
    #[arg(long)]
    label: String,
    /// What it allows: start, operate, view or record; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command::New(New { label, scopes, connection }) = command;
    let minted = connection.client()?.mint_token(&TokenRequest { label, scopes }).await?;
    if connection.json {
        connection.show(&minted, |_| String::new())
    } else {
        // Alone on its line, so that it can be sent straight into a file.
        say(&minted.token)
    }
}
