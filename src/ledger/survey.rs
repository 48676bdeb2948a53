//! One look at everything in a stretch of time, for those who add it up: calls in their order, then the frozen forms, then
//! the runs, all of one moment and each read once.
//!
//! The big tables are read in the order in which they lie on the disk and never joined: a form is joined to its call by
//! whoever looks, by number. One row is held at a time.

use std::ops::{Range, RangeInclusive};

use rusqlite::OptionalExtension;

use super::Ledger;
use super::entry::{Missing, PendingReason, STUCK_AFTER, State};
use super::error::{Fault, LedgerError};
use super::read;
use super::runs::{self, Run};
use super::store::Store;
use crate::call::ColumnTime;

/// Seconds by which a call's start on the column's clock and its instant can lie apart, whatever zone was configured when.
const APART: i64 = 3 * 86_400;

/// A call, as far as it is told to a [`Surveyor`]. Texts are as the PBX's columns hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surveyed<'a> {
    /// The number that [`SurveyedForm::call`] repeats.
    pub id: i64,
    /// Start on the column's clock.
    pub start: ColumnTime,
    /// Which of two equal starts.
    pub fold: u8,
    /// Raw source.
    pub source: &'a str,
    /// Raw destination.
    pub destination: &'a str,
    /// What became of it.
    pub state: State,
    /// Whether it is due and got no verdict in [`STUCK_AFTER`] runs or more.
    pub stuck: bool,
    /// Times that it was sent.
    pub attempts: u32,
    /// When the last attempt's end was recorded, Unix seconds.
    pub last_attempt: Option<i64>,
    /// Start as an instant, Unix seconds.
    pub instant: i64,
    /// Whether today's settings would send something else.
    pub drift: bool,
    /// Why it cannot be sent although it is due.
    pub missing: Missing,
}

/// What the CRM gets of a call, as far as it is told to a [`Surveyor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyedForm<'a> {
    /// [`Surveyed::id`] of its call.
    pub call: i64,
    /// The call's start on the column's clock.
    pub start: ColumnTime,
    /// The number called, as sent.
    pub destination: &'a str,
    /// Seconds.
    pub duration: u64,
}

/// Who is shown what lies in a stretch of time.
pub trait Surveyor: Send + 'static {
    /// What is counted without it; told first.
    fn begin(&mut self, besides: &Besides);

    /// A call that starts in it, or less than some days before or after it: its instant says which.
    fn call(&mut self, call: &Surveyed<'_>);

    /// Asked once, after the last call: the numbers that every wanted form lies between; `None`: none is wanted.
    fn forms(&self) -> Option<RangeInclusive<i64>>;

    /// A form with a number between these.
    fn form(&mut self, form: &SurveyedForm<'_>);

    /// A run that began in the stretch, without its counts and the fingerprint of its settings; the oldest first.
    fn run(&mut self, run: &Run);
}

/// What a survey counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Besides {
    /// Identities that were folded into another one for their wire key, by the reading of their column's clock.
    pub collisions: u64,
    /// Calls that start a day or more before the stretch and are still pending, in flight or held.
    pub due_before: u64,
    /// When the first run on record began, Unix seconds.
    pub first_run: Option<i64>,
    /// When the last run before the stretch that ended with 0 or 3 did so.
    pub success_before: Option<i64>,
}

impl Ledger {
    /// Shows everything in these instants (Unix seconds) to the surveyor, as it is at one moment, and gives it back.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn survey<S: Surveyor>(
        &self,
        instants: Range<i64>,
        mut surveyor: S,
    ) -> Result<S, LedgerError> {
        self.door
            .ask(move |store| {
                look(store, &instants, &mut surveyor)?;
                Ok(surveyor)
            })
            .await
    }

    /// The instants (Unix seconds) of calls that are known by their start and number; `None` for one that is not there.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn instants(
        &self,
        calls: Vec<(ColumnTime, i64)>,
    ) -> Result<Vec<Option<i64>>, LedgerError> {
        self.door.ask(move |store| instants(store, &calls)).await
    }
}

/// Shows the surveyor what lies in these instants (Unix seconds).
fn look(
    store: &mut Store,
    instants: &Range<i64>,
    surveyor: &mut impl Surveyor,
) -> Result<(), Fault> {
    let job = store.job;
    // All statements see the ledger as it is now, whatever a run beside this commits.
    let moment = store.db.transaction()?;
    let starts = (
        job,
        instants.start.saturating_sub(APART),
        instants.end.saturating_add(APART),
    );
    surveyor.begin(&Besides {
        collisions: moment
            .prepare_cached(
                "SELECT count(*) FROM collisions WHERE job = ?1 AND start >= ?2 AND start < ?3",
            )?
            .query_row((job, instants.start, instants.end), |row| row.get::<_, i64>(0))?
            .cast_unsigned(),
        due_before: moment
            .prepare_cached(
                "SELECT count(*) FROM calls INDEXED BY calls_unsettled \
                 WHERE job = ?1 AND state NOT IN (0, 1) AND state IN (4, 5, 6) AND start < ?2",
            )?
            // On whatever clock the column counts, these lie before.
            .query_row((job, instants.start.saturating_sub(86_400)), |row| {
                row.get::<_, i64>(0)
            })?
            .cast_unsigned(),
        first_run: moment
            .prepare_cached("SELECT min(started) FROM runs WHERE job = ?1")?
            .query_row([job], |row| row.get(0))?,
        success_before: moment
            .prepare_cached(
                "SELECT max(ended) FROM runs WHERE job = ?1 AND started < ?2 AND exit_code IN (0, 3) AND mode <> 'rebuild'",
            )?
            .query_row((job, instants.start), |row| row.get(0))?,
    });
    calls(&moment, starts, surveyor)?;
    if let Some(wanted) = surveyor.forms() {
        forms(&moment, job, &wanted, surveyor)?;
    }
    let mut statement = moment.prepare_cached(&format!(
        "{} WHERE r.job = ?1 AND r.started >= ?2 AND r.started < ?3 ORDER BY r.id",
        runs::BRIEF
    ))?;
    let mut rows = statement.query((job, instants.start, instants.end))?;
    while let Some(row) = rows.next()? {
        surveyor.run(&runs::run(row)?);
    }
    Ok(())
}

/// The instants of calls that are known by start and number; `None` for one that is not there.
fn instants(store: &Store, calls: &[(ColumnTime, i64)]) -> Result<Vec<Option<i64>>, Fault> {
    let mut statement = store
        .db
        .prepare_cached("SELECT instant FROM calls WHERE job = ?1 AND start = ?2 AND id = ?3")?;
    calls
        .iter()
        .map(|(start, id)| {
            let found = statement.query_row((store.job, start.0, id), |row| row.get(0));
            Ok(found.optional()?)
        })
        .collect()
}

fn calls(
    db: &rusqlite::Connection,
    starts: (i64, i64, i64),
    surveyor: &mut impl Surveyor,
) -> Result<(), Fault> {
    let mut unanswered = db.prepare_cached(
        "SELECT count(*) FROM attempts a WHERE a.call = ?1 AND a.id > \
         coalesce((SELECT max(v.id) FROM attempts v WHERE v.call = ?1 AND v.outcome <> 'no_verdict'), 0)",
    )?;
    let mut statement = db.prepare_cached(
        "SELECT id, start, fold, source, destination, state, reason, attempts, last_attempt, instant, drift, missing \
         FROM calls WHERE job = ?1 AND start >= ?2 AND start < ?3 ORDER BY start, fold, source, destination",
    )?;
    let mut rows = statement.query(starts)?;
    while let Some(row) = rows.next()? {
        let (id, attempts): (i64, u32) = (row.get(0)?, row.get(7)?);
        let state = read::state(row.get(5)?)?;
        // As `read::unanswered` says it, asked only where the answer can be yes.
        let retry =
            state == State::Pending && read::reason(row.get(6)?)? == Some(PendingReason::Retry);
        let stuck = retry
            && attempts >= STUCK_AFTER
            && unanswered.query_row([id], |row| row.get::<_, i64>(0))? >= i64::from(STUCK_AFTER);
        let due = matches!(state, State::Pending | State::InFlight);
        surveyor.call(&Surveyed {
            id,
            start: ColumnTime(row.get(1)?),
            fold: row.get(2)?,
            source: row.get_ref(3)?.as_str().map_err(|_| Fault::Damaged)?,
            destination: row.get_ref(4)?.as_str().map_err(|_| Fault::Damaged)?,
            state,
            stuck,
            attempts,
            last_attempt: row.get(8)?,
            instant: row.get(9)?,
            drift: row.get(10)?,
            missing: if due {
                read::missing(row.get(11)?)?
            } else {
                Missing::Nothing
            },
        });
    }
    Ok(())
}

fn forms(
    db: &rusqlite::Connection,
    job: i64,
    wanted: &RangeInclusive<i64>,
    surveyor: &mut impl Surveyor,
) -> Result<(), Fault> {
    // Left to itself SQLite takes the index by job, and comes to the forms in the order of their hashes.
    let mut statement = db.prepare_cached(
        "SELECT call, start, destination, duration FROM wire_forms NOT INDEXED \
         WHERE call BETWEEN ?1 AND ?2 AND job = ?3",
    )?;
    let mut rows = statement.query((wanted.start(), wanted.end(), job))?;
    while let Some(row) = rows.next()? {
        surveyor.form(&SurveyedForm {
            call: row.get(0)?,
            start: ColumnTime(row.get(1)?),
            destination: row.get_ref(2)?.as_str().map_err(|_| Fault::Damaged)?,
            duration: row.get::<_, i64>(3)?.cast_unsigned(),
        });
    }
    Ok(())
}
