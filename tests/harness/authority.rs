//! A certificate authority of the test's own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};

/// An authority whose certificate is in a file, so that clients can be told to trust it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now, and for long.
    Current,
    /// It was.
    Expired,
}

impl Authority {
    /// Makes one, and puts its certificate into the folder.
    ///
    /// # Panics
    /// If the folder cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Sluice test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there are random numbers");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        let file = folder.join("authority.pem");
        std::fs::write(&file, issuer.pem()).expect("the folder can be written");
        Self { issuer, file }
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes a certificate for this name or address, and its key, as PEM.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn issue(&self, name: &str, validity: Validity, certificate: &Path, key: &Path) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
        // The days before an authority is made are not checked by anybody here.
        if validity == Validity::Expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        }
        let pair = KeyPair::generate().expect("there are random numbers");
        let signed = params.signed_by(&pair, &self.issuer).expect("the authority signs it");
        std::fs::write(certificate, signed.pem()).expect("the folder can be written");
        std::fs::write(key, pair.serialize_pem()).expect("the folder can be written");
    }
}
