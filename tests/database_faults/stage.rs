//! A real server behind a proxy, with a table of several slices, and the program set up for it.

use cdrelay::sandbox::RunningSandbox;
use serde_json::Value;

use crate::cutting_proxy::{Fault, Proxy};
use crate::golden::{self, Golden, Row};
use crate::program::{Program, Ran, check_sums};
use crate::scene::{held, now, plain, same, sandbox};
use crate::support::{mariadb, postgres};

/// Rows of a stage: three slices.
pub const ROWS: usize = 17_000;

/// How many of them are calls; the others are internal and only have to be read.
const CALLS: usize = 300;

/// The columns that golden knows, and an index on the start.
const COLUMNS: &str = "src varchar(80), dst varchar(80), duration integer, billsec integer, disposition varchar(45), \
                       uniqueid varchar(150), recordingfile varchar(255), sequence integer, userfield text";

/// The two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    Postgres,
}

impl Kind {
    pub const BOTH: [Self; 2] = [Self::MariaDb, Self::Postgres];

    pub fn product(self) -> &'static str {
        match self {
            Self::MariaDb => "MySQL",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The kind of a test's whole source.
    fn scheme(self) -> &'static str {
        match self {
            Self::MariaDb => "mysql",
            Self::Postgres => "postgres",
        }
    }

    fn superuser(self) -> &'static str {
        match self {
            Self::MariaDb => "root",
            Self::Postgres => "postgres",
        }
    }
}

/// A database of one test.
pub enum Database {
    MariaDb(mariadb::Database),
    Postgres(postgres::Database),
}

impl Database {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::MariaDb => Self::MariaDb(wait(mariadb::server().database())),
            Kind::Postgres => Self::Postgres(wait(postgres::server().database())),
        }
    }

    pub fn run(&self, sql: &str) {
        match self {
            Self::MariaDb(database) => wait(database.run(sql)),
            Self::Postgres(database) => wait(database.run(sql)),
        }
    }

    pub fn number(&self, sql: &str) -> i64 {
        match self {
            Self::MariaDb(database) => wait(database.number(sql)),
            Self::Postgres(database) => wait(database.number(sql)),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::MariaDb(database) => &database.name,
            Self::Postgres(database) => &database.name,
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::MariaDb(database) => database.server.port,
            Self::Postgres(database) => database.server.port,
        }
    }
}

/// A table behind a proxy.
pub struct Stage {
    pub kind: Kind,
    pub database: Database,
    pub proxy: Proxy,
    pub program: Program,
    pub rows: Vec<Row>,
    /// User, and `:` and password where there is one.
    user: String,
    /// Lines for `[source]`.
    source: String,
}

impl Stage {
    /// Rows in the server's usual engine, indexed.
    pub fn new(kind: Kind) -> Self {
        Self::on(kind, Database::new(kind), "")
    }

    /// Rows in a table with these options, such as an engine.
    pub fn on(kind: Kind, database: Database, options: &str) -> Self {
        let rows = rows();
        let time = match kind {
            Kind::MariaDb => "datetime",
            Kind::Postgres => "timestamp",
        };
        database.run(&format!(
            "CREATE TABLE cdr (calldate {time} NOT NULL, {COLUMNS}) {options}; CREATE INDEX started ON cdr (calldate)"
        ));
        for insert in golden::inserts("cdr", &rows) {
            database.run(&insert);
        }
        Self {
            kind,
            proxy: Proxy::to(database.port()),
            database,
            program: Program::new(""),
            rows,
            user: kind.superuser().to_owned(),
            source: String::new(),
        }
    }

    /// Logs in as this user, written as in a URL.
    pub fn log_in_as(&mut self, user: &str) {
        user.clone_into(&mut self.user);
    }

    /// Adds lines to `[source]`.
    pub fn source(&mut self, lines: &str) {
        lines.clone_into(&mut self.source);
    }

    pub fn url(&self) -> String {
        format!(
            "{}://{}@127.0.0.1:{}/{}",
            self.kind.scheme(),
            self.user,
            self.proxy.addr.port(),
            self.database.name()
        )
    }

    /// Points the program at this CRM, through the proxy.
    pub fn point_at(&self, crm: &str) {
        let source = format!("url = \"{}\"\n{}", self.url(), self.source);
        self.program.configure(&golden::config(&source, crm));
    }

    pub fn golden(&self) -> Golden {
        golden::golden(&self.rows)
    }

    /// Forgets every run.
    pub fn forget(&self) {
        for entry in std::fs::read_dir(self.program.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("ledger.db") || name.starts_with(".ledger.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// The CRM holds every call exactly once.
    #[track_caller]
    pub fn check(&self, crm: &RunningSandbox) {
        let golden = self.golden();
        same(&held(crm), &golden);
        assert_eq!(crm.calls().len(), golden.len(), "no call is there twice");
    }

    /// The report of a run through a table that holds nothing but the stage's rows: each was counted once.
    #[track_caller]
    pub fn complete(&self, ran: &Ran) -> Value {
        assert_eq!(ran.code, 0, "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        check_sums(&report);
        assert_eq!(report["rows"]["read"], self.rows.len(), "{report}");
        report
    }

    pub fn sync(&self) -> Ran {
        self.program
            .run(&["sync", "--full", "--output", "json", "-vvv"])
    }

    /// An undisturbed run settles everything.
    #[track_caller]
    pub fn settles(&self, crm: &RunningSandbox) -> Value {
        self.proxy.set(Fault::None);
        self.proxy.refuse(0);
        self.point_at(crm.url.as_str());
        let report = self.complete(&self.sync());
        self.check(crm);
        report
    }

    /// How many bytes the server answers in an undisturbed run; the program has forgotten that run afterwards.
    pub fn measure(&self) -> u64 {
        self.settles(&sandbox());
        self.forget();
        self.proxy.passed()
    }

    /// The last line on stderr, with ports replaced.
    pub fn last_word(&self, ran: &Ran) -> String {
        let text = plain(&ran.stderr);
        text.lines().next_back().unwrap_or_default().to_owned()
    }
}

/// How often the program says that it tries again.
pub fn tries_again(ran: &Ran) -> usize {
    ran.stderr.matches("trying again (").count()
}

/// Generated calls among internal ones, in the order of time.
pub fn rows() -> Vec<Row> {
    let now = now();
    let mut rows = golden::rows(CALLS, now, 7, 77);
    let step = 7 * 86_400 * 1000 / i64::try_from(ROWS).unwrap();
    for number in rows.len()..ROWS {
        let place = i64::try_from(number).unwrap();
        let wall = now - 4 * 3600 - place * step / 1000;
        rows.push(Row {
            wall,
            src: format!("7{:03}", number % 60),
            dst: "7001".to_owned(),
            duration: 5,
            disposition: "ANSWERED",
            uniqueid: format!("{}.{number}", wall + 4 * 3600),
            sequence: 1_000_000 + number as u64,
            recordingfile: "internal-recording-of-a-usual-length-0000000000.wav".to_owned(),
        });
    }
    rows.sort_by_key(|row| row.wall);
    rows
}

/// Runs what the test servers do asynchronously.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
