//! Where events and rows are kept: one trait, one file an implementation.
//!
//! Three tables stand beside `cdr`: `collector_events`, each event once by call and fingerprint; `collector_calls`, when a
//! call is due to be looked at; and `collector_meta`, what else has to outlive a restart. One process works on a store at
//! a time, which a lock sees to; within it one thread does, so that nothing here needs to think of another writer.

use super::event::{CallKey, Received};
use super::row::{COLUMNS, Row};
use crate::config::{CollectorConfig, StoreLocation};

pub mod server;
pub mod sqlite;

/// Most events that one [`Store::append`] takes.
pub const BATCH: usize = 1024;

/// What became of a call that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub call: CallKey,
    /// When it is to be looked at next, milliseconds since 1970; `None`: when another event comes.
    pub due: Option<i64>,
    /// Its row, where there is one to write.
    pub row: Option<Row>,
}

/// A call that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub call: CallKey,
    /// Its events, in no particular order.
    pub events: Vec<Received>,
}

/// Rows that [`Store::settle`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows of calls that had none.
    pub new: u64,
    /// Rows that were written before, and were written again.
    pub again: u64,
}

/// The store's duty. Every method is one transaction: what it returned for is durable, what it failed at did not happen.
/// After a failure the next call starts afresh, with a new connection where one is needed.
pub trait Store: Send {
    /// Keeps events, at most [`BATCH`], and notes that their calls are due at `due`. An event that is there already
    /// changes nothing, its call's due time neither. Gives how many were new.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn append(&mut self, events: &[Received], due: i64) -> Result<u64, StoreError>;

    /// Calls that are due at `now`, the longest due first, at most so many, with all their events.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn due(&mut self, now: i64, most: usize) -> Result<Vec<Due>, StoreError>;

    /// When the next call is due; `None`: none is.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn next_due(&mut self) -> Result<Option<i64>, StoreError>;

    /// Writes what became of calls that were due, and their rows into `cdr`.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn settle(&mut self, settled: &[Settled]) -> Result<Written, StoreError>;

    /// Drops the events of some calls that are settled, and of which none came since `before`; the calls stay known, so
    /// that what comes later still changes nothing. Gives how many calls that were.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn forget(&mut self, before: i64) -> Result<u64, StoreError>;

    /// A value that was kept under `key`.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn recall(&mut self, key: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a value under `key`.
    ///
    /// # Errors
    /// [`StoreError::Failed`]
    fn keep(&mut self, key: &str, value: &str) -> Result<(), StoreError>;
}

/// Why a store cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another collector works on it.
    #[error(
        "another collector holds the store {0}; stop it first, or give this one another `collector.store`"
    )]
    Held(String),
    /// It cannot be used as it is: a person has to look.
    #[error("{what}")]
    Unusable {
        /// Which store, why, and what to do.
        what: String,
        /// The reason underneath.
        #[source]
        source: Option<anyhow::Error>,
    },
    /// A step failed; the next may not.
    #[error("the collector's store failed while {doing}")]
    Failed {
        /// Such as `keeping events`.
        doing: &'static str,
        /// The reason underneath.
        #[source]
        source: anyhow::Error,
    },
}

impl StoreError {
    fn unusable(what: String, source: impl Into<anyhow::Error>) -> Self {
        Self::Unusable {
            what,
            source: Some(source.into()),
        }
    }
}

/// Opens the store that `[collector]` names, and makes its tables where they are missing. Blocks.
///
/// # Errors
/// [`StoreError::Held`], [`StoreError::Unusable`].
pub fn open(config: &CollectorConfig) -> Result<Box<dyn Store>, StoreError> {
    match &config.store {
        StoreLocation::Sqlite(path) => Ok(Box::new(sqlite::SqliteStore::open(path)?)),
        StoreLocation::Mysql(_) | StoreLocation::Postgres(_) => {
            Ok(Box::new(server::ServerStore::open(config)?))
        }
    }
}

/// The columns of `cdr` that are written, with commas.
fn columns() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// `?, ?, …`
fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// FreePBX's columns (its installlib/SQL/cdr.sql), in its order, as SQL of every database. The two ids are wide enough
/// for FreeSWITCH's; `time` is the type of a local date and time.
fn create_cdr(time: &str) -> String {
    let text = |name: &str, most: u16| format!("{name} VARCHAR({most}) NOT NULL DEFAULT ''");
    let number = |name: &str| format!("{name} INTEGER NOT NULL DEFAULT 0");
    let columns = [
        format!("calldate {time} NOT NULL"),
        text("clid", 80),
        text("src", 80),
        text("dst", 80),
        text("dcontext", 80),
        text("channel", 80),
        text("dstchannel", 80),
        text("lastapp", 80),
        text("lastdata", 80),
        number("duration"),
        number("billsec"),
        text("disposition", 45),
        number("amaflags"),
        text("accountcode", 80),
        text("uniqueid", 150),
        text("userfield", 255),
        text("did", 50),
        text("recordingfile", 255),
        text("cnum", 80),
        text("cnam", 80),
        text("outbound_cnum", 80),
        text("outbound_cnam", 80),
        text("dst_cnam", 80),
        text("linkedid", 150),
        text("peeraccount", 80),
        number("sequence"),
    ];
    format!("CREATE TABLE cdr ({})", columns.join(", "))
}

/// The columns of `cdr` with an index, as FreePBX has them.
const INDEXED: [&str; 4] = ["calldate", "dst", "accountcode", "uniqueid"];

/// How much silence after its last event makes a call forgettable is a setting; how many go at a time is not.
const FORGET_AT_ONCE: usize = 500;
