//! `[data]` and `[store]`: where files, claims and streams are kept.

use ::config::{ConfigError, Secret};
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The embedded store's file; `sluice.db` in the data folder if empty. Streams, tokens and the history are kept
    /// there in any case.
    pub path: PathBuf,
    /// The members of an etcd cluster in which relays share their claims: URLs, separated by commas. Empty: claims are
    /// this relay's alone.
    pub etcd: String,
    /// What all keys of the fleet begin with.
    pub etcd_prefix: String,
    /// The user, if the cluster asks for one.
    pub etcd_user: String,
    /// Its password.
    pub etcd_password: Secret<String>,
    /// PEM file of the authority that signed the members' certificates; the system's if empty.
    pub etcd_ca: PathBuf,
    /// PEM file of our certificate, if the cluster asks for one.
    pub etcd_cert: PathBuf,
    /// PEM file of its key.
    pub etcd_key: PathBuf,
    /// Raised on every relay when the cluster was replaced or set back, so that fencing tokens go on rising.
    pub epoch: u16,
    /// This relay's name for people; the machine's if empty.
    pub relay: String,
}

/// The largest epoch: with it a token still is a whole number in every reader's JSON (2^53).
const EPOCH_MAX: u16 = 31;

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            etcd: String::new(),
            etcd_prefix: "sluice/".into(),
            etcd_user: String::new(),
            etcd_password: Secret::default(),
            etcd_ca: PathBuf::new(),
            etcd_cert: PathBuf::new(),
            etcd_key: PathBuf::new(),
            epoch: 0,
            relay: String::new(),
        }
    }
}

impl StoreConfig {
    /// The members' URLs; none where claims are this relay's alone.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.etcd.split(',').map(str::trim).filter(|member| !member.is_empty())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: String| ConfigError::refused(&format!("store.{key}"), why);
        for member in self.members() {
            let url = url::Url::parse(member).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
            if url.is_none_or(|url| url.host().is_none()) {
                return Err(wrong(
                    "etcd",
                    format!("{member:?} is no URL of an etcd member; write http://host:2379"),
                ));
            }
        }
        if self.epoch > EPOCH_MAX {
            return Err(wrong("epoch", format!("{} is too large; at most {EPOCH_MAX}", self.epoch)));
        }
        if self.etcd_prefix.is_empty() || self.etcd_prefix.len() > 200 {
            return Err(wrong("etcd_prefix", "it must have 1 to 200 bytes, such as \"sluice/\"".into()));
        }
        if self.etcd_cert.as_os_str().is_empty() != self.etcd_key.as_os_str().is_empty() {
            return Err(wrong("etcd_cert", "it goes with store.etcd_key: set both or none".into()));
        }
        if self.etcd_user.is_empty() != self.etcd_password.expose().is_empty() {
            return Err(wrong("etcd_user", "it goes with store.etcd_password: set both or none".into()));
        }
        Ok(())
    }
}
