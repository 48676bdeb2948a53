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

fn server(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    answer: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> Unruly {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Unruly::with_tls(Arc::new(tls), move |n, _| answer(n))
}

/// The configuration with another scheme and one more line under `[target]`.
fn target(config: &str, scheme: &str, line: &str) -> String {
    let config = config.replacen("http://127", &format!("{scheme}://127"), 1);
    let config = config.replacen("https://127", &format!("{scheme}://127"), 1);
    super::scene::with(&config, "target", line)
}

pub fn with_ca(config: &str, stage: &Backstage) -> String {
    target(
        config,
        "https",
        &format!(
            "ca_file = \"{}\"",
            stage.dir.path().join("ca.pem").display()
        ),
    )
}

/// A server with a certificate that passes, which reports every call as created.
pub fn good(stage: &Backstage) -> Unruly {
    let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
    server(certificate, &key, |n| ok(created(n)))
}

/// With less time to connect than a request has in all, so that it is clear which of the two runs out.
fn connecting_in_a_hurry(config: &str, _stage: &Backstage) -> String {
    target(config, "https", PIN).replace("connect_timeout = \"1s\"", "connect_timeout = \"300ms\"")
}

/// A certificate for a name, valid up to a year, that is checked against its authority.
fn shows(case_name: &'static str, words: &'static str, name: &'static str, last_year: i32) -> Case {
    case(case_name, words, move |stage| {
        let (certificate, key) = certificate(stage, name, last_year);
        server(certificate, &key, |n| ok(created(n)))
    })
    .edit(with_ca)
    .ends(6, "pending 2")
    .requests(0..=0)
}

const PIN: &str = "certificate_sha256 = \
             \"0000000000000000000000000000000000000000000000000000000000000000\"";

pub fn cases() -> Vec<Case> {
    vec![
        shows(
            "an_expired_certificate",
            "cdrelay: the CRM's certificate is out of date: it was valid until 2020-01-01; \
             compare this machine's clock, and have the certificate renewed",
            "127.0.0.1",
            2020,
        ),
        shows(
            "a_certificate_for_another_name",
            "cdrelay: the CRM's certificate is for another host name; use the name it was \
             issued for in `target.url`, or pin it by `target.certificate_sha256`",
            "localhost",
            2100,
        ),
        case(
            "a_certificate_of_another_authority_of_the_same_name",
            "cdrelay: the CRM's certificate, or the proof that the server holds its key, \
             has a wrong signature: another server may be answering in its place; find out \
             which before anything is sent",
            |stage| {
                let (shown, key) = certificate(stage, "127.0.0.1", 2100);
                // Writes another authority to `ca.pem`.
                certificate(stage, "127.0.0.1", 2100);
                server(shown, &key, |n| ok(created(n)))
            },
        )
        .edit(with_ca)
        .ends(6, "pending 2")
        .requests(0..=0),
        case(
            "a_self_signed_certificate_without_a_pin",
            "cdrelay: the CRM's certificate is signed by an authority that this machine \
             does not know; set `target.ca_file` to the authority's PEM file, or pin the \
             certificate by `target.certificate_sha256`",
            |stage| {
                certificate(stage, "127.0.0.1", 2100);
                let key = KeyPair::generate().unwrap();
                let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
                let shown = params.self_signed(&key).unwrap().der().clone();
                server(shown, &key, |n| ok(created(n)))
            },
        )
        .edit(with_ca)
        .ends(6, "pending 2")
        .requests(0..=0),
        case(
            "another_certificate_than_the_pinned_one",
            "cdrelay: the CRM shows a certificate with SHA-256 HEX, and N is pinned; if it \
             was renewed on purpose, set `target.certificate_sha256` to the new digest",
            |stage| {
                let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
                server(certificate, &key, |n| ok(created(n)))
            },
        )
        .edit(|config, _| target(config, "https", PIN))
        .ends(6, "pending 2")
        .requests(0..=0),
        // The alert that a server with nothing newer than TLS 1.1 sends: fatal, protocol_version (RFC 5246, section 7.2).
        case(
            "tls_1_1_only",
            "cdrelay: the CRM and cdrelay share no way to secure the connection (received \
             fatal alert: ProtocolVersion); the server must offer TLS 1.2 or 1.3 for this \
             host name without a client certificate",
            |_| {
                Unruly::greeting(
                    vec![Act::Write(vec![21, 3, 1, 0, 2, 2, 70]), Act::Mute],
                    |_, _| Reply::Close,
                )
            },
        )
        .edit(|config, _| target(config, "https", PIN))
        .ends(6, "pending 2")
        .requests(0..=0),
        case(
            "plain_http_where_tls_is_due",
            "cdrelay: 2 calls pending: no connection to the CRM: what answers there does \
             not speak TLS (received corrupt message of type InvalidContentType); if that \
             lasts, check scheme and port in `target.url`",
            |_| {
                Unruly::greeting(
                    vec![
                        Act::Write(
                            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
                        ),
                        Act::Mute,
                    ],
                    |_, _| Reply::Close,
                )
            },
        )
        .edit(|config, _| target(config, "https", PIN))
        .requests(0..=0),
        case(
            "mute_in_the_handshake",
            "cdrelay: 2 calls pending: no connection to the CRM in time: operation timed \
             out",
            |_| Unruly::greeting(vec![Act::Mute], |_, _| Reply::Close),
        )
        .edit(connecting_in_a_hurry)
        .impatient()
        .requests(0..=0),
        case(
            "half_a_handshake",
            "cdrelay: 2 calls pending: no connection to the CRM in time: operation timed \
             out",
            |_| {
                Unruly::greeting(
                    vec![Act::Write(vec![22, 3, 3, 0, 100, 2]), Act::Mute],
                    |_, _| Reply::Close,
                )
            },
        )
        .edit(connecting_in_a_hurry)
        .impatient()
        .requests(0..=0),
        case(
            "tls_where_plain_http_is_due",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            |stage| {
                let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
                server(certificate, &key, |n| ok(created(n)))
            },
        )
        .edit(|config, _| target(config, "http", ""))
        .or_says(&super::connections::DROPPED)
        .requests(0..=0),
        case(
            "mute_behind_tls",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            |stage| {
                let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
                server(certificate, &key, |_| Reply::Silence)
            },
        )
        .edit(with_ca),
        case(
            "closed_behind_tls_without_a_farewell",
            "cdrelay: 2 calls pending: no complete reply: connection error: peer closed \
             connection without sending TLS close_notify",
            |stage| {
                let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
                server(certificate, &key, |_| Reply::Close)
            },
        )
        .or_says(&super::connections::DROPPED)
        .edit(with_ca),
        case(
            "reset_behind_tls",
            "cdrelay: 2 calls pending: no complete reply: connection error: Connection \
             reset by peer (os error 104)",
            |stage| {
                let (certificate, key) = certificate(stage, "127.0.0.1", 2100);
                server(certificate, &key, |_| Reply::Acts(vec![Act::Reset]))
            },
        )
        .or_says(&super::connections::DROPPED)
        .edit(with_ca),
    ]
}
