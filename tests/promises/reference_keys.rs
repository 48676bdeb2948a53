//! A user who comes from the reference script keeps its keys: what it created, cdrelay finds there.

use super::golden::{self, Golden, stamp};
use super::scene::{Scene, held, now, pass_on, same, sandbox};
use super::unruly::Reply;

/// What the script made of a destination: the leading 9 goes, and Caracas' area code comes in front of seven digits.
fn destination(dst: &str) -> String {
    let Some(rest) = dst.strip_prefix('9') else {
        return dst.to_owned();
    };
    if rest.chars().count() == 7 {
        return format!("0212{rest}");
    }
    rest.to_owned()
}

/// What the script created: local time with a `Z`, the first row of a key, nothing with a short destination. Rows that
/// it sent mangled (`+` and `&` in the source) and that no CRM takes (without a source) are left out.
fn script(rows: &[golden::Row]) -> Golden {
    let mut calls = Golden::new();
    for row in rows {
        if row.dst.chars().count() < 7 || row.src.is_empty() || row.src.contains(['+', '&']) {
            continue;
        }
        let key = (
            stamp(row.wall, 'T') + "Z",
            row.src.clone(),
            destination(&row.dst),
        );
        calls.entry(key).or_insert((row.duration, None));
    }
    calls
}

/// `examples/reference-keys.toml`, with the source and the CRM of a test.
fn adapted(crm: &str) -> String {
    let example = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/reference-keys.toml"
    ))
    .unwrap();
    let changes = [
        (
            "url = \"mysql://testing@127.0.0.1/asterisk\"",
            "url = \"sqlite://cdr.db\"".to_owned(),
        ),
        ("password_file = \"db.password\"", String::new()),
        (
            "url = \"http://127.0.0.1:8080\"",
            format!("url = \"{crm}\""),
        ),
        (
            "token_file = \"nimbox.token\"",
            "token_file = \"crm.token\"".to_owned(),
        ),
        ("username = \"admin\"", String::new()),
        ("password_file = \"nimbox.password\"", String::new()),
    ];
    let mut text = example;
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, &to);
    }
    text + "\n[ledger]\npath = \"ledger.db\"\n"
}

fn scene() -> Scene {
    let mut rows = golden::rows(1500, now(), 7, 77);
    // What a dialplan pattern would not match, and the script's expression does.
    for (i, dst) in [
        "91234567",
        "9abcdefg",
        "9#123456",
        "999999999",
        "9*724145",
        "0012125550",
    ]
    .iter()
    .enumerate()
    {
        let mut row = rows[i].clone();
        row.src = "7999".to_owned();
        row.dst = (*dst).to_owned();
        row.sequence += 100_000;
        rows.push(row);
    }
    Scene::of(
        rows.into_iter()
            .filter(|row| !row.src.contains('+'))
            .collect(),
    )
}

#[test]
fn the_keys_are_the_scripts_to_the_letter() {
    let scene = scene();
    let crm = sandbox();
    scene.program.configure(&adapted(crm.url.as_str()));
    scene.program.sync(&["--full"], 0);
    let keys = |calls: &Golden| {
        calls
            .keys()
            .map(|key| (key.clone(), (0, None)))
            .collect::<Golden>()
    };
    same(&keys(&held(&crm)), &keys(&script(&scene.rows)));
}

#[test]
fn what_the_script_created_is_created_no_second_time() {
    let scene = scene();
    let crm = sandbox();
    let expected = script(&scene.rows);
    // The script's own requests, as it would have sent them over the years.
    for ((initiated, source, destination), (duration, _)) in &expected {
        let destination = destination.replace('#', "%23").replace('*', "%2A");
        let line = format!(
            "GET /direct/items/phonecalls/create?token=sandbox&initiated={initiated}&source={source}&destination={destination}&duration={duration} HTTP/1.1"
        );
        assert!(
            matches!(pass_on(crm.addr, &line), Reply::Json(200, body) if body.contains("\"error\":false"))
        );
    }
    scene.program.configure(&adapted(crm.url.as_str()));
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["existing"], expected.len(), "{report}");
    assert_eq!(report["calls"]["created"], 0, "{report}");
    same(&held(&crm), &expected);
}

#[test]
fn the_examples_numbers_are_the_scripts() {
    let scene = scene();
    scene.program.configure(&adapted("http://127.0.0.1:9"));
    for number in [
        "92853348",
        "902122853348",
        "02122853348",
        "999",
        "",
        "99999999",
        "9\u{f1}234567",
        "s",
    ] {
        let report = scene.program.run(&["explain", number, "--output", "json"]);
        let value: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(
            value["numbers"][0]["result"],
            destination(number),
            "{number}"
        );
    }
}
