//! The store that needs nothing: one SQLite file, driven in blocks.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params, params_from_iter};

use super::{
    Due, FORGET_AT_ONCE, INDEXED, Settled, Store, StoreError, Written, columns, create_cdr, marks,
};
use crate::collector::event::{CallKey, Dialect, Event, Received};
use crate::collector::row::{COLUMNS, Cell, Row};

/// The version of the three tables. A newer one is left alone.
const VERSION: i64 = 1;

/// Events are clustered by call, so that a call's events are one range.
const SCHEMA: &str = "
    CREATE TABLE collector_events (
        call TEXT NOT NULL, fingerprint TEXT NOT NULL, dialect TEXT NOT NULL,
        received INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (call, fingerprint)
    ) WITHOUT ROWID;
    -- `due` is NULL while nothing is to be done; `written` says that a row of cdr is this call's.
    CREATE TABLE collector_calls (
        call TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL, due INTEGER,
        written INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX collector_calls_due ON collector_calls (due) WHERE due IS NOT NULL;
    CREATE TABLE collector_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO collector_meta VALUES ('version', '1');
";

/// A SQLite store.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    /// The kernel's lock on the file beside it lasts as long as this.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store at `path`; creates it, and its directory, where they are missing, for its owner alone.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::Unusable`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let unusable = |what: &str, error: anyhow::Error| {
            StoreError::unusable(
                format!(
                    "the collector's store `{shown}` {what}; set `collector.store` to a file that cdrelay's user can write"
                ),
                error,
            )
        };
        if let Some(directory) = path.parent() {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made.map_err(|error| unusable("has no directory", error.into()))?;
        }
        let lock = lock(path)?;
        private_file(path).map_err(|error| unusable("cannot be written", error.into()))?;
        let db = connect(path)
            .map_err(|error| unusable("cannot be opened", anyhow::anyhow!("{error}")))?;
        Ok(Self { db, _lock: lock })
    }
}

fn private_file(path: &Path) -> std::io::Result<()> {
    // SQLite would create it readable for all. Nothing is locked yet, so closing it again gives up no lock of SQLite's.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = PathBuf::from(format!("{}.collector-lock", path.display()));
    let open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name);
    let cannot = |error: std::io::Error| {
        StoreError::unusable(
            format!(
                "the lock file `{}` of the collector's store cannot be used; set `collector.store` to a file in a directory that cdrelay's user can write",
                name.display()
            ),
            error,
        )
    };
    let file = open.map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::Held(format!("`{}`", path.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn connect(path: &Path) -> anyhow::Result<Connection> {
    let mut db = Connection::open(path)?;
    // `sync` and listings read beside it; who holds on longer is another program.
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    anyhow::ensure!(mode == "wal", "the file system has no shared memory");
    // What was acknowledged survives a power cut.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    let change = db.transaction()?;
    let exists = |table: &str| -> rusqlite::Result<bool> {
        change.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1)",
            [table],
            |row| row.get(0),
        )
    };
    if !exists("cdr")? {
        change.execute_batch(&create_cdr("DATETIME"))?;
        for column in INDEXED {
            change.execute_batch(&format!("CREATE INDEX cdr_{column} ON cdr ({column})"))?;
        }
    }
    if !exists("collector_meta")? {
        change.execute_batch(SCHEMA)?;
    }
    let version: i64 = change.query_row(
        "SELECT CAST(value AS INTEGER) FROM collector_meta WHERE key = 'version'",
        [],
        |row| row.get(0),
    )?;
    anyhow::ensure!(
        version <= VERSION,
        "it was written by a newer cdrelay (version {version} of its tables)"
    );
    // A table of somebody else's may lack a column.
    change.prepare(&format!("SELECT {} FROM cdr", columns()))?;
    change.commit()?;
    Ok(db)
}

/// Runs a step as one transaction.
fn transact<T>(
    db: &mut Connection,
    doing: &'static str,
    step: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let whole = || {
        let change = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let done = step(&change)?;
        change.commit()?;
        Ok(done)
    };
    whole().map_err(|error: rusqlite::Error| StoreError::Failed {
        doing,
        source: error.into(),
    })
}

impl Store for SqliteStore {
    fn append(&mut self, events: &[Received], due: i64) -> Result<u64, StoreError> {
        transact(&mut self.db, "keeping events", |change| {
            let mut known = change.prepare_cached(
                "SELECT forgotten FROM collector_calls WHERE call = ?1 AND forgotten = 1",
            )?;
            let mut keep = change.prepare_cached(
                "INSERT INTO collector_events (call, fingerprint, dialect, received, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO NOTHING",
            )?;
            let mut note = change.prepare_cached(
                "INSERT INTO collector_calls (call, last, due) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (call) DO UPDATE SET last = max(last, excluded.last), due = excluded.due",
            )?;
            let mut new = 0;
            for Received { event, at } in events {
                let call = event.call.as_str();
                // Of a call whose events are gone, one alone would make another row.
                if known.exists([call])? {
                    continue;
                }
                let kept = keep.execute(params![
                    call,
                    event.fingerprint(),
                    event.dialect.as_str(),
                    at,
                    event.body()
                ])?;
                if kept > 0 {
                    new += 1;
                    note.execute(params![call, at, due])?;
                }
            }
            Ok(new)
        })
    }

    fn due(&mut self, now: i64, most: usize) -> Result<Vec<Due>, StoreError> {
        transact(&mut self.db, "looking for calls that are due", |change| {
            let mut calls = change.prepare_cached(
                "SELECT call FROM collector_calls WHERE due <= ?1 ORDER BY due LIMIT ?2",
            )?;
            let calls: Vec<String> = calls
                .query_map(
                    params![now, i64::try_from(most).unwrap_or(i64::MAX)],
                    |row| row.get(0),
                )?
                .collect::<rusqlite::Result<_>>()?;
            let mut events = change.prepare_cached(
                "SELECT dialect, received, body FROM collector_events WHERE call = ?1",
            )?;
            calls
                .into_iter()
                .map(|call| {
                    let call = CallKey::stored(call);
                    let events = events
                        .query_map([call.as_str()], |row| {
                            Ok((
                                row.get::<_, String>(0)?,
                                row.get(1)?,
                                row.get::<_, String>(2)?,
                            ))
                        })?
                        .collect::<rusqlite::Result<Vec<(String, i64, String)>>>()?;
                    Ok(Due {
                        events: events
                            .into_iter()
                            .filter_map(|(dialect, at, body)| received(&call, &dialect, at, &body))
                            .collect(),
                        call,
                    })
                })
                .collect()
        })
    }

    fn next_due(&mut self) -> Result<Option<i64>, StoreError> {
        transact(&mut self.db, "looking for calls that are due", |change| {
            change
                .prepare_cached("SELECT min(due) FROM collector_calls WHERE due IS NOT NULL")?
                .query_row([], |row| row.get(0))
        })
    }

    fn settle(&mut self, settled: &[Settled]) -> Result<Written, StoreError> {
        transact(&mut self.db, "writing rows", |change| {
            let mut written = Written::default();
            let mut note = change.prepare_cached(
                "UPDATE collector_calls SET due = ?2, written = max(written, ?3) WHERE call = ?1",
            )?;
            let mut has_row = change
                .prepare_cached("SELECT 1 FROM collector_calls WHERE call = ?1 AND written = 1")?;
            for Settled { call, due, row } in settled {
                if let Some(row) = row {
                    let again = has_row.exists([call.as_str()])?;
                    if again && update(change, row)? > 0 {
                        written.again += 1;
                    } else {
                        insert(change, row)?;
                        written.new += 1;
                    }
                }
                note.execute(params![call.as_str(), due, row.is_some()])?;
            }
            Ok(written)
        })
    }

    fn forget(&mut self, before: i64) -> Result<u64, StoreError> {
        transact(&mut self.db, "dropping old events", |change| {
            let mut old = change.prepare_cached(
                "SELECT call FROM collector_calls WHERE due IS NULL AND forgotten = 0 AND last < ?1 LIMIT ?2",
            )?;
            let limit = i64::try_from(FORGET_AT_ONCE).unwrap_or(i64::MAX);
            let calls: Vec<String> = old
                .query_map(params![before, limit], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for call in &calls {
                change
                    .prepare_cached("DELETE FROM collector_events WHERE call = ?1")?
                    .execute([call])?;
                change
                    .prepare_cached("UPDATE collector_calls SET forgotten = 1 WHERE call = ?1")?
                    .execute([call])?;
            }
            Ok(calls.len() as u64)
        })
    }

    fn recall(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        transact(&mut self.db, "reading a position", |change| {
            change
                .prepare_cached("SELECT value FROM collector_meta WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()
        })
    }

    fn keep(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        transact(&mut self.db, "keeping a position", |change| {
            change
                .prepare_cached(
                    "INSERT OR REPLACE INTO collector_meta (key, value) VALUES (?1, ?2)",
                )?
                .execute([key, value])
                .map(drop)
        })
    }
}

fn insert(change: &Transaction<'_>, row: &Row) -> rusqlite::Result<usize> {
    let sql = format!(
        "INSERT INTO cdr ({}) VALUES ({})",
        columns(),
        marks(COLUMNS.len())
    );
    change
        .prepare_cached(&sql)?
        .execute(params_from_iter(values(row)))
}

fn update(change: &Transaction<'_>, row: &Row) -> rusqlite::Result<usize> {
    let assignments = COLUMNS.map(|(name, _)| format!("{name} = ?")).join(", ");
    let sql = format!("UPDATE cdr SET {assignments} WHERE uniqueid = ?");
    let id = Value::Text(row.uniqueid.clone());
    change
        .prepare_cached(&sql)?
        .execute(params_from_iter(values(row).chain([id])))
}

fn values(row: &Row) -> impl Iterator<Item = Value> {
    row.cells().into_iter().map(|cell| match cell {
        Cell::Text(text) => Value::Text(text),
        Cell::Number(number) => Value::Integer(number),
    })
}

/// An event as it was kept; `None` where this version cannot read it.
pub(super) fn received(call: &CallKey, dialect: &str, at: i64, body: &str) -> Option<Received> {
    let event = Event {
        dialect: Dialect::parse(dialect)?,
        call: call.clone(),
        fields: serde_json::from_str(body).ok()?,
    };
    Some(Received { event, at })
}
