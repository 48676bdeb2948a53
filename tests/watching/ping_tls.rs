//! The ping over TLS: verified like the CRM's connection, by the system's authorities or a private one.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::scene::{Scene, sandbox, with};
use super::unruly::{Reply, Unruly};

/// A server for 127.0.0.1, and the PEM text of the authority that vouches for it.
fn server() -> (Unruly, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "ours");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let watcher = Unruly::with_tls(Arc::new(tls), |_, _| Reply::Json(200, "OK".to_owned()));
    (watcher, authority.pem())
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let scene = Scene::generated(20, 120);
    let crm = sandbox();
    let (watcher, authority) = server();
    std::fs::write(scene.program.path("ours.pem"), authority).unwrap();
    let config = |config: &str, more: &str| {
        with(
            config,
            "monitor",
            &format!("ping_url = \"{}/canary\"\n{more}", watcher.url()),
        )
    };
    scene.point_at_with(crm.url.as_str(), |text| {
        config(text, "ca_file = \"ours.pem\"")
    });
    let ran = scene.program.run(&["sync", "-vvv"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        !ran.stderr.contains("canary") && !ran.stderr.contains("WARN"),
        "{ran:?}"
    );
    assert_eq!(
        watcher.seen(),
        ["GET /canary/start HTTP/1.1", "GET /canary HTTP/1.1"]
    );
    scene.point_at_with(crm.url.as_str(), |text| config(text, ""));
    let ran = scene.program.run(&["sync"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said: Vec<&str> = ran
        .stderr
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    let system_has_authorities = !said[0].contains("cannot be called");
    if system_has_authorities {
        assert_eq!(
            said,
            ["began", "succeeded"].map(|what| format!(
                " WARN monitor.ping_url was not told that the run {what}: its certificate is not accepted, or it asks for a \
                 login; a private authority goes into `monitor.ca_file`; the run itself is not affected"
            ))
        );
    } else {
        assert_eq!(
            said,
            [
                " WARN monitor.ping_url cannot be called: there are no certificate authorities to verify it by; check \
              `monitor.ca_file`, or install the package `ca-certificates`"
            ]
        );
    }
    assert_eq!(watcher.seen().len(), 2, "nothing went out");
}
