//! Rows of any length are read in bounded memory, and nothing is shortened unnoticed.
#![cfg(target_os = "linux")]

use std::time::Duration;

use crate::golden;
use crate::program::{Program, check_sums};
use crate::scene::{finish, kib, now, plain, sandbox};
use crate::soak;
use crate::stage::{Database, Kind, ROWS, Stage};
use serde_json::Value;

/// P17, in KiB.
const MOST: u64 = 64 << 10;

/// Runs the program, and gives its report with the most memory that it ever had, in KiB (proc(5), `VmHWM`).
fn watched(program: &Program, args: &[&str], code: i32) -> (Value, u64) {
    let mut child = program.spawn(args);
    // A child writes little: its pipes cannot be full before it ends.
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        peak = peak.max(kib(&child, "VmHWM").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    let ran = finish(child);
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(peak > 0, "nothing was measured");
    let report = serde_json::from_str(&ran.stdout).unwrap();
    check_sums(&report);
    (report, peak)
}

/// A stage with long texts in every column that can hold them: in `userfield`, which the link uses, 64 KiB or just what is
/// still read; some numbers and ids of 64 KiB besides.
fn long_texts(kind: Kind, index: bool) -> (Stage, u64) {
    let stage = Stage::new(kind);
    let widen = match kind {
        // Stored compressed, or the test would write gigabytes.
        Kind::MariaDb => {
            "ALTER TABLE cdr MODIFY userfield MEDIUMTEXT COMPRESSED, MODIFY src MEDIUMTEXT COMPRESSED, \
             MODIFY dst MEDIUMTEXT COMPRESSED, MODIFY uniqueid MEDIUMTEXT COMPRESSED, \
             MODIFY disposition MEDIUMTEXT COMPRESSED"
        }
        Kind::Postgres => {
            "ALTER TABLE cdr ALTER src TYPE text, ALTER dst TYPE text, ALTER uniqueid TYPE text, \
             ALTER disposition TYPE text"
        }
    };
    stage.database.run(widen);
    stage.database.run(
        "UPDATE cdr SET userfield = CASE WHEN duration % 2 = 0 THEN REPEAT('u', 65536) ELSE REPEAT('v', 4000) END; \
         UPDATE cdr SET uniqueid = CONCAT(uniqueid, REPEAT('i', 65536)) WHERE sequence % 3 = 0; \
         UPDATE cdr SET src = CONCAT(src, REPEAT('s', 65536)) WHERE sequence % 40 = 0; \
         UPDATE cdr SET dst = CONCAT(dst, REPEAT('7', 65536)) WHERE sequence % 40 = 1; \
         UPDATE cdr SET src = REPEAT('1', 255) WHERE sequence = 2; \
         UPDATE cdr SET src = REPEAT('1', 256) WHERE sequence = 3",
    );
    // 20,000 in all.
    let (series, number) = match kind {
        Kind::MariaDb => ("seq_1_to_3000", "seq"),
        Kind::Postgres => ("generate_series(1, 3000) AS more(seq)", "seq::text"),
    };
    stage.database.run(&format!(
        "INSERT INTO cdr (calldate, src, dst, duration, disposition, uniqueid, sequence, userfield) \
         SELECT '{}', '7001', '7002', 1, REPEAT('d', 65536), CONCAT({number}, '.9'), 5, REPEAT('u', 65536) FROM {series}",
        golden::stamp(now() - 100_000, ' ')
    ));
    if !index {
        match kind {
            Kind::MariaDb => stage.database.run("DROP INDEX started ON cdr"),
            Kind::Postgres => stage.database.run("DROP INDEX started"),
        }
    }
    let invalid = stage
        .database
        .number("SELECT COUNT(*) FROM cdr WHERE CHAR_LENGTH(src) > 255 OR CHAR_LENGTH(dst) > 255");
    (stage, u64::try_from(invalid).unwrap())
}

fn fits(kind: Kind, index: bool) {
    let (stage, invalid) = long_texts(kind, index);
    let crm = sandbox();
    let source = format!("url = \"{}\"", stage.url());
    let config =
        golden::config(&source, crm.url.as_str()).replace("{recordingfile}", "{userfield}");
    stage.program.configure(&config);
    let args = ["sync", "--full", "--output", "json"];
    let (report, peak) = watched(&stage.program, &args, 0);
    println!("{kind:?}, index {index}: at most {peak} KiB");
    assert!(peak < MOST, "{peak} KiB");
    assert_eq!(report["rows"]["read"], ROWS + 3000, "{report}");
    assert_eq!(report["rows"]["skipped"]["invalid"], invalid, "{report}");
    assert!(invalid > 400, "{invalid}");
    for call in crm.calls() {
        assert!(call.source.len() <= 255 && call.destination.len() <= 260);
        if let Some(url) = &call.url {
            assert!(
                url.ends_with(&format!("/{}", "v".repeat(4000))),
                "no link was shortened"
            );
        }
    }
    // The longest number that is one, whole.
    let longest = "1".repeat(255);
    let has_longest = stage.database.number(
        "SELECT COUNT(*) FROM cdr WHERE sequence = 2 AND CHAR_LENGTH(dst) BETWEEN 7 AND 255",
    );
    assert_eq!(
        crm.calls()
            .iter()
            .filter(|call| call.source == longest)
            .count(),
        usize::try_from(has_longest).unwrap()
    );
    let text = stage.program.run(&["sync", "--full", "--resend"]);
    let said = plain(&text.stdout);
    assert!(said.contains("is longer than 255 characters"), "{said}");
    assert!(
        said.contains(
            "values for the link longer than 4096 characters; those calls go without a link"
        ),
        "{said}"
    );
}

#[test]
fn rows_with_texts_of_64_kib_fit_mariadb() {
    fits(Kind::MariaDb, true);
    if soak::count(1, 2) > 1 {
        fits(Kind::MariaDb, false);
    }
}

#[test]
fn rows_with_texts_of_64_kib_fit_postgresql() {
    fits(Kind::Postgres, false);
    if soak::count(1, 2) > 1 {
        fits(Kind::Postgres, true);
    }
}

#[test]
fn many_long_rows_in_one_second_fit() {
    let stage = Stage::on(Kind::MariaDb, Database::new(Kind::MariaDb), "");
    let moment = golden::stamp(now() - 40_000, ' ');
    stage.database.run(&format!(
        "ALTER TABLE cdr MODIFY src MEDIUMTEXT COMPRESSED, MODIFY uniqueid MEDIUMTEXT COMPRESSED; \
         DELETE FROM cdr; \
         INSERT INTO cdr (calldate, src, dst, duration, disposition, uniqueid, recordingfile) \
         SELECT '{moment}', REPEAT('s', 65536), '5551234', 1, 'ANSWERED', REPEAT('i', 65536), '' FROM seq_1_to_20000"
    ));
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let args = ["sync", "--full", "--output", "json"];
    let (report, peak) = watched(&stage.program, &args, 0);
    println!("one second: at most {peak} KiB");
    assert!(peak < MOST, "{peak} KiB");
    assert_eq!(report["rows"]["skipped"]["invalid"], 20_000, "{report}");
    assert_eq!(crm.stats().requests, 0);
}
