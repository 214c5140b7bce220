//! `sluice token …`
//!
//! The running relay mints. Where none runs on this machine the token goes straight into the store, so that the first
//! one can be minted before a relay listens wider than loopback.

use super::{CONFIG, Connection, Failure, say};
use crate::auth;
use crate::clock;
use crate::config::RelayConfig;
use crate::store::Store;
use api::client::ClientError;
use api::tokens::{Scope, TokenMinted, TokenRequest};
use std::path::PathBuf;
use url::{Host, Url};

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
    /// The relay's configuration file, to find the store while no relay runs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The relay's data folder, to find the store while no relay runs.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command::New(new) = command;
    let request = TokenRequest { label: new.label.clone(), scopes: new.scopes.clone() };
    let minted = match new.connection.client()?.mint_token(&request).await {
        Ok(minted) => minted,
        Err(ClientError::Unreachable(why)) if is_here(&new.connection.relay) => {
            mint_here(&new, request, &why).await?
        }
        Err(error) => return Err(error.into()),
    };
    if new.connection.json {
        new.connection.show(&minted, |_| String::new())
    } else {
        // Alone on its line, so that it can be sent straight into a file.
        say(&minted.token)
    }
}

/// Whether a relay's address is one of this machine, whose store we may open.
fn is_here(relay: &str) -> bool {
    match Url::parse(relay).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

async fn mint_here(new: &New, request: TokenRequest, unreachable: &str) -> Result<TokenMinted, Failure> {
    let sources = config::Sources {
        file: new.config.clone(),
        env: config::environment(),
        prefix: "SLUICE",
        overrides: new
            .data
            .iter()
            .map(|path| ("data.path".to_owned(), path.to_string_lossy().into_owned()))
            .collect(),
    };
    let config: RelayConfig = config::load(sources).map_err(|error| Failure::config(error.to_string()))?;
    let path = config.store_path();
    let store = Store::open(&path).map_err(|error| {
        let relay = &new.connection.relay;
        Failure::unavailable(format!("no relay answers at {relay} ({unreachable}), and {error}"))
    })?;
    let (minted, record) = auth::draw(clock::wall(), request)
        .map_err(|problem| Failure { message: problem.to_string(), code: super::exit_code(&problem) })?;
    let kept = store.put_token(&record).await;
    store.close().await;
    match kept {
        Ok(()) => Ok(minted),
        Err(error) => Err(Failure { message: format!("{}: {error}", path.display()), code: CONFIG }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_minted_into_the_store_while_no_relay_runs() {
        let folder = tempfile::tempdir().unwrap();
        let new = New {
            label: "first".into(),
            scopes: vec![Scope::Operate],
            config: None,
            data: Some(folder.path().into()),
            connection: Connection { relay: "http://127.0.0.1:8080".into(), token_file: None, json: false },
        };
        let request = TokenRequest { label: new.label.clone(), scopes: new.scopes.clone() };
        mint_here(&new, request.clone(), "refused").await.unwrap();
        let store = Store::open(&folder.path().join("sluice.db")).unwrap();
        let records = store.tokens().await.unwrap();
        assert_eq!((records.len(), records[0].label.as_str()), (1, "first"));
        let failure = mint_here(&new, request, "refused").await.unwrap_err();
        assert!(failure.message.contains("in use"), "{}", failure.message);
    }

    #[test]
    fn only_a_relay_of_this_machine_may_be_stood_in_for() {
        for (relay, here) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("https://relay.example", false),
            ("http://10.0.0.1:8080", false),
        ] {
            assert_eq!(is_here(relay), here, "{relay}");
        }
    }
}
