//! Credentials: kept back until asked for, Digest before Basic, two requests at most.

use std::sync::atomic::{AtomicUsize, Ordering};

use cdrelay::sandbox::{Credentials, DigestAlgorithm, RunningSandbox, Sandbox, SandboxOptions};
use cdrelay::target::Probe;

use super::unruly::{Reply, Unruly, reply};
use super::{
    GOOD, PASSWORD, TOKEN, address, assert_broken, assert_created, assert_no_canary, call, config,
    target, with_credentials,
};

fn sandbox(credentials: Credentials) -> RunningSandbox {
    Sandbox::start(SandboxOptions {
        token: TOKEN.to_owned(),
        credentials,
        ..SandboxOptions::default()
    })
    .unwrap()
}

fn digest(algorithm: DigestAlgorithm, password: &str, nonce_uses: Option<u32>) -> RunningSandbox {
    sandbox(Credentials::Digest {
        username: "relay".to_owned(),
        password: password.to_owned(),
        algorithm,
        nonce_uses,
    })
}

fn basic(password: &str) -> RunningSandbox {
    sandbox(Credentials::Basic {
        username: "relay".to_owned(),
        password: password.to_owned(),
    })
}

#[track_caller]
fn check_requests(sandbox: &RunningSandbox, created: u64, requests: u64) {
    let stats = sandbox.stats();
    assert_eq!((stats.created, stats.requests), (created, requests));
}

#[tokio::test]
async fn one_question_and_then_credentials_go_with_every_request() {
    for crm in [
        basic(PASSWORD),
        digest(DigestAlgorithm::Md5, PASSWORD, None),
        digest(DigestAlgorithm::Sha256, PASSWORD, None),
    ] {
        let target = target(&with_credentials(config(&crm.url)));
        for n in 0..5 {
            assert_created(&target.deliver(&call(n)).await);
        }
        check_requests(&crm, 5, 6);
        assert_eq!(crm.stats().connections, 1);
    }
}

#[tokio::test]
async fn concurrent_requests_share_a_nonce_and_never_a_count() {
    let crm = digest(DigestAlgorithm::Sha256, PASSWORD, None);
    let target = target(&with_credentials(config(&crm.url)));
    assert_created(&target.deliver(&call(0)).await);
    let calls: Vec<_> = (1..101).map(call).collect();
    let outcomes =
        futures_util::future::join_all(calls.iter().map(|call| target.deliver(call))).await;
    outcomes.iter().for_each(assert_created);
    // Each count that the sandbox had seen before would have cost one request more.
    check_requests(&crm, 101, 102);
}

#[tokio::test]
async fn a_stale_nonce_costs_one_more_request_and_no_call() {
    let crm = digest(DigestAlgorithm::Md5, PASSWORD, Some(3));
    let target = target(&with_credentials(config(&crm.url)));
    for n in 0..9 {
        assert_created(&target.deliver(&call(n)).await);
    }
    check_requests(&crm, 9, 12);
}

#[tokio::test]
async fn a_wrong_password_is_said_after_two_requests() {
    for crm in [
        basic("another"),
        digest(DigestAlgorithm::Md5, "another", None),
        digest(DigestAlgorithm::Sha256, "another", None),
    ] {
        let target = target(&with_credentials(config(&crm.url)));
        assert_broken(&target.deliver(&call(0)).await, "user or password refused");
        check_requests(&crm, 0, 2);
        assert_broken(&target.deliver(&call(1)).await, "user or password refused");
        assert!(crm.stats().requests <= 4);
        let probe = target.probe().await;
        assert!(matches!(probe, Probe::Broken(_)), "{probe:?}");
        assert_no_canary(&probe);
    }
}

#[tokio::test]
async fn credentials_that_are_not_configured_are_asked_for_in_words() {
    let crm = digest(DigestAlgorithm::Md5, PASSWORD, None);
    let outcome = target(&config(&crm.url)).deliver(&call(0)).await;
    assert_broken(
        &outcome,
        "the CRM wants a user and a password (it offers Digest); set `target.username` and `target.password_file`",
    );
    check_requests(&crm, 0, 1);
}

#[tokio::test]
async fn a_server_that_answers_401_for_ever_gets_two_requests_a_call() {
    for stale in ["", ", stale=true"] {
        let count = AtomicUsize::new(0);
        let crm = Unruly::with_heads(move |_, _| {
            let n = count.fetch_add(1, Ordering::SeqCst);
            let challenge = format!(r#"Digest realm="r", nonce="n{n}", qop="auth"{stale}"#);
            Reply::Send(reply(401, &[("WWW-Authenticate", &challenge)], ""))
        });
        let target = target(&with_credentials(config(&address(&crm))));
        for n in 1..4 {
            assert_broken(&target.deliver(&call(0)).await, "user or password refused");
            assert_eq!(crm.heads().len(), 2 * n);
        }
    }
}

#[tokio::test]
async fn digest_is_chosen_among_several_and_basic_never_after_it() {
    let crm = Unruly::with_heads(|n, head| {
        if n < 2 && head.contains("authorization: Digest ") {
            return Reply::Send(reply(200, &[], GOOD));
        }
        let offers: &[(&str, &str)] = if n == 0 {
            &[
                ("WWW-Authenticate", "Basic realm=\"r\", Negotiate"),
                (
                    "www-authenticate",
                    "Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"",
                ),
            ]
        } else {
            &[("WWW-Authenticate", "Basic realm=\"r\"")]
        };
        Reply::Send(reply(401, offers, ""))
    });
    let target = target(&with_credentials(config(&address(&crm))));
    assert_created(&target.deliver(&call(0)).await);
    assert_broken(&target.deliver(&call(1)).await, "not sent as Basic");
    let heads = crm.heads();
    assert_eq!(heads.len(), 3);
    assert!(!heads[0].contains("authorization"), "{}", heads[0]);
    assert!(heads[1].contains("nc=00000001") && heads[2].contains("nc=00000002"));
    assert!(heads.iter().all(|head| !head.contains("Basic")));
}

#[tokio::test]
async fn a_401_without_a_challenge_is_broken_with_and_without_credentials() {
    let crm = Unruly::always(Reply::Send(reply(401, &[], "")));
    let config = config(&address(&crm));
    assert_broken(&target(&config).deliver(&call(0)).await, "names no scheme");
    let config = with_credentials(config);
    assert_broken(&target(&config).deliver(&call(0)).await, "names no scheme");
    assert_eq!(crm.heads().len(), 2);
}
