//! A certificate and its key, read from files and found to fit.

use crate::config::PairFiles;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a pair cannot be used. The key is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no certificate in the file.
    #[error("{} has no certificate in it (PEM, the relay's own first)", .0.display())]
    NoCertificate(PathBuf),
    /// What should be the certificate is none.
    #[error("the first certificate in {} cannot be read", .0.display())]
    BadCertificate(PathBuf),
    /// There is no usable key in the file.
    #[error("{} has no private key in it that could be used (PEM, unencrypted; ECDSA, Ed25519 or RSA)", .0.display())]
    NoKey(PathBuf),
    /// Both are good, but not of one another.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// A pair that fits.
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_after: Timestamp,
}

impl PartialEq for Pair {
    /// By certificates: a key without its certificate is never used.
    fn eq(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

impl Pair {
    pub(super) fn read(files: &PairFiles) -> Result<Self, PairError> {
        let pem = read(&files.certificate)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|_| PairError::NoCertificate(files.certificate.clone()))?;
        let own = chain.first().ok_or_else(|| PairError::NoCertificate(files.certificate.clone()))?;
        let not_after = not_after(own).ok_or_else(|| PairError::BadCertificate(files.certificate.clone()))?;
        let no_key = || PairError::NoKey(files.key.clone());
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| no_key())?;
        let provider = rustls::crypto::ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                PairError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => PairError::BadCertificate(files.certificate.clone()),
            _ => no_key(),
        })?;
        Ok(Self { key: Arc::new(key), not_after })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    std::fs::read(path)
        .map_err(|error| PairError::Unreadable { path: path.to_owned(), why: error.to_string() })
}

/// RFC 5280 §4.1.2.5.
fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
