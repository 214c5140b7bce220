//! The operator's commands: thin words around the API's client.
//!
//! Tables for people, `--json` for programs, one clear sentence on standard error when something fails, and an exit
//! code of sysexits: 0 done, 64 asked wrongly, 69 the relay cannot, 70 a bug, 78 configuration or token.

mod check;
mod claims;
pub mod logging;
mod recorders;
mod screen;
mod streams;
mod table;
mod targets;
mod token;

use api::client::{Client, ClientError};
use api::{Problem, ProblemCode};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest token file, in bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// What an operator asks.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// See and settle who holds which stream URL.
    #[command(subcommand)]
    Claims(claims::Command),
    /// Start, see and stop streams.
    #[command(subcommand)]
    Streams(streams::Command),
    /// See and drain recorders.
    #[command(subcommand)]
    Recorders(recorders::Command),
    /// See where streams are pushed to.
    #[command(subcommand)]
    Targets(targets::Command),
    /// Mint tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Check a configuration file without starting anything.
    Check(check::Arguments),
}

/// Which relay, and how to show its answer.
#[derive(clap::Args, Clone, Debug)]
pub struct Connection {
    /// The relay's HTTP address.
    #[arg(long, value_name = "URL", env = "SLUICE_RELAY", default_value = "http://127.0.0.1:8080")]
    relay: String,
    /// The file with the token; tokens are never arguments, which every process of the machine can read.
    #[arg(long, value_name = "FILE", env = "SLUICE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Answer as JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Why a command failed: one sentence, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

/// `EX_USAGE`: what was asked cannot be done as asked.
const USAGE: u8 = 64;
/// `EX_UNAVAILABLE`: the relay cannot be reached, or cannot do it now.
const UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`: a bug.
const BUG: u8 = 70;
/// `EX_CONFIG`: configuration, or the token.
const CONFIG: u8 = 78;

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }

    fn config(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: CONFIG }
    }

    fn unavailable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: UNAVAILABLE }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Problem(problem) => exit_code(problem),
            ClientError::Url => USAGE,
            ClientError::Token => CONFIG,
            ClientError::Answer(_) | ClientError::TooLarge => BUG,
            ClientError::Status(_)
            | ClientError::Unreachable(_)
            | ClientError::Timeout
            | ClientError::Broken(_) => UNAVAILABLE,
        };
        Self { message: error.to_string(), code }
    }
}

/// Nobody reads the answer any more, such as after `| head`.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::unavailable(format!("the answer could not be written: {error}"))
    }
}

fn exit_code(problem: &Problem) -> u8 {
    match problem.code {
        ProblemCode::Malformed
        | ProblemCode::NotFound
        | ProblemCode::MethodNotAllowed
        | ProblemCode::TooLarge
        | ProblemCode::InvalidField => USAGE,
        ProblemCode::Unauthenticated | ProblemCode::Forbidden => CONFIG,
        ProblemCode::Internal => BUG,
        // What another time or another name would mend.
        _ => UNAVAILABLE,
    }
}

/// Does what was asked.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Claims(command) => claims::run(command).await,
        Command::Streams(command) => streams::run(command).await,
        Command::Recorders(command) => recorders::run(command).await,
        Command::Targets(command) => targets::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Check(arguments) => check::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With standard error closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "sluice: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

impl Connection {
    fn client(&self) -> Result<Client, Failure> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(Client::new(&self.relay, token)?)
    }

    /// Shows an answer: as JSON, or as people want it.
    fn show<T: Serialize>(&self, answer: &T, people: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(answer)
                .map_err(|error| Failure { message: error.to_string(), code: BUG })?;
            say(&json)
        } else {
            say(&people(answer))
        }
    }

    /// Shows a change: JSON on one line, or as people want it.
    fn show_change<T: Serialize>(
        &self,
        change: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(change)
                .map_err(|error| Failure { message: error.to_string(), code: BUG })?;
            say(&json)
        } else {
            say(&people(change))
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let about = std::fs::metadata(path)
        .map_err(|error| Failure::config(format!("the token file {shown} cannot be read: {error}")))?;
    if about.len() > TOKEN_FILE_BYTES_MAX {
        return Err(Failure::config(format!("{shown} is too large to be a token file")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::config(format!("the token file {shown} cannot be read: {error}")))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::config(format!("{shown} must hold one token and nothing else")));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Sluice {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn every_command_of_the_contract_is_understood() {
        for line in [
            "claims list",
            "claims show 0190c0de-0000-7000-8000-000000000000 --json",
            "claims release live/room-1 --reason done --token 4",
            "claims seize live/room-1 --reason mixup --token 4 --relay http://relay:8080",
            "claims watch",
            "claims history live/room-1 --since 2d --limit 20 --json",
            "claims history",
            "claims block live/room-1 --reason mixup --for 10m",
            "claims unblock live/room-1 --reason settled",
            "streams start live/room-1 --call https://meet.example/x --profile 540p30 --label room=one --wait 30",
            "streams start live/test --kind test",
            "streams stop live/room-1",
            "streams list",
            "streams show live/room-1",
            "streams watch live/room-1 --json",
            "recorders list",
            "recorders drain rec-1",
            "targets list",
            "token new --label bot --scope start --scope view",
            "check relay.toml",
        ] {
            let words = std::iter::once("sluice").chain(line.split(' '));
            if let Err(error) = Sluice::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        assert!(
            Sluice::try_parse_from(["sluice", "token", "new", "--label", "x", "--scope", "root"]).is_err()
        );
    }

    #[test]
    fn a_token_comes_from_a_file_and_a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert_eq!(read_token(&path).unwrap_err().code, CONFIG);
        std::fs::write(&path, "sluice_abc\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "sluice_abc");
        std::fs::write(&path, "two words").unwrap();
        let failure = read_token(&path).unwrap_err();
        assert!(failure.message.contains("token") && !failure.message.contains("words"));
    }

    #[tokio::test]
    async fn a_relay_that_is_not_there_is_unavailable() {
        // A port that nobody listens on: bound, then given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let relay = format!("http://127.0.0.1:{port}");
        let connection = Connection { relay, token_file: None, json: false };
        let failure = connection.client().unwrap().streams().await.map_err(Failure::from).unwrap_err();
        assert_eq!(failure.code, UNAVAILABLE);
    }
}
