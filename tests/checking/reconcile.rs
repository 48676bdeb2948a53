//! `reconcile`: source against ledger, day by day.

use cdrelay::ledger::LedgerLock;
use chrono_tz::Tz;
use serde_json::Value;

use crate::golden::{Row, inserts};
use crate::scene::{closed_port, now};
use crate::stage::{Kind, Stage, call, calls, shown};
use crate::support::{mariadb, postgres};

const DAY: i64 = 86_400;

fn caracas(_: i64) -> Tz {
    Tz::America__Caracas
}

/// Changes the source of a stage.
async fn change(stage: &Stage, kind: Kind, sql: &str) {
    let name = stage.source.rsplit('/').next().unwrap().to_owned();
    match kind {
        Kind::MariaDb => {
            let server = mariadb::server();
            mariadb::Database { server, name }.run(sql).await;
        }
        Kind::Postgres => {
            let server = postgres::server();
            postgres::Database { server, name }.run(sql).await;
        }
        Kind::Sqlite => rusqlite::Connection::open(stage.program.path("cdr.db"))
            .unwrap()
            .execute_batch(sql)
            .unwrap(),
        Kind::Csv => panic!("a file is written anew"),
    }
}

#[track_caller]
fn n(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// What `reconcile` gives in JSON, its sums checked.
#[track_caller]
fn reconciled(stage: &Stage, args: &[&str], code: i32) -> Value {
    let object = stage.program.json(&[&["reconcile"], args].concat(), code);
    let days = object["days"].as_array().unwrap();
    for day in days.iter().chain([&object["total"]]) {
        let states: u64 = day["ledger"].as_object().unwrap().values().map(n).sum();
        assert_eq!(
            n(&day["calls"]),
            states + n(&day["folded"]) + n(&day["missing"]),
            "{day}"
        );
        let equal = day["digest"]["source"] == day["digest"]["ledger"];
        let same = n(&day["missing"]) + n(&day["without_row"]) + n(&day["left_out"]) == 0;
        assert_eq!(equal, same, "{day}");
    }
    for key in ["rows", "calls", "folded", "missing", "without_row", "drift"] {
        let sum: u64 = days.iter().map(|day| n(&day[key])).sum();
        assert_eq!(sum, n(&object["total"][key]), "{key}");
    }
    object
}

/// The days that are not settled.
fn open_days(object: &Value) -> Vec<&str> {
    let days = object["days"].as_array().unwrap();
    days.iter()
        .filter(|day| day["settled"] == false)
        .map(|day| day["day"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_day_with_something_missing_stands_out_and_is_healed_alone() {
    for kind in Kind::ALL {
        let mut rows = calls(1_200, 100, caracas);
        let stage = Stage::of(kind, &rows).await;
        stage.program.sync(&["--full"], 0);
        let object = reconciled(&stage, &[], 0);
        assert_eq!(n(&object["total"]["calls"]), 1_200, "{kind:?}");
        assert_eq!(open_days(&object), [""; 0]);
        let first = object["exit"]["reason"].as_str().unwrap();
        let days = object["days"].as_array().unwrap().len();
        assert_eq!(
            first,
            format!("Everything is there: 1200 calls of {days} days settled.")
        );

        // What came in far behind the hourly look.
        let at = [now() - 60 * DAY, now() - 60 * DAY + 900, now() - 30 * DAY];
        let late: Vec<Row> = (0..)
            .zip(at)
            .map(|(n, epoch)| call(5_000 + n, epoch, &caracas))
            .collect();
        rows.extend(late.clone());
        match kind {
            Kind::Csv => std::fs::write(
                stage.program.path("Master.csv"),
                crate::stage::master_csv(&rows),
            )
            .unwrap(),
            Kind::MariaDb | Kind::Postgres | Kind::Sqlite => {
                for sql in inserts("cdr", &late) {
                    change(&stage, kind, &sql).await;
                }
            }
        }
        stage.program.sync(&[], 0);
        let day = |epoch| shown(Tz::America__Caracas, epoch, "%Y-%m-%d");
        let object = reconciled(&stage, &[], 3);
        let mut expected = vec![
            day(late_epoch(&late[0])),
            day(late_epoch(&late[1])),
            day(late_epoch(&late[2])),
        ];
        expected.dedup();
        assert_eq!(open_days(&object), expected, "{kind:?}");
        assert_eq!(
            object["exit"]["reason"],
            format!(
                "Not everything is there: 3 calls of {} days (3 missing from the ledger). `cdrelay reconcile --heal` sends them.",
                expected.len()
            )
        );
        let text = stage.program.run(&["reconcile"]);
        assert_eq!(text.code, 3);
        assert!(
            text.stdout
                .starts_with("Not everything is there: 3 calls of "),
            "{text:?}"
        );
        assert!(
            text.stdout.contains(&format!("\n  {}  ", expected[0])),
            "{text:?}"
        );

        let before = stage.crm.stats().requests;
        let object = reconciled(&stage, &["--heal"], 0);
        assert_eq!(
            stage.crm.stats().requests,
            before + 3,
            "nothing else was sent"
        );
        assert_eq!(stage.crm.calls().len(), 1_203, "{kind:?}");
        assert_eq!(
            object["exit"]["reason"],
            format!("Everything is there: 1203 calls of {days} days settled, 3 of them sent now.")
        );
        let windows = object["healed"].as_array().unwrap();
        assert!((2..=3).contains(&windows.len()), "{object}");
        assert_eq!(
            reconciled(&stage, &["--heal"], 0)["healed"],
            serde_json::json!([])
        );
    }
}

fn late_epoch(row: &Row) -> i64 {
    row.uniqueid.split('.').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn rows_that_are_gone_left_out_changed_or_kept_out_are_no_gaps() {
    let mut rows = calls(200, 20, caracas);
    let mut twin = rows[50].clone();
    twin.dst = format!("90212{}", &rows[50].dst[1..]);
    rows.push(twin);
    for kind in [Kind::MariaDb, Kind::Postgres, Kind::Sqlite] {
        let stage = Stage::of(kind, &rows).await;
        stage.program.sync(&["--full"], 0);
        let of = |n: usize| format!("WHERE uniqueid = '{}'", rows[n].uniqueid);
        change(&stage, kind, &format!("DELETE FROM cdr {}", of(10))).await;
        change(
            &stage,
            kind,
            &format!("UPDATE cdr SET duration = duration + 1 {}", of(11)),
        )
        .await;
        stage.configure(|config| format!("{config}\n[select]\nexclude = [\"{}\"]\n", rows[12].dst));
        let object = reconciled(&stage, &[], 0);
        let total = &object["total"];
        for (key, expected) in [
            ("rows", 200),
            ("calls", 199),
            ("folded", 1),
            ("without_row", 1),
            ("left_out", 1),
            ("drift", 1),
            ("missing", 0),
        ] {
            assert_eq!(n(&total[key]), expected, "{kind:?}: {key}: {total}");
        }
        assert_eq!(n(&total["ledger"]["delivered"]), 198);
        // Sends nothing, and has no gap to heal.
        let before = stage.crm.stats().requests;
        reconciled(&stage, &["--heal"], 0);
        assert_eq!(stage.crm.stats().requests, before);
    }
}

#[tokio::test]
async fn a_crm_that_is_down_leaves_what_is_missing_and_says_why() {
    let stage = Stage::of(Kind::Sqlite, &calls(50, 20, caracas)).await;
    let object = reconciled(&stage, &[], 3);
    assert_eq!(n(&object["total"]["missing"]), 50);
    assert!(!stage.program.path("ledger.db").exists(), "it only looks");
    let port = closed_port();
    let crm = stage.crm.url.as_str().trim_end_matches('/').to_owned();
    stage.configure(|config| config.replace(&crm, &format!("http://127.0.0.1:{port}")));
    let object = reconciled(&stage, &["--heal"], 4);
    assert!(
        n(&object["total"]["missing"]) + n(&object["total"]["ledger"]["pending"]) == 50,
        "{object}"
    );
    stage.configure(|config| config);
    let object = reconciled(&stage, &["--heal"], 0);
    assert_eq!(n(&object["total"]["ledger"]["delivered"]), 50);
    assert_eq!(stage.crm.calls().len(), 50);
}

#[tokio::test]
async fn what_is_newer_than_the_last_run_waits_for_the_next() {
    let stage = Stage::of(Kind::Sqlite, &calls(50, 20, caracas)).await;
    stage.program.sync(&["--full"], 0);
    let fresh = call(900, now() - 1, &caracas);
    for sql in inserts("cdr", &[fresh]) {
        change(&stage, Kind::Sqlite, &sql).await;
    }
    let object = reconciled(&stage, &[], 3);
    assert_eq!(
        object["exit"]["reason"],
        "Not everything is there: 1 call of 1 day (1 missing from the ledger). All are newer than the last run: the next \
         `cdrelay sync` sends them."
    );
    // Another window has none.
    let until = shown(Tz::America__Caracas, now() - 2 * DAY, "%Y-%m-%d");
    reconciled(&stage, &["--until", &until], 0);
}

#[tokio::test]
async fn healing_needs_the_lock_and_looking_does_not() {
    let stage = Stage::of(Kind::Sqlite, &calls(50, 20, caracas)).await;
    stage.program.sync(&["--full"], 0);
    let _lock = LedgerLock::try_acquire(&stage.program.path("ledger.db")).unwrap();
    reconciled(&stage, &[], 0);
    let ran = stage.program.run(&["reconcile", "--heal"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (11, ""), "{ran:?}");
}

#[tokio::test]
async fn the_day_of_twenty_five_hours_holds_the_calls_of_both_its_hours() {
    // 2025-11-02: 01:30 occurs twice in New York, at 05:30Z and at 06:30Z.
    let zone = |_: i64| Tz::America__New_York;
    let back = 1_762_061_400;
    let mut rows = Vec::new();
    for (n, epoch) in [back, back + 3600, back - 2 * 3600, back + 12 * 3600]
        .into_iter()
        .enumerate()
    {
        // The same numbers: only the fold tells the first two apart.
        let mut row = call(0, epoch, &zone);
        row.uniqueid = format!("{epoch}.{n}");
        rows.push(row);
    }
    for kind in [Kind::MariaDb, Kind::Postgres, Kind::Sqlite] {
        let stage = Stage::of(kind, &rows).await;
        stage.declare("America/New_York");
        let days = ["--since", "2025-11-01", "--until", "2025-11-04"];
        let object = reconciled(&stage, &days, 3);
        assert_eq!(
            open_days(&object),
            ["2025-11-01", "2025-11-02"],
            "{kind:?}: {object}"
        );
        let object = reconciled(&stage, &[&days[..], &["--heal"]].concat(), 0);
        assert_eq!(object["days"][1]["day"], "2025-11-02");
        assert_eq!(n(&object["days"][1]["calls"]), 3, "{object}");
        assert_eq!(stage.crm.calls().len(), 4);
        // One pass over both days: they follow each other.
        assert_eq!(object["healed"].as_array().unwrap().len(), 1);
        assert_eq!(
            object["healed"][0]["window"]["until"],
            "2025-11-03T05:00:00Z"
        );
    }
}
