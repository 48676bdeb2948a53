//! What the parts measure with: the program, the server and its tables, a folder that goes with this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;

use super::crm::Crm;
use super::job::{Job, Sync};
use super::machine::{self, Machine};
use super::pbx::{Pbx, Table};
use super::support;

/// Names the program to measure, where it is not the one that cargo built beside this one.
const PROGRAM: &str = "CDRELAY_BENCH_PROGRAM";

/// Most requests in flight where a part does not ask for another number.
pub(crate) const IN_FLIGHT: usize = 64;

/// Calls on the ledger that long-settled runs are measured on; see [`Lab::rows`].
pub(crate) const MANY: u64 = 1_000_000;

/// Everything at hand.
pub(crate) struct Lab {
    pub(crate) program: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) pbx: Pbx,
    /// Whether 10,000,000 rows are asked for.
    pub(crate) long: bool,
    /// A hundredth of everything.
    small: bool,
    tables: BTreeMap<u64, Rc<Table>>,
    settled: Option<Rc<Settled>>,
}

/// A job with [`MANY`] calls, each delivered by a real first run.
pub(crate) struct Settled {
    pub(crate) job: Job,
    pub(crate) table: Rc<Table>,
    pub(crate) first: Sync,
    /// The CRM that holds them.
    pub(crate) _crm: Crm,
}

impl Lab {
    pub(crate) fn new(long: bool, small: bool) -> anyhow::Result<Self> {
        let program = match std::env::var_os(PROGRAM) {
            Some(program) => PathBuf::from(program),
            // Built with what only tests need switched on in crates that both use; contrib/bench names the real one.
            None => {
                eprintln!("measuring cargo's own build; contrib/bench measures what users get");
                PathBuf::from(env!("CARGO_BIN_EXE_cdrelay"))
            }
        };
        let program = program
            .canonicalize()
            .with_context(|| format!("{} is not there", program.display()))?;
        Ok(Self {
            program,
            work: support::directory("bench"),
            pbx: Pbx::start()?,
            long,
            small,
            tables: BTreeMap::new(),
            settled: None,
        })
    }

    /// How many of `rows` are asked for.
    pub(crate) fn rows(&self, rows: u64) -> u64 {
        if self.small { rows / 100 } else { rows }
    }

    /// How long wrk is to run.
    pub(crate) fn lasting(&self) -> Duration {
        Duration::from_secs(if self.small { 1 } else { 5 })
    }

    /// The table with so many rows, made when first asked for.
    pub(crate) fn table(&mut self, rows: u64) -> Rc<Table> {
        if let Some(table) = self.tables.get(&rows) {
            return Rc::clone(table);
        }
        eprintln!("  filling a table with {rows} rows");
        let table = Rc::new(self.pbx.table(rows));
        self.tables.insert(rows, Rc::clone(&table));
        table
    }

    /// A practice CRM that holds nothing.
    pub(crate) fn crm(&self, latency: Option<Duration>) -> anyhow::Result<Crm> {
        Crm::start(&self.program, &self.work, latency)
    }

    /// A job that knows nothing.
    pub(crate) fn job(&self, table: &Table, crm: &str, concurrency: usize) -> anyhow::Result<Job> {
        Job::new(&self.program, &self.work, table, crm, concurrency)
    }

    /// The long-settled job, made when first asked for.
    pub(crate) fn settled(&mut self) -> anyhow::Result<Rc<Settled>> {
        if let Some(settled) = &self.settled {
            return Ok(Rc::clone(settled));
        }
        let rows = self.rows(MANY);
        let table = self.table(rows);
        eprintln!("  a first run over {rows} rows");
        let crm = self.crm(None)?;
        let job = self.job(&table, &crm.url, IN_FLIGHT)?;
        let first = job.sync(&["--full"])?.created(rows)?;
        let settled = Rc::new(Settled {
            job,
            table,
            first,
            _crm: crm,
        });
        self.settled = Some(Rc::clone(&settled));
        Ok(settled)
    }

    /// Forgets it, because something was changed there.
    pub(crate) fn unsettle(&mut self) {
        self.settled = None;
    }

    /// What it all ran on.
    pub(crate) fn machine(&self) -> anyhow::Result<Machine> {
        machine::look(&self.pbx.version()?, &self.program)
    }
}

/// A folder's file, as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
