//! Which calls of a slice were folded into another.

use std::ops::Range;

use super::Ledger;
use super::error::{Fault, LedgerError};
use super::read::identity;
use super::store::Store;
use crate::call::{ColumnTime, Identity};

impl Ledger {
    /// Identities that start in `range` and were folded into another one for their wire key, ordered.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn folded_in(&self, range: Range<ColumnTime>) -> Result<Vec<Identity>, LedgerError> {
        self.door.ask(move |store| folded_in(store, &range)).await
    }
}

fn folded_in(store: &Store, range: &Range<ColumnTime>) -> Result<Vec<Identity>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination FROM collisions WHERE job = ?1 AND start >= ?2 AND start < ?3 \
         ORDER BY start, fold, source, destination",
    )?;
    let found = statement.query_map((store.job, range.start.0, range.end.0), |row| {
        identity(row, 0)
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
