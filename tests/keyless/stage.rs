//! Rows in a `cdr`, and a program that is set up for a BGCRM.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use serde_json::Value;

use super::crm::Crm;
use super::program::{Program, Ran};

/// What stands in the password file; it must be seen nowhere but in a request.
pub(crate) const PASSWORD: &str = "CANARY pass&word";

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Seconds before now.
    pub(crate) ago: i64,
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) dcontext: &'static str,
    pub(crate) disposition: &'static str,
    pub(crate) uniqueid: String,
}

/// A caller whom nobody in the queue answered, so many seconds ago.
pub(crate) fn missed(src: &str, ago: i64) -> Row {
    Row {
        ago,
        src: src.to_owned(),
        dst: "999".to_owned(),
        dcontext: "from-queue",
        disposition: "NO ANSWER",
        uniqueid: format!("{}.{src}", now() - ago),
    }
}

/// The program in its directory, and its source.
pub(crate) struct Stage {
    pub(crate) program: Program,
}

impl Stage {
    pub(crate) fn new(rows: &[Row]) -> Self {
        let program = Program::new("");
        program.write("crm.password", &format!("{PASSWORD}\n"));
        let db = rusqlite::Connection::open(program.path("cdr.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE cdr (calldate TEXT NOT NULL, src TEXT, dst TEXT, dcontext TEXT, duration INTEGER, \
             disposition TEXT, uniqueid TEXT); CREATE INDEX cdr_calldate ON cdr (calldate);",
        )
        .unwrap();
        let stage = Self { program };
        for row in rows {
            stage.add(row);
        }
        stage
    }

    pub(crate) fn add(&self, row: &Row) {
        let db = rusqlite::Connection::open(self.program.path("cdr.db")).unwrap();
        let at = DateTime::from_timestamp(now() - row.ago, 0).unwrap();
        db.execute(
            "INSERT INTO cdr VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
            (
                at.format("%Y-%m-%d %H:%M:%S").to_string(),
                &row.src,
                &row.dst,
                row.dcontext,
                row.disposition,
                &row.uniqueid,
            ),
        )
        .unwrap();
    }

    /// Points the program at a CRM; `more` goes to the end of the file, after `[target]`.
    pub(crate) fn point_at(&self, url: &str, more: &str) {
        self.program.configure(&config(url, more));
    }

    /// The same, with a CRM that is waited for longer than anything here takes.
    pub(crate) fn point_patiently_at(&self, url: &str, more: &str) {
        let patient = config(url, more).replace("\"2s\"", "\"60s\"");
        self.program.configure(&patient);
    }

    /// A run that ends so; nothing that it prints holds the password.
    #[track_caller]
    pub(crate) fn sync(&self, args: &[&str], code: i32) -> Value {
        let report = self.program.sync(args, code);
        assert!(!report.to_string().contains("CANARY"), "{report}");
        report
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let ran = self.program.run(args);
        assert!(!format!("{ran:?}").contains("CANARY"), "{ran:?}");
        ran
    }

    /// How many calls the ledger holds in which state.
    #[track_caller]
    pub(crate) fn states(&self) -> Vec<(String, usize)> {
        let ran = self.run(&["calls", "--output", "json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let mut states = std::collections::BTreeMap::new();
        for line in ran.stdout.lines() {
            let call: Value = serde_json::from_str(line).unwrap();
            *states
                .entry(call["state"].as_str().unwrap().to_owned())
                .or_insert(0) += 1;
        }
        states.into_iter().collect()
    }

    #[track_caller]
    pub(crate) fn holds(&self, expected: &[(&str, usize)]) {
        let states = self.states();
        let found: Vec<(&str, usize)> = states.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert_eq!(found, expected);
    }
}

pub(crate) fn config(url: &str, more: &str) -> String {
    format!(
        r#"
[source]
url = "sqlite://cdr.db"
timezone = "UTC"

[select]
min_destination_length = 0
dispositions = ["NO ANSWER"]
[select.where]
dcontext = ["from-queue"]

[[rules]]
on = "source"
strip_prefix = "+58"

[ledger]
path = "ledger.db"

[target]
kind = "bgcrm"
url = "{url}"
class = "org.example.crm.CallBack"
username = "pbx-user"
password_file = "crm.password"
timeout = "2s"
{more}
"#
    )
}

/// The usual constants.
pub(crate) const CONSTANTS: &str = "[target.parameters]\nsub = \"dndoperator\"\n";

/// A stage that is pointed at a CRM, with the usual constants.
pub(crate) fn at(crm: &Crm, rows: &[Row]) -> Stage {
    let stage = Stage::new(rows);
    stage.point_at(&crm.url(), CONSTANTS);
    stage
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
