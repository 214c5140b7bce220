#![allow(clippy::disallowed_methods)]

use super::*;
use rcgen::{CertificateParams, KeyPair};
use std::path::Path;

/// A certificate for this name, and its key, as PEM.
fn issue(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn files(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
}

fn write(files: &PairFiles, certificate: &str, key: &str) {
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
}

fn shown(certificates: &Certificates) -> Vec<u8> {
    certificates.state.read().unwrap().pair.key.cert[0].to_vec()
}

#[test]
fn a_pair_that_cannot_be_used_leaves_the_old_one_and_says_which_file_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let (one, two) = (issue("one.example"), issue("two.example"));
    write(&files, &one.0, &one.1);
    let certificates = Certificates::load(files.clone()).unwrap();
    let first = shown(&certificates);
    assert_eq!(certificates.reload(), Ok(Reloaded::Same));
    assert!(certificates.health().is_ok());

    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, at_fault) in [
        (two.0.as_str(), one.1.as_str(), "is not that of the certificate"),
        ("", two.1.as_str(), "cert.pem has no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            two.1.as_str(),
            "cert.pem cannot be read",
        ),
        (two.0.as_str(), "", "key.pem has no private key"),
        (two.0.as_str(), encrypted, "key.pem has no private key"),
    ] {
        write(&files, certificate, key);
        let why = certificates.reload().unwrap_err().to_string();
        assert!(why.contains(at_fault), "{why}");
        assert_eq!(shown(&certificates), first, "{why}");
        let health = certificates.health().unwrap_err();
        assert!(health.contains(at_fault) && health.contains("good until"), "{health}");
        assert!(!why.contains("PRIVATE KEY-----"), "the key is quoted");
    }
    std::fs::remove_file(&files.key).unwrap();
    assert!(certificates.reload().is_err());

    write(&files, &two.0, &two.1);
    assert_eq!(certificates.reload(), Ok(Reloaded::New));
    assert_ne!(shown(&certificates), first);
    assert!(certificates.health().is_ok());
}

#[test]
fn an_expired_certificate_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["old.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    write(&files, &params.self_signed(&key).unwrap().pem(), &key.serialize_pem());
    let certificates = Certificates::load(files).unwrap();
    assert_eq!(certificates.not_after().to_string(), "2020-02-01T00:00:00Z");
    assert!(certificates.health().unwrap_err().contains("expired"));
}

#[test]
fn one_half_of_a_pair_is_refused_by_the_name_of_the_other() {
    let tls = |certificate: bool, key: bool| crate::config::Tls {
        certificate: certificate.then(|| "c".into()),
        key: key.then(|| "k".into()),
        ca_file: None,
    };
    assert_eq!(tls(true, false).pair(), Err("tls.key"));
    assert_eq!(tls(false, true).pair(), Err("tls.certificate"));
    assert_eq!(tls(false, false).pair(), Ok(None));
    assert!(tls(true, true).pair().unwrap().is_some());
}
