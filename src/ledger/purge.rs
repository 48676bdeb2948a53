//! Shortening the ledger: calls too old for any run to look at again.

use super::error::Fault;
use super::figures;
use super::store::Store;
use crate::call::ColumnTime;
use crate::fault;

/// Calls that one transaction removes at most, so that a listing beside it never waits long.
const BLOCK: usize = 5_000;

/// Removes one block of calls that start before `before`, oldest first, with all that belongs to them; gives how many.
pub(super) fn calls(store: &mut Store, before: ColumnTime) -> Result<usize, Fault> {
    store.write(fault::step!("ledger.purge_calls"), 0, |tx, job| {
        let mut oldest = tx.prepare_cached(
            "SELECT start, id FROM calls WHERE job = ?1 AND start < ?2 ORDER BY start LIMIT ?3",
        )?;
        let block: Vec<(i64, i64)> = oldest
            .query_map((job, before.0, BLOCK as i64), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        for (start, call) in &block {
            for side in ["wire_forms", "origins", "attempts"] {
                tx.prepare_cached(&format!("DELETE FROM {side} WHERE call = ?1"))?
                    .execute([call])?;
            }
            tx.prepare_cached("DELETE FROM calls WHERE job = ?1 AND start = ?2 AND id = ?3")?
                .execute((job, start, call))?;
            fault::point!("ledger.purge_calls.row");
        }
        if block.len() < BLOCK {
            tx.execute(
                "DELETE FROM collisions WHERE job = ?1 AND (start < ?2 OR owner_start < ?2)",
                (job, before.0),
            )?;
        }
        Ok(block.len())
    })
}

/// Removes runs and deletions that ended before this instant. The last runs of their kind stay, and the requests of those
/// that go stay in the sums.
pub(super) fn runs(store: &mut Store, before: i64) -> Result<(), Fault> {
    store.write(fault::step!("ledger.purge_runs"), (), |tx, job| {
        let old = format!(
            "job = ?1 AND coalesce(ended, started) < ?2 AND id NOT IN ({})",
            figures::LAST_OF_THEIR_KIND
        );
        figures::keep_totals(tx, job, &old, before)?;
        tx.execute(&format!("DELETE FROM runs WHERE {old}"), (job, before))?;
        // An open deletion has yet to be finished, however old.
        tx.execute(
            "DELETE FROM deletions WHERE job = ?1 AND ended IS NOT NULL AND ended < ?2",
            (job, before),
        )?;
        tx.execute(
            "DELETE FROM settings WHERE id NOT IN (SELECT settings FROM runs UNION SELECT settings FROM calls)",
            [],
        )?;
        Ok(())
    })
}
