//! What a person asks the ledger: counts, lists, one call's story.

use std::collections::BTreeMap;

use super::entry::{Collision, Missing, STUCK_AFTER, State};
use super::error::Fault;
use super::read::{identity, state, unanswered};
use super::runs::RunId;
use super::store::Store;
use crate::call::Identity;

/// How many calls the ledger holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// By state; every state is there, with 0 where no call has it.
    pub by_state: BTreeMap<State, u64>,
    /// Start of the oldest call that is pending or in flight, Unix seconds.
    pub oldest_pending: Option<i64>,
    /// Of the pending ones, those without a verdict in [`STUCK_AFTER`] runs in a row.
    pub stuck: u64,
    /// Calls on record as drifting.
    pub drift: u64,
    /// Identities folded into another one for their wire key.
    pub collisions: u64,
    /// Calls that are due and whose row the source does not hold any more.
    pub without_row: u64,
    /// Calls that are due and whose row `[select]` leaves out.
    pub left_out: u64,
}

/// One attempt that did not deliver at the first try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// Unix seconds.
    pub at: i64,
    /// `delivered`, `existing`, `unmatched`, `rejected`, `no_verdict`.
    pub outcome: String,
    /// What was said; hostile text.
    pub words: String,
}

impl Counts {
    /// Calls in this state.
    #[must_use]
    pub fn of(&self, state: State) -> u64 {
        self.by_state.get(&state).copied().unwrap_or(0)
    }
}

pub(super) fn counts(store: &Store) -> Result<Counts, Fault> {
    let mut by_state: BTreeMap<State, u64> = State::ALL.map(|state| (state, 0)).into();
    let mut statement = store.db.prepare_cached(
        "SELECT state, count(*) FROM calls INDEXED BY calls_unsettled \
         WHERE job = ?1 AND state NOT IN (0, 1) GROUP BY state",
    )?;
    let mut rows = statement.query([store.job])?;
    while let Some(row) = rows.next()? {
        by_state.insert(state(row.get(0)?)?, row.get::<_, i64>(1)?.cast_unsigned());
    }
    let number = |sql: &str| -> Result<i64, Fault> {
        Ok(store
            .db
            .prepare_cached(sql)?
            .query_row([store.job], |row| row.get(0))?)
    };
    // One pass over the narrow table; everything else stands in an index.
    let mut settled = store.db.prepare_cached(
        "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1) FROM calls WHERE job = ?1",
    )?;
    let (delivered, withdrawn): (i64, i64) =
        settled.query_row([store.job], |row| Ok((row.get(0)?, row.get(1)?)))?;
    by_state.insert(State::Delivered, delivered.cast_unsigned());
    by_state.insert(State::Withdrawn, withdrawn.cast_unsigned());
    let oldest = store
        .db
        .prepare_cached(
            "SELECT min(instant) FROM calls INDEXED BY calls_unsettled WHERE job = ?1 AND state NOT IN (0, 1) AND state IN (4, 5)",
        )?
        .query_row([store.job], |row| row.get(0))?;
    let missing = |missing: Missing| -> Result<u64, Fault> {
        let n: i64 = store
            .db
            .prepare_cached(
                "SELECT count(*) FROM calls INDEXED BY calls_unsettled \
                 WHERE job = ?1 AND state NOT IN (0, 1) AND state IN (4, 5) AND missing = ?2",
            )?
            .query_row((store.job, missing.code()), |row| row.get(0))?;
        Ok(n.cast_unsigned())
    };
    Ok(Counts {
        by_state,
        without_row: missing(Missing::Row)?,
        left_out: missing(Missing::Selection)?,
        oldest_pending: oldest,
        stuck: number(&format!(
            "SELECT count(*) FROM calls c INDEXED BY calls_unsettled \
             WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state = 4 AND {} >= {STUCK_AFTER}",
            unanswered!()
        ))?
        .cast_unsigned(),
        drift: number(
            "SELECT count(*) FROM calls INDEXED BY calls_drifting WHERE job = ?1 AND drift = 1",
        )?
        .cast_unsigned(),
        collisions: number("SELECT count(*) FROM collisions WHERE job = ?1")?.cast_unsigned(),
    })
}

pub(super) fn attempts(store: &Store, id: &Identity) -> Result<Vec<Attempt>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT a.run, a.at, a.outcome, a.words FROM calls c JOIN attempts a ON a.call = c.id \
         WHERE c.job = ?1 AND c.start = ?2 AND c.fold = ?3 AND c.source = ?4 AND c.destination = ?5 ORDER BY a.id",
    )?;
    let key = (
        store.job,
        id.start.0,
        id.fold.0,
        id.source.as_str(),
        id.destination.as_str(),
    );
    let found = statement.query_map(key, |row| {
        Ok(Attempt {
            run: RunId(row.get(0)?),
            at: row.get(1)?,
            outcome: row.get(2)?,
            words: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn collisions(
    store: &Store,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Collision>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination, owner_start, owner_fold, owner_source, owner_destination \
         FROM collisions WHERE job = ?1 AND (start, fold, source, destination) > (?2, ?3, ?4, ?5) \
         ORDER BY start, fold, source, destination LIMIT ?6",
    )?;
    let (start, fold, source, destination) = after.map_or((i64::MIN, -1, "", ""), |last| {
        (
            last.start.0,
            i64::from(last.fold.0),
            last.source.as_str(),
            last.destination.as_str(),
        )
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(
        (store.job, start, fold, source, destination, limit),
        |row| {
            Ok(Collision {
                folded: identity(row, 0)?,
                owner: identity(row, 4)?,
            })
        },
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}
