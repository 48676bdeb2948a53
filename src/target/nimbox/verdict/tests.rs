//! The verdict table in full, and what mutilated replies come to.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has said what is wrong"
)]

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Answer, Reading, classify};
use crate::target::http::Secrets;
use crate::target::{Outcome, Receipt, TroubleKind};

const CREATED: &str = r#"{ "error": false, "contactId": 12334, "phonecallId": 3241 }"#;
const UNKNOWN: &str = r#"{ "error": true, "errors": { "destination": "no se consiguió el número de destino en la base de datos" } }"#;

/// What a test expects, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Created,
    Existing,
    Unmatched,
    Rejected,
    No(TroubleKind),
    Broken,
}
use TroubleKind::{Busy, Garbled, Html, ServerError, Timeout};
use Verdict::{Broken, Created, Existing, No, Rejected, Unmatched};

fn now() -> DateTime<Utc> {
    "2015-10-21T07:27:30Z".parse().unwrap()
}

fn patterns() -> Vec<String> {
    ["ya existe", "Already Exist", "duplicad", ""]
        .map(ToOwned::to_owned)
        .to_vec()
}

fn outcome(answer: &Answer<'_>) -> Outcome {
    classify(
        answer,
        &Reading {
            already_exists: &patterns(),
            hidden: &Secrets::default().with("s3cr3t-canary"),
            now: now(),
        },
    )
}

fn of(status: u16, body: &[u8]) -> Outcome {
    outcome(&Answer {
        status,
        body,
        ..Answer::default()
    })
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Delivered(Receipt { existing: true, .. }) => Existing,
        Outcome::Delivered(_) => Created,
        Outcome::Unmatched { .. } => Unmatched,
        Outcome::Rejected { .. } => Rejected,
        Outcome::NoVerdict(trouble) => No(trouble.kind),
        Outcome::Broken { .. } => Broken,
        Outcome::NotSent => panic!("a reply is never `NotSent`"),
    }
}

#[track_caller]
fn check(status: u16, body: impl AsRef<[u8]>, expected: Verdict) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let found = of(status, body);
    assert_eq!(verdict(&found), expected, "{status} {shown}: {found:?}");
}

#[track_caller]
fn check_reason(status: u16, body: &str, expected: &str) {
    let reason = match of(status, body.as_bytes()) {
        Outcome::Unmatched { reason }
        | Outcome::Rejected { reason }
        | Outcome::Broken { reason } => reason,
        Outcome::NoVerdict(trouble) => trouble.reason,
        Outcome::Delivered(_) | Outcome::NotSent => panic!("no reason"),
    };
    assert_eq!(reason, expected);
}

#[test]
fn only_a_strict_error_false_under_200_or_201_is_delivered() {
    check(200, CREATED, Created);
    check(201, CREATED, Created);
    check(200, format!("\u{feff}{CREATED}"), Created);
    check(200, format!(" \r\n\t{CREATED}\n\n"), Created);
    check(200, r#"{"error":false}"#, Created);
    check(
        200,
        r#"{"error":false,"contactId":null,"phonecallId":7}"#,
        Created,
    );
    check(200, r#"{"error":false,"errors":{}}"#, Created);
    for status in [202, 203, 204, 205, 206, 100, 0, 600, 999] {
        check(status, CREATED, No(Garbled));
    }
    check(400, CREATED, No(Garbled));
    check(404, CREATED, No(Garbled));
    check(409, CREATED, No(Garbled));
    check(500, CREATED, No(ServerError));
    check(204, "", No(Garbled));
    check(200, "", No(Garbled));
    check(200, " \n", No(Garbled));
    check(200, "\u{feff}", No(Garbled));
    for body in [
        r#"{"error":false"#,
        r#"{"error":0}"#,
        r#"{"error":"false"}"#,
        r#"{"error":null}"#,
        r#"{"Error":false}"#,
        r#"{"errors":{}}"#,
        r#"{"error":false,"error":false}"#,
        r#"{"error":true,"error":false}"#,
        r#"{"error":false,"\u0065rror":false}"#,
        r#"{"error":false,"x":{"a":1,"a":2}}"#,
        r#"{"error":false,"x":[{"a":1,"a":2}]}"#,
        r#"{"error":true,"errors":{"destination":"a","destination":"b"}}"#,
        r#"{"error":false}x"#,
        r#"{"error":false}{"error":false}"#,
        r#"{"error":false}<!-- -->"#,
        "{\"error\":false}\0",
        r#"[{"error":false}]"#,
        r#""error":false"#,
        "false",
        "null",
        "12",
        "{}",
        "OK",
        r#"{'error':false}"#,
        r#"{"error":false,}"#,
        r#"{"error":False}"#,
        r#"{"error":false,"x":1e999}"#,
        r#"{"error":false,"x":"\ud800"}"#,
        "\u{feff}\u{feff}{\"error\":false}",
    ] {
        check(200, body, No(Garbled));
    }
    check(200, b"{\"error\":false,\"x\":\"\xff\"}", No(Garbled));
    check(200, "[".repeat(60_000), No(Garbled));
    check(
        200,
        format!("{{\"error\":false,\"x\":{}", "{\"a\":".repeat(10_000)),
        No(Garbled),
    );
}

#[test]
fn a_body_counts_up_to_64_kib_and_no_further() {
    let padded = |length: usize| {
        let frame = r#"{"error":false,"x":""}"#.len();
        format!(r#"{{"error":false,"x":"{}"}}"#, "x".repeat(length - frame))
    };
    assert_eq!(padded(65_536).len(), 65_536);
    check(200, padded(65_536), Created);
    check(200, padded(65_537), No(Garbled));
}

#[test]
fn a_strict_refusal_is_sorted_by_what_it_names() {
    for status in [
        200, 201, 400, 402, 404, 405, 406, 409, 410, 418, 422, 451, 499,
    ] {
        check(status, UNKNOWN, Unmatched);
        check(
            status,
            r#"{"error":true,"errors":{"source":"x"}}"#,
            Rejected,
        );
        check(status, r#"{"error":true,"errors":{"token":"no"}}"#, Broken);
        check(
            status,
            r#"{"error":true,"errors":{"x":"La llamada YA EXISTE"}}"#,
            Existing,
        );
    }
    check(
        200,
        r#"{"error":true,"errors":{"token":"x","destination":"ya existe"}}"#,
        Broken,
    );
    check(200, r#"{"error":true,"errors":{"token":null}}"#, Broken);
    check(
        200,
        r#"{"error":true,"errors":{"destination":"a","source":"b"}}"#,
        Rejected,
    );
    check(
        200,
        r#"{"error":true,"errors":{"destination":["a","b"]}}"#,
        Unmatched,
    );
    check(
        200,
        r#"{"error":true,"errors":{"destination":"duplicado"}}"#,
        Existing,
    );
    check(
        200,
        r#"{"error":true,"message":"call already exists"}"#,
        Existing,
    );
    check(200, r#"{"error":true,"errors":["DUPLICADA"]}"#, Existing);
    check(
        200,
        r#"{"error":true,"errors":{"ya existe":"?"}}"#,
        Rejected,
    );
    check(200, r#"{"error":true,"errors":{}}"#, Rejected);
    check(200, r#"{"error":true,"errors":[]}"#, Rejected);
    check(200, r#"{"error":true,"errors":null}"#, Rejected);
    check(200, r#"{"error":true}"#, Rejected);
    check(202, UNKNOWN, No(Garbled));
}

#[test]
fn the_status_decides_where_it_promises_no_verdict() {
    for body in [CREATED, UNKNOWN, "", "<html>", "\u{1f980}"] {
        for status in [300, 301, 302, 303, 304, 307, 308, 401, 403, 407] {
            check(status, body, Broken);
        }
        check(408, body, No(Timeout));
        check(425, body, No(Busy));
        check(429, body, No(Busy));
        check(503, body, No(Busy));
        check(504, body, No(Timeout));
        for status in [500, 501, 502, 505, 507, 511, 599] {
            check(status, body, No(ServerError));
        }
    }
}

#[test]
fn a_4xx_without_a_strict_body_rejects_nothing() {
    for body in [
        "",
        "gone",
        "<html>",
        r#"{"error":"true"}"#,
        r#"{"message":"no"}"#,
    ] {
        for status in [404, 405, 410] {
            check(status, body, Broken);
        }
    }
    for status in [400, 402, 406, 409, 413, 414, 422] {
        check(status, "", No(Garbled));
        check(status, r#"{"message":"no"}"#, No(Garbled));
        check(status, "<html>", No(Html));
    }
}

#[test]
fn a_page_is_called_html() {
    check(200, "<!DOCTYPE html><title>Login</title>", No(Html));
    check(200, "\u{feff} \r\n<html>", No(Html));
    check(201, "<", No(Html));
    check(202, "<html>", No(Garbled));
}

#[test]
fn ids_are_integers_or_texts_that_are_integers() {
    #[track_caller]
    fn ids(body: &str, contact_id: Option<i64>, call_id: Option<i64>) {
        let expected = Outcome::Delivered(Receipt {
            existing: false,
            contact_id,
            call_id,
        });
        assert_eq!(of(200, body.as_bytes()), expected, "{body}");
    }
    ids(CREATED, Some(12334), Some(3241));
    ids(
        r#"{"error":false,"contactId":"12334","phonecallId":"-1"}"#,
        Some(12334),
        Some(-1),
    );
    ids(
        r#"{"error":false,"contactId":null,"phonecallId":0}"#,
        None,
        Some(0),
    );
    ids(
        r#"{"error":false,"contactId":1.5,"phonecallId":"12a"}"#,
        None,
        None,
    );
    ids(
        r#"{"error":false,"contactId":9223372036854775807,"phonecallId":9223372036854775808}"#,
        Some(i64::MAX),
        None,
    );
    ids(
        r#"{"error":false,"contactId":[1],"phonecallId":{"id":1}}"#,
        None,
        None,
    );
    ids(
        r#"{"error":false,"contactId":true,"phonecallId":""}"#,
        None,
        None,
    );
}

#[test]
fn reasons_quote_the_crm_and_never_a_secret() {
    check_reason(
        200,
        UNKNOWN,
        "destination: no se consiguió el número de destino en la base de datos",
    );
    check_reason(
        422,
        r#"{"error":true,"errors":{"source":["a","b"],"n":{"deep":1}},"message":"m"}"#,
        "source: a; source: b; n: 1; m",
    );
    check_reason(
        200,
        r#"{"error":true}"#,
        "the CRM refused the call without a word",
    );
    check_reason(
        200,
        r#"{"error":true,"errors":{"token":"s3cr3t-canary is wrong"}}"#,
        "the CRM refused the token: token: *** is wrong; check `target.token_file`",
    );
    check_reason(
        500,
        r#"{"error":true,"message":"deadlock on s3cr3t-canary"}"#,
        "the CRM answered 500 (server error): deadlock on ***",
    );
    check_reason(
        200,
        r#"{"error":false"#,
        "the CRM answered 200, but the reply is not JSON: it ends too early, line 1 column 14",
    );
    check_reason(
        404,
        "",
        "the CRM answered 404 and not in the words of the web service; check the address in `target.url`",
    );
    // A secret is struck out before the cut, so that no part of one is left at the edge.
    let body = format!(
        r#"{{"error":true,"message":"{}s3cr3t-canary{}"}}"#,
        "ñ".repeat(294),
        "x".repeat(50)
    );
    check_reason(200, &body, &format!("{}***xx…", "ñ".repeat(294)));
}

#[test]
fn a_redirect_names_the_host_and_no_more() {
    #[track_caller]
    fn check(location: Option<&str>, expected: &str) {
        let found = outcome(&Answer {
            status: 302,
            location,
            ..Answer::default()
        });
        let reason = format!(
            "the CRM answered 302 and points {expected}; redirects are not followed: set `target.url` to the address \
             that answers itself"
        );
        assert_eq!(found, Outcome::Broken { reason });
    }
    check(
        Some("https://user:pw@login.example/x?token=s3cr3t-canary"),
        "to login.example",
    );
    check(Some("//other.example/?a"), "to other.example");
    check(Some("https://s3cr3t-canary.example/"), "to ***.example");
    check(Some("/login?token=s3cr3t-canary"), "elsewhere");
    check(Some("\u{0}::"), "elsewhere");
    check(None, "elsewhere");
}

#[test]
fn retry_after_is_read_in_all_its_forms_and_nonsense_is_not_passed_on() {
    #[track_caller]
    fn check(header: &str, expected_s: Option<u64>) {
        for status in [429, 503] {
            let found = outcome(&Answer {
                status,
                retry_after: Some(header),
                ..Answer::default()
            });
            let Outcome::NoVerdict(trouble) = found else {
                panic!("{found:?}");
            };
            let expected = expected_s.map(Duration::from_secs);
            assert_eq!(trouble.retry_after, expected, "{header}");
        }
    }
    check("120", Some(120));
    check(" 0 ", Some(0));
    check("Wed, 21 Oct 2015 07:28:00 GMT", Some(30));
    check("Wednesday, 21-Oct-15 07:28:00 GMT", Some(30));
    check("Wed Oct 21 07:28:00 2015", Some(30));
    check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400));
    check("99999999999999999999999999", Some(86_400));
    check("-1", None);
    check("1.5", None);
    check("soon", None);
    check("", None);
}

/// An opinion of its own on whether a text is one flat JSON object with `error: false` and no key twice.
fn independent_is_error_false(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else {
        return false;
    };
    let keys = regex::Regex::new(r#""(?:[^"\\]|\\.)*"\s*:"#).unwrap();
    keys.find_iter(text).count() == object.len()
        && object.get("error") == Some(&serde_json::Value::Bool(false))
}

#[test]
fn no_truncation_and_no_mutated_byte_makes_a_false_delivery() {
    let good = [
        CREATED,
        r#"{"error":false,"contactId":12334,"phonecallId":3241}"#,
        r#"{"contactId":null,"phonecallId":"9","error":false}"#,
    ];
    let mut delivered = 0;
    for reply in good {
        for end in 0..reply.len() {
            let found = of(200, &reply.as_bytes()[..end]);
            assert!(!matches!(found, Outcome::Delivered(_)), "{end} of {reply}");
        }
        for at in 0..reply.len() {
            for byte in 0..=u8::MAX {
                let mut body = reply.as_bytes().to_vec();
                body[at] = byte;
                let found = matches!(of(200, &body), Outcome::Delivered(_));
                let shown = String::from_utf8_lossy(&body);
                assert_eq!(found, independent_is_error_false(&body), "{shown}");
                delivered += usize::from(found);
            }
        }
    }
    // The unchanged replies, and mutated ids: were there none, the test would compare nothing.
    assert!(delivered > good.iter().map(|reply| reply.len()).sum());
}

#[test]
fn no_mutated_refusal_is_taken_for_a_created_call() {
    for reply in [UNKNOWN, r#"{"error":true,"errors":{"token":"x"}}"#] {
        for at in 0..reply.len() {
            for byte in 0..=u8::MAX {
                let mut body = reply.as_bytes().to_vec();
                body[at] = byte;
                let found = of(200, &body);
                assert!(!matches!(found, Outcome::Delivered(_)), "{found:?}");
            }
        }
    }
}
