//! Rows that a run has read before and that are what they were: the next one leaves them to the server, and comes to the
//! same figures as one that reads them all, whatever was changed in between.

use cdrelay::sandbox::RunningSandbox;
use serde_json::Value;

use crate::golden::Row;
use crate::scene::{held, sandbox};
use crate::soak::{self, Chance};
use crate::stage::{Database, Kind, Stage};

/// A table without calls that the CRM cannot tell apart (where there are such, rows are always read), replicated once. Gives
/// the stage, its CRM, the report of that run, and how many bytes the server answered.
fn replicated(kind: Kind) -> (Stage, RunningSandbox, Value, u64) {
    let mut stage = Stage::new(kind);
    stage.rows.retain(|row| !row.dst.starts_with("90212"));
    stage
        .database
        .run("DELETE FROM cdr WHERE dst LIKE '90212%'");
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let (first, all) = full(&stage, 0);
    (stage, crm, first, all)
}

/// What a report says of rows and calls.
fn figures(report: &Value) -> Value {
    ["rows", "calls", "collisions", "drift", "stuck", "missing"]
        .map(|key| report[key].clone())
        .into()
}

/// The figures of a run that writes nothing: as usual, and with every row read, which is what `-v` asks for.
fn both(stage: &Stage, what: &str) {
    let dry = ["sync", "--full", "--dry-run", "--output", "json"];
    let report = |args: &[&str]| -> Value {
        let ran = stage.program.run(args);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{what}: {ran:?}"))
    };
    let usual = report(&dry);
    let all = report(&[&dry[..], &["-v"]].concat());
    assert_eq!(figures(&usual), figures(&all), "{what}");
}

/// A full run, and how many bytes the server answered.
fn full(stage: &Stage, code: i32) -> (Value, u64) {
    let before = stage.proxy.passed();
    let ran = stage.program.run(&["sync", "--full", "--output", "json"]);
    assert_eq!(ran.code, code, "{ran:?}");
    let report = serde_json::from_str(&ran.stdout).unwrap();
    (report, stage.proxy.passed() - before)
}

#[test]
fn what_was_read_before_is_not_read_again() {
    for kind in Kind::BOTH {
        let (stage, crm, first, all) = replicated(kind);
        stage.check(&crm);
        let (again, few) = full(&stage, 0);
        assert_eq!(again["rows"], first["rows"], "{kind:?}");
        assert_eq!(again["requests"]["sent"], 0, "{kind:?}");
        assert!(few * 10 < all, "{kind:?}: {few} of {all} bytes");
        both(&stage, "nothing changed");

        // One row of thousands: its stretch is read, and the others are not.
        let old = &stage.rows[stage.rows.len() / 2];
        let id = old.uniqueid.clone();
        stage.database.run(&format!(
            "UPDATE cdr SET dst = '92345678' WHERE uniqueid = '{id}'"
        ));
        both(&stage, "a number was corrected");
        let (corrected, some) = full(&stage, 0);
        assert_eq!(corrected["calls"]["created"], 1, "{kind:?}");
        assert!(
            few < some && some * 2 < all,
            "{kind:?}: {some} of {all} bytes"
        );

        // What the settings say is part of what is known.
        let path = stage.program.path("cdrelay.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let other = config.replace("strip_prefix = \"9\"", "strip_prefix = \"90\"");
        assert_ne!(other, config);
        stage.program.configure(&other);
        both(&stage, "another rule");
        let (other, read) = full(&stage, 0);
        assert!(read * 10 > all * 9, "{kind:?}: {read} of {all} bytes");
        assert_ne!(other["drift"], 0, "{kind:?}");
    }
}

#[test]
fn deleted_and_unmatched_calls_are_sent_by_what_is_on_record() {
    for kind in Kind::BOTH {
        let (stage, crm, _, all) = replicated(kind);
        let over_all_days = |verb| {
            let days = ["--from", "2000-01-01", "--to", "2099-12-31", "--yes"];
            let ran = stage.program.run(&[&[verb], &days[..]].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
        };
        let count = crm.calls().len();
        over_all_days("delete");
        assert!(crm.calls().is_empty());
        both(&stage, "everything is to be sent again");
        let (sent, read) = full(&stage, 0);
        assert_eq!(sent["calls"]["created"], count, "{kind:?}");
        assert!(read * 10 < all, "{kind:?}: {read} of {all} bytes");
        stage.check(&crm);

        over_all_days("rebuild");
        stage.check(&crm);
        both(&stage, "after a rebuild");
    }
}

/// A random change of the table; gives what it was.
fn change(stage: &Stage, random: &mut Chance, step: usize) -> String {
    let database: &Database = &stage.database;
    let pick = |random: &mut Chance| -> &Row { &stage.rows[random.below(stage.rows.len())] };
    let (one, other) = (pick(random).clone(), pick(random).clone());
    let (a, b) = (&one.uniqueid, &other.uniqueid);
    let number = 92_000_000 + random.below(7_999_999);
    let sql = match random.below(8) {
        0 => format!("UPDATE cdr SET dst = '{number}' WHERE uniqueid = '{a}'"),
        1 => format!("DELETE FROM cdr WHERE uniqueid = '{a}'"),
        2 => format!("UPDATE cdr SET src = NULL WHERE uniqueid = '{a}'"),
        3 => format!(
            "INSERT INTO cdr (calldate, src, dst, duration, billsec, disposition, uniqueid, sequence) \
             SELECT calldate, src, '{number}', 7, 7, 'ANSWERED', '1.{step}', 1 FROM cdr WHERE uniqueid = '{a}'"
        ),
        4 => format!("UPDATE cdr SET duration = duration + 1 WHERE uniqueid IN ('{a}', '{b}')"),
        // Equal rows twice, and then not: they do not cancel out.
        5 => format!("INSERT INTO cdr SELECT * FROM cdr WHERE uniqueid = '{a}'"),
        // Two rows change places in one column.
        6 => format!(
            "UPDATE cdr SET dst = CASE uniqueid WHEN '{a}' THEN '{}' ELSE '{}' END WHERE uniqueid IN ('{a}', '{b}')",
            other.dst, one.dst
        ),
        _ => return "nothing".to_owned(),
    };
    database.run(&sql);
    sql
}

#[test]
fn figures_are_those_of_a_run_that_reads_every_row() {
    let steps = soak::count(6, 200);
    for kind in Kind::BOTH {
        let (stage, crm, _, _) = replicated(kind);
        let mut random = Chance(0x5e77_1ed0 + kind as u64);
        for step in 0..steps {
            let mut said = Vec::new();
            for _ in 0..random.below(3) {
                said.push(change(&stage, &mut random, step));
            }
            let what = format!("{kind:?}, step {step}: {said:?}");
            both(&stage, &what);
            let ran = stage.program.run(&["sync", "--full", "--output", "json"]);
            assert!([0, 3].contains(&ran.code), "{what}: {ran:?}");
            // Nothing is left to do for one that reads every row.
            let ran = stage
                .program
                .run(&["sync", "--full", "--output", "json", "-v"]);
            let report: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(report["requests"]["sent"], 0, "{what}: {report}");
        }
        assert!(!held(&crm).is_empty());
    }
    soak::note(
        "rows that are not read again: changes of the table",
        2 * steps,
        "the same figures as a run that reads all",
    );
}
