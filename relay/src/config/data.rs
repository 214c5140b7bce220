//! `[data]` and `[store]`: where files, claims and streams are kept.

use serde::Deserialize;
use std::path::PathBuf;

/// Where files are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The folder; made if it is not there.
    pub path: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".local/share"))
        });
        Self { path: base.unwrap_or_else(|| PathBuf::from("/var/lib")).join("sluice") }
    }
}

/// Where claims and streams are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The embedded store's file; `sluice.db` in the data folder if empty.
    pub path: PathBuf,
}
