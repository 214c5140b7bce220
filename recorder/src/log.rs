//! The log: standard error, filtered by `SLUICE_LOG`.

use crate::cli::LogFormat;
use tracing_subscriber::EnvFilter;

/// The variable with the filter, such as `debug` or `info,worker=warn`.
const VARIABLE: &str = "SLUICE_LOG";

/// Begins to log. An unreadable filter is named and `info` used: a typing error there must not keep streams from running.
pub fn begin(format: LogFormat) {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| "info".into());
    let (filter, error) = match EnvFilter::try_new(&wanted) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in the same process is a test's; the first one stays.
    let _ = match format {
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(is_terminal).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = error {
        tracing::warn!(%error, "{VARIABLE} cannot be read; logging at info");
    }
}
