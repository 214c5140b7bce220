//! `sluice check CONFIG`

use super::{Failure, say};
use crate::config::RelayConfig;
use crate::push;
use crate::tls::Certificates;
use rtmp::io::Trust;
use std::path::PathBuf;

/// Which file.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The configuration file (TOML). The environment is read as `serve` would read it.
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sources = config::Sources {
        file: Some(arguments.config.clone()),
        env: config::environment(),
        prefix: "SLUICE",
        overrides: Vec::new(),
    };
    let refused = |error: config::ConfigError| Failure::config(error.to_string());
    let checked: RelayConfig = config::load(sources).map_err(refused)?;
    checked.check().map_err(refused)?;
    push::Rules::open(&checked.app, &checked.claims).map_err(|error| Failure::config(error.to_string()))?;
    let bad = |what: &str, why: &dyn std::fmt::Display| Failure::config(format!("{what}: {why}"));
    let pair = checked.tls.pair();
    let pair = pair.map_err(|missing| bad(missing, &"a certificate and its key are set together"))?;
    if let Some(files) = pair {
        Certificates::load(files).map_err(|error| bad("tls", &error))?;
    }
    Trust::load(checked.tls.ca_file.as_deref()).map_err(|error| bad("tls.ca_file", &error))?;
    let rtmp = checked.rtmp.listen.address();
    let http = checked.http.listen.address();
    say(&format!("{} is good: RTMP on {rtmp}, HTTP on {http}", arguments.config.display()))
}
