//! `calls` and `unmatched`: filters, forms, and numbers that nobody else should read.

use serde_json::{Value, json};

use super::{INSTANT, Stage};

#[test]
fn calls_are_found_by_number_as_dialled_or_as_sent_and_by_pattern() {
    let stage = Stage::synced();
    let first = "delivered   2026-03-02 09:00:00  7001 -> 92853348 (as 02122853348)\n";
    stage.prints(&["calls", "--number", "92853348"], first);
    stage.prints(&["calls", "--number", "02122853348"], first);
    stage.prints(&["calls", "--number", "7001"], first);
    stage.prints(
        &["calls", "--number", "2853348"],
        "The ledger holds no such call.\n",
    );
    // The call that was folded for its key is known by its raw numbers alone.
    stage.prints(
        &["calls", "--number", "_9228[5]334N"],
        "The ledger holds no such call.\n",
    );
    stage.prints(
        &["calls", "--number", "_0212XXXXXXX"],
        "delivered   2026-03-02 09:00:00  7001 -> 92853348 (as 02122853348)
delivered   2026-03-02 09:03:00  7004 -> 902122853349 (as 02122853349)
delivered   2026-03-03 09:00:00  7005 -> 902125550005 (as 02125550005)
delivered   2026-03-03 11:00:00  7006 -> 902125550005 (as 02125550005)
",
    );
    stage.prints(
        &["calls", "--number", "92853349"],
        "same key    2026-03-02 09:03:00 7004 -> 92853349, kept out by 2026-03-02 09:03:00 7004 -> 902122853349\n",
    );
    stage.refuses(
        &["calls", "--number", "_9[1-"],
        "cdrelay: --number: `_9[1-` is no dialplan pattern: the pattern `_9[1-` has a `[` without `]` and could never match; close the set, as in `_[1-3]XX`\n",
    );
}

#[test]
fn calls_are_found_by_uniqueid_and_the_latest_can_be_asked_for() {
    let stage = Stage::synced();
    let id = format!("{INSTANT}.1");
    stage.prints(
        &["calls", "--uniqueid", &id],
        "delivered   2026-03-02 09:00:00  7001 -> 92853348 (as 02122853348)\n",
    );
    stage.prints(
        &["calls", "--uniqueid", "1.1"],
        "The ledger holds no such call.\n",
    );
    let latest = "delivered   2026-03-03 09:00:00  7005 -> 902125550005 (as 02125550005)
delivered   2026-03-03 11:00:00  7006 -> 902125550005 (as 02125550005)
";
    stage.prints(&["calls", "--limit", "2"], latest);
    stage.prints(&["calls", "--limit", "2", "--state", "delivered"], latest);
    stage.prints(&["calls", "--limit", "2", "--number", "_902125."], latest);
    stage.prints(
        &["calls", "--limit", "1", "--until", "2026-03-02 09:02"],
        "unmatched   2026-03-02 09:01:00  7002 -> 904145550002 (as 04145550002)  destination: no se consiguió el número de destino en la base de datos\n",
    );
    let all = stage.run(&["calls"]).stdout;
    assert_eq!(all.lines().count(), 9, "{all}");
    for more in ["8", "9", "99999999999"] {
        assert_eq!(stage.run(&["calls", "--limit", more]).stdout, all, "{more}");
    }
    stage.prints(
        &["calls", "--limit", "0"],
        "The ledger holds no such call.\n",
    );
}

#[test]
fn calls_that_drift_and_calls_that_are_stuck_are_listed_alone() {
    let stage = Stage::synced();
    for alone in ["--drift", "--stuck"] {
        stage.prints(&["calls", alone], "The ledger holds no such call.\n");
    }
    // Another area code: what was sent for the two local numbers would look different.
    stage.scene.point_at_with(&stage.crm.url(), |config| {
        config.replace("0212${EXTEN:1}", "0412${EXTEN:1}")
    });
    let mut args = vec!["sync"];
    args.extend(super::WINDOW);
    assert_eq!(stage.run(&args).code, 0);
    stage.prints(
        &["calls", "--drift"],
        "delivered   2026-03-02 09:00:00  7001 -> 92853348 (as 02122853348)  [drift]\n",
    );
    let status = stage.run(&["status"]).stdout;
    assert!(
        status.contains(
            "    drift       1 (sent under older rules, zone or rows; `cdrelay calls --drift` lists them, `cdrelay rebuild --from 2026-03-02 --to 2026-03-02` mends them)\n"
        ),
        "{status}"
    );
}

#[test]
fn a_call_without_a_verdict_in_three_runs_is_listed_as_stuck() {
    use super::scene::{Scene, pass_on, sandbox};
    use super::unruly::{Reply, Unruly};
    let scene = Scene::of(vec![
        super::row(0, "7001", "92853348", "ANSWERED", 1),
        super::row(1, "7002", "92853349", "ANSWERED", 2),
    ]);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |_, line| {
        if line.contains("source=7002") {
            Reply::Json(200, "{".to_owned())
        } else {
            pass_on(addr, line)
        }
    });
    scene.point_at(&crm.url());
    for _ in 0..3 {
        scene.program.sync(&super::WINDOW, 4);
    }
    let listed = scene.program.run(&["calls", "--stuck"]);
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
    assert!(
        listed.stdout.starts_with(
            "pending     2026-03-02 09:01:00  7002 -> 92853349 (as 02122853349)  [retry]  [stuck]  "
        ),
        "{listed:?}"
    );
    let limited = scene.program.run(&["calls", "--stuck", "--limit", "5"]);
    assert_eq!(limited.stdout, listed.stdout);
    scene.said(
        &scene
            .program
            .run(&["calls", "--stuck", "--state", "delivered"]),
        0,
        "The ledger holds no such call.\n",
        "",
    );
}

/// CSV as a spreadsheet reads it.
#[track_caller]
fn records(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\r\n"), "{text:?}");
    let bare = text.replace("\r\n", "");
    assert!(
        !bare.contains(['\r', '\n']),
        "every record is one line: {text:?}"
    );
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes);
    reader
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn calls_as_csv_opens_in_a_spreadsheet_and_runs_nothing() {
    let stage = Stage::synced();
    let output = stage
        .scene
        .program
        .command(&["calls", "--csv"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let records = records(&output.stdout);
    let head = "state start source destination sent_source sent_destination initiated duration disposition attempts \
                last_attempt reason drift stuck missing contact_id call_id uniqueid linkedid url";
    assert_eq!(records[0], head.split(' ').collect::<Vec<_>>());
    assert_eq!(records.len(), 10);
    let mut third = records[3].clone();
    assert!(third[10].ends_with('Z'), "{third:?}");
    third[10].clear();
    assert_eq!(
        third,
        [
            "rejected",
            "2026-03-02 09:02:00",
            "7003\\u{1b}[31m",
            "0414555\\n0003",
            "7003\\u{1b}[31m",
            "0414555\\n0003",
            "2026-03-02T13:02:00Z",
            "43",
            "BUSY",
            "1",
            "",
            "source: origen\\u{202e} 04145550003 desconocido",
            "",
            "",
            "",
            "",
            "",
            &format!("{}.3", INSTANT + 120),
            "",
            "",
        ]
    );
    // Neither the caller nor the number is a formula.
    assert_eq!(
        records[5][2..6],
        ["'=1+7002", "'+584145550002", "'=1+7002", "'+584145550002"]
    );
    assert_eq!(
        records[9][..4],
        ["same key", "2026-03-02 09:03:00", "7004", "92853349"]
    );
    stage.refuses(
        &["calls", "--csv", "--output", "json"],
        "cdrelay: `--csv` and `--output json` are two forms of one list; leave one of them out\n",
    );
}

/// Whole numbers of the stage's calls.
const WHOLE: [&str; 6] = [
    "92853348",
    "02122853348",
    "904145550002",
    "04145550002",
    "4145550003",
    "902125550005",
];

#[test]
fn a_masked_list_holds_no_whole_number_in_any_form() {
    let stage = Stage::synced();
    for args in [
        &["calls"][..],
        &["calls", "--csv"],
        &["calls", "--output", "json"],
        &["unmatched"],
        &["unmatched", "--csv"],
        &["unmatched", "--output", "json"],
    ] {
        let open = stage.run(args).stdout;
        assert!(WHOLE.iter().any(|number| open.contains(number)), "{open}");
        let mut masked = args.to_vec();
        masked.push("--mask");
        let ran = stage.run(&masked);
        assert_eq!(ran.code, 0, "{ran:?}");
        let found = WHOLE.iter().find(|number| ran.stdout.contains(**number));
        assert_eq!(found, None, "{args:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("002"), "{args:?}: {}", ran.stdout);
    }
    stage.prints(
        &["calls", "--mask", "--state", "rejected"],
        "rejected    2026-03-02 09:02:00  xxx3xx31x -> xxxxxxxxx003  source: origen\\u{202e} xxxxxxxx003 desconocido\n",
    );
    stage.prints(
        &["calls", "--mask", "--number", "7001"],
        "delivered   2026-03-02 09:00:00  x001 -> xxxxx348 (as xxxxxxxx348)\n",
    );
}

#[test]
fn numbers_without_a_contact_are_ranked_with_an_example() {
    let stage = Stage::synced();
    let id = |minutes: i64, n: u64| format!("{}.{n}", INSTANT + minutes * 60);
    stage.prints(
        &["unmatched"],
        &format!(
            "  calls  number         first             last              last call
      2  04145550002    2026-03-02 09:01  2026-03-02 09:05  7009 -> 904145550002, uniqueid {}
      1  +584145550002  2026-03-02 09:04  2026-03-02 09:04  =1+7002 -> +584145550002, uniqueid {}

2 numbers, 3 calls. Once a contact has a number, the next `cdrelay sync --full` sends its calls; a number that is written wrong is mended by a rule (`cdrelay explain`).
",
            id(5, 7),
            id(4, 6)
        ),
    );
    stage.prints(
        &["unmatched", "--limit", "1", "--until", "2026-03-02 09:05"],
        &format!(
            "  calls  number         first             last              last call
      1  +584145550002  2026-03-02 09:04  2026-03-02 09:04  =1+7002 -> +584145550002, uniqueid {}
1 number with fewer calls left out; `--limit` says how many are listed

2 numbers, 2 calls. Once a contact has a number, the next `cdrelay sync --full` sends its calls; a number that is written wrong is mended by a rule (`cdrelay explain`).
",
            id(4, 6)
        ),
    );
    stage.prints(
        &["unmatched", "--since", "2026-03-03"],
        "Every number has a contact, as far as the CRM was asked.\n",
    );
    let ran = stage.run(&["unmatched", "--output", "json"]);
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({"number": "04145550002", "calls": 2, "first": "2026-03-02T13:01:00Z", "last": "2026-03-02T13:05:00Z",
            "example": {"start": "2026-03-02 09:05:00", "fold": 0, "source": "7009", "destination": "904145550002", "uniqueid": id(5, 7)}})
    );
    assert_eq!(lines.len(), 2);
    let output = stage
        .scene
        .program
        .command(&["unmatched", "--csv", "--limit", "1"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "number,calls,first,last,example_start,example_source,example_destination,example_uniqueid\r\n\
             04145550002,2,\"2026-03-02 09:01:00\",\"2026-03-02 09:05:00\",\"2026-03-02 09:05:00\",7009,904145550002,{}\r\n",
            id(5, 7)
        )
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "cdrelay: 1 number with fewer calls left out; `--limit` says how many are listed\n"
    );
    stage.prints(
        &["unmatched", "--mask", "--limit", "1", "--until", "2026-03-02 09:02"],
        &format!(
            "  calls  number       first             last              last call
      1  xxxxxxxx002  2026-03-02 09:01  2026-03-02 09:01  x002 -> xxxxxxxxx002, uniqueid {}

1 number, 1 call. Once a contact has a number, the next `cdrelay sync --full` sends its calls; a number that is written wrong is mended by a rule (`cdrelay explain`).
",
            id(1, 2)
        ),
    );
}
