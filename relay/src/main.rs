//! `sluice`: the relay, both programs on one machine, and the operator's commands.

use clap::{Parser, Subcommand};
use relay::cli::{self, logging};
use relay::{serve, up};
use std::process::ExitCode;

/// Livestream relay with exclusive stream URLs.
///
/// `sluice serve` runs the relay; `sluice up` runs relay and recorder on one machine. The other commands are for
/// operators and talk to a running relay.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay.
    Serve(serve::Arguments),
    /// Run relay and recorder together on this machine.
    Up(up::Arguments),
    #[command(flatten)]
    Operator(cli::Command),
}

/// sysexits' `EX_USAGE`.
const EXIT_USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // Asking for help or the version is no mistake.
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Serve(arguments) => {
            logging::start("info");
            serve::run(arguments).await
        }
        Command::Up(arguments) => {
            // A person reads along: what is asked for and what went wrong.
            logging::start(up::LOG);
            up::run(arguments).await
        }
        Command::Operator(command) => cli::run(command).await,
    }
}
