//! Certificates for the loopback address, signed by a private CA.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A private CA and one certificate for 127.0.0.1 that it signed.
pub(crate) struct Authority {
    ca: String,
    certificate: String,
    key: String,
}

/// What [`Authority::write`] has written.
pub(crate) struct Files {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::make(|_| {})
    }

    /// Its certificate was good until the end of 2020.
    pub(crate) fn expired() -> Self {
        Self::make(|params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        })
    }

    fn make(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        // A name of its own, or a certificate of another CA would seem to be of this one.
        let name = super::fresh_name("cdrelay test CA ");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA signs itself");
        let key = KeyPair::generate().expect("a key can be made");
        // For the address alone, so that `localhost` is a wrong name for it.
        let names = vec!["127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("an address is fine");
        change(&mut params);
        let certificate = params
            .signed_by(&key, &issuer)
            .expect("the CA signs a certificate");
        Self {
            ca: issuer.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes the CA alone.
    pub(crate) fn write_ca(&self, path: &Path) {
        std::fs::write(path, &self.ca).expect("a certificate can be written");
    }

    /// Writes CA, certificate and key; the key is readable by its owner alone.
    pub(crate) fn write(&self, directory: &Path) -> Files {
        let files = Files {
            ca: directory.join("ca.pem"),
            certificate: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
        };
        for (path, text) in [
            (&files.ca, &self.ca),
            (&files.certificate, &self.certificate),
            (&files.key, &self.key),
        ] {
            std::fs::write(path, text).expect("a certificate can be written");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(path, mode).expect("a mode can be set");
        }
        files
    }
}
