//! `[tls]`, `[rtmps]` and `[https]`: what is encrypted, and with which certificate.

use super::loopback;
use serde::Deserialize;
use std::path::PathBuf;

/// The relay's certificate, and whose certificates it believes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate with its chain, PEM. With it and `key`, RTMPS and HTTPS are listened for. The files may change
    /// while the relay runs.
    pub certificate: Option<PathBuf>,
    /// The certificate's key, PEM.
    pub key: Option<PathBuf>,
    /// Authorities, PEM, that are believed besides the machine's own when this relay connects to `rtmps://` addresses.
    pub ca_file: Option<PathBuf>,
}

/// A certificate and its key, by their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Tls {
    /// The certificate and its key; `None` if nothing is to be encrypted.
    ///
    /// # Errors
    /// The key that is missing where only one of the two is set.
    pub fn pair(&self) -> Result<Option<PairFiles>, &'static str> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(PairFiles { certificate: certificate.clone(), key: key.clone() }))
            }
            (Some(_), None) => Err("tls.key"),
            (None, Some(_)) => Err("tls.certificate"),
        }
    }
}

/// RTMP under TLS, listened for where there is a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmps {
    /// Address and port.
    pub listen: config::Listen,
}

impl Default for Rtmps {
    fn default() -> Self {
        Self { listen: loopback(1936) }
    }
}

/// HTTP/2 and HTTP/1.1 under TLS, listened for where there is a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Https {
    /// Address and port.
    pub listen: config::Listen,
}

impl Default for Https {
    fn default() -> Self {
        Self { listen: loopback(8443) }
    }
}
