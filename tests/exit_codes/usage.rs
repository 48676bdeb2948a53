//! Code 2: the command line and the configuration.

use super::program::Program;
use super::scene::{Scene, said, sandbox, with};

/// A configuration that is refused: by every command alike, before anything is sent or written.
#[track_caller]
fn refused(edit: impl FnOnce(&str) -> String, stderr: &str) {
    let crm = sandbox();
    let scene = Scene::generated(30, 1);
    scene.point_at_with(crm.url.as_str(), edit);
    scene.said(&scene.program.run(&["sync"]), 2, "", stderr);
    scene.said(&scene.program.run(&["sync", "--quiet"]), 2, "", stderr);
    scene.said(
        &scene.program.run(&["sync", "--output", "json"]),
        2,
        "",
        stderr,
    );
    assert_eq!(crm.stats().requests, 0);
    assert!(!scene.program.path("ledger.db").exists());
    assert!(!scene.program.path("ledger.db.lock").exists());
    scene.settles_at(&crm, str::to_owned);
}

/// Arguments that are refused.
#[track_caller]
fn misused(args: &[&str], stderr: &str) {
    let crm = sandbox();
    let scene = Scene::generated(5, 2);
    scene.point_at(crm.url.as_str());
    scene.said(&scene.program.run(args), 2, "", stderr);
    assert_eq!(crm.stats().requests, 0);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    refused(
        |config| with(config, "source", "time_zone = \"America/Caracas\""),
        "cdrelay: cdrelay.toml:3: unknown key `source.time_zone`; the nearest known one is `source.timezone`\n",
    );
}

#[test]
fn all_problems_of_a_configuration_are_reported_at_once() {
    refused(
        |config| {
            with(
                &config
                    .replace("America/Caracas", "America/Karakas")
                    .replace("initiated_as = \"utc\"\n", "")
                    .replace(
                        "strip_prefix = \"9\"",
                        "strip_prefix = \"9\"\nadd_prefix = \"0\"",
                    ),
                "select",
                "lookback = \"soon\"",
            )
        },
        r#"cdrelay: cdrelay.toml:4: `source.timezone`: "America/Karakas" is no IANA time zone; the nearest names are America/Caracas, America/Aruba, America/Adak
cdrelay.toml:12: rule "outside line" does several things at once (strip_prefix, add_prefix); make each a rule of its own
cdrelay.toml:17: `target.initiated_as` is missing: say how the start of a call is written, and keep to it, since the CRM knows calls by it: "utc" sends 2012-08-23T16:50:33Z, "offset" 2012-08-23T12:20:33-04:30, "local" 2012-08-23T12:20:33, and "local-z" 2012-08-23T12:20:33Z, local time labelled as UTC, as the reference script did
cdrelay.toml:27: `select.lookback` is no span of time; write a number with a unit, such as "30s", "90m", "200h" or "360d"
"#,
    );
}

#[test]
fn a_missing_configuration_is_named() {
    let program = Program::new("");
    std::fs::remove_file(program.path("cdrelay.toml")).unwrap();
    said(
        &program,
        &program.run(&["sync"]),
        2,
        "",
        "cdrelay: cdrelay.toml: cannot be read: there is no such file\n",
    );
}

#[test]
fn without_any_configuration_the_places_are_named() {
    let program = Program::new("");
    std::fs::remove_file(program.path("cdrelay.toml")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cdrelay"))
        .env_clear()
        .current_dir(program.dir.path())
        .env("HOME", program.dir.path())
        .env("CDRELAY_CONFIG", "elsewhere.toml")
        .arg("sync")
        .output()
        .unwrap();
    let ran = super::program::Ran::of(output);
    said(
        &program,
        &ran,
        2,
        "",
        "cdrelay: elsewhere.toml: cannot be read: there is no such file\n",
    );
}

#[test]
fn a_bad_since_is_refused() {
    misused(
        &["sync", "--since", "yesterday"],
        "cdrelay: --since: `yesterday` is no point in time; write `2026-11-20`, `2026-11-20 08:30` or `2026-11-20 08:30:00` (local time in America/Caracas), or RFC 3339 such as `2026-11-20T08:30:00-04:00`\n",
    );
    misused(
        &["sync", "--until", "2026-02-30"],
        "cdrelay: --until: there is no day 2026-02-30 in the calendar\n",
    );
    misused(
        &["sync", "--since", "2026-02-01 25:00"],
        "cdrelay: --since: there is no time of day 25:00:00; hours go to 23, minutes and seconds to 59\n",
    );
}

#[test]
fn an_empty_window_is_refused() {
    misused(
        &["sync", "--since", "2026-02-02", "--until", "2026-02-02"],
        "cdrelay: the window is empty: it would end at 2026-02-02T04:00:00Z and begin at 2026-02-02T04:00:00Z; give an --until after --since\n",
    );
}

#[test]
fn a_broken_promise_of_the_rules_is_found_at_every_start() {
    let tests = r#"
[[rule_tests]]
number = "92853348"
becomes = "02122853348"

[[rule_tests]]
number = "904145553348"
becomes = "4145553348"
"#;
    refused(
        |config| format!("{config}{tests}"),
        "cdrelay: DIR/cdrelay.toml:30: rule test (line 30): `904145553348` must become `4145553348`, but becomes `04145553348` (by `outside line` in line 12)\n",
    );
    for verb in [
        &["explain", "1"][..],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-01",
            "--yes",
        ],
        &["sync", "--dry-run"],
    ] {
        let scene = Scene::generated(5, 3);
        scene.point_at_with("http://127.0.0.1:9", |config| format!("{config}{tests}"));
        scene.said(&scene.program.run(verb), 2, "", "cdrelay: DIR/cdrelay.toml:30: rule test (line 30): `904145553348` must become `4145553348`, but becomes `04145553348` (by `outside line` in line 12)\n");
    }
}

#[test]
fn a_bad_table_file_is_named_with_its_line() {
    let crm = sandbox();
    let scene = Scene::generated(30, 4);
    let edit = |config: &str| {
        config.replace(
            "[target]",
            "[[rules]]\nname = \"moved\"\ntable = \"numbers.csv\"\n\n[target]",
        )
    };
    scene.point_at_with(crm.url.as_str(), edit);
    scene.said(&scene.program.run(&["sync"]), 2, "", "cdrelay: DIR/cdrelay.toml:16: rule `moved` (line 16): cannot read the table `DIR/numbers.csv`: No such file or directory (os error 2)\n");
    scene.program.write(
        "numbers.csv",
        "02125550100,02125550101\n02125550100,02125550102\n",
    );
    scene.said(&scene.program.run(&["sync"]), 2, "", "cdrelay: DIR/cdrelay.toml:16: rule `moved` (line 16): the table `DIR/numbers.csv` has `02125550100` in line 1 and in line 2 with different replacements; keep one\n");
    scene.program.write("numbers.csv", "02125550100\n");
    scene.said(&scene.program.run(&["sync"]), 2, "", "cdrelay: DIR/cdrelay.toml:16: rule `moved` (line 16): the table `DIR/numbers.csv` is wrong in line 1: it has 1 field; write number and replacement, with one comma between them\n");
    assert_eq!(crm.stats().requests, 0);
    scene.program.write("numbers.csv", "1,2\n");
    scene.settles_at(&crm, edit);
}

#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let crm = sandbox();
    let scene = Scene::generated(30, 5);
    let open = |name: &str| {
        std::fs::set_permissions(
            scene.program.path(name),
            std::fs::Permissions::from_mode(0o644),
        )
        .unwrap();
    };
    let edit = |config: &str| config.replace("token_file = \"crm.token\"", "token = \"sandbox\"");
    scene.point_at_with(crm.url.as_str(), edit);
    open("cdrelay.toml");
    scene.said(&scene.program.run(&["sync"]), 2, "", "cdrelay: cdrelay.toml:19: `target.token` stands in this file, which others can read (mode 0644); run `chmod 600 DIR/cdrelay.toml`, or keep the secret in a file of its own\n");
    scene.point_at(crm.url.as_str());
    open("crm.token");
    scene.said(&scene.program.run(&["sync"]), 2, "", "cdrelay: cdrelay.toml:19: `target.token_file`: secret file DIR/crm.token can be read by others (mode 0644); run `chmod 600 DIR/crm.token`\n");
    assert_eq!(crm.stats().requests, 0);
    super::program::private(&scene.program.path("cdrelay.toml"));
    scene.settles_at(&crm, edit);
}

#[test]
fn a_configuration_without_token_is_refused() {
    refused(
        |config| config.replace("token_file = \"crm.token\"\n", ""),
        "cdrelay: cdrelay.toml:16: `target.token` is missing: name a file that holds it in `target.token_file`, or set the environment variable CDRELAY_TARGET_TOKEN, or write it as `target.token` into a file that you alone can read\n",
    );
}

#[test]
fn an_unknown_flag_and_an_unknown_verb_are_usage() {
    misused(
        &["sync", "--fast"],
        "error: unexpected argument '--fast' found

Usage: cdrelay sync [OPTIONS]

For more information, try '--help'.
",
    );
    misused(
        &["synk"],
        "error: unrecognized subcommand 'synk'

  tip: a similar subcommand exists: 'sync'

Usage: cdrelay [OPTIONS] <COMMAND>

For more information, try '--help'.
",
    );
    misused(
        &["sync", "--fail-on", "rejected"],
        "error: invalid value 'rejected' for '--fail-on <unmatched>'
  [possible values: unmatched]

For more information, try '--help'.
",
    );
}
