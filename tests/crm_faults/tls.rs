//! Certificates that must not pass, and servers that do not speak TLS where it is due.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::stage::{Backstage, Case, case};
use super::tricks::{created, ok};
use super::unruly::{Act, Reply, Unruly};

/// An authority, written to `ca.pem`, and a certificate of it for a name.
fn certificate(
    stage: &Backstage,
    name: &str,
    last_year: i32,
) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "ours");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(stage.dir.path().join("ca.pem"), authority.pem()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    (
        params.signed_by(&key, &authority).unwrap().der().clone(),
        key,
    )
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair, reply: Reply) -> Unruly {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Unruly::with_tls(Arc::new(tls), move |_, _| reply.clone())
}

/// The configuration with another scheme and one more line under `[target]`.
fn target(config: &str, scheme: &str, line: &str) -> String {
    let config = config.replacen("http://127", &format!("{scheme}://127"), 1);
    let config = config.replacen("https://127", &format!("{scheme}://127"), 1);
    super::scene::with(&config, "target", line)
}

fn with_ca(config: &str, stage: &Backstage) -> String {
    target(
        config,
        "https",
        &format!(
            "ca_file = \"{}\"",
            stage.dir.path().join("ca.pem").display()
        ),
    )
}

/// A certificate for a name, valid up to a year, that is checked against its authority.
fn shows(case_name: &'static str, name: &'static str, last_year: i32) -> Case {
    case(case_name, move |stage| {
        let (certificate, key) = certificate(stage, name, last_year);
        server(certificate, &key, ok(created(0)))
    })
    .edit(with_ca)
    .ends(6, "pending 2")
    .requests(0..=0)
}

const PIN: &str =
    "certificate_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"";

pub fn cases() -> Vec<Case> {
    vec![
        shows("an_expired_certificate", "127.0.0.1", 2020),
        shows("a_certificate_for_another_name", "localhost", 2100),
        case("a_certificate_of_a_stranger", |stage| {
            let (shown, key) = certificate(stage, "127.0.0.1", 2100);
            // Writes another authority to `ca.pem`.
            certificate(stage, "127.0.0.1", 2100);
            server(shown, &key, ok(created(0)))
        })
        .edit(with_ca)
        .ends(6, "pending 2")
        .requests(0..=0),
        case("a_self_signed_certificate_without_a_pin", |stage| {
            certificate(stage, "127.0.0.1", 2100);
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            let shown = params.self_signed(&key).unwrap().der().clone();
            server(shown, &key, ok(created(0)))
        })
        .edit(with_ca)
        .ends(6, "pending 2")
        .requests(0..=0),
        case("another_certificate_than_the_pinned_one", |stage| {
            let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
            server(certificate, &key, ok(created(0)))
        })
        .edit(|config, _| target(config, "https", PIN))
        .ends(6, "pending 2")
        .requests(0..=0),
        // The alert that a server with nothing newer than TLS 1.1 sends: fatal, protocol_version (RFC 5246, section 7.2).
        case("tls_1_1_only", |_| {
            Unruly::greeting(
                vec![Act::Write(vec![21, 3, 1, 0, 2, 2, 70]), Act::Mute],
                |_, _| Reply::Close,
            )
        })
        .edit(|config, _| target(config, "https", PIN))
        .ends(6, "pending 2")
        .requests(0..=0),
        case("plain_http_where_tls_is_due", |_| {
            Unruly::greeting(
                vec![
                    Act::Write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
                    Act::Mute,
                ],
                |_, _| Reply::Close,
            )
        })
        .edit(|config, _| target(config, "https", PIN))
        .requests(0..=0),
        case("mute_in_the_handshake", |_| {
            Unruly::greeting(vec![Act::Mute], |_, _| Reply::Close)
        })
        .edit(|config, _| target(config, "https", PIN))
        .requests(0..=0),
        case("half_a_handshake", |_| {
            Unruly::greeting(
                vec![Act::Write(vec![22, 3, 3, 0, 100, 2]), Act::Mute],
                |_, _| Reply::Close,
            )
        })
        .edit(|config, _| target(config, "https", PIN))
        .requests(0..=0),
        case("tls_where_plain_http_is_due", |stage| {
            let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
            server(certificate, &key, ok(created(0)))
        })
        .edit(|config, _| target(config, "http", ""))
        .requests(0..=0),
        case("mute_behind_tls", |stage| {
            let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
            server(certificate, &key, Reply::Silence)
        })
        .edit(with_ca),
        case("closed_behind_tls_without_a_farewell", |stage| {
            let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
            server(certificate, &key, Reply::Close)
        })
        .edit(with_ca),
        case("reset_behind_tls", |stage| {
            let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
            server(certificate, &key, Reply::Acts(vec![Act::Reset]))
        })
        .edit(with_ca),
    ]
}
