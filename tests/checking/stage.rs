//! One set of calls in each kind of source, and what `check` says about it.

use std::fmt::Write as _;

use cdrelay::sandbox::RunningSandbox;
use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use serde_json::Value;

use crate::golden::{self, Row, inserts, stamp};
use crate::program::Program;
use crate::scene::{now, sandbox};
use crate::support::{cdr_table, mariadb, postgres};

const COLUMNS: &str = "src varchar(80), dst varchar(80), duration integer, billsec integer, disposition varchar(45), \
                       uniqueid varchar(150), recordingfile varchar(255), sequence integer";

/// The four kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    Postgres,
    Sqlite,
    Csv,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::MariaDb, Self::Postgres, Self::Sqlite, Self::Csv];
}

/// A program, its CRM, and calls to read.
pub struct Stage {
    pub program: Program,
    pub crm: RunningSandbox,
    pub source: String,
}

impl Stage {
    /// These rows in a source of this kind, whose time column has this SQL type (of the databases alone).
    pub async fn of(kind: Kind, rows: &[Row]) -> Self {
        let sqlite = "TEXT";
        match kind {
            Kind::MariaDb => Self::typed(kind, rows, "datetime NOT NULL").await,
            Kind::Postgres => Self::typed(kind, rows, "timestamp NOT NULL").await,
            Kind::Sqlite | Kind::Csv => Self::typed(kind, rows, sqlite).await,
        }
    }

    pub async fn typed(kind: Kind, rows: &[Row], column: &str) -> Self {
        let program = Program::new("");
        let create = format!(
            "CREATE TABLE cdr (calldate {column}, {COLUMNS}); CREATE INDEX cdr_calldate ON cdr (calldate)"
        );
        let source = match kind {
            Kind::MariaDb => {
                let database = mariadb::server().database().await;
                database.run(&create).await;
                for sql in inserts("cdr", rows) {
                    database.run(&sql).await;
                }
                database.url()
            }
            Kind::Postgres => {
                let database = postgres::server().database().await;
                database.run(&create).await;
                for sql in inserts("cdr", rows) {
                    database.run(&sql).await;
                }
                database.url()
            }
            Kind::Sqlite => {
                let db = rusqlite::Connection::open(program.path("cdr.db")).unwrap();
                db.execute_batch(&format!("{create}; BEGIN")).unwrap();
                for sql in inserts("cdr", rows) {
                    db.execute_batch(&sql).unwrap();
                }
                db.execute_batch("COMMIT").unwrap();
                "sqlite:cdr.db".to_owned()
            }
            Kind::Csv => {
                std::fs::write(program.path("Master.csv"), master_csv(rows)).unwrap();
                "csv:Master.csv".to_owned()
            }
        };
        let stage = Self {
            program,
            crm: sandbox(),
            source,
        };
        stage.declare("America/Caracas");
        stage
    }

    /// A stage on the stock table of Asterisk's migrations, which has no index.
    pub async fn without_index(rows: &[Row]) -> Self {
        let stage = Self::of(Kind::MariaDb, &[]).await;
        let database = mariadb::server().database().await;
        database.run(cdr_table::STOCK_MYSQL).await;
        for sql in inserts("cdr", rows) {
            let sql = sql
                .replace("calldate", "`start`")
                .replace("recordingfile", "userfield");
            database.run(&sql).await;
        }
        let stage = Self {
            source: database.url(),
            ..stage
        };
        stage.declare("America/Caracas");
        stage
    }

    /// Declares this zone.
    pub fn declare(&self, zone: &str) {
        self.configure(|config| {
            config.replace(
                "timezone = \"America/Caracas\"",
                &format!("timezone = \"{zone}\""),
            )
        });
    }

    pub fn configure(&self, edit: impl FnOnce(String) -> String) {
        let config = golden::config(
            &format!("url = \"{}\"", self.source),
            self.crm.url.as_str().trim_end_matches('/'),
        );
        self.program.configure(&edit(config));
    }

    /// What `check` gives in JSON.
    #[track_caller]
    pub fn checked(&self, code: i32) -> Value {
        self.program.json(&["check"], code)
    }

    /// One line of `check`, its result and its text.
    #[track_caller]
    pub fn line(&self, what: &str, code: i32) -> (String, String) {
        let object = self.checked(code);
        line_of(&object, what)
    }
}

/// One line of a check.
#[track_caller]
pub fn line_of(object: &Value, what: &str) -> (String, String) {
    let lines = object["checks"].as_array().unwrap();
    let found: Vec<&Value> = lines.iter().filter(|line| line["check"] == what).collect();
    assert_eq!(found.len(), 1, "{what}: {object:#}");
    let text = |key: &str| found[0][key].as_str().unwrap().to_owned();
    (text("result"), text("text"))
}

/// `count` calls over the last `days` days, each under the zone that its epoch gives, with a row half a second later.
pub fn calls(count: i64, days: i64, zone: impl Fn(i64) -> Tz) -> Vec<Row> {
    let from = now() - days * 86_400;
    (0..count)
        .map(|n| call(n, from + days * 86_400 * n / count, &zone))
        .collect()
}

/// The `n`th call, whose channel was made at `epoch`.
pub fn call(n: i64, epoch: i64, zone: &impl Fn(i64) -> Tz) -> Row {
    Row {
        wall: epoch + offset(zone(epoch), epoch) + n % 2,
        src: format!("7{:03}", n % 40),
        dst: format!("9{}", 2_000_000 + n),
        duration: u64::try_from(30 + n % 500).unwrap(),
        disposition: "ANSWERED",
        uniqueid: format!("{epoch}.{n}"),
        sequence: u64::try_from(n).unwrap(),
        recordingfile: String::new(),
    }
}

/// Seconds to add to UTC.
pub fn offset(zone: Tz, epoch: i64) -> i64 {
    let at = DateTime::from_timestamp(epoch, 0).unwrap().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
}

/// An instant as a person in this zone writes it.
pub fn shown(zone: Tz, epoch: i64, form: &str) -> String {
    let at = DateTime::from_timestamp(epoch, 0).unwrap();
    at.with_timezone(&zone).format(form).to_string()
}

/// As `cdr_csv` writes it, in the order of hanging up.
pub fn master_csv(rows: &[Row]) -> String {
    let ended = |row: &Row| row.wall + i64::try_from(row.duration).unwrap();
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by_key(|row| ended(row));
    let mut text = String::new();
    for row in order {
        let (start, end) = (stamp(row.wall, ' '), stamp(ended(row), ' '));
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
    text
}
