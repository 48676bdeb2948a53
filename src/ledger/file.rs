//! The ledger as a file: found, created, opened. A kill at any step leaves no ledger or a whole one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{LedgerError, missing};
use super::header::{APPLICATION_ID, Found, judge};
use super::lock::{LedgerLock, Witness};
use super::place::{beside, create_directory, file_or_nothing, length, resolve};
use super::schema::{migrate, verify};
use super::watch::Watch;
use crate::fault;

/// What [`init_ledger`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The ledger was missing or empty; a new, empty one stands in its place.
    New,
    /// A ledger that is in order stands there, and was left as it is: nothing to accept.
    HealthyAlready,
}

/// Accepts a new, empty ledger where the old one is missing or empty (`cdrelay init --ledger`). Takes the lock itself,
/// for as long as it works. Blocks for some milliseconds.
///
/// A write-ahead log that the old ledger left behind is kept as `LEDGER-wal.orphaned`.
///
/// # Errors
/// [`LedgerError::Held`] while a run is under way, [`LedgerError::Unusable`] where a file stands that is no usable
/// ledger: it is never replaced.
pub fn init_ledger(path: &Path, now: i64) -> Result<Accepted, LedgerError> {
    let path = &resolve(path)?;
    let _lock = LedgerLock::try_acquire(path)?;
    match judge(path)? {
        Found::Healthy => {
            let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let witness = Witness::read(path)?;
            let id = accept(path, &db, &witness)?;
            witness.renew(path, &id)?;
            Ok(Accepted::HealthyAlready)
        }
        Found::Absent | Found::Empty(_) => {
            fault::point!("ledger.accept.judged", |error| LedgerError::io(
                "create", path, error
            ));
            put_aside(&beside(path, "-wal"))?;
            fault::point!("ledger.accept.log_aside", |error| LedgerError::io(
                "move", path, error
            ));
            put_aside(&beside(path, "-shm"))?;
            // The witness goes first: a kill between the two leaves a ledger that is missing still, and can be accepted
            // again. The other way round it would leave a ledger that its own lock file disowns.
            create(path, now, |id| Witness::write(path, id))?;
            fault::point!("ledger.accept.created", |error| LedgerError::io(
                "write", path, error
            ));
            Ok(Accepted::New)
        }
    }
}

/// A ledger opened for writing.
pub(super) struct Writable {
    pub(super) db: Connection,
    pub(super) watch: Watch,
    pub(super) created: bool,
}

/// Opens the ledger for writing; creates it on the very first run. The caller holds the lock.
pub(super) fn open_writable(path: &Path, now: i64) -> Result<Writable, LedgerError> {
    create_directory(path)?;
    let witness = Witness::read(path)?;
    let created = match (judge(path)?, &witness) {
        (Found::Healthy, _) => false,
        (Found::Empty(what), _) => return Err(missing(path, what)),
        (Found::Absent, Witness::Id(_) | Witness::Garbled) => {
            return Err(missing(path, "is missing"));
        }
        // Not even the lock file is left, but a log without its ledger is a trace of one.
        (Found::Absent, Witness::Silent) if length(&beside(path, "-wal"))? > 0 => {
            return Err(missing(path, "is missing"));
        }
        (Found::Absent, Witness::Silent) => {
            // The witness comes later: a kill in between leaves no trace of a ledger that never was in its place.
            create(path, now, |_| Ok(()))?;
            true
        }
    };
    let sql = |error| LedgerError::opening(path, error);
    fault::point!("ledger.open.judged", sql);
    // SQLite opens for reading what it may not write, and gives log and index the ledger's own rights: what it would
    // leave behind could not be written later either.
    try_writing(path)?;
    let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    fault::point!("ledger.open.connected", sql);
    if db.is_readonly("main").map_err(sql)? {
        return Err(LedgerError::unusable(not_writable(path)));
    }
    migrate(&mut db).map_err(sql)?;
    fault::point!("ledger.open.migrated", sql);
    let id = accept(path, &db, &witness)?;
    fault::point!("ledger.open.verified", sql);
    witness.renew(path, &id)?;
    Ok(Writable {
        watch: Watch::new(path)?,
        db,
        created,
    })
}

/// Opens the ledger for reading; `None` where there never was one. Creates nothing that stays.
pub(super) fn open_readable(path: &Path) -> Result<Option<Connection>, LedgerError> {
    let witness = Witness::read(path)?;
    match (judge(path)?, &witness) {
        (Found::Healthy, _) => {}
        (Found::Empty(what), _) => return Err(missing(path, what)),
        (Found::Absent, Witness::Id(_) | Witness::Garbled) => {
            return Err(missing(path, "is missing"));
        }
        (Found::Absent, Witness::Silent) => return Ok(None),
    }
    // A reader of a write-ahead log needs its shared index. A connection that could write takes it away again when it
    // is the last to close; one that cannot would leave it behind. `query_only` keeps it from writing.
    let as_it_lies = |error: LedgerError| {
        // Read-only for us, so nobody of our rights is writing: the file can be read as it lies.
        if length(&beside(path, "-wal"))? > 0 {
            return Err(error);
        }
        let uri = format!("file:{}?immutable=1", escaped(path));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(uri, flags)
            .map_err(|error| LedgerError::opening(path, error))
            .and_then(|db| readable(path, db))
    };
    let db = try_writing(path)
        .and_then(|()| connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE))
        .and_then(|db| readable(path, db))
        .or_else(as_it_lies)?;
    accept(path, &db, &witness)?;
    Ok(Some(db))
}

/// One more connection to a ledger that this process has open, which sees it as it is now for as long as it lives. No file is
/// opened and closed for it but by SQLite, which knows what locks go with them.
///
/// # Errors
/// Those of opening: there is no such file, or it is none that can be read.
pub(super) fn open_beside(path: &Path) -> Result<Connection, LedgerError> {
    let sql = |error| LedgerError::opening(path, error);
    // Where a connection may not write, SQLite reads no CHECK from the schema (sqlite3AddCheckConstraint, build.c), and
    // calls rows sound that break one. It never copies a log: by name it might have met another one than ours.
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(sql)?;
    let db = readable(path, db)?;
    // It walks over everything once: pages are hardly ever met again.
    db.pragma_update(None, "cache_size", -1024).map_err(sql)?;
    // A view begins with the first read.
    db.execute_batch("BEGIN; SELECT count(*) FROM meta")
        .map_err(sql)?;
    Ok(db)
}

/// Whether a run could write the ledger at `path`, where there is one. Call it while no ledger is open in this process:
/// closing a file gives up every lock that the process has on it (fcntl(2)), those of SQLite too.
pub(super) fn try_writing(path: &Path) -> Result<(), LedgerError> {
    let path = resolve(path)?;
    if !file_or_nothing(&path)? {
        return Ok(());
    }
    match OpenOptions::new().write(true).open(&path) {
        Ok(_) => Ok(()),
        Err(error) => Err(LedgerError::Unusable {
            what: not_writable(&path),
            source: Some(error.into()),
        }),
    }
}

/// Creates an empty ledger under another name and renames it into place, so that a kill leaves none or a whole one.
/// `announce` hears its id while it is complete and durable, but not in its place yet.
fn create(
    path: &Path,
    now: i64,
    announce: impl FnOnce(&str) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    create_directory(path)?;
    let new = beside(path, ".new");
    fault::point!("ledger.create.begun", |error| LedgerError::io(
        "create", &new, error
    ));
    remove_unfinished(&new)?;
    let created = fill(&new, path, now, announce);
    if created.is_err() {
        // Where a disk is full, half a ledger must not fill it further. Why it could not be made says more than why it
        // could not be removed.
        let _ = remove_unfinished(&new);
    }
    created
}

/// Removes a ledger that was never put in its place.
fn remove_unfinished(new: &Path) -> Result<(), LedgerError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let leftover = beside(new, suffix);
        match std::fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LedgerError::io("remove", &leftover, error)),
        }
    }
    Ok(())
}

/// Makes the ledger under the name `new`, and renames it to `path`.
fn fill(
    new: &Path,
    path: &Path,
    now: i64,
    announce: impl FnOnce(&str) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let io = |error| LedgerError::io("create", new, error);
    // SQLite would create it readable for all.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)
        .map_err(io)?;
    let sql = |error| LedgerError::opening(path, error);
    fault::point!("ledger.create.file", sql);
    let mut db = connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Nobody sees this file before it is complete; it is made durable as a whole, once, before it gets its name.
    db.pragma_update(None, "synchronous", "OFF").map_err(sql)?;
    // Both stand in the header, which is compared with what it should be.
    db.pragma_update(None, "page_size", 4096).map_err(sql)?;
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sql)?;
    if mode != "wal" {
        return Err(LedgerError::unusable(format!(
            "the file system of `{}` cannot hold a ledger, for want of shared memory; set `ledger.path` to a file on a local disk",
            path.display()
        )));
    }
    fault::point!("ledger.create.wal", sql);
    db.pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(sql)?;
    fault::point!("ledger.create.marked", sql);
    migrate(&mut db).map_err(sql)?;
    fault::point!("ledger.create.migrated", sql);
    let id: String = db
        .query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))
        .map_err(sql)?;
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('ledger_id', ?1), ('created', ?2)",
        (&id, now.to_string()),
    )
    .map_err(sql)?;
    fault::point!("ledger.create.named", sql);
    // Closing the only connection copies the log into the file too, but is silent where the disk is too full for it; and
    // the file alone, without its log, would be put in its place.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(sql)?;
    db.close().map_err(|(_, error)| sql(error))?;
    fault::point!("ledger.create.closed", sql);
    File::open(new)
        .and_then(|file| file.sync_all())
        .map_err(|error| LedgerError::io("write", new, error))?;
    announce(&id)?;
    fault::point!("ledger.create.before_rename", io);
    std::fs::rename(new, path).map_err(|error| LedgerError::io("create", path, error))?;
    fault::point!("ledger.create.renamed", io);
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| LedgerError::io("write", directory, error))?;
    }
    fault::point!("ledger.create.synced", io);
    Ok(())
}

/// Opens without creating, with everything set that is not kept in the file.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, LedgerError> {
    let sql = |error| LedgerError::opening(path, error);
    let db =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sql)?;
    // The last one to close copies the log into the file, which is to stay as it is where it is refused.
    let hot = length(&beside(path, "-wal"))? > 0;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, hot)
        .map_err(sql)?;
    prepare(&db).map_err(sql)?;
    Ok(db)
}

/// Ids, version and schema; gives the ledger's id. What was opened may be changed from here on.
fn accept(path: &Path, db: &Connection, witness: &Witness) -> Result<String, LedgerError> {
    let id = verify(path, db)?;
    if matches!(witness, Witness::Id(other) if *other != id) {
        return Err(foreign_id(path));
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(|error| LedgerError::opening(path, error))?;
    Ok(id)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    // A listing beside a run makes the run wait for moments only; whoever holds on longer is another program.
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "synchronous", "FULL")?;
    // KiB when negative: bounds what a run keeps in memory, whatever the ledger's size.
    db.pragma_update(None, "cache_size", -4096)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // The file may come from anywhere: trust no function in its schema, and look at each page before using it.
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)
}

fn readable(path: &Path, db: Connection) -> Result<Connection, LedgerError> {
    let sql = |error| LedgerError::opening(path, error);
    prepare(&db).map_err(sql)?;
    db.pragma_update(None, "query_only", true).map_err(sql)?;
    // Opening is lazy: only reading shows whether it can be read.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(sql)?;
    Ok(db)
}

fn not_writable(path: &Path) -> String {
    format!(
        "the ledger `{}` is not writable; run as the user who owns it",
        path.display()
    )
}

fn foreign_id(path: &Path) -> LedgerError {
    LedgerError::unusable(format!(
        "the ledger `{}` is not the one that the lock file beside it names; it was left as it is: put the right one back, or, if this one is meant, remove `{}`",
        path.display(),
        super::lock::lock_path(path).display()
    ))
}

/// A log of a ledger that is gone must not be applied to a new one; what it holds is kept under another name.
fn put_aside(file: &Path) -> Result<(), LedgerError> {
    let moved = if length(file)? > 0 {
        std::fs::rename(file, beside(file, ".orphaned"))
    } else {
        std::fs::remove_file(file)
    };
    match moved {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::io("move", file, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A path as SQLite's URIs want it.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    percent_encoding::percent_encode(
        path.as_os_str().as_bytes(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .to_string()
    .replace("%2F", "/")
}
