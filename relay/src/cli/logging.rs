//! Logs: lines on standard error, for people or, with `SLUICE_LOG_FORMAT=json`, for programs.
//!
//! `SLUICE_LOG` says what is logged, in the words of `tracing_subscriber::EnvFilter`, such as `info,relay=debug`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged.
pub const VARIABLE: &str = "SLUICE_LOG";

/// Begins to log. Without `SLUICE_LOG` what is logged is `default`; a filter that cannot be read is replaced by it, and said
/// so.
pub fn start(default: &str) {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| default.into());
    let (filter, bad) = match EnvFilter::try_new(&wanted) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(default), Some(error)),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    let as_json = std::env::var("SLUICE_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second call would find the first one's subscriber; that one stays.
    let _ = if as_json { logs.json().try_init() } else { logs.try_init() };
    if let Some(error) = bad {
        tracing::warn!(%error, "SLUICE_LOG cannot be read; logging at {default}");
    }
}
