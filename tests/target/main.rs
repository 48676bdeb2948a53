//! The CRM's side, end to end over loopback: the HTTP client, credentials, certificates, and the practice CRM.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../support/closed_port.rs"]
mod closed_port;
mod faults;
mod http;
mod login;
mod sandbox;
mod tls;
#[path = "../support/unruly.rs"]
mod unruly;

use std::time::Duration;

use cdrelay::call::{PhoneNumber, WireForm};
use cdrelay::config::secret::Secret;
use cdrelay::config::{Credentials, InitiatedAs, NimboxConfig, TargetConfig, TargetKind};
use cdrelay::target::{CrmTarget, Outcome, Receipt, TroubleKind, connect};
use url::Url;

/// Found nowhere but in requests.
const TOKEN: &str = "canary+tok/en";
const PASSWORD: &str = "canary:pass\"word";

/// A strict reply that delivers.
const GOOD: &str = r#"{"error":false,"contactId":12334,"phonecallId":3241}"#;

fn address(crm: &unruly::Unruly) -> Url {
    Url::parse(&crm.url()).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn config(url: &Url) -> TargetConfig {
    TargetConfig {
        kind: TargetKind::Nimbox(NimboxConfig {
            token: secret(TOKEN),
            already_exists: ["ya existe", "already exist", "duplicad"]
                .map(ToOwned::to_owned)
                .to_vec(),
        }),
        url: url.clone(),
        credentials: None,
        ca_file: None,
        certificate_sha256: None,
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        concurrency: 8,
        max_rps: None,
        initiated_as: InitiatedAs::Utc,
        empty_source: None,
        recording_url: None,
    }
}

fn with_credentials(mut config: TargetConfig) -> TargetConfig {
    config.credentials = Some(Credentials {
        username: "relay".to_owned(),
        password: secret(PASSWORD),
    });
    config
}

fn target(config: &TargetConfig) -> Box<dyn CrmTarget> {
    connect(config).unwrap()
}

fn call(n: u32) -> WireForm {
    WireForm {
        initiated: format!("2012-08-23T16:{:02}:{:02}Z", n / 60 % 60, n % 60),
        source: PhoneNumber("+582121234567".to_owned()),
        destination: PhoneNumber("02129876543".to_owned()),
        duration: 61,
        url: None,
        form: None,
    }
}

#[track_caller]
fn assert_created(outcome: &Outcome) {
    let Outcome::Delivered(Receipt {
        existing: false, ..
    }) = outcome
    else {
        panic!("not created: {outcome:?}");
    };
}

#[track_caller]
fn assert_no_verdict(outcome: &Outcome, kind: TroubleKind, text: &str) {
    let Outcome::NoVerdict(trouble) = outcome else {
        panic!("a verdict: {outcome:?}");
    };
    assert_eq!(trouble.kind, kind, "{outcome:?}");
    assert!(trouble.reason.contains(text), "{outcome:?}");
    assert_no_canary(outcome);
}

#[track_caller]
fn assert_broken(outcome: &Outcome, text: &str) {
    let Outcome::Broken { reason } = outcome else {
        panic!("not broken: {outcome:?}");
    };
    assert!(reason.contains(text), "{reason}");
    assert_no_canary(outcome);
}

/// No secret, and no part of one, in any of its spellings.
#[track_caller]
fn assert_no_canary(shown: &impl std::fmt::Debug) {
    let text = format!("{shown:?}");
    assert!(!text.contains("canary"), "{text}");
    // "canary" within the base64 of "relay:canary:pass..." and on its own.
    assert!(!text.contains("Y2FuYXJ5"), "{text}");
}
