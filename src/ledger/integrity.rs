//! Whether everything in the ledger holds together: what SQLite can see, and what only cdrelay knows.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OptionalExtension, Row};

use super::error::Fault;
use super::file;
use super::store::Store;
use crate::call::WireParts;

/// Looks at everything; fails with the first thing that is wrong, if anything is.
pub(super) fn integrity(db: &Connection) -> Result<(), Fault> {
    pages(db)?;
    texts(db)
}

/// A look at everything as it stood at one moment, in two halves side by side, each on a thread and through a connection of
/// its own, while a run goes on.
///
/// It is there to say that all is well. Whatever else it meets is no verdict: opened by name, it might have met another log than
/// the one that is written, where somebody took that away. Dropped, it ends at once.
pub(super) struct Beside {
    /// [`Connection::total_changes`] of the ledger's own connection at that moment.
    changes: u64,
    halves: Vec<Half>,
}

/// One half of the look, which is waited for or ended by whoever drops it.
struct Half {
    interrupt: InterruptHandle,
    /// Gives whether all is well. `None` once it was waited for.
    thread: Option<JoinHandle<bool>>,
}

impl Beside {
    /// Begins to look; `None` where that cannot be.
    pub(super) fn begin(store: &Store) -> Option<Self> {
        Some(Self {
            changes: store.db.total_changes(),
            halves: vec![
                Half::begin("pages", &store.path, pages)?,
                Half::begin("texts", &store.path, texts)?,
            ],
        })
    }

    /// Whether the ledger is what it was when this began.
    pub(super) fn is_of_now(&self, db: &Connection) -> bool {
        self.changes == db.total_changes()
    }

    /// Waits for the end, and gives whether it saw that all is well.
    pub(super) fn ends_well(mut self) -> bool {
        self.halves.iter_mut().all(Half::ends_well)
    }
}

impl Half {
    fn begin(
        name: &str,
        ledger: &Path,
        look: fn(&Connection) -> Result<(), Fault>,
    ) -> Option<Self> {
        let db = file::open_beside(ledger).ok()?;
        let interrupt = db.get_interrupt_handle();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || look(&db).is_ok())
            .ok()?;
        Some(Self {
            interrupt,
            thread: Some(thread),
        })
    }

    fn ends_well(&mut self) -> bool {
        self.thread
            .take()
            .is_some_and(|thread| thread.join().unwrap_or(false))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        // An interrupt between two statements is lost.
        while !thread.is_finished() {
            self.interrupt.interrupt();
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = thread.join();
    }
}

/// Every page and every index, as SQLite looks at them.
fn pages(db: &Connection) -> Result<(), Fault> {
    let verdict: Option<String> = db
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .optional()?;
    if verdict.as_deref() == Some("ok") {
        Ok(())
    } else {
        Err(Fault::Damaged)
    }
}

/// A changed letter of a text breaks no rule of SQLite's, and a text that is none is no offence to it: every call has its
/// wire form, for which its hash vouches, and every text is one. (That `key_hash` is what it was, its index says, which
/// holds it once more.)
fn texts(db: &Connection) -> Result<(), Fault> {
    if calls(db)? != forms(db)? {
        return Err(Fault::Damaged);
    }
    let tables: Vec<String> = db
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' \
             AND name NOT IN ('calls', 'wire_forms')",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tables.iter().try_for_each(|table| readable(db, table))
}

/// What a table says of all calls, in whatever order it holds them. Both tables are walked as they lie on the disk: to look
/// up the form of each call takes longer than everything else.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    calls: u64,
    sum: u64,
}

impl Told {
    /// One more call: its job, start and number, and what its form's hash is or ought to be.
    fn add(&mut self, job: i64, start: i64, number: i64, content_hash: i64) {
        let mixed = [start, number, content_hash]
            .into_iter()
            .fold(mix(job), |all, part| mix(all.cast_signed() ^ part));
        self.calls += 1;
        self.sum = self.sum.wrapping_add(mixed);
    }
}

/// Spreads a number over 64 bits, one to one, so that sums of changed numbers do not come out equal: the finalizer of
/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mix(number: i64) -> u64 {
    let mut z = number.cast_unsigned().wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn calls(db: &Connection) -> Result<Told, Fault> {
    let mut statement = db
        .prepare("SELECT job, start, id, content_hash, source, destination, attempts FROM calls")?;
    let mut rows = statement.query([])?;
    let mut told = Told::default();
    while let Some(row) = rows.next()? {
        told.add(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        text(row, 4)?;
        text(row, 5)?;
        row.get::<_, u32>(6)?;
    }
    Ok(told)
}

fn forms(db: &Connection) -> Result<Told, Fault> {
    let mut statement = db.prepare(
        "SELECT job, start, call, initiated, source, destination, duration, url, form FROM wire_forms NOT INDEXED",
    )?;
    let mut rows = statement.query([])?;
    let mut told = Told::default();
    while let Some(row) = rows.next()? {
        let form = WireParts {
            initiated: text(row, 3)?.ok_or(Fault::Damaged)?,
            source: text(row, 4)?.ok_or(Fault::Damaged)?,
            destination: text(row, 5)?.ok_or(Fault::Damaged)?,
            duration: row.get::<_, i64>(6)?.cast_unsigned(),
            url: text(row, 7)?,
            form: text(row, 8)?,
        };
        told.add(row.get(0)?, row.get(1)?, row.get(2)?, form.content_hash());
    }
    Ok(told)
}

fn text<'a>(row: &'a Row<'_>, at: usize) -> Result<Option<&'a str>, Fault> {
    row.get_ref(at)?
        .as_str_or_null()
        .map_err(|_| Fault::Damaged)
}

/// Every text of this table is one. The name is one of the schema's, which is cdrelay's own to the letter.
fn readable(db: &Connection, table: &str) -> Result<(), Fault> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if let ValueRef::Text(text) = row.get_ref(column)?
                && std::str::from_utf8(text).is_err()
            {
                return Err(Fault::Damaged);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::fresh;
    use super::{file, pages};

    /// A connection that cannot write would not see it: it reads no CHECK from the schema.
    #[tokio::test]
    async fn a_row_that_breaks_a_check_is_seen_from_beside() {
        let (_directory, path, ledger) = fresh().await;
        ledger.close().await.unwrap();
        assert!(pages(&file::open_beside(&path).unwrap()).is_ok());
        let db = rusqlite::Connection::open(&path).unwrap();
        // Delivered, and due for a reason.
        db.execute_batch(
            "PRAGMA ignore_check_constraints = ON; \
             INSERT INTO calls (job, start, fold, source, destination, id, state, reason, attempts, instant, content_hash, settings) \
             VALUES (1, 0, 0, '', '', 1, 0, 0, 1, 0, 0, 0)",
        )
        .unwrap();
        assert!(pages(&file::open_beside(&path).unwrap()).is_err());
    }
}
