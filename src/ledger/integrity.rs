//! Whether everything in the ledger holds together: what SQLite can see, and what only cdrelay knows.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Fault;
use super::store::Store;
use crate::call::WireParts;

/// Looks at everything; fails with the first thing that is wrong, if anything is. All through the one connection: another one
/// beside it, opened by name, might meet another log than this one writes where somebody took the first away.
pub(super) fn integrity(store: &Store) -> Result<(), Fault> {
    pages(&store.db)?;
    texts(&store.db)
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
/// wire form, for which its hash vouches, and every text is one.
fn texts(db: &Connection) -> Result<(), Fault> {
    let mut statement = db.prepare(
        "SELECT w.initiated, w.source, w.destination, w.duration, w.url, w.form, c.content_hash, w.key_hash, \
         c.source, c.destination, c.attempts FROM calls c LEFT JOIN wire_forms w ON w.call = c.id AND w.job = c.job AND w.start = c.start",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let form = WireParts {
            initiated: text(row, 0)?.ok_or(Fault::Damaged)?,
            source: text(row, 1)?.ok_or(Fault::Damaged)?,
            destination: text(row, 2)?.ok_or(Fault::Damaged)?,
            duration: row.get::<_, i64>(3)?.cast_unsigned(),
            url: text(row, 4)?,
            form: text(row, 5)?,
        };
        if form.content_hash() != row.get::<_, i64>(6)?
            || form.key_hash() != row.get::<_, i64>(7)?
        {
            return Err(Fault::Damaged);
        }
        text(row, 8)?;
        text(row, 9)?;
        row.get::<_, u32>(10)?;
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
