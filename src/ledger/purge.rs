//! Shortening the ledger: calls too old for any run to look at again.

use std::collections::BTreeMap;

use super::Ledger;
use super::entry::State;
use super::error::{Fault, LedgerError};
use super::figures;
use super::read::state;
use super::store::Store;
use crate::call::ColumnTime;
use crate::fault;

/// Calls that one transaction removes at most, so that a listing beside it never waits long.
const BLOCK: usize = 5_000;

/// Attempts of one call that are kept, the latest: a call that no run could settle gathers one each hour, for a year.
const ATTEMPTS: i64 = 100;

/// What a purge removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doomed {
    /// Calls by state; states without any are not there.
    pub calls: BTreeMap<State, u64>,
    /// Attempts on record: of these calls, and more than the latest hundred of any other.
    pub attempts: u64,
    /// Runs that ended, but for the last of their kind.
    pub runs: u64,
    /// Deletions that ended.
    pub deletions: u64,
}

impl Doomed {
    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }
}

impl Ledger {
    /// What [`Ledger::purge`] would remove.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn doomed(
        &self,
        before: ColumnTime,
        runs_before: i64,
    ) -> Result<Doomed, LedgerError> {
        self.door
            .ask(move |store| doomed(store, before, runs_before))
            .await
    }

    /// Gives the space of what was removed back to the disk. Needs as much room as the ledger takes, for a moment, beside
    /// it and in SQLite's temporary directory; where there is too little, the ledger stays as it is.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn compact(&self) -> Result<(), LedgerError> {
        self.door.ask(Store::compact).await
    }
}

/// What [`calls`] and [`runs`] would remove.
fn doomed(store: &Store, before: ColumnTime, runs_before: i64) -> Result<Doomed, Fault> {
    let mut doomed = Doomed::default();
    let mut statement = store.db.prepare_cached(
        "SELECT state, count(*) FROM calls WHERE job = ?1 AND start < ?2 GROUP BY state",
    )?;
    let mut rows = statement.query((store.job, before.0))?;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(1)?;
        doomed.calls.insert(state(row.get(0)?)?, n.cast_unsigned());
    }
    let number = |sql: &str, bound: i64| -> Result<u64, Fault> {
        let n: i64 = store
            .db
            .prepare_cached(sql)?
            .query_row((store.job, bound), |row| row.get(0))?;
        Ok(n.cast_unsigned())
    };
    doomed.attempts = number(
        "SELECT count(*) FROM attempts a WHERE a.call IN (SELECT id FROM calls WHERE job = ?1 AND start < ?2)",
        before.0,
    )?;
    // Many of few calls: each is counted by the index over attempts.
    doomed.attempts += number(
        "SELECT coalesce(sum(n - ?2), 0) FROM (SELECT call, count(*) AS n FROM attempts GROUP BY call HAVING n > ?2) AS many \
         WHERE EXISTS (SELECT 1 FROM wire_forms w WHERE w.call = many.call AND w.job = ?1)",
        ATTEMPTS,
    )?;
    doomed.runs = number(
        &format!("SELECT count(*) FROM runs WHERE {}", old_runs()),
        runs_before,
    )?;
    doomed.deletions = number(
        "SELECT count(*) FROM deletions WHERE job = ?1 AND coalesce(ended, started) < ?2 AND ended IS NOT NULL",
        runs_before,
    )?;
    Ok(doomed)
}

/// Which runs of job ?1 go that ended before ?2: all but the last of their kind.
fn old_runs() -> String {
    format!(
        "job = ?1 AND coalesce(ended, started) < ?2 AND id NOT IN ({})",
        figures::LAST_OF_THEIR_KIND
    )
}

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

/// Removes runs and deletions that ended before this instant, and all but the latest attempts of any call. The last runs of
/// their kind stay, and the requests of those that go stay in the sums.
pub(super) fn runs(store: &mut Store, before: i64) -> Result<(), Fault> {
    store.write(fault::step!("ledger.purge_runs"), (), |tx, job| {
        let old = old_runs();
        figures::keep_totals(tx, job, &old, before)?;
        tx.execute(&format!("DELETE FROM runs WHERE {old}"), (job, before))?;
        // An open deletion has yet to be finished, however old.
        tx.execute(
            "DELETE FROM deletions WHERE job = ?1 AND ended IS NOT NULL AND ended < ?2",
            (job, before),
        )?;
        tx.execute(
            "DELETE FROM attempts WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY call ORDER BY id DESC) AS n \
             FROM attempts WHERE call IN (SELECT a.call FROM attempts a JOIN wire_forms w ON w.call = a.call AND w.job = ?1 \
             GROUP BY a.call HAVING count(*) > ?2)) WHERE n > ?2)",
            (job, ATTEMPTS),
        )?;
        tx.execute(
            "DELETE FROM settings WHERE id NOT IN (SELECT settings FROM runs UNION SELECT settings FROM calls)",
            [],
        )?;
        Ok(())
    })
}
