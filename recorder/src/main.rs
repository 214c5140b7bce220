//! `sluice-recorder`: reads the command line and the configuration, and answers with an exit code of sysexits.

use anyhow::Context;
use clap::Parser;
use config::{ConfigError, Sources};
use recorder::Settings;
use recorder::cli::{Cli, Command, LogFormat, Shared};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use tracing::error;

/// The command line cannot be understood.
const EX_USAGE: u8 = 64;
/// Something that is needed is missing on this machine.
const EX_UNAVAILABLE: u8 = 69;
/// A bug.
const EX_SOFTWARE: u8 = 70;
/// The sections of the relay's configuration, as in `config/relay.toml`.
const RELAY_SECTIONS: [&str; 10] =
    ["RTMP", "RTMPS", "HTTP", "DATA", "STORE", "HLS", "CLAIMS", "APP", "JIBRI", "AUTH"];

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    let code = match cli.command {
        Command::Cell { worker } => keep(&worker),
        Command::Run(run) => {
            recorder::log::begin(run.log_format);
            match load(&run.shared, run.overrides()) {
                Ok(settings) => serve(settings),
                Err(error) => refuse(&error),
            }
        }
        Command::Doctor(doctor) => {
            recorder::log::begin(LogFormat::Text);
            match load(&doctor.shared, doctor.shared.overrides()) {
                Ok(settings) => examine(&settings),
                Err(error) => refuse(&error),
            }
        }
    };
    ExitCode::from(code)
}

fn load(shared: &Shared, overrides: Vec<(String, String)>) -> Result<Settings, ConfigError> {
    let file = shared.config.clone();
    let env = config::environment().into_iter().filter(|(name, _)| !is_relays(name));
    let settings: Settings = config::load(Sources { file, env, prefix: "SLUICE", overrides })?;
    settings.check()?;
    Ok(settings)
}

/// Whether a variable sets a key of the relay: one environment often serves both on the same machine, or in a container.
/// Sections that neither has are refused as ever.
fn is_relays(name: &str) -> bool {
    let section =
        name.strip_prefix("SLUICE_").and_then(|key| key.split_once("__")).map(|(section, _)| section);
    section.is_some_and(|section| RELAY_SECTIONS.contains(&section))
}

fn serve(settings: Settings) -> u8 {
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(recorder::run(settings)));
    match result {
        Ok(()) => 0,
        Err(error) => {
            error!("{error:#}");
            EX_UNAVAILABLE
        }
    }
}

fn examine(settings: &Settings) -> u8 {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return EX_SOFTWARE;
    };
    let worker = settings.recorder.worker();
    let diagnosis = runtime.block_on(recorder::doctor::examine(&worker, settings.recorder.slots()));
    let printed = std::io::stdout().write_all(diagnosis.table().as_bytes());
    if printed.is_ok() && diagnosis.is_sound() { 0 } else { EX_UNAVAILABLE }
}

fn keep(worker: &Path) -> u8 {
    match recorder::keeper::run(worker) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cannot keep a worker: {error}");
            EX_SOFTWARE
        }
    }
}

fn refuse(error: &ConfigError) -> u8 {
    error!("{error}");
    config::EXIT_CODE
}
