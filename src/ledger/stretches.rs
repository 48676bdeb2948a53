//! Stretches of the source that were read before: whether the calls that their rows made are on record as they were.

use std::ops::Range;

use super::Ledger;
use super::entry::{Standing, State};
use super::error::{Fault, LedgerError};
use super::plan::{Action, PlanContext, plan};
use super::read;
use super::store::Store;
use crate::call::{ColumnTime, Identity};
use crate::fault;

/// A stretch of the source, and what its rows came to when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// First second of it, on the column's own clock.
    pub from: ColumnTime,
    /// First second after it.
    pub until: ColumnTime,
    /// How many rows it had.
    pub rows: u64,
    /// The source's number for all of them.
    pub sum: u64,
    /// How many calls they made.
    pub calls: u64,
    /// The sum of [`crate::call::WireForm::content_hash`] over those, modulo 2^64.
    pub content: i64,
    /// What else is known of the rows, for whoever reads them: one line of text.
    pub counts: String,
}

/// Where the calls of a stretch stand, all of which are on record with the forms that its rows gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnRecord {
    /// How many there is nothing to do about, by state.
    pub resting: Vec<(State, u64)>,
    /// The others, in order: those to be sent by their frozen form.
    pub due: Vec<(Identity, Action)>,
}

impl Ledger {
    /// The stretches on record that overlap the window and were read by these settings, in order.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn stretches(
        &self,
        window: Range<ColumnTime>,
        settings: String,
    ) -> Result<Vec<Stretch>, LedgerError> {
        self.door
            .ask(move |store| overlapping(store, &window, &settings))
            .await
    }

    /// Where the calls of a stretch stand; `None` where they are not those, and not with those forms, that its rows made,
    /// where one of them is kept out by another, or where only their rows say what to do about one.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn on_record(
        &self,
        stretch: Stretch,
        plan: PlanContext,
    ) -> Result<Option<OnRecord>, LedgerError> {
        self.door
            .ask(move |store| on_record(store, &stretch, &plan))
            .await
    }

    /// Puts these in the place of all stretches on record that lie within the window.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn keep_stretches(
        &self,
        window: Range<ColumnTime>,
        settings: String,
        stretches: Vec<Stretch>,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| keep(store, &window, &settings, &stretches))
            .await
    }
}

fn overlapping(
    store: &Store,
    window: &Range<ColumnTime>,
    settings: &str,
) -> Result<Vec<Stretch>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT start, until, rows, sum, calls, content, counts FROM stretches \
         WHERE job = ?1 AND start < ?3 AND until > ?2 AND settings = ?4 ORDER BY start",
    )?;
    let key = (store.job, window.start.0, window.end.0, settings);
    let found = statement.query_map(key, |row| {
        Ok(Stretch {
            from: ColumnTime(row.get(0)?),
            until: ColumnTime(row.get(1)?),
            rows: row.get::<_, i64>(2)?.cast_unsigned(),
            sum: row.get::<_, i64>(3)?.cast_unsigned(),
            calls: row.get::<_, i64>(4)?.cast_unsigned(),
            content: row.get(5)?,
            counts: row.get(6)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn on_record(
    store: &Store,
    stretch: &Stretch,
    context: &PlanContext,
) -> Result<Option<OnRecord>, Fault> {
    let range = (store.job, stretch.from.0, stretch.until.0);
    let folded: bool = store
        .db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM collisions WHERE job = ?1 AND start >= ?2 AND start < ?3)",
        )?
        .query_row(range, |row| row.get(0))?;
    if folded {
        return Ok(None);
    }
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination, state, iif(state = 1, prior_reason, reason), last_attempt, \
         content_hash, drift FROM calls WHERE job = ?1 AND start >= ?2 AND start < ?3 \
         ORDER BY start, fold, source, destination",
    )?;
    let mut rows = statement.query(range)?;
    fault::point!("ledger.on_record");
    let (mut calls, mut content) = (0_u64, 0_i64);
    let mut resting = State::ALL.map(|state| (state, 0_u64));
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let standing = Standing {
            state: read::state(row.get(4)?)?,
            pending: read::reason(row.get(5)?)?,
            last_attempt: row.get(6)?,
            content_hash: row.get(7)?,
            drift: row.get(8)?,
        };
        calls += 1;
        content = content.wrapping_add(standing.content_hash);
        // The forms are today's, as the sum will say. A mark that says otherwise is for whoever reads the rows to clear.
        let decision = plan(Some(standing), Some(standing.content_hash), context);
        if standing.drift || calls > stretch.calls {
            return Ok(None);
        }
        match decision.action {
            Action::Settled | Action::Withdrawn | Action::Held => {
                if let Some((_, count)) = resting.iter_mut().find(|(s, _)| *s == standing.state) {
                    *count += 1;
                }
            }
            action @ (Action::Resend | Action::Recheck) => {
                due.push((read::identity(row, 0)?, action));
            }
            Action::Send | Action::Dropped => return Ok(None),
        }
    }
    let same = calls == stretch.calls && content == stretch.content;
    Ok(same.then(|| OnRecord {
        resting: resting.into_iter().filter(|(_, n)| *n > 0).collect(),
        due,
    }))
}

fn keep(
    store: &mut Store,
    window: &Range<ColumnTime>,
    settings: &str,
    stretches: &[Stretch],
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.stretches"), (), |tx, job| {
        tx.execute(
            "DELETE FROM stretches WHERE job = ?1 AND start >= ?2 AND until <= ?3",
            (job, window.start.0, window.end.0),
        )?;
        let mut insert = tx.prepare_cached(
            "INSERT OR REPLACE INTO stretches (job, start, until, settings, rows, sum, calls, content, counts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for stretch in stretches {
            insert.execute((
                job,
                stretch.from.0,
                stretch.until.0,
                settings,
                stretch.rows.cast_signed(),
                stretch.sum.cast_signed(),
                stretch.calls.cast_signed(),
                stretch.content,
                &stretch.counts,
            ))?;
        }
        Ok(())
    })
}
