//! The schema: its migrations, and whether a file has it.

use std::path::Path;

use rusqlite::Connection;

use super::error::{LedgerError, damaged, newer};
use crate::fault;

/// The migrations, in order; the schema's version is their number.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_ledger.sql"),
    include_str!("migrations/0002_rebuild.sql"),
    include_str!("migrations/0003_form.sql"),
    include_str!("migrations/0004_keys_in_time.sql"),
    include_str!("migrations/0005_stretches.sql"),
];

/// The schema's version: the number of the last migration.
pub(super) const LATEST: i64 = MIGRATIONS.len() as i64;

/// An empty ledger in memory, with the schema of today: what a reader sees where there never was one.
pub(super) fn open_in_memory() -> rusqlite::Result<Connection> {
    let mut db = Connection::open_in_memory()?;
    migrate(&mut db)?;
    Ok(db)
}

/// Brings the schema up to date, one transaction a step.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, sql) in (1_i64..).zip(MIGRATIONS) {
        if number > version {
            let step = db.transaction()?;
            step.execute_batch(sql)?;
            step.pragma_update(None, "user_version", number)?;
            fault::point!("ledger.migrate.before_commit");
            step.commit()?;
            fault::point!("ledger.migrate.after_commit");
        }
    }
    Ok(())
}

/// Ids, version and schema, as SQLite sees them with the log; gives the ledger's id.
pub(super) fn verify(path: &Path, db: &Connection) -> Result<String, LedgerError> {
    let sql = |error| LedgerError::opening(path, error);
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sql)?;
    let latest = MIGRATIONS.len() as i64;
    if version > latest {
        return Err(newer(path, version, LATEST));
    }
    if version < latest {
        return Err(LedgerError::unusable(format!(
            "the ledger `{}` was written by an older cdrelay (schema {version}, this one reads {latest}); run `cdrelay sync` once to bring it up to date",
            path.display()
        )));
    }
    let expected = open_in_memory().and_then(|db| tables(&db)).map_err(sql)?;
    if tables(db).map_err(sql)? != expected {
        return Err(LedgerError::unusable(damaged(path)));
    }
    match db.query_row(
        "SELECT value FROM meta WHERE key = 'ledger_id'",
        [],
        |row| row.get(0),
    ) {
        Ok(id) => Ok(id),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(LedgerError::unusable(damaged(path))),
        Err(error) => Err(sql(error)),
    }
}

/// Every table and index with its text, but those that SQLite makes for itself.
fn tables(db: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    db.prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
