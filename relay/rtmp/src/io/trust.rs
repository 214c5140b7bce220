//! Whose certificates a client believes. There is no way to believe all of them.

use rustls::client::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, RootCertStore};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The authorities that a client believes: the machine's own, and those of a file. Cloning shares it, and with it the
/// sessions that can be resumed.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It cannot be read, or is no PEM.
    #[error("{} cannot be read as PEM certificates: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It has no certificate, or one that is none.
    #[error("{} has no certificate in it that could be trusted", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The cryptography that is built in does not work together.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Trust {
    /// The machine's authorities (`/etc/ssl/certs`, or what `SSL_CERT_FILE` names) and those of a PEM file. Reads files,
    /// so it belongs to a program's start.
    ///
    /// # Errors
    /// [`TrustError`] if the file cannot be used. A machine without authorities is no error: it trusts nobody else.
    pub fn load(authorities: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = authorities {
            let unreadable = |why: &dyn fmt::Display| TrustError::Unreadable {
                path: path.to_owned(),
                why: why.to_string(),
            };
            let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let certificates = certificates.map_err(|error| unreadable(&error))?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(TrustError::Empty { path: path.to_owned() });
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// The configuration, for other protocols than RTMP.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }

    pub(super) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name)?;
        TlsConnector::from(self.0.clone()).connect(name, stream).await.map_err(TlsError::from)
    }
}

/// Why a connection could not be secured; the words say what to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The host's name is none that a certificate could have.
    #[error("no certificate can be issued for such a host name")]
    Name,
    /// The certificate's time is over.
    #[error("its certificate has expired")]
    Expired,
    /// The certificate's time has not come, or this machine's clock is wrong.
    #[error("its certificate is not valid yet, or the clock of this machine is wrong")]
    NotYetValid,
    /// The certificate was issued for others.
    #[error("its certificate is for {}", names(.0))]
    OtherName(Vec<String>),
    /// Nobody whom we trust has signed the certificate.
    #[error(
        "its certificate is signed by nobody that is trusted here; name its authority in the ca_file setting"
    )]
    UnknownIssuer,
    /// The certificate was called back.
    #[error("its certificate has been revoked")]
    Revoked,
    /// Something else is wrong with the certificate.
    #[error("its certificate cannot be used: {0}")]
    Certificate(String),
    /// What answers there does not speak TLS.
    #[error("it does not speak TLS; is this a plain rtmp:// port?")]
    NotTls,
    /// Both speak TLS, and found no agreement.
    #[error("no TLS session could be agreed on: {0}")]
    Handshake(String),
    /// The connection broke meanwhile.
    #[error("the connection broke during the TLS handshake: {0}")]
    Broken(String),
}

/// The longest list of names that is repeated.
const NAMES_SHOWN: usize = 3;

fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".into();
    }
    let shown = presented[..presented.len().min(NAMES_SHOWN)].join(", ");
    if presented.len() > NAMES_SHOWN { format!("{shown} and others only") } else { format!("{shown} only") }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::from(error),
            None => Self::Broken(error.to_string()),
        }
    }
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> Self {
        use CertificateError as Fault;
        match error {
            rustls::Error::InvalidCertificate(fault) => match fault {
                Fault::Expired | Fault::ExpiredContext { .. } => Self::Expired,
                Fault::NotValidYet | Fault::NotValidYetContext { .. } => Self::NotYetValid,
                Fault::NotValidForName => Self::OtherName(Vec::new()),
                Fault::NotValidForNameContext { presented, .. } => {
                    Self::OtherName(presented.iter().map(|name| plain(name)).collect())
                }
                Fault::UnknownIssuer => Self::UnknownIssuer,
                Fault::Revoked => Self::Revoked,
                other => Self::Certificate(plain(&other.to_string())),
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            other => Self::Handshake(plain(&other.to_string())),
        }
    }
}

/// What another wrote, for a log: printable ASCII, not too long.
fn plain(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(CHARS_MAX).collect()
}
