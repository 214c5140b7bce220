//! Which cluster, under which prefix, and how to be let in.

use crate::config::StoreConfig;
use anyhow::{Context, Result};
use claims::Label;
use claims::fleet::{Relay, RelayId};
use config::Secret;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use std::path::Path;

/// A cluster, as configured and checked.
#[derive(Clone, Debug)]
pub struct Place {
    /// The members' URLs, at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// User and password, if the cluster wants them.
    pub user: Option<(String, Secret<String>)>,
    /// PEM of the certificates that the members' are signed by, for `https` URLs; the system's if `None`.
    pub ca: Option<Vec<u8>>,
    /// PEM of our own certificate and its key.
    pub identity: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    /// Raised when the cluster was replaced, so that tokens go on rising.
    pub epoch: u16,
    /// This relay's name for people.
    pub label: Label,
}

impl Place {
    /// As configured; `None` where claims are this relay's alone.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn of(config: &StoreConfig) -> Result<Option<Self>> {
        let endpoints: Vec<_> = config.members().map(str::to_owned).collect();
        if endpoints.is_empty() {
            return Ok(None);
        }
        let identity =
            match (read("store.etcd_cert", &config.etcd_cert)?, read("store.etcd_key", &config.etcd_key)?) {
                (Some(certificate), Some(key)) => Some((certificate, Secret::new(key))),
                _ => None,
            };
        let user =
            (!config.etcd_user.is_empty()).then(|| (config.etcd_user.clone(), config.etcd_password.clone()));
        let label = if config.relay.is_empty() { machine() } else { config.relay.clone() };
        Ok(Some(Self {
            endpoints,
            prefix: config.etcd_prefix.clone(),
            user,
            ca: read("store.etcd_ca", &config.etcd_ca)?,
            identity,
            epoch: config.epoch,
            label: Label::new(&label),
        }))
    }

    /// This relay, as others see it.
    #[must_use]
    pub fn relay(&self, id: RelayId) -> Relay {
        Relay { id, label: self.label.clone() }
    }

    pub(super) fn options(&self, endpoint: &str) -> ConnectOptions {
        let mut options =
            ConnectOptions::new().with_connect_timeout(super::link::CONNECT_WITHIN).with_require_leader(true);
        if let Some((user, password)) = &self.user {
            options = options.with_user(user.clone(), password.expose().clone());
        }
        if endpoint.starts_with("https://") {
            let mut tls = TlsOptions::new().with_enabled_roots();
            if let Some(ca) = &self.ca {
                tls = tls.ca_certificate(Certificate::from_pem(ca));
            }
            if let Some((certificate, key)) = &self.identity {
                tls = tls.identity(Identity::from_pem(certificate, key.expose()));
            }
            options = options.with_tls(tls);
        }
        options
    }
}

fn read(key: &str, path: &Path) -> Result<Option<Vec<u8>>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| format!("{key}: {} cannot be read", path.display()))?;
    Ok(Some(bytes))
}

/// The machine's name (proc(5)).
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}
