//! Log lines: JSON that machines can read whatever stands in it, and numbers of people masked in every form, at every
//! level, in the sentence that a run ends with too.

use std::collections::BTreeSet;

use serde_json::Value;

use super::golden::{Row, stamp};
use super::program::Ran;
use super::scene::{Scene, now, sandbox, with};
use super::unruly::{Reply, Unruly};

/// The four keys of a line.
const KEYS: [&str; 4] = ["fields", "level", "message", "timestamp"];

/// Every line of stderr as the object it is.
#[track_caller]
fn lines(ran: &Ran) -> Vec<Value> {
    ran.stderr
        .lines()
        .map(|line| {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            let object = value.as_object().unwrap_or_else(|| panic!("{line}"));
            let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(keys, KEYS, "{line}");
            let at = value["timestamp"].as_str().unwrap();
            assert!(
                at.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(at).is_ok(),
                "{at}"
            );
            let level = value["level"].as_str().unwrap();
            assert!(
                ["error", "warn", "info", "debug", "trace"].contains(&level),
                "{level}"
            );
            assert!(
                value["message"].is_string() && value["fields"].is_object(),
                "{line}"
            );
            value
        })
        .collect()
}

/// Rows of which two have one key, so that both are named in a line.
fn rows() -> Vec<Row> {
    let wall = now() - 3 * 86_400;
    let row = |sequence: u64, dst: &str| Row {
        wall,
        src: "+582125550999".to_owned(),
        dst: dst.to_owned(),
        duration: 30 + sequence,
        disposition: "ANSWERED",
        uniqueid: format!("{wall}.{sequence}"),
        sequence,
        recordingfile: String::new(),
    };
    vec![
        row(1, "95550142"),
        row(2, "902125550142"),
        row(3, "904145550167"),
    ]
}

/// Pieces of the rows' numbers that no masked line may hold.
fn pieces() -> BTreeSet<String> {
    rows()
        .iter()
        .flat_map(|row| [row.src.clone(), row.dst.clone()])
        .chain(["02125550142".to_owned(), "04145550167".to_owned()])
        .map(|number| {
            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
            digits[digits.len() - 6..].to_owned()
        })
        .collect()
}

#[track_caller]
fn masked(text: &str) {
    for piece in pieces() {
        assert!(!text.contains(&piece), "{piece} in {text}");
    }
}

/// What the CRM says about a call: its number, as it came, in words, and with bits that draw nothing.
const WORDS: &str = r#"{"error":true,"errors":{"token":"el n\u00famero 02125550142 / +58 414 555 01 67 \u001b[2J\u202e no"}}"#;

#[test]
fn json_lines_are_valid_with_hostile_text_and_mask_numbers_at_every_level() {
    let scene = Scene::of(rows());
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    for level in ["-v", "-vv", "-vvv"] {
        let ran = scene
            .program
            .run(&["sync", "--resend", level, "--log-format", "json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines = lines(&ran);
        assert!(
            lines
                .iter()
                .any(|line| line["message"].as_str().unwrap().contains("has the key of")),
            "{ran:?}"
        );
        masked(&ran.stderr);
    }
    let ran = scene
        .program
        .run(&["sync", "--resend", "-vvv", "--log-format", "json"]);
    let reply = lines(&ran)
        .into_iter()
        .find(|line| line["message"] == "the CRM replied")
        .unwrap();
    assert_eq!(reply["level"], "debug");
    assert_eq!(reply["fields"]["status"], 200);
    // Dates and addresses are what a line is searched by.
    let day = stamp(scene.rows[0].wall, ' ');
    assert!(ran.stderr.contains(&day), "{day}: {ran:?}");
    // Without it everything is there.
    let ran = scene.program.run(&[
        "sync",
        "--resend",
        "-v",
        "--log-format",
        "json",
        "--no-mask",
    ]);
    assert!(
        ran.stderr.contains("95550142") && ran.stderr.contains("902125550142"),
        "{ran:?}"
    );
    lines(&ran);
    // Text is masked as well.
    let ran = scene.program.run(&["sync", "--resend", "-vvv"]);
    assert!(ran.stderr.contains("has the key of"), "{ran:?}");
    masked(&ran.stderr);
}

#[test]
fn the_crms_words_are_masked_in_the_sentence_that_a_run_ends_with() {
    let scene = Scene::of(rows());
    let crm = Unruly::always(Reply::Json(200, WORDS.to_owned()));
    scene.point_at(&crm.url());
    let text = scene.program.run(&["sync"]);
    assert_eq!(text.code, 6, "{text:?}");
    let words = r"el número xxxxxxxx142 / +xx xxx xxx x1 67 \u{1b}[2J\u{202e} no";
    assert_eq!(
        text.stderr,
        format!("cdrelay: the CRM refused the token: token: {words}; check `target.token_file`\n")
    );
    masked(&text.stdout);
    let json = scene
        .program
        .run(&["sync", "--log-format", "json", "--quiet"]);
    let lines = lines(&json);
    let last = lines.last().unwrap();
    assert_eq!(lines.len(), 1, "{json:?}");
    assert_eq!(last["level"], "error");
    assert_eq!(last["fields"]["exit_code"], 6);
    assert_eq!(
        last["message"],
        format!("the CRM refused the token: token: {words}; check `target.token_file`")
    );
    let status = scene.program.run(&["status"]);
    masked(&status.stdout);
    let whole = scene.program.run(&["sync", "--no-mask"]);
    assert!(
        whole.stderr.contains("02125550142 / +58 414 555 01 67"),
        "{whole:?}"
    );
}

#[test]
fn every_end_is_a_line_of_json_where_that_is_asked_for() {
    let scene = Scene::of(rows());
    let crm = sandbox();
    // Several problems at once: one line holds them.
    scene.point_at_with(crm.url.as_str(), |config| {
        with(
            &with(config, "select", "lookbak = \"1h\""),
            "monitor",
            "alert_after = \"soon\\u202e\"",
        )
    });
    let ran = scene.program.run(&["sync", "--log-format", "json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let lines_said = lines(&ran);
    assert_eq!(lines_said.len(), 1, "{ran:?}");
    assert_eq!(
        lines_said[0]["message"].as_str().unwrap().lines().count(),
        2,
        "{ran:?}"
    );
    // Success says nothing on stderr.
    scene.point_at(crm.url.as_str());
    let ran = scene.program.run(&["sync", "--log-format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // What heals by itself is a warning.
    let down = super::overdue::down();
    scene.point_at(&down.url());
    let ran = scene
        .program
        .run(&["sync", "--resend", "--log-format", "json"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let last = lines(&ran).pop().unwrap();
    assert_eq!(
        (&last["level"], &last["fields"]["exit_code"]),
        (&Value::from("warn"), &Value::from(4))
    );
    assert!(
        last["message"].as_str().unwrap().contains("pending: "),
        "{ran:?}"
    );
}
