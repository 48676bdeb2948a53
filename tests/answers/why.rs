//! `why`: one call, from the row to the answer; and calls that never got there.

use serde_json::Value;

use super::golden::{self, Row, inserts};
use super::program::{Program, Ran};
use super::support::cdr_table::FREEPBX;
use super::support::mariadb;
use super::{INSTANT, Stage, WINDOW, row};

/// The `uniqueid` of a row of the stage.
fn id(minutes: i64, sequence: u64) -> String {
    format!("{}.{sequence}", INSTANT + minutes * 60)
}

/// What was printed, without what differs from run to run.
fn plain(text: &str) -> String {
    let rules = [
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"on 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "on TIME"),
        (
            r"(?m)^( {11})20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  run",
            "${1}TIME  run",
        ),
        (r"\(line \d+\)", "(line N)"),
    ];
    rules.iter().fold(text.to_owned(), |text, (from, to)| {
        regex::Regex::new(from)
            .unwrap()
            .replace_all(&text, *to)
            .into_owned()
    })
}

/// The call is found, and its screen has these lines.
#[track_caller]
fn says(ran: &Ran, lines: &[&str]) {
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let text = plain(&ran.stdout);
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line:?} is not in:\n{text}"
        );
    }
    assert!(text.lines().count() <= 40, "one screen:\n{text}");
    assert!(
        !text.contains("sandbox\n") && !text.contains("token=sandbox"),
        "{text}"
    );
}

const SCREEN: &str = "2026-03-02 09:00:00 7001 -> 92853348
state      delivered: the CRM took it as call 1 of contact 10001 on TIME
next       nothing to do: if nobody finds it in the CRM, look at the contact that has the number

row        ANSWERED, 41 s, uniqueid 1772456400.1, sequence 1
selection  row          pass: its start, duration and numbers can be used
           length       pass: 8 characters in the destination, select.min_destination_length is 7
           exclude      pass: select.exclude is empty
           disposition  pass: ANSWERED, select.dispositions takes any
           caller       pass: has a number
time       2026-03-02 09:00:00 in America/Caracas is 2026-03-02T13:00:00Z (the clock showed it once); sent as `2026-03-02T13:00:00Z`
number     92853348
             local (line N): 92853348 -> 02122853348, and stop
             = 02122853348
frozen     GET http://127.0.0.1:PORT/direct/items/phonecalls/create?token=HIDDEN&initiated=2026-03-02T13%3A00%3A00Z&source=7001&destination=02122853348&duration=41&url=https%3A%2F%2Fpbx.example.com%2Frec%2F2026%2F03%2F02%2Fout-92853348-7001.wav
attempts   1 run, the last answer on TIME; a delivery at the first try leaves no more on record
searched   the ledger; the source from 2026-03-02 08:59:00 to 2026-03-02 09:10:00 (America/Caracas; 7 rows); the source from 2026-03-02 09:00:00 to 2026-03-02 09:00:01 (America/Caracas; 1 row)
";

#[test]
fn a_delivered_call_is_told_from_the_row_to_the_answer_on_one_screen() {
    let stage = Stage::synced();
    let ran = stage.run(&["why", "1772456400.1"]);
    assert_eq!(
        (ran.code, plain(&ran.stdout).as_str()),
        (0, SCREEN),
        "{}",
        ran.stdout
    );
    // The request that is shown is the one that went out, but for the token.
    let shown = ran
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("frozen     "))
        .unwrap();
    let path = shown.split_once("/direct/").unwrap().1;
    let sent = format!("GET /direct/{} HTTP/1.1", path.replace("HIDDEN", "sandbox"));
    assert!(
        stage.crm.seen().contains(&sent),
        "{sent}: {:?}",
        stage.crm.seen()
    );
    // However it is named.
    for name in [
        "2026-03-02T13:00:00Z/7001/02122853348",
        "2026-03-02 09:00:00 7001 -> 92853348",
        "2026-03-02 09:00:00",
        "2026-03-02T09:00:00-04:00;7001;92853348",
        "02122853348",
        "92853348",
    ] {
        says(
            &stage.run(&["why", name]),
            &[
                "2026-03-02 09:00:00 7001 -> 92853348",
                "state      delivered: the CRM took it as call 1 of contact 10001 on TIME",
            ],
        );
    }
}

#[test]
fn whatever_keeps_a_call_out_is_named_with_what_would_change_it() {
    let stage = Stage::synced();
    says(
        &stage.run(&["why", &id(1, 2)]),
        &[
            "state      unmatched: the CRM knows no contact with the number 04145550002: destination: no se consiguió el número de destino en la base de datos",
            "next       add a contact with this number; the CRM is asked again each night, or now by `cdrelay sync --full --since 2026-03-02 --until 2026-03-03`. If the number is wrong, mend the rules and rebuild the day",
            "           TIME  run 1  unmatched: destination: no se consiguió el número de destino en la base de datos",
        ],
    );
    says(
        &stage.run(&["why", &id(2, 3)]),
        &[
            "2026-03-02 09:02:00 7003\\u{1b}[31m -> 0414555\\n0003",
            "state      rejected: the CRM refused this call: source: origen\\u{202e} 04145550003 desconocido",
        ],
    );
    // Too short for the CRM.
    says(
        &stage.run(&["why", &id(25 * 60, 9)]),
        &[
            "state      left out: its row is left out: 4 characters in the destination, select.min_destination_length is 7",
            "next       nothing; if it should be sent, change the setting, and then `cdrelay sync --full`, or the next full run by itself",
            "           length       LEFT OUT: 4 characters in the destination, select.min_destination_length is 7",
            "attempts   none",
        ],
    );
    // Another call has its key, and neither is forgotten.
    says(
        &stage.run(&["why", &id(3, 4)]),
        &[
            "state      same key: another call has the same start, source and destination in the CRM, which keeps one: 2026-03-02 09:03:00 7004 -> 902122853349",
            "next       nothing; `cdrelay why 2026-03-02T09:03:00/7004/902122853349` tells about the other one",
        ],
    );
    says(
        &stage.run(&["why", "2026-03-02T09:03:00/7004/902122853349"]),
        &["keeps out  2026-03-02 09:03:00 7004 -> 92853349: the same key"],
    );
    // A leg is found by its own id, and told with the one that stands for it.
    says(
        &stage.run(&["why", &id(26 * 60, 10)]),
        &[
            "2026-03-03 11:00:00 7006 -> 902125550005",
            "row        ANSWERED, 51 s, uniqueid 1772550000.11, sequence 11",
            "           NO ANSWER, 50 s, uniqueid 1772550000.10, sequence 10; folded into the first",
            "           rows of one call: an answered one stands for all, then the longest",
        ],
    );
}

#[test]
fn a_call_that_no_run_has_read_says_which_window_it_missed() {
    let stage = Stage::fresh();
    let never = "state      due: it was not sent yet: the ledger knows no run";
    says(
        &stage.run(&["why", &id(0, 1)]),
        &[
            never,
            "next       `cdrelay sync --full`, or the next full run by itself",
            "attempts   none",
        ],
    );
    // Nobody has frozen it: what would go out is shown as such.
    let text = stage.run(&["why", &id(0, 1)]).stdout;
    assert!(
        text.contains("\nwould send GET http://127.0.0.1:"),
        "{text}"
    );
    let sync = stage.run(&["sync", "--since", "2026-03-03", "--until", "2026-03-04"]);
    assert_eq!(sync.code, 0, "{sync:?}");
    says(
        &stage.run(&["why", &id(0, 1)]),
        &[
            "state      due: it was never read: it started before the windows of the latest 1 run, which reach back to 2026-03-03 00:00:00",
        ],
    );
    let sync = stage.run(&["sync", "--since", "2026-03-01", "--until", "2026-03-02"]);
    assert_eq!(sync.code, 0, "{sync:?}");
    let ran = stage.run(&["why", &id(0, 1)]);
    assert!(
        ran.stdout.contains("\nstate      due: it was not sent yet: it started behind the window of run 2 (incremental, "),
        "{}",
        ran.stdout
    );
    // A row that is written after the run over its day.
    stage
        .scene
        .source()
        .execute_batch(
            &inserts(
                "cdr",
                &[row(24 * 60 + 5, "7011", "902125550005", "ANSWERED", 12)],
            )[0],
        )
        .unwrap();
    let ran = stage.run(&["why", &id(24 * 60 + 5, 12)]);
    assert!(
        ran.stdout
            .contains(" its row was not in the table when run 1 (incremental, ")
            && ran
                .stdout
                .contains(") read it; a row is written at hangup\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_rule_that_drops_a_call_is_named() {
    let stage = Stage::fresh();
    stage.scene.point_at_with(&stage.crm.url(), |config| {
        config.replace(
            "[target]",
            "[[rules]]\nname = \"competitors\"\nmatch = \"_02125550005\"\ndrop = true\n[target]",
        )
    });
    says(
        &stage.run(&["why", &id(24 * 60, 8)]),
        &[
            "state      dropped: the rule \"competitors\" drops it: the number matches `_02125550005`",
            "request    none",
        ],
    );
}

#[test]
fn several_calls_are_listed_with_how_to_ask_for_one() {
    let stage = Stage::synced();
    let ran = stage.run(&["why", "904145550002"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (list, searched) = ran.stdout.split_once("\nsearched   ").unwrap();
    assert_eq!(
        list,
        format!(
            "2 calls match `904145550002`:

unmatched   2026-03-02 09:01:00 7002 -> 904145550002   cdrelay why {}
unmatched   2026-03-02 09:05:00 7009 -> 904145550002   cdrelay why {}
",
            id(1, 2),
            id(5, 7)
        )
    );
    assert!(
        searched.starts_with("the ledger; the source from "),
        "{searched}"
    );
    let ran = stage.run(&["why", "904145550002", "--output", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&told["matches"], &told["more"]),
        (&2.into(), &false.into())
    );
    assert_eq!(told["calls"][1]["ask"], id(5, 7));
    // Of very many, the latest; and no row of the source is read twice for it.
    let many: Vec<Row> = (0..30)
        .map(|n| row(n, "7001", "92853348", "ANSWERED", 100 + n as u64))
        .collect();
    let stage = Stage::of(many);
    let mut args = vec!["sync"];
    args.extend(WINDOW);
    assert_eq!(stage.run(&args).code, 0);
    let ran = stage.run(&["why", "02122853348"]);
    assert!(
        ran.stdout.starts_with("More than 20 calls match `02122853348`; the latest 20:\n\ndelivered   2026-03-02 09:10:00 "),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_number_of_which_only_the_source_knows_is_found_in_its_window() {
    let stage = Stage::fresh();
    let ran = stage.run(&["why", "02122853348"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        ran.stderr,
        "cdrelay: neither the ledger nor the source has a call `02122853348`; a number is looked for in the last runs' window: `--since` widens it\n"
    );
    says(
        &stage.run(&[
            "why",
            "02122853348",
            "--since",
            "2026-03-01",
            "--until",
            "2026-03-09",
        ]),
        &[
            "2026-03-02 09:00:00 7001 -> 92853348",
            "state      due: it was not sent yet: the ledger knows no run",
        ],
    );
}

#[test]
fn without_the_source_the_ledger_answers_and_without_the_ledger_the_source() {
    let stage = Stage::synced();
    let cdr = stage.scene.program.path("cdr.db");
    let aside = stage.scene.program.path("aside.db");
    std::fs::rename(&cdr, &aside).unwrap();
    let ran = stage.run(&["why", &id(0, 1)]);
    says(
        &ran,
        &[
            "state      delivered: the CRM took it as call 1 of contact 10001 on TIME",
            "row        the source could not be asked",
            "time       2026-03-02 09:00:00 in the column; taken for 2026-03-02T13:00:00Z when it was sent; sent as `2026-03-02T13:00:00Z`",
            "             = 02122853348",
            "searched   the ledger",
        ],
    );
    assert!(ran.stdout.contains("\nnot asked  "), "{}", ran.stdout);
    let ran = stage.run(&["why", &id(0, 99)]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (5, "searched   the ledger\n"),
        "{ran:?}"
    );
    std::fs::rename(&aside, &cdr).unwrap();

    std::fs::remove_file(stage.scene.program.path("ledger.db")).unwrap();
    let ran = stage.run(&["why", &id(0, 1)]);
    says(
        &ran,
        &[
            "state      unknown: the ledger could not be read, so nobody knows whether it was sent; without the ledger it would be",
            "next       mend the ledger first: `cdrelay check`",
            "             = 02122853348",
        ],
    );
    assert!(
        ran.stdout.contains("\nwould send GET http://127.0.0.1:")
            && ran.stdout.contains("is missing, but there was one"),
        "{}",
        ran.stdout
    );
    assert_eq!(stage.run(&["why", &id(0, 99)]).code, 10);
}

#[test]
fn a_call_that_is_nowhere_ends_with_3_and_says_where_it_was_looked_for() {
    let stage = Stage::synced();
    let ran = stage.run(&["why", &id(0, 99)]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        ran.stderr,
        format!(
            "cdrelay: neither the ledger nor the source has a call `{}`\n",
            id(0, 99)
        )
    );
    assert_eq!(
        ran.stdout,
        "searched   the ledger; the source from 2026-03-02 08:59:00 to 2026-03-02 09:10:00 (America/Caracas; 7 rows); \
         the source from 2026-03-01 17:00:00 to 2026-03-04 01:00:00 (America/Caracas; 11 rows)\n"
    );
    let told = stage.scene.program.json(&["why", &id(0, 99)], 3);
    assert_eq!(
        (&told["matches"], &told["calls"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
    assert_eq!(told["searched"]["source"][1]["rows"], 11);
}

#[test]
fn as_json_a_call_is_one_object_with_every_step() {
    let stage = Stage::synced();
    let told = stage.scene.program.json(&["why", &id(3, 5)], 0);
    assert_eq!(
        (&told["kind"], &told["matches"]),
        (&"uniqueid".into(), &1.into())
    );
    let call = &told["calls"][0];
    assert_eq!(
        (&call["state"], &call["start"], &call["time"]["rule"]),
        (
            &"delivered".into(),
            &"2026-03-02 09:03:00".into(),
            &"exact".into()
        )
    );
    assert_eq!(call["rows"].as_array().unwrap().len(), 1);
    assert_eq!(call["rows"][0]["filters"].as_array().unwrap().len(), 5);
    assert_eq!(call["rules"]["destination"]["result"], "02122853349");
    assert_eq!(call["frozen"]["destination"], "02122853349");
    assert_eq!(call["frozen"], call["today"]);
    let request = call["frozen"]["request"].as_str().unwrap();
    assert!(request.contains("?token=HIDDEN&initiated="), "{request}");
}

#[test]
fn a_masked_answer_holds_no_whole_number() {
    let stage = Stage::synced();
    let digits = regex::Regex::new(r"x[0-9]{3}\b").unwrap();
    for output in ["text", "json"] {
        for call in [
            id(0, 1),
            id(1, 2),
            id(3, 4),
            id(3, 5),
            "904145550002".to_owned(),
            "2026-03-02 09:03:00 7004 -> 902122853349".to_owned(),
        ] {
            let ran = stage.run(&["why", "--mask", &call, "--output", output]);
            assert_eq!(ran.code, 0, "{ran:?}");
            for number in [
                "92853348",
                "02122853348",
                "92853349",
                "02122853349",
                "04145550002",
                "904145550002",
            ] {
                assert!(!ran.stdout.contains(number), "{call}: {}", ran.stdout);
            }
            assert!(digits.is_match(&ran.stdout), "{call}: {}", ran.stdout);
        }
    }
}

#[test]
fn drift_is_shown_beside_what_was_sent() {
    let stage = Stage::synced();
    stage.scene.point_at_with(&stage.crm.url(), |config| {
        config.replace("0212${EXTEN:1}", "0412${EXTEN:1}")
    });
    let mut args = vec!["sync"];
    args.extend(WINDOW);
    stage.run(&args);
    let ran = stage.run(&["why", &id(0, 1)]);
    says(
        &ran,
        &[
            "state      delivered: the CRM took it as call 1 of contact 10001 on TIME; today's rules, zone or row would send something else (drift)",
            "next       to send what today's settings give: `cdrelay rebuild --from 2026-03-02 --to 2026-03-02`",
        ],
    );
    assert!(
        ran.stdout.contains("\nfrozen     GET ") && ran.stdout.contains("\ntoday      GET "),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn a_freepbx_table_in_mariadb_is_looked_through_in_the_same_way() {
    let mut rows = golden::rows(3_000, INSTANT, 3, 7);
    rows.push(row(0, "7001", "92853348", "NO ANSWER", 100_000));
    rows.push(row(0, "7001", "92853348", "ANSWERED", 100_001));
    let database = mariadb::server().database().await;
    database.run(FREEPBX).await;
    for sql in inserts("cdr", &rows) {
        database.run(&sql).await;
    }
    let crm = super::scene::sandbox();
    let program = Program::new(&golden::config(
        &format!("url = \"{}\"", database.url()),
        crm.url.as_str(),
    ));
    let hostile = "'; DROP TABLE cdr; -- \\\" \u{1b}";
    let ran = program.run(&["why", &id(0, 100_000)]);
    says(
        &ran,
        &[
            "2026-03-02 09:00:00 7001 -> 92853348",
            "state      due: it was not sent yet: the ledger knows no run",
            "row        ANSWERED, 100041 s, uniqueid 1772456400.100001, sequence 100001",
            "           NO ANSWER, 100040 s, uniqueid 1772456400.100000, sequence 100000; folded into the first",
        ],
    );
    // A narrow window is read, not the table.
    let searched = ran.stdout.lines().last().unwrap();
    let read: u64 = regex::Regex::new(r"; (\d+) rows?\)")
        .unwrap()
        .captures_iter(searched)
        .map(|found| found[1].parse::<u64>().unwrap())
        .sum();
    assert!((2..300).contains(&read), "{searched}");
    let sync = program.run(&["sync", "--since", "2026-02-25", "--until", "2026-03-05"]);
    assert_eq!(sync.code, 0, "{sync:?}");
    says(
        &program.run(&["why", "2026-03-02T13:00:00Z/7001/02122853348"]),
        &["2026-03-02 09:00:00 7001 -> 92853348"],
    );
    assert_eq!(program.run(&["why", hostile]).code, 3);
    assert_eq!(
        database.number("SELECT count(*) FROM cdr").await,
        rows.len() as i64
    );
}
