//! What must hold for any bytes, one function for each thing from outside that cdrelay reads.
//!
//! The fuzzer calls these with bytes that it breeds from the files below `seeds/`; `tests/fuzz_seeds.rs` calls them with
//! the seeds themselves and some thousand mutations of them, on stable Rust. Each panics where a promise is broken.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use cdrelay::call::RawNumber;
use cdrelay::config::{Side, load};
use cdrelay::number::chain::{Chain, Verdict};
use cdrelay::number::dialplan::Pattern;
use cdrelay::number::rewrite::Rewrite;
use cdrelay::number::substring::Template;
use cdrelay::source::StartCell;
use cdrelay::target::http::{Secrets, answers_to};
use cdrelay::target::nimbox::strict::StrictReply;
use cdrelay::target::nimbox::verdict::{Answer, Reading, classify};
use cdrelay::target::{Outcome, TroubleKind};
use chrono::{DateTime, Utc};

/// A function of this crate, by the name that its seeds and its target have.
pub type Target = (&'static str, fn(&[u8]));

/// Every function, for whoever goes through all of them.
pub const TARGETS: [Target; 6] = [
    ("configuration", configuration),
    ("crm_reply", crm_reply),
    ("dialplan_rules", dialplan_rules),
    ("digest_challenge", digest_challenge),
    ("master_csv", master_csv),
    ("retry_after", retry_after),
];

/// A secret that no reason may repeat.
const CANARY: &str = "s3cr3t-canary";

/// The longest that a `Retry-After` may make anybody wait.
const DAY: Duration = Duration::from_secs(86_400);

/// A reply's body, under every kind of status: a delivery needs 200 or 201 and an object whose `error` is false, or words
/// that say so; a 5xx never rejects; nothing repeats a secret; and a body that is accepted says the same to `serde_json`.
pub fn crm_reply(body: &[u8]) {
    let already_exists = ["ya existe".to_owned()];
    let hidden = Secrets::default().with(CANARY);
    let reading = Reading {
        already_exists: &already_exists,
        hidden: &hidden,
        now: DateTime::<Utc>::UNIX_EPOCH,
    };
    if let Ok(reply) = StrictReply::read(body) {
        agrees_with_serde_json(body, &reply);
    }
    for status in [200, 201, 204, 302, 400, 401, 404, 422, 429, 500, 503] {
        let outcome = classify(
            &Answer {
                status,
                body,
                ..Answer::default()
            },
            &reading,
        );
        let shown = format!("{outcome:?}");
        assert!(
            !shown.contains(CANARY),
            "{status} repeats a secret: {shown}"
        );
        match outcome {
            Outcome::Delivered(receipt) if receipt.existing => {
                assert!(
                    (200..500).contains(&status),
                    "{status} is no word on a call"
                );
            }
            Outcome::Delivered(_) => {
                assert!(matches!(status, 200 | 201), "{status} delivered");
                assert!(
                    says_no_error(body),
                    "{status} delivered without `error: false`"
                );
            }
            Outcome::Rejected { .. } | Outcome::Unmatched { .. } => {
                assert!(
                    matches!(status, 200 | 201 | 400 | 404 | 422),
                    "{status} decided about a call"
                );
            }
            Outcome::NoVerdict(trouble) => {
                assert!(trouble.reason.chars().count() <= 400, "{}", trouble.reason);
            }
            Outcome::Broken { reason } => assert!(reason.chars().count() <= 500, "{reason}"),
            Outcome::NotSent => panic!("a reply that was never asked for"),
        }
    }
}

/// Any bytes as `Master.csv`: read to the end, a row for every record and every broken place, the same rows again.
pub fn master_csv(bytes: &[u8]) {
    for settled in [false, true] {
        let Ok((rows, entries)) = cdrelay::source::csv::rows_of(bytes.to_vec(), settled) else {
            continue;
        };
        assert_eq!(rows.len(), entries, "a record was lost");
        let again = cdrelay::source::csv::rows_of(bytes.to_vec(), settled);
        assert_eq!(again.map(|(rows, _)| rows).ok(), Some(rows.clone()));
        for row in rows {
            if let StartCell::Unreadable(text) = row.start {
                assert!(text.len() < 8 * bytes.len() + 512, "an excerpt grew");
            }
        }
    }
}

/// Any bytes as a configuration: loaded, or refused with lines that show nothing invisible and repeat no secret.
pub fn configuration(bytes: &[u8]) {
    thread_local! {
        static PLACE: RefCell<Option<(tempfile::TempDir, PathBuf)>> = const { RefCell::new(None) };
    }
    static KEPT: LazyLock<regex::bytes::Regex> = LazyLock::new(|| {
        let secret = "^[ \t]*(?:token|password) = \"s3cr3t-canary\"";
        let address = "^[ \t]*url = \"[a-z]+://[^\"/?#@\\\\]*:s3cr3t-canary@";
        regex::bytes::Regex::new(&format!("(?m:{secret}|{address})")).expect("a pattern")
    });
    // What a mutation puts under any other key is no secret there.
    let misplaced = String::from_utf8_lossy(&KEPT.replace_all(bytes, &b""[..])).contains(CANARY);
    PLACE.with_borrow_mut(|place| {
        let (directory, path) = place.get_or_insert_with(|| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let path = directory.path().join("cdrelay.toml");
            let token = directory.path().join("token");
            std::fs::write(&token, CANARY).expect("written");
            std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600))
                .expect("chmod");
            (directory, path)
        });
        std::fs::write(&*path, bytes).expect("written");
        std::fs::set_permissions(&*path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        match load(path, &|_| None) {
            Ok(config) => {
                assert!(
                    !format!("{config:?}").contains(CANARY),
                    "Debug shows a secret"
                );
                // An independent look: whatever was loaded is TOML without a key that nobody knows.
                let _ = config.settings_fingerprint();
            }
            Err(errors) => {
                assert!(!errors.problems.is_empty(), "refused without a reason");
                let shown = directory.path().display().to_string();
                for line in errors.lines() {
                    assert!(line.starts_with(&shown), "{line}");
                    assert!(
                        misplaced || !line.contains(CANARY),
                        "a secret is repeated: {line}"
                    );
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                }
            }
        }
    });
}

/// A pattern, a template and numbers, one a line: no panic, the same answer twice, and never more text than the template
/// and its cuts can make.
pub fn dialplan_rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let pattern = Pattern::parse(lines.next().unwrap_or_default());
    let template_text = lines.next().unwrap_or_default();
    let template = Template::parse(template_text);
    let numbers: Vec<&str> = lines.take(8).collect();
    if let Ok(pattern) = &pattern {
        let _ = (pattern.hint(), pattern.to_string());
        assert!(
            pattern.compare(pattern).is_eq(),
            "a pattern differs from itself"
        );
        for number in &numbers {
            assert_eq!(pattern.matches(number), pattern.matches(number));
        }
    }
    if let Ok(template) = template {
        let _ = template.hint();
        let mut chain = Chain::new(Side::Destination);
        let cuts = template_text.matches("${").count();
        chain.push("rewrite", Box::new(Rewrite::new(template)));
        for number in &numbers {
            let raw = RawNumber((*number).to_owned());
            let verdict = chain.apply(&raw);
            assert_eq!(
                verdict,
                chain.trace(&raw).verdict,
                "the trace tells another story"
            );
            if let Verdict::Number(found) = verdict {
                assert!(
                    found.as_str().len() <= template_text.len() + cuts * number.len(),
                    "{} is more than `{template_text}` can make of `{number}`",
                    found.as_str()
                );
            }
        }
    }
}

/// Any header as `Retry-After`: a span of at most a day, or none.
pub fn retry_after(bytes: &[u8]) {
    let header = String::from_utf8_lossy(bytes);
    for seconds in [0, 1_445_412_450, 253_402_300_799] {
        let now = DateTime::from_timestamp(seconds, 0).expect("a time");
        let reading = Reading {
            already_exists: &[],
            hidden: &Secrets::default(),
            now,
        };
        let answer = Answer {
            status: 503,
            retry_after: Some(&header),
            ..Answer::default()
        };
        match classify(&answer, &reading) {
            Outcome::NoVerdict(trouble) => {
                assert_eq!(trouble.kind, TroubleKind::Busy);
                assert!(trouble.retry_after.is_none_or(|wait| wait <= DAY));
                let plain = header.trim();
                if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit()) {
                    let stated = plain.parse().map_or(DAY, Duration::from_secs).min(DAY);
                    assert_eq!(trouble.retry_after, Some(stated));
                }
            }
            other => panic!("a 503 came to {other:?}"),
        }
    }
}

/// Any headers as `WWW-Authenticate`, one a line: an answer that a header can carry and that never holds the password, or
/// a fault that does not repeat it; and no Basic where Digest was asked for.
pub fn digest_challenge(bytes: &[u8]) {
    static URL: LazyLock<url::Url> =
        LazyLock::new(|| "http://127.0.0.1/crm?a=1".parse().expect("an address"));
    static DIGEST: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new("(?i)^[ \t,]*digest[ \t]+[a-z]").expect("a pattern"));
    let text = String::from_utf8_lossy(bytes);
    let challenges: Vec<String> = text.split('\n').map(str::to_owned).collect();
    match answers_to(("canary-user", CANARY), &challenges, &URL) {
        Ok((first, second)) => {
            for answer in [Some(first), second].into_iter().flatten() {
                let sent = String::from_utf8_lossy(answer.as_bytes()).into_owned();
                assert!(answer.is_sensitive(), "it would be logged");
                assert!(
                    !sent.contains(CANARY),
                    "the password itself went out: {sent}"
                );
                // Bytes from 0x80 on are lawful there (RFC 9110, obs-text), and go back to whoever chose them.
                assert!(
                    !sent.chars().any(|c| c.is_ascii_control() && c != '\t'),
                    "{sent:?}"
                );
                if challenges
                    .iter()
                    .any(|challenge| DIGEST.is_match(challenge))
                {
                    assert!(sent.starts_with("Digest "), "it fell back: {sent}");
                }
            }
        }
        Err(fault) => {
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }
}

/// What the lenient parser says about a body that the strict one took.
fn agrees_with_serde_json(body: &[u8], reply: &StrictReply) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: serde_json::Value =
        serde_json::from_slice(body).expect("strict is a part of lenient");
    let object = value.as_object().expect("an object");
    assert_eq!(
        object.get("error"),
        Some(&serde_json::Value::Bool(reply.error))
    );
    for key in ["contactId", "phonecallId", "count"] {
        let integer = object.get(key).and_then(serde_json::Value::as_i64);
        if integer.is_some() {
            assert_eq!(reply.id(key), integer, "{key}");
        }
        let count = integer.and_then(|n| u64::try_from(n).ok());
        assert_eq!(reply.count(key), count, "{key}");
    }
    let fields: std::collections::BTreeSet<&str> = reply.error_fields().collect();
    let lenient: std::collections::BTreeSet<&str> = object
        .get("errors")
        .and_then(serde_json::Value::as_object)
        .map(|errors| errors.keys().map(String::as_str).collect())
        .unwrap_or_default();
    assert_eq!(fields, lenient);
}

fn says_no_error(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("error").cloned())
        == Some(serde_json::Value::Bool(false))
}
