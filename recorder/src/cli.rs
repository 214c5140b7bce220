//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Carries streams on this machine: joins calls and publishes them to a relay, each by a worker of its own.
#[derive(Debug, Parser)]
#[command(
    name = "sluice-recorder",
    version,
    after_help = "Exit codes: 0 done, 64 usage, 69 something is missing, 70 bug, 78 configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Connect to a relay and carry the streams that it gives; SIGTERM ends them cleanly, a second one at once.
    Run(Run),
    /// Tell whether this machine has all that is needed to carry streams.
    Doctor(Doctor),
    /// Keep one worker and all that it starts together. Used by `run` itself.
    #[command(hide = true)]
    Cell {
        /// The worker's program.
        worker: PathBuf,
    },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What `run` can be told. Each flag wins over the environment and over the file.
#[derive(Debug, Args)]
pub struct Run {
    /// The relay's HTTP address, such as http://127.0.0.1:8080 [key: relay.url]
    #[arg(long, value_name = "URL")]
    pub relay: Option<String>,
    /// A file with a token of scope `record` [key: relay.token_file]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<String>,
    /// The name of this recorder, unique in the fleet [key: recorder.name]
    #[arg(long)]
    pub name: Option<String>,
    /// How many streams to carry at once [key: recorder.slots]
    #[arg(long, value_name = "N")]
    pub slots: Option<String>,
    /// The folder for the workers' files [key: recorder.work_dir]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<String>,
    /// How log lines look; how many there are is set by SLUICE_LOG, such as `debug`
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Where else to read from.
    #[command(flatten)]
    pub shared: Shared,
}

/// What `doctor` can be told.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where else to read from.
    #[command(flatten)]
    pub shared: Shared,
}

/// What every command can be told.
#[derive(Debug, Args)]
pub struct Shared {
    /// A TOML file; see recorder.toml for all keys
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The worker's program [key: recorder.worker]
    #[arg(long, value_name = "PATH")]
    pub worker: Option<String>,
    /// Sets any key, such as `--set limits.join=1min`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl Shared {
    /// Keys and values as the loader takes them.
    #[must_use]
    pub fn overrides(&self) -> Vec<(String, String)> {
        let worker = self.worker.clone().map(|worker| ("recorder.worker".to_owned(), worker));
        worker.into_iter().chain(self.set.iter().cloned()).collect()
    }
}

impl Run {
    /// Keys and values as the loader takes them.
    #[must_use]
    pub fn overrides(&self) -> Vec<(String, String)> {
        let flags = [
            ("relay.url", &self.relay),
            ("relay.token_file", &self.token_file),
            ("recorder.name", &self.name),
            ("recorder.slots", &self.slots),
            ("recorder.work_dir", &self.work_dir),
        ];
        let given = flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        given.chain(self.shared.overrides()).collect()
    }
}

fn key_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
