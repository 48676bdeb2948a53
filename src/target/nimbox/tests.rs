//! The verdict table in full, the bytes of the requests, and what mutilated replies come to.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use url::Url;

use super::delete;
use super::request::Requests;
use super::verdict::{Answer, Reading, classify};
use crate::call::{PhoneNumber, WireForm};
use crate::target::{DeleteBounds, Deletion, Outcome, Receipt, TroubleKind};

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
            hidden: &["s3cr3t-canary".to_owned()],
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

fn call() -> WireForm {
    WireForm {
        initiated: "2012-08-23T12:20:33-04:30".to_owned(),
        source: PhoneNumber("+58 212&x".to_owned()),
        destination: PhoneNumber("*72#é~-._".to_owned()),
        duration: 0,
        url: Some("https://pbx.example/rec/a b?c=d#e".to_owned()),
    }
}

#[test]
fn a_create_is_these_bytes_whatever_slash_the_base_ends_with() {
    for (base, prefix) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]/crm", "http://[::1]/crm"),
        ("http://[::1]/crm/x//", "http://[::1]/crm/x"),
        ("http://127.0.0.1/?old=1#f", "http://127.0.0.1"),
    ] {
        let requests = Requests::new(&Url::parse(base).unwrap(), "t&k+n=%").unwrap();
        assert_eq!(
            requests.create(&call()).as_str(),
            format!(
                "{prefix}/direct/items/phonecalls/create?token=t%26k%2Bn%3D%25&initiated=2012-08-23T12%3A20%3A33-04%3A30\
                 &source=%2B58%20212%26x&destination=%2A72%23%C3%A9~-._&duration=0\
                 &url=https%3A%2F%2Fpbx.example%2Frec%2Fa%20b%3Fc%3Dd%23e"
            )
        );
        assert_eq!(
            requests.probe().as_str(),
            format!("{prefix}/direct/items/phonecalls/create?token=t%26k%2Bn%3D%25")
        );
    }
}

#[test]
fn a_call_without_a_link_sends_no_url() {
    let requests = Requests::new(&Url::parse("http://127.0.0.1").unwrap(), "t").unwrap();
    let address = requests.create(&WireForm {
        url: None,
        ..call()
    });
    assert!(address.as_str().ends_with("&duration=0"), "{address}");
}

#[test]
fn a_base_with_a_user_name_is_refused() {
    let base = Url::parse("http://me:pw@127.0.0.1/").unwrap();
    let error = Requests::new(&base, "t").err().unwrap().to_string();
    assert_eq!(
        error,
        "target.url holds a user name; set `target.username` and `target.password_file`"
    );
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn a_deletion_is_bounded_by_the_days_outside() {
    let bounds = delete::bounds(day("2024-02-29"), day("2024-12-31")).unwrap();
    assert_eq!(
        bounds,
        DeleteBounds {
            from: day("2024-02-28"),
            to: day("2025-01-01")
        }
    );
    let requests = Requests::new(&Url::parse("http://127.0.0.1/p/").unwrap(), "t").unwrap();
    assert_eq!(
        requests.delete(bounds).as_str(),
        "http://127.0.0.1/p/direct/items/phonecalls/delete?token=t&from=2024-02-28&to=2025-01-01"
    );
    assert_eq!(delete::bounds(day("2024-01-02"), day("2024-01-01")), None);
    assert_eq!(delete::bounds(NaiveDate::MIN, day("2024-01-01")), None);
    assert_eq!(delete::bounds(day("2024-01-01"), NaiveDate::MAX), None);
}

#[test]
fn only_a_count_is_a_deletion() {
    #[track_caller]
    fn check(status: u16, body: &str, expected: fn(&Deletion) -> bool) {
        let answer = Answer {
            status,
            body: body.as_bytes(),
            ..Answer::default()
        };
        let found = delete::classify(
            &answer,
            &Reading {
                already_exists: &patterns(),
                hidden: &[],
                now: now(),
            },
        );
        assert!(expected(&found), "{status} {body}: {found:?}");
    }
    let unknown = |d: &Deletion| matches!(d, Deletion::Unknown { .. });
    let refused = |d: &Deletion| matches!(d, Deletion::Refused { .. });
    let broken = |d: &Deletion| matches!(d, Deletion::Broken { .. });
    check(200, r#"{ "count": 702, "error": false }"#, |d| {
        *d == Deletion::Deleted { count: 702 }
    });
    check(200, r#"{"count":"702","error":false}"#, unknown);
    check(200, r#"{"count":-1,"error":false}"#, unknown);
    check(200, r#"{"count":1.5,"error":false}"#, unknown);
    check(200, r#"{"error":false}"#, unknown);
    check(200, r#"{"count":1,"count":1,"error":false}"#, unknown);
    check(200, "", unknown);
    check(200, "<html>", unknown);
    check(202, r#"{"count":1,"error":false}"#, unknown);
    check(400, r#"{"count":1,"error":false}"#, unknown);
    check(500, r#"{"error":true,"errors":{}}"#, unknown);
    check(503, "", unknown);
    check(200, r#"{ "error": true, "errors": { } }"#, refused);
    check(
        422,
        r#"{"error":true,"errors":{"from":"ya existe"}}"#,
        refused,
    );
    check(200, r#"{"error":true,"errors":{"token":"x"}}"#, broken);
    check(404, "", broken);
    check(401, "", broken);
    check(302, "", broken);
}
