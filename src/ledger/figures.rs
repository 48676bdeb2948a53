//! Figures over all the runs of a job: what monitoring shows, and what the choice between an incremental and a full run
//! is made by.

use rusqlite::{OptionalExtension as _, Transaction};

use super::error::Fault;
use super::runs::{self, Run};
use super::store::Store;

/// Requests of all runs that ever were on record. They only grow: what a purge removes stays in the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that left.
    pub requests_sent: u64,
    /// Of these, repetitions.
    pub requests_retried: u64,
}

/// Which of the runs of job ?1 stay, however old: of each mode the last one that ended, and the last that succeeded.
/// Without them nobody could say how long ago that was.
pub(super) const LAST_OF_THEIR_KIND: &str = "SELECT max(id) FROM runs WHERE job = ?1 AND ended IS NOT NULL GROUP BY mode \
     UNION SELECT max(id) FROM runs WHERE job = ?1 AND exit_code IN (0, 3) GROUP BY mode";

pub(super) fn totals(store: &Store) -> Result<Totals, Fault> {
    let kept = kept(&store.db, store.job)?;
    let (sent, retried): (i64, i64) = store
        .db
        .prepare_cached(
            "SELECT coalesce(sum(requests_sent), 0), coalesce(sum(requests_retried), 0) FROM runs WHERE job = ?1",
        )?
        .query_row([store.job], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(kept.and(sent, retried))
}

/// The last run of each mode that ended, by its number.
pub(super) fn last_of_each_mode(store: &Store) -> Result<Vec<Run>, Fault> {
    let sql = format!(
        "{} WHERE r.id IN (SELECT max(id) FROM runs WHERE job = ?1 AND ended IS NOT NULL GROUP BY mode) ORDER BY r.id",
        runs::SELECT
    );
    let mut statement = store.db.prepare_cached(&sql)?;
    let runs = statement
        .query_map([store.job], runs::run)?
        .collect::<Result<_, _>>()?;
    Ok(runs)
}

/// Runs of one mode that began at `since` or later and ended, the last one first.
pub(super) fn begun_since(store: &Store, mode: &str, since: i64) -> Result<Vec<Run>, Fault> {
    let sql = format!(
        "{} WHERE r.job = ?1 AND r.mode = ?2 AND r.started >= ?3 AND r.ended IS NOT NULL ORDER BY r.id DESC",
        runs::SELECT
    );
    let mut statement = store.db.prepare_cached(&sql)?;
    let runs = statement
        .query_map((store.job, mode, since), runs::run)?
        .collect::<Result<_, _>>()?;
    Ok(runs)
}

/// Since when the job has been waiting for its first success: its first run, else the birth of the ledger. `None` where
/// there never was a ledger.
pub(super) fn born(store: &Store) -> Result<Option<i64>, Fault> {
    let first: Option<i64> = store
        .db
        .prepare_cached("SELECT min(started) FROM runs WHERE job = ?1")?
        .query_row([store.job], |row| row.get(0))?;
    if first.is_some() {
        return Ok(first);
    }
    let created: Option<String> = store
        .db
        .query_row("SELECT value FROM meta WHERE key = 'created'", [], |row| {
            row.get(0)
        })
        .optional()?;
    created
        .map(|text| text.parse().map_err(|_| Fault::Damaged))
        .transpose()
}

/// Adds the requests of runs that are about to be removed, those that `condition` picks, to what stays in the sums.
pub(super) fn keep_totals(
    tx: &Transaction<'_>,
    job: i64,
    condition: &str,
    before: i64,
) -> Result<(), Fault> {
    let (sent, retried): (i64, i64) = tx.query_row(
        &format!(
            "SELECT coalesce(sum(requests_sent), 0), coalesce(sum(requests_retried), 0) FROM runs WHERE {condition}"
        ),
        (job, before),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let kept = kept(tx, job)?.and(sent, retried);
    if kept != Totals::default() {
        tx.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (
                key(job),
                format!("{} {}", kept.requests_sent, kept.requests_retried),
            ),
        )?;
    }
    Ok(())
}

/// The sums of the runs that were removed: `SENT RETRIED` under [`key`].
fn kept(db: &rusqlite::Connection, job: i64) -> Result<Totals, Fault> {
    let text: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key = ?1", [key(job)], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(text) = text else {
        return Ok(Totals::default());
    };
    let (sent, retried) = text.split_once(' ').ok_or(Fault::Damaged)?;
    let number = |text: &str| text.parse().map_err(|_| Fault::Damaged);
    Ok(Totals {
        requests_sent: number(sent)?,
        requests_retried: number(retried)?,
    })
}

fn key(job: i64) -> String {
    format!("requests_of_purged_runs:{job}")
}

impl Totals {
    fn and(self, sent: i64, retried: i64) -> Self {
        Self {
            requests_sent: self.requests_sent.saturating_add(sent.cast_unsigned()),
            requests_retried: self
                .requests_retried
                .saturating_add(retried.cast_unsigned()),
        }
    }
}
