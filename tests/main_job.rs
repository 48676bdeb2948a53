//! The main job on real databases: the CRM holds exactly what an independent computation says, a second run sends nothing,
//! and what a deletion took away comes back, whichever kind of source the calls are read from.

use std::fmt::Write as _;
use std::path::Path;

use cdrelay::sandbox::{RunningSandbox, Sandbox, SandboxOptions};

#[path = "support/golden.rs"]
mod golden;
#[path = "support/program.rs"]
mod program;
mod support;

use golden::{Golden, Row, golden, inserts, stamp};
use program::Program;
use support::cdr_table::FREEPBX;
use support::{mariadb, postgres};

/// Rows of each of the four tables.
const ROWS: usize = 100_000;

/// Days that they are spread over.
const DAYS: i64 = 60;

/// FreePBX's columns in PostgreSQL, with an index on the time.
const FREEPBX_POSTGRES: &str = "CREATE TABLE cdr (calldate timestamp NOT NULL, src varchar(80), dst varchar(80), \
     duration integer, billsec integer, disposition varchar(45), uniqueid varchar(150), recordingfile varchar(255), \
     sequence integer); CREATE INDEX cdr_calldate ON cdr (calldate)";

#[tokio::test]
async fn a_hundred_thousand_freepbx_rows_in_mariadb_arrive_exactly_once() {
    let rows = generated();
    let database = mariadb::server().database().await;
    database.run(FREEPBX).await;
    for sql in inserts("cdr", &rows) {
        database.run(&sql).await;
    }
    // What the table's default and an old server's zero date leave behind: no call to send, counted.
    database
        .run("INSERT INTO cdr (dst) VALUES ('92125550142'); INSERT INTO cdr (calldate, dst) VALUES ('0000-00-00 00:00:00', '92125550142')")
        .await;
    replicate(&format!("url = \"{}\"", database.url()), &rows, 2);
}

#[tokio::test]
async fn a_hundred_thousand_rows_in_postgresql_arrive_exactly_once() {
    let rows = generated();
    let database = postgres::server().database().await;
    database.run(FREEPBX_POSTGRES).await;
    for sql in inserts("cdr", &rows) {
        database.run(&sql).await;
    }
    replicate(&format!("url = \"{}\"", database.url()), &rows, 0);
}

#[test]
fn a_hundred_thousand_rows_in_sqlite_arrive_exactly_once() {
    let rows = generated();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cdr.db");
    let db = rusqlite::Connection::open(&path).expect("opened");
    db.execute_batch(
        "CREATE TABLE cdr (calldate, src, dst, duration, billsec, disposition, uniqueid, recordingfile, sequence); \
         CREATE INDEX cdr_calldate ON cdr (calldate); BEGIN",
    )
    .expect("created");
    for sql in inserts("cdr", &rows) {
        db.execute_batch(&sql).expect("filled");
    }
    db.execute_batch("COMMIT").expect("committed");
    replicate(&format!("url = \"sqlite:{}\"", path.display()), &rows, 0);
}

#[test]
fn a_hundred_thousand_rows_of_master_csv_arrive_exactly_once() {
    // Master.csv has no column for the recording.
    let mut rows = generated();
    for row in &mut rows {
        row.recordingfile.clear();
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("Master.csv");
    master_csv(&path, &rows);
    replicate(&format!("url = \"csv:{}\"", path.display()), &rows, 0);
}

/// The whole story of a source: dry run, full run, nothing to do, three days deleted, and sent again.
#[track_caller]
fn replicate(source: &str, rows: &[Row], undated: u64) {
    let expected = golden(rows);
    let crm = Sandbox::start(SandboxOptions::default()).expect("the practice CRM starts");
    let program = Program::new(&golden::config(
        source,
        crm.url.as_str().trim_end_matches('/'),
    ));
    let calls = expected.len() as u64;

    let dry = program.sync(&["--full", "--dry-run"], 0);
    assert_eq!(crm.stats().requests, 0, "a dry run sends nothing");
    assert_eq!(dry["calls"]["pending"].as_u64(), Some(calls), "{dry}");
    assert!(
        !program.path("ledger.db").exists(),
        "a dry run writes nothing"
    );

    let full = program.sync(&["--full"], 0);
    assert_eq!(
        full["rows"]["read"].as_u64(),
        Some(rows.len() as u64 + undated)
    );
    assert_eq!(full["rows"]["skipped"]["invalid"].as_u64(), Some(undated));
    assert_eq!(full["calls"]["total"].as_u64(), Some(calls), "{full}");
    assert_eq!(full["calls"]["created"].as_u64(), Some(calls), "{full}");
    assert_eq!(full["requests"]["sent"].as_u64(), Some(calls), "{full}");
    assert!(full["collisions"].as_u64() > Some(1000), "{full}");
    same(&held(&crm), &expected);
    assert_eq!(crm.stats().requests, calls, "as many requests as calls");

    let again = program.sync(&["--full"], 0);
    assert_eq!(again["calls"]["unchanged"].as_u64(), Some(calls), "{again}");
    assert_eq!(again["requests"]["sent"].as_u64(), Some(0), "{again}");
    assert_eq!(crm.stats().requests, calls, "a second run sends nothing");
    let hourly = program.sync(&[], 0);
    assert_eq!(hourly["requests"]["sent"].as_u64(), Some(0), "{hourly}");

    deleted_days_come_back(&program, &crm, &expected);

    let listed = program.run(&["calls", "--state", "delivered", "--output", "json"]);
    assert_eq!(
        listed.stdout.lines().count() as u64,
        calls,
        "the ledger agrees"
    );
}

/// Deletes three days in the middle; the next run sends exactly those again, and verifies the days around.
#[track_caller]
fn deleted_days_come_back(program: &Program, crm: &RunningSandbox, expected: &Golden) {
    // Days as people in Caracas count them, which is how the ledger names them; the practice CRM deletes by the date in
    // `initiated`, which is UTC here, and leaves the two dates on the wire alone.
    let day = |back: i64| stamp(now() - back * 86_400 - 4 * 3600, 'T')[..10].to_owned();
    let (from, to) = (day(32), day(30));
    let deleted = program.json(&["delete", "--from", &from, "--to", &to, "--yes"], 0);
    let gone = expected
        .keys()
        .filter(|(initiated, ..)| (from.as_str()..=to.as_str()).contains(&&initiated[..10]))
        .count() as u64;
    assert_eq!(deleted["deleted"].as_u64(), Some(gone), "{deleted}");
    assert_eq!(crm.stats().calls, expected.len() as u64 - gone);

    let before = crm.stats();
    let refill = program.sync(&["--full"], 0);
    let verified =
        deleted["main"].as_u64().expect("a count") + deleted["verify"].as_u64().expect("a count");
    assert_eq!(refill["calls"]["created"].as_u64(), Some(gone), "{refill}");
    assert_eq!(
        refill["calls"]["existing"].as_u64(),
        Some(verified - gone),
        "the days around are verified: {refill}"
    );
    assert_eq!(crm.stats().requests - before.requests, verified);
    same(&held(crm), expected);
    let settled = program.sync(&["--full"], 0);
    assert_eq!(settled["requests"]["sent"].as_u64(), Some(0), "{settled}");
}

#[tokio::test]
async fn the_real_calls_arrive_alike_from_master_csv_mariadb_and_postgresql() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fafeitsch_smallcdr.csv");
    let window = ["--since", "2017-06-01", "--until", "2017-07-01"];
    let config = |source: &str, crm: &RunningSandbox| {
        format!(
            "[source]\n{source}\ntimezone = \"UTC\"\n[target]\nurl = \"{}\"\ntoken_file = \"crm.token\"\ninitiated_as = \"utc\"\n[ledger]\npath = \"ledger.db\"\n",
            crm.url.as_str().trim_end_matches('/')
        )
    };
    let deliver = |source: String| {
        let crm = Sandbox::start(SandboxOptions::default()).expect("the practice CRM starts");
        let report = Program::new(&config(&source, &crm)).sync(&window, 0);
        assert_eq!(report["rows"]["read"], 45, "{report}");
        assert_eq!(report["rows"]["merged"], 8, "{report}");
        assert_eq!(report["calls"]["created"], 37, "{report}");
        held(&crm)
    };
    let from_csv = deliver(format!("url = \"csv:{}\"", file.display()));

    let records: Vec<csv::StringRecord> = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(&file)
        .expect("opened")
        .records()
        .collect::<Result<_, _>>()
        .expect("read");
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''").replace('\\', "\\\\"));
    let mut insert =
        "INSERT INTO cdr (calldate, src, dst, duration, billsec, disposition, uniqueid) VALUES "
            .to_owned();
    for (i, record) in records.iter().enumerate() {
        let _ = write!(
            insert,
            "{}({}, {}, {}, {}, {}, {}, {})",
            if i == 0 { "" } else { ", " },
            quoted(&record[9]),
            quoted(&record[1]),
            quoted(&record[2]),
            &record[12],
            &record[13],
            quoted(&record[14]),
            quoted(&record[16])
        );
    }
    let maria = mariadb::server().database().await;
    maria.run(FREEPBX).await;
    maria.run(&insert).await;
    same(&deliver(format!("url = \"{}\"", maria.url())), &from_csv);
    let postgres = postgres::server().database().await;
    postgres.run(FREEPBX_POSTGRES).await;
    postgres.run(&insert).await;
    same(&deliver(format!("url = \"{}\"", postgres.url())), &from_csv);

    // Counted by hand in the file: the first answered call, with its long leg.
    let key = (
        "2017-06-27T10:29:03Z".to_owned(),
        "917-375-0980".to_owned(),
        "334-442-8436".to_owned(),
    );
    assert_eq!(from_csv[&key], (402, None));
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

fn generated() -> Vec<Row> {
    golden::rows(ROWS, now(), DAYS, 42)
}

fn held(crm: &RunningSandbox) -> Golden {
    crm.calls()
        .into_iter()
        .map(|call| {
            (
                (call.initiated, call.source, call.destination),
                (call.duration.unwrap_or(0), call.url),
            )
        })
        .collect()
}

/// Compares without printing a hundred thousand calls.
#[track_caller]
fn same(held: &Golden, expected: &Golden) {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(key, value)| held.get(*key) != Some(*value))
        .take(3)
        .map(|(key, value)| (key, value, held.get(key)))
        .collect();
    assert_eq!(missing, vec![], "missing or different");
    let extra: Vec<_> = held
        .keys()
        .filter(|key| !expected.contains_key(*key))
        .take(3)
        .collect();
    assert_eq!(extra, Vec::<&(String, String, String)>::new(), "too many");
}

/// 21 columns, as Asterisk writes them with loguniqueid, loguserfield and newcdrcolumns; in the order of hangup.
fn master_csv(path: &Path, rows: &[Row]) {
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by_key(|row| row.wall + i64::try_from(row.duration).expect("fits"));
    let mut text = String::new();
    for row in order {
        let start = stamp(row.wall, ' ');
        let end = stamp(row.wall + i64::try_from(row.duration).expect("fits"), ' ');
        let _ = writeln!(
            text,
            "\"\",\"{}\",\"{}\",\"from-internal\",\"\"\"\"\" <{}>\",\"SIP/1-1\",\"SIP/2-2\",\"Dial\",\"\",\"{start}\",,\"{end}\",{},0,\"{}\",\"DOCUMENTATION\",\"{}\",\"\",\"\",\"{}\",{}",
            row.src,
            row.dst,
            row.src,
            row.duration,
            row.disposition,
            row.uniqueid,
            row.uniqueid,
            row.sequence
        );
    }
    std::fs::write(path, text).expect("written");
}
