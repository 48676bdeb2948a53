//! Games with the login: two requests at most, and the password never as Basic where Digest was asked for.

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
    let always = |name, text: &'static str| {
        case(name, move |_| Unruly::always(challenge(text))).ends(6, "pending 2")
    };
    vec![
        case("401_without_a_challenge", |_| {
            Unruly::always(Reply::Json(401, String::new()))
        })
        .ends(6, "pending 2")
        .requests(1..=1),
        always("basic_is_asked_for_ever", "Basic realm=\"NiMbox\"").requests(2..=2),
        always(
            "one_nonce_is_asked_for_ever",
            "Digest realm=\"NiMbox\", nonce=\"n\", qop=\"auth\"",
        )
        .requests(2..=2),
        case("a_new_nonce_each_time", |_| {
            Unruly::start(|n, _| {
                challenge(&format!(
                    "Digest realm=\"NiMbox\", nonce=\"n{n}\", qop=\"auth\""
                ))
            })
        })
        .ends(6, "pending 2")
        .requests(2..=2),
        case("stale_for_ever", |_| {
            Unruly::start(|n, _| {
                challenge(&format!(
                    "Digest realm=\"NiMbox\", nonce=\"n{n}\", stale=true, qop=\"auth\""
                ))
            })
        })
        .ends(6, "pending 2")
        .requests(2..=2),
        case("basic_after_digest", |_| {
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
        })
        .ends(6, "pending 2")
        .requests(3..=3),
        always(
            "basic_beside_a_digest_that_nobody_knows",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-3, Basic realm=\"x\"",
        )
        .requests(1..=1),
        always("a_digest_without_a_nonce", "Digest realm=\"NiMbox\"").requests(1..=1),
        always(
            "a_digest_of_the_body_only",
            "Digest realm=\"NiMbox\", nonce=\"n\", qop=\"auth-int\"",
        )
        .requests(1..=1),
        always("ntlm", "NTLM, Negotiate").requests(1..=1),
        always(
            "a_realm_that_no_header_can_carry",
            "Digest realm=\"a\u{1}b\", nonce=\"n\"",
        )
        .requests(1..=2),
        always("basic_without_a_login", "Basic realm=\"NiMbox\"")
            .without_login()
            .requests(1..=1),
        always(
            "digest_without_a_login",
            "Digest realm=\"NiMbox\", nonce=\"n\"",
        )
        .without_login()
        .requests(1..=1),
        // A nonce that is good for one request costs a request more each time, and no call.
        case("every_nonce_is_stale_at_once", |stage| {
            let honest = stage.honest.addr;
            Unruly::with_heads(move |n, head| {
                let line = head.lines().next().unwrap();
                let nonce = format!("nonce=\"n{}\"", n.wrapping_sub(1));
                if head.contains(&nonce) {
                    pass_on(honest, line)
                } else {
                    challenge(&format!(
                        "Digest realm=\"NiMbox\", nonce=\"n{n}\", stale=true, qop=\"auth\""
                    ))
                }
            })
        })
        .calls(4)
        .ends(0, "delivered 4")
        .requests(8..=8),
    ]
}
