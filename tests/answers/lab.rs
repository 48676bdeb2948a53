//! `explain --history` and `--compare`: other rules, tried on the calls that were seen.

use serde_json::json;

use super::{Stage, WINDOW};

/// Rules that give the local numbers another area code, and drop one number.
const OTHER: &str = "[[rules]]
name = \"local\"
match = \"_9NXXXXXX\"
rewrite = \"0412${EXTEN:1}\"
stop = true

[[rules]]
name = \"outside line\"
strip_prefix = \"9\"

[[rules]]
name = \"competitors\"
match = \"_02125550005\"
drop = true
";

#[test]
fn other_rules_are_tried_on_the_history_without_changing_anything() {
    let stage = Stage::synced();
    stage.scene.program.write("other.toml", OTHER);
    let before = std::fs::read(stage.scene.program.path("ledger.db")).unwrap();
    stage.prints(
        &["explain", "--history", "--compare", "other.toml"],
        "2 of 6 numbers would change, in 3 of 8 calls. The CRM has matched 2 of them before (3 delivered calls).

    calls  delivered  number        today        other.toml
        2          2  902125550005  02125550005  not sent
        1          1  92853348      02122853348  04122853348

Nothing was changed. What was sent stays as it is until its day is rebuilt (`cdrelay rebuild`).
",
    );
    stage.prints(
        &["explain", "--history", "--compare", "other.toml", "--limit", "1", "--mask", "--until", "2026-03-03 10:00"],
        "2 of 6 numbers would change, in 2 of 7 calls. The CRM has matched 2 of them before (2 delivered calls).

    calls  delivered  number        today        other.toml
        1          1  xxxxxxxxx005  xxxxxxxx005  not sent

1 number with fewer calls left out; `--limit` says how many are listed

Nothing was changed. What was sent stays as it is until its day is rebuilt (`cdrelay rebuild`).
",
    );
    let ran = stage.run(&[
        "explain",
        "--history",
        "--compare",
        "other.toml",
        "--output",
        "json",
    ]);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        told["changed"],
        json!({"numbers": 2, "calls": 3, "matched_numbers": 2, "delivered_calls": 3})
    );
    assert_eq!(
        told["changes"][0],
        json!({"number": "902125550005", "today": "02125550005", "other": null, "calls": 2, "delivered": 2})
    );
    assert_eq!(
        std::fs::read(stage.scene.program.path("ledger.db")).unwrap(),
        before
    );
}

#[test]
fn the_history_against_todays_rules_is_the_drift_by_rules() {
    let stage = Stage::synced();
    stage.prints(
        &["explain", "--history"],
        "Nothing would change: 6 numbers, 8 calls.\n",
    );
    stage.prints(
        &["explain", "--history", "--source"],
        "Nothing would change: 8 numbers, 8 calls.\n",
    );
    stage.scene.point_at_with(&stage.crm.url(), |config| {
        config.replace("0212${EXTEN:1}", "0412${EXTEN:1}")
    });
    stage.prints(
        &["explain", "--history"],
        "1 of 6 numbers would change, in 1 of 8 calls. The CRM has matched 1 of them before (1 delivered call).

    calls  delivered  number    sent         today
        1          1  92853348  02122853348  04122853348

Nothing was changed. What was sent stays as it is until its day is rebuilt (`cdrelay rebuild`).
",
    );
    let mut args = vec!["sync"];
    args.extend(WINDOW);
    assert_eq!(stage.run(&args).code, 0);
    let drifting = stage.run(&["calls", "--drift"]).stdout;
    assert_eq!(drifting.lines().count(), 1, "{drifting}");
}

#[test]
fn one_number_is_compared_by_both_sets_of_rules() {
    let stage = Stage::fresh();
    stage.scene.program.write("other.toml", OTHER);
    let ran = stage.run(&[
        "explain",
        "92853348",
        "904145550002",
        "--compare",
        "other.toml",
    ]);
    let text = regex::Regex::new(r"\(line \d+\)")
        .unwrap()
        .replace_all(&ran.stdout, "(line N)")
        .into_owned();
    assert_eq!(
        text,
        "92853348
  local (line N): 92853348 -> 02122853348, and stop
  = 02122853348
  by other.toml:
    local (line N): 92853348 -> 04122853348, and stop
    = 04122853348 (another)

904145550002
  local (line N): `_9NXXXXXX` does not match
  outside line (line N): 904145550002 -> 04145550002
  = 04145550002
  by other.toml:
    local (line N): `_9NXXXXXX` does not match
    outside line (line N): 904145550002 -> 04145550002
    competitors (line N): `_02125550005` does not match
    = 04145550002 (the same)
"
    );
}

#[test]
fn rules_that_do_not_hold_are_refused_with_file_and_line() {
    let stage = Stage::fresh();
    stage.scene.program.write(
        "other.toml",
        "[target]\ntoken = \"not read\"\n[[rules]]\nstrip_prefx = \"9\"\n[other]\n",
    );
    let ran = stage.run(&["explain", "--history", "--compare", "other.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("other.toml:4: ") && ran.stderr.contains("strip_prefix"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("not read"), "{ran:?}");
    stage.scene.program.write(
        "other.toml",
        "[[rules]]\nstrip_prefix = \"9\"\n[[rule_tests]]\nnumber = \"91\"\nbecomes = \"2\"\n",
    );
    let ran = stage.run(&["explain", "91", "--compare", "other.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("other.toml:3: "), "{ran:?}");
    for args in [
        &["explain"][..],
        &["explain", "91", "--history"],
        &["explain", "91", "--since", "2026-03-01"],
    ] {
        assert_eq!(stage.run(args).code, 2, "{args:?}");
    }
}
