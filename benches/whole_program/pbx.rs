//! The phone system's side: a private MariaDB, FreePBX-shaped tables of any size, and what it costs to read them.

use std::process::Command;

use anyhow::Context as _;
use chrono::{DateTime, Days, NaiveDate};
use tokio::runtime::Runtime;

use super::child::{self, Measured, Stdout, measure};
use super::support::cdr_table::FREEPBX;
use super::support::mariadb::{self, Database, MariaDb};
use super::support::program;

/// The calls of a table are spread evenly over so many days, the last of them an hour ago.
pub(crate) const DAYS: u64 = 300;

/// The columns that cdrelay reads of such a table.
pub(crate) const COLUMNS: &str =
    "calldate, src, dst, duration, disposition, uniqueid, linkedid, sequence, recordingfile";

const DAY_S: i64 = 24 * 60 * 60;

/// The server. Its own clock runs in America/Caracas.
pub(crate) struct Pbx {
    runtime: Runtime,
    server: &'static MariaDb,
    now: i64,
}

/// A `cdr` table in a database of its own.
pub(crate) struct Table {
    database: Database,
    pub(crate) rows: u64,
    /// A day on which the table has calls from midnight to midnight.
    first_whole_day: NaiveDate,
}

/// What the server did meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) cpu_s: f64,
    /// `SELECT` statements.
    pub(crate) selects: f64,
    /// Rows read one after the other in an index.
    pub(crate) by_index: f64,
    /// Rows read one after the other in a table.
    pub(crate) by_scan: f64,
}

impl Pbx {
    /// Starts the server.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            server: mariadb::for_measuring(),
            now: chrono::Utc::now().timestamp(),
        })
    }

    /// Waits for something on the runtime of this lab.
    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A table with so many rows, each a call of its own: 80 extensions, 9,000 numbers, ordered in time as a phone system
    /// writes them.
    pub(crate) fn table(&self, rows: u64) -> Table {
        let span = i64::try_from(DAYS).expect("fits") * DAY_S;
        let first = self.now - 60 * 60 - span;
        let database = self.runtime.block_on(async {
            let database = self.server.database().await;
            database.run(FREEPBX).await;
            database.run(&fill(rows, first, span)).await;
            database.run("ANALYZE TABLE cdr").await;
            database
        });
        let day = DateTime::from_timestamp(first, 0).expect("an instant of our time");
        Table {
            database,
            rows,
            first_whole_day: day.date_naive() + Days::new(2),
        }
    }

    /// What the server spends while something is done, its own share of being asked left out.
    pub(crate) fn work<T>(
        &self,
        of: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Work)> {
        let (idle, before) = (self.counters()?, self.counters()?);
        let done = of()?;
        let after = self.counters()?;
        let spent = |n: usize| (after[n] - before[n] - (before[n] - idle[n])).max(0.0);
        let work = Work {
            cpu_s: spent(0),
            selects: spent(1),
            by_index: spent(2),
            by_scan: spent(3),
        };
        Ok((done, work))
    }

    /// Product and version.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let ran = measure(
            self.client().arg("-e").arg("SELECT VERSION()"),
            Stdout::Kept,
        )?;
        Ok(format!("MariaDB {}", ran.stdout.trim()))
    }

    fn counters(&self) -> anyhow::Result<[f64; 4]> {
        let names = ["Com_select", "Handler_read_next", "Handler_read_rnd_next"];
        let sql = format!(
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('{}')",
            names.join("', '")
        );
        let ran = measure(self.client().arg("-e").arg(sql), Stdout::Kept)?;
        let value = |name: &str| -> anyhow::Result<f64> {
            ran.stdout
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .find(|(found, _)| *found == name)
                .and_then(|(_, value)| value.trim().parse().ok())
                .with_context(|| format!("no `{name}` in\n{}", ran.stdout))
        };
        Ok([
            child::cpu(self.server.pid())?.as_secs_f64(),
            value(names[0])?,
            value(names[1])?,
            value(names[2])?,
        ])
    }

    fn client(&self) -> Command {
        client(self.server)
    }
}

impl Table {
    /// For `source.url`.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// Port of the server and name of the database, for programs that want them one by one.
    pub(crate) fn place(&self) -> (u16, &str) {
        (self.database.server.port, &self.database.name)
    }

    /// A day with calls from midnight to midnight, counted from the first one.
    pub(crate) fn day(&self, number: u64) -> NaiveDate {
        assert!(number < DAYS - 4, "the table has no such whole day");
        self.first_whole_day + Days::new(number)
    }

    /// A date before the first call.
    pub(crate) fn before(&self) -> NaiveDate {
        self.first_whole_day - Days::new(4)
    }

    /// MariaDB's own client: the columns that cdrelay reads, in order, row by row as they come, to /dev/null. `condition`
    /// says which rows; empty: all.
    pub(crate) fn dump(&self, condition: &str) -> anyhow::Result<Measured> {
        let rows = if condition.is_empty() {
            String::new()
        } else {
            format!(" WHERE {condition}")
        };
        let mut client = client(self.database.server);
        client
            .args([self.database.name.as_str(), "-e"])
            .arg(format!("SELECT {COLUMNS} FROM cdr{rows} ORDER BY calldate"));
        measure(&mut client, Stdout::Dropped)
    }

    /// Condition for the calls of one day.
    pub(crate) fn on(day: NaiveDate) -> String {
        format!(
            "calldate >= '{day}' AND calldate < '{}'",
            day + Days::new(1)
        )
    }
}

fn client(server: &MariaDb) -> Command {
    let mut command = Command::new(program("mariadb", &[]));
    command
        .args(["--no-defaults", "--quick", "-B", "-N", "--skip-ssl"])
        .args(["--protocol=tcp", "-h", "127.0.0.1", "-u", "root", "-P"])
        .arg(server.port.to_string());
    command
}

/// By the server's Sequence engine. `uniqueid` begins with the call's instant, as Asterisk's does.
fn fill(rows: u64, first: i64, span: i64) -> String {
    format!(
        "INSERT INTO cdr (calldate, clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, duration, billsec,
            disposition, amaflags, uniqueid, recordingfile, cnum, linkedid, sequence)
        SELECT FROM_UNIXTIME(at), CONCAT('\"Extension ', extension, '\" <', extension, '>'), extension, dialled,
            'from-internal', CONCAT('PJSIP/', extension, '-', LPAD(HEX(seq), 8, '0')),
            CONCAT('PJSIP/trunk-', LPAD(HEX(seq + 1), 8, '0')), 'Dial', CONCAT('PJSIP/', dialled, '@trunk,300,T'),
            lasted, lasted - 4, 'ANSWERED', 3, CONCAT(at, '.', seq),
            CONCAT('out-', dialled, '-', extension, '-', DATE_FORMAT(FROM_UNIXTIME(at), '%Y%m%d-%H%i%s'), '-', at, '.',
                seq, '.wav'),
            extension, CONCAT(at, '.', seq), seq
        FROM (SELECT seq, {first} + seq * {span} DIV {rows} AS at, 200 + seq % 80 AS extension,
                CONCAT('90212555', LPAD(seq % 9000, 4, '0')) AS dialled, 5 + seq % 595 AS lasted
            FROM seq_1_to_{rows}) AS calls"
    )
}
