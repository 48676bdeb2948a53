//! Certificates: a private authority, a pinned one, and everything that must not pass.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cdrelay::target::{TroubleKind, connect};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::unruly::{Reply, Unruly, reply};
use super::{
    GOOD, address, assert_broken, assert_created, assert_no_verdict, call, config, target,
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a name, and its key.
    fn issue(&self, name: &str, last_year: i32) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), key)
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }
}

/// Shows one certificate and signs with one key, whether they belong together or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Unruly {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = ring::sign::any_supported_type(&key).unwrap();
    let shows = Shows(Arc::new(CertifiedKey::new(vec![certificate], key)));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shows));
    Unruly::with_tls(Arc::new(tls), |_, _| Reply::Send(reply(200, &[], GOOD)))
}

fn digest(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

#[tokio::test]
async fn a_private_authority_vouches_for_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    let authority = Authority::new("ours");
    authority.write(&ca_file);
    let (certificate, key) = authority.issue("127.0.0.1", 2100);
    let crm = server(certificate, &key);
    let mut config = config(&address(&crm));
    config.ca_file = Some(ca_file);
    let target = target(&config);
    for n in 0..3 {
        assert_created(&target.deliver(&call(n)).await);
    }
    assert_eq!(crm.connections(), 1);
}

#[tokio::test]
async fn no_certificate_passes_that_nobody_vouches_for() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    let authority = Authority::new("ours");
    authority.write(&ca_file);
    let stranger = Authority::new("stranger");
    for ((certificate, key), text) in [
        (stranger.issue("127.0.0.1", 2100), "set `target.ca_file`"),
        (authority.issue("localhost", 2100), "for another host name"),
        (authority.issue("127.0.0.1", 2000), "out of date"),
    ] {
        let crm = server(certificate, &key);
        let mut config = config(&address(&crm));
        config.ca_file = Some(ca_file.clone());
        assert_broken(&target(&config).deliver(&call(0)).await, text);
        assert_eq!(crm.heads(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_pinned_certificate_passes_whatever_its_name_and_dates() {
    let (certificate, key) = Authority::new("ours").issue("another.example", 2000);
    let pin = digest(&certificate);
    let crm = server(certificate, &key);
    let mut config = config(&address(&crm));
    config.certificate_sha256 = Some(pin);
    assert_created(&target(&config).deliver(&call(0)).await);
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_does_not_pass() {
    let authority = Authority::new("ours");
    let (pinned, _) = authority.issue("127.0.0.1", 2100);
    let (shown, key) = authority.issue("127.0.0.1", 2100);
    let hex = |digest: [u8; 32]| {
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let text = format!(
        "the CRM shows a certificate with SHA-256 {}, and {} is pinned; if it was renewed on purpose, set \
         `target.certificate_sha256` to the new digest",
        hex(digest(&shown)),
        hex(digest(&pinned))
    );
    let crm = server(shown, &key);
    let mut config = config(&address(&crm));
    config.certificate_sha256 = Some(digest(&pinned));
    assert_broken(&target(&config).deliver(&call(0)).await, &text);
    assert_eq!(crm.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_of_the_pinned_certificate_without_its_key_does_not_pass() {
    let authority = Authority::new("ours");
    let (pinned, _) = authority.issue("127.0.0.1", 2100);
    let (_, other_key) = authority.issue("127.0.0.1", 2100);
    let pin = digest(&pinned);
    let crm = server(pinned, &other_key);
    let mut config = config(&address(&crm));
    config.certificate_sha256 = Some(pin);
    assert_broken(
        &target(&config).deliver(&call(0)).await,
        "has a wrong signature",
    );
    assert_eq!(crm.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_is_mute_or_speaks_no_tls_is_unreachable() {
    let (certificate, _) = Authority::new("ours").issue("127.0.0.1", 2100);
    for step in [(|| Reply::Silence) as fn() -> Reply, || {
        Reply::Raw(reply(400, &[], "plain http"))
    }] {
        // A ClientHello holds no blank line, so the script is never asked: the server waits, as a mute one does.
        let crm = Unruly::with_heads(move |_, _| step());
        let mut url = address(&crm);
        url.set_scheme("https").unwrap();
        let mut config = config(&url);
        config.connect_timeout = Duration::from_millis(200);
        config.certificate_sha256 = Some(digest(&certificate));
        let outcome = target(&config).deliver(&call(0)).await;
        assert_no_verdict(
            &outcome,
            TroubleKind::Unreachable,
            "no connection to the CRM in time",
        );
    }
}

#[test]
fn an_unusable_ca_file_is_named_with_what_is_wrong() {
    #[track_caller]
    fn check(path: &Path, expected: &str) {
        let mut config = config(&"https://127.0.0.1:1/".parse().unwrap());
        config.ca_file = Some(path.to_owned());
        let error = connect(&config).err().expect("an error");
        let text = format!("{error:#}");
        let expected = expected.replace("PATH", &path.display().to_string());
        assert!(text.contains(&expected), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    check(&path, "target.ca_file PATH cannot be read: No such file");
    std::fs::write(&path, "").unwrap();
    check(
        &path,
        "target.ca_file PATH holds no certificate; it must be PEM",
    );
    std::fs::write(&path, b"\x30\x82\x01\x00 DER").unwrap();
    check(
        &path,
        "target.ca_file PATH holds no certificate; it must be PEM",
    );
    let broken = "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, broken).unwrap();
    check(&path, "target.ca_file PATH is not valid PEM");
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, empty).unwrap();
    check(
        &path,
        "target.ca_file PATH holds a certificate that cannot be used",
    );
}
