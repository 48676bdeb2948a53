//! A CRM whose every word is hostile: bodies, status lines, headers.

use super::scene::Scene;
use super::unruly::{Reply, Unruly};
use super::{HOSTILE, every_way};

/// A JSON text of the hostile words: control characters as escapes, as JSON asks, marks as they are.
fn words() -> String {
    serde_json::to_string(HOSTILE).unwrap()
}

/// Every verb that talks to the CRM, and those that repeat what it said, while it answers so.
#[track_caller]
fn answers(what: &str, reply: Reply) {
    let crm = Unruly::always(reply);
    let scene = Scene::generated(12, 41);
    scene.point_at(&crm.url());
    for args in [
        &["check"][..],
        &["sync", "--full", "--max-runtime", "300ms"],
        &["calls"],
        &["status"],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-02",
            "--yes",
        ],
    ] {
        let printed = every_way(&scene.program, args);
        assert!(!printed.is_empty(), "{what}: {args:?}");
    }
    assert!(!crm.seen().is_empty(), "{what}");
}

#[test]
fn refusals_are_shown_escaped() {
    let words = words();
    for (what, status, body) in [
        (
            "rejected",
            200,
            format!("{{\"error\":true,\"errors\":{{\"source\":{words}}}}}"),
        ),
        (
            "a field",
            422,
            format!("{{\"error\":true,\"errors\":{{{words}:{words}}}}}"),
        ),
        (
            "unmatched",
            200,
            format!("{{\"error\":true,\"errors\":{{\"destination\":{words}}}}}"),
        ),
        (
            "the token",
            200,
            format!("{{\"error\":true,\"errors\":{{\"token\":{words}}}}}"),
        ),
        (
            "a list",
            200,
            format!("{{\"error\":true,\"errors\":[{words},[{words}]],\"message\":{words}}}"),
        ),
    ] {
        answers(what, Reply::Json(status, body));
    }
}

#[test]
fn what_is_no_verdict_is_shown_escaped() {
    let words = words();
    answers(
        "a 500",
        Reply::Json(500, format!("{{\"error\":true,\"message\":{words}}}")),
    );
    answers(
        "raw bytes",
        Reply::Json(200, format!("{{\"error\":{HOSTILE}")),
    );
    answers("a page", Reply::Json(404, format!("<html>{HOSTILE}")));
    answers(
        "a contradiction",
        Reply::Json(404, format!("{{\"error\":false,\"x\":{words}}}")),
    );
    answers(
        "a status line",
        Reply::Raw(format!("HTTP/1.1 200 {HOSTILE}\r\n\r\n").into_bytes()),
    );
    answers("no HTTP", Reply::Raw(HOSTILE.as_bytes().to_vec()));
}

/// The hostile characters that a header can carry: all but line feeds and NUL, as bytes.
fn header() -> String {
    HOSTILE.replace(['\r', '\n'], "")
}

#[test]
fn headers_are_shown_escaped() {
    let marks: String = header().chars().filter(|c| !c.is_control()).collect();
    for (what, status, name, value) in [
        (
            "a redirect",
            302,
            "Location",
            format!("http://host{marks}/{marks}"),
        ),
        ("a path", 302, "Location", marks.clone()),
        (
            "a scheme",
            401,
            "WWW-Authenticate",
            format!("{marks} realm=\"{marks}\""),
        ),
        (
            "a digest",
            401,
            "WWW-Authenticate",
            format!("Digest realm=\"{marks}\", nonce=\"{marks}\""),
        ),
        ("a wait", 503, "Retry-After", format!("1{marks}")),
        (
            "a cookie",
            500,
            "Set-Cookie",
            format!("a={marks}; path=/{marks}"),
        ),
    ] {
        answers(
            what,
            Reply::With(status, format!("{name}: {value}\r\n"), String::new()),
        );
    }
}
