//! Whose certificates count: the system's authorities with a private one, or a single pinned certificate.
//!
//! Nothing here turns verification off: a pin replaces the authorities, and the handshake's signature still proves that
//! the server holds the certificate's key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use super::Trust;

/// The TLS side of a client. `needed` is false for plain http, where no root is loaded.
pub(super) fn client_config(needed: bool, trust: Trust<'_>) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?;
    Ok(match trust {
        Trust::Authorities { ca_file } => builder
            .with_root_certificates(if needed {
                roots(ca_file)?
            } else {
                RootCertStore::empty()
            })
            .with_no_client_auth(),
        Trust::Pinned(digest) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedCertificate { digest, provider }))
            .with_no_client_auth(),
    })
}

/// The server showed another certificate than the pinned one.
#[derive(Debug)]
pub(super) struct PinMismatch {
    shown: [u8; 32],
    pinned: [u8; 32],
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the CRM shows a certificate with SHA-256 {}, and {} is pinned",
            hex(&self.shown),
            hex(&self.pinned)
        )
    }
}

impl std::error::Error for PinMismatch {}

/// The system's authorities, and those of the file.
fn roots(ca_file: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // A system's store holds odd ones now and then; one that cannot be used vouches for nobody.
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate).with_context(|| {
                format!(
                    "target.ca_file {} holds a certificate that cannot be used",
                    path.display()
                )
            })?;
        }
    }
    if roots.is_empty() {
        bail!(
            "this machine has no certificate authorities, so https cannot be verified; install the package \
             `ca-certificates`, or set `target.ca_file` or `target.certificate_sha256`"
        );
    }
    Ok(roots)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let pem =
        std::fs::read(path).with_context(|| format!("target.ca_file {shown} cannot be read"))?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("target.ca_file {shown} is not valid PEM"))?;
    if found.is_empty() {
        bail!(
            "target.ca_file {shown} holds no certificate; it must be PEM, with a line `-----BEGIN CERTIFICATE-----` \
             (DER is converted by `openssl x509 -inform der -in FILE`)"
        );
    }
    Ok(found)
}

/// Accepts the one certificate with this digest.
#[derive(Debug)]
struct PinnedCertificate {
    digest: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: [u8; 32] = Sha256::digest(end_entity).into();
        if shown == self.digest {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = PinMismatch {
            shown,
            pinned: self.digest,
        };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
