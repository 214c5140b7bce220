//! Which cluster, under which prefix, and how to be let in.

use config::Secret;
use claims::Label;
use claims::fleet::{Relay, RelayId};
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

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
