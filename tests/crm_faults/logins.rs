//! Games with the login: two requests at most, and the password never as Basic where Digest was asked for.

use std::collections::HashSet;
use std::sync::Mutex;

use super::scene::pass_on;
use super::stage::{Case, case};
use super::unruly::{Reply, Unruly};

fn challenge(challenge: &str) -> Reply {
    Reply::With(
        401,
        format!("WWW-Authenticate: {challenge}\r\n"),
        String::new(),
    )
}

pub fn cases() -> Vec<Case> {
    let always = |name, words, text: &'static str| {
        case(name, words, move |_| Unruly::always(challenge(text))).ends(6, "pending 2")
    };
    vec![
        case(
            "401_without_a_challenge",
            "cdrelay: the CRM wants a login that cdrelay does not know (it names no \
             scheme); the server must offer Digest or Basic",
            |_| Unruly::always(Reply::Json(401, String::new())),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "basic_is_asked_for_ever",
            "cdrelay: user or password refused: the CRM answered 401 to the credentials; \
             check `target.username` and `target.password_file`",
            "Basic realm=\"NiMbox\"",
        )
        .requests(2..=2),
        always(
            "one_nonce_is_asked_for_ever",
            "cdrelay: user or password refused: the CRM answered 401 to the credentials; \
             check `target.username` and `target.password_file`",
            "Digest realm=\"NiMbox\", nonce=\"n\", qop=\"auth\"",
        )
        .requests(2..=2),
        case(
            "a_new_nonce_each_time",
            "cdrelay: user or password refused: the CRM answered 401 to the credentials; \
             check `target.username` and `target.password_file`",
            |_| {
                Unruly::start(|n, _| {
                    challenge(&format!(
                        "Digest realm=\"NiMbox\", nonce=\"n{n}\", qop=\"auth\""
                    ))
                })
            },
        )
        .ends(6, "pending 2")
        .requests(2..=2),
        case(
            "stale_for_ever",
            "cdrelay: user or password refused: the CRM answered 401 to the credentials; \
             check `target.username` and `target.password_file`",
            |_| {
                Unruly::start(|n, _| {
                    challenge(&format!(
                        "Digest realm=\"NiMbox\", nonce=\"n{n}\", stale=true, qop=\"auth\""
                    ))
                })
            },
        )
        .ends(6, "pending 2")
        .requests(2..=2),
        case(
            "basic_after_digest",
            "cdrelay: the CRM wants a user and a password (it offers Basic), after it \
             asked for Digest, or for a Digest that cdrelay does not know; the password is \
             not sent as Basic. The server must offer Digest with MD5 or SHA-256 and \
             qop=auth",
            |_| {
                Unruly::with_heads(|n, head| {
                    assert!(!head.contains("Basic "), "the password went out as Basic");
                    match n {
                        0 => challenge(
                            "Digest realm=\"NiMbox\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
                        ),
                        1 => Reply::Json(500, String::new()),
                        _ => challenge("Basic realm=\"NiMbox\""),
                    }
                })
            },
        )
        .ends(6, "pending 2")
        .requests(3..=3),
        always(
            "basic_beside_a_digest_that_nobody_knows",
            "cdrelay: the CRM wants a user and a password (it offers Digest, Basic), after \
             it asked for Digest, or for a Digest that cdrelay does not know; the password \
             is not sent as Basic. The server must offer Digest with MD5 or SHA-256 and \
             qop=auth",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-3, Basic realm=\"x\"",
        )
        .requests(1..=1),
        always(
            "a_digest_without_a_nonce",
            "cdrelay: the CRM wants a user and a password (it offers Digest), after it \
             asked for Digest, or for a Digest that cdrelay does not know; the password is \
             not sent as Basic. The server must offer Digest with MD5 or SHA-256 and \
             qop=auth",
            "Digest realm=\"NiMbox\"",
        )
        .requests(1..=1),
        always(
            "a_digest_of_the_body_only",
            "cdrelay: the CRM wants a user and a password (it offers Digest), after it \
             asked for Digest, or for a Digest that cdrelay does not know; the password is \
             not sent as Basic. The server must offer Digest with MD5 or SHA-256 and \
             qop=auth",
            "Digest realm=\"NiMbox\", nonce=\"n\", qop=\"auth-int\"",
        )
        .requests(1..=1),
        always(
            "ntlm",
            "cdrelay: the CRM wants a login that cdrelay does not know (it offers NTLM, \
             Negotiate); the server must offer Digest or Basic",
            "NTLM, Negotiate",
        )
        .requests(1..=1),
        always(
            "a_realm_with_a_control_character",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP header parsed",
            "Digest realm=\"a\u{1}b\", nonce=\"n\"",
        )
        .ends(4, "pending 2")
        .requests(6..=6),
        always(
            "basic_without_a_login",
            "cdrelay: the CRM wants a user and a password (it offers Basic); set \
             `target.username` and `target.password_file`",
            "Basic realm=\"NiMbox\"",
        )
        .without_login()
        .requests(1..=1),
        always(
            "digest_without_a_login",
            "cdrelay: the CRM wants a user and a password (it offers Digest); set \
             `target.username` and `target.password_file`",
            "Digest realm=\"NiMbox\", nonce=\"n\"",
        )
        .without_login()
        .requests(1..=1),
        // A nonce that is good for one request costs a request more each time, and no call.
        case("every_nonce_is_stale_at_once", "", |stage| {
            let honest = stage.honest.addr;
            let open = Mutex::new(HashSet::new());
            Unruly::with_heads(move |n, head| {
                let line = head.lines().next().unwrap();
                let nonce = head
                    .split("nonce=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                if nonce.is_some_and(|nonce| open.lock().unwrap().remove(nonce)) {
                    pass_on(honest, line)
                } else {
                    open.lock().unwrap().insert(format!("n{n}"));
                    challenge(&format!(
                        "Digest realm=\"NiMbox\", nonce=\"n{n}\", stale=true, qop=\"auth\""
                    ))
                }
            })
        })
        .calls(4)
        .ends(0, "delivered 4")
        .requests(5..=24),
    ]
}
