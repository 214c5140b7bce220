//! Logs: lines on standard error, for people or, with `SLUICE_LOG_FORMAT=json`, for programs.
//!
//! `SLUICE_LOG` says what is logged, in the words of `tracing_subscriber::EnvFilter`, such as `info,relay=debug`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Without `SLUICE_LOG`.
const DEFAULT_FILTER: &str = "info";

/// Begins to log. A filter that cannot be read is replaced by the default, and said so.
pub fn start() {
    let wanted = std::env::var("SLUICE_LOG").unwrap_or_else(|_| DEFAULT_FILTER.into());
    let (filter, bad) = match EnvFilter::try_new(&wanted) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    let as_json = std::env::var("SLUICE_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second call would find the first one's subscriber; that one stays.
    let _ = if as_json { logs.json().try_init() } else { logs.try_init() };
    if let Some(error) = bad {
        tracing::warn!(%error, "SLUICE_LOG cannot be read; logging at info");
    }
}
