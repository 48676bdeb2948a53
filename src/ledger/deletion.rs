//! Deletions: recorded before the request leaves, put back where nothing was deleted, found again after a kill.
//!
//! Between the request and its recorded answer every call that the CRM may have deleted is due, with its frozen bytes:
//! sending one that is still there changes nothing, and one that is gone comes back.

use std::ops::{Range, RangeInclusive};

use chrono::NaiveDate;
use rusqlite::Transaction;

use super::entry::{PendingReason, State};
use super::error::Fault;
use super::read::identity;
use super::record::cut;
use super::store::Store;
use crate::call::Identity;
use crate::fault;
use crate::target;

/// Seconds by which a start on the column's clock and the same start as an instant, or as its frozen rendering's date,
/// can lie apart: no zone is a day away from another, whatever was configured when; doubled, and a day for the date.
const APART: i64 = 3 * 86_400;

/// A set of calls: those that any of its parts holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// By start as an instant, Unix seconds: local or UTC days, as the caller counts them.
    pub instants: Vec<Range<i64>>,
    /// By the date that the frozen `initiated` begins with.
    pub wire_dates: Option<RangeInclusive<NaiveDate>>,
}

/// What a deletion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `delete`: the next run that covers the days sends them again.
    SendAgain,
    /// `delete --for-good`: they stay out until `--resend`.
    Withdraw,
    /// `rebuild`: sent again by today's settings, once the CRM has confirmed that it deleted them.
    Rebuild,
}

/// A deletion that is about to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionPlan {
    /// The days as a person named them, inclusive.
    pub days: RangeInclusive<NaiveDate>,
    /// What it is for.
    pub purpose: Purpose,
    /// The calls of these days.
    pub main: Selection,
    /// The calls that another reading of the bounds could take along; those of `main` may be among them.
    pub around: Selection,
    /// Unix seconds.
    pub started: i64,
}

/// Number of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionId(pub i64);

/// A deletion that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Its number.
    pub id: DeletionId,
    /// Calls of the named days that were delivered.
    pub main: u64,
    /// Calls around them that are to be verified.
    pub around: u64,
}

/// A deletion whose answer was never recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDeletion {
    /// Its number.
    pub id: DeletionId,
    /// The days as a person named them, inclusive.
    pub days: RangeInclusive<NaiveDate>,
    /// What it was for.
    pub purpose: Purpose,
    /// Unix seconds.
    pub started: i64,
}

impl Purpose {
    /// The word on record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendAgain => "send_again",
            Self::Withdraw => "withdraw",
            Self::Rebuild => "rebuild",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::SendAgain, Self::Withdraw, Self::Rebuild]
            .into_iter()
            .find(|purpose| purpose.as_str() == word)
    }
}

impl Selection {
    /// Whether it holds a call that starts at this instant and whose frozen start reads like this.
    #[must_use]
    pub fn holds(&self, instant: i64, initiated: &str) -> bool {
        self.instants.iter().any(|range| range.contains(&instant))
            || self.wire_dates.as_ref().is_some_and(|dates| {
                initiated
                    .get(..10)
                    .and_then(|date| date.parse::<NaiveDate>().ok())
                    .is_some_and(|date| dates.contains(&date))
            })
    }

    /// Starts, on any column's clock, outside of which no call of the selection can lie; `None` for an empty one.
    fn starts(&self) -> Option<Range<i64>> {
        let midnight = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
        let dates = self
            .wire_dates
            .iter()
            .map(|days| midnight(*days.start())..midnight(*days.end()));
        self.instants
            .iter()
            .cloned()
            .chain(dates)
            .map(|range| range.start.saturating_sub(APART)..range.end.saturating_add(APART))
            .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
    }
}

pub(super) fn begin(store: &mut Store, plan: &DeletionPlan) -> Result<Begun, Fault> {
    let dry = Begun {
        id: DeletionId(0),
        main: 0,
        around: 0,
    };
    store.write(fault::step!("ledger.deletion_begin"), dry, |tx, job| {
        tx.execute(
            "INSERT INTO deletions (job, from_day, to_day, purpose, started) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                job,
                plan.days.start().to_string(),
                plan.days.end().to_string(),
                plan.purpose.as_str(),
                plan.started,
            ),
        )?;
        let id = DeletionId(tx.last_insert_rowid());
        let (main, around) = choose(tx, job, id, plan)?;
        fault::point!("ledger.deletion_begin.chosen");
        apply(tx, job, id, "new")?;
        Ok(Begun { id, main, around })
    })
}

pub(super) fn finish(
    store: &mut Store,
    id: DeletionId,
    at: i64,
    result: &target::Deletion,
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.deletion_finish"), (), |tx, job| {
        let open: Option<String> = {
            let mut statement = tx.prepare(
                "SELECT purpose FROM deletions WHERE id = ?1 AND job = ?2 AND ended IS NULL",
            )?;
            let mut rows = statement.query((id.0, job))?;
            rows.next()?.map(|row| row.get(0)).transpose()?
        };
        let Some(purpose) = open else {
            return Err(Fault::Wrong(
                "the end of a deletion that is not open".into(),
            ));
        };
        let purpose = Purpose::parse(&purpose).ok_or(Fault::Damaged)?;
        let (outcome, count, words) = match result {
            target::Deletion::Deleted { count } => {
                if purpose == Purpose::Rebuild {
                    rebuild(tx, job, id)?;
                }
                ("deleted", Some(count.cast_signed()), None)
            }
            target::Deletion::Refused { reason } | target::Deletion::NotSent { reason } => {
                apply(tx, job, id, "old")?;
                ("nothing_deleted", None, Some(cut(reason)))
            }
            // An answer that is no answer proves nothing about what was deleted.
            target::Deletion::Unknown { reason } | target::Deletion::Broken { reason } => {
                ("unknown", None, Some(cut(reason)))
            }
        };
        tx.execute(
            "UPDATE deletions SET ended = ?2, outcome = ?3, count = ?4, words = ?5 WHERE id = ?1",
            (id.0, at, outcome, count, words),
        )?;
        fault::point!("ledger.deletion_finish.noted");
        tx.execute("DELETE FROM deleted_calls WHERE deletion = ?1", [id.0])?;
        Ok(())
    })
}

pub(super) fn unfinished(store: &Store) -> Result<Vec<UnfinishedDeletion>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT id, from_day, to_day, purpose, started FROM deletions WHERE job = ?1 AND ended IS NULL ORDER BY id",
    )?;
    let mut rows = statement.query([store.job])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let day = |at: usize| -> Result<NaiveDate, Fault> {
            row.get::<_, String>(at)?
                .parse()
                .map_err(|_| Fault::Damaged)
        };
        found.push(UnfinishedDeletion {
            id: DeletionId(row.get(0)?),
            days: day(1)?..=day(2)?,
            purpose: Purpose::parse(&row.get::<_, String>(3)?).ok_or(Fault::Damaged)?,
            started: row.get(4)?,
        });
    }
    Ok(found)
}

pub(super) fn delivered_in(
    store: &Store,
    instants: &Range<i64>,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<(Identity, i64)>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination, instant FROM calls \
         WHERE job = ?1 AND start >= ?2 AND start < ?3 AND (start, fold, source, destination) > (?2, ?4, ?5, ?6) \
         AND state = 0 AND instant >= ?7 AND instant < ?8 \
         ORDER BY start, fold, source, destination LIMIT ?9",
    )?;
    let first = instants.start.saturating_sub(APART);
    let (start, fold, source, destination) = after.map_or((first, -1, "", ""), |last| {
        (
            last.start.0,
            i64::from(last.fold.0),
            last.source.as_str(),
            last.destination.as_str(),
        )
    });
    let found = statement.query_map(
        (
            store.job,
            start,
            instants.end.saturating_add(APART),
            fold,
            source,
            destination,
            instants.start,
            instants.end,
            i64::try_from(limit).unwrap_or(i64::MAX),
        ),
        |row| Ok((identity(row, 0)?, row.get(4)?)),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn count_delivered(store: &Store, readings: &[Selection]) -> Result<Vec<u64>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT c.instant, w.initiated FROM calls c JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3 AND c.state = 0",
    )?;
    let mut counts = Vec::with_capacity(readings.len());
    for reading in readings {
        let mut count = 0;
        if let Some(starts) = reading.starts() {
            let mut rows = statement.query((store.job, starts.start, starts.end))?;
            while let Some(row) = rows.next()? {
                let initiated: String = row.get(1)?;
                count += u64::from(reading.holds(row.get(0)?, &initiated));
            }
        }
        counts.push(count);
    }
    Ok(counts)
}

/// Writes down which calls the deletion concerns, and what is to become of them; counts the delivered ones.
fn choose(
    tx: &Transaction<'_>,
    job: i64,
    id: DeletionId,
    plan: &DeletionPlan,
) -> Result<(u64, u64), Fault> {
    let both = Selection {
        instants: [plan.main.starts(), plan.around.starts()]
            .into_iter()
            .flatten()
            .collect(),
        wire_dates: None,
    };
    let Some(starts) = both.starts() else {
        return Ok((0, 0));
    };
    let mut candidates = tx.prepare(
        "SELECT c.start, c.id, c.state, c.reason, c.instant, w.initiated \
         FROM calls c JOIN wire_forms w ON w.call = c.id WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3",
    )?;
    let mut note = tx.prepare(
        "INSERT INTO deleted_calls (deletion, start, call, main, old_state, old_reason, new_state, new_reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (mut in_main, mut in_around) = (0, 0);
    let mut rows = candidates.query((job, starts.start, starts.end))?;
    while let Some(row) = rows.next()? {
        let state = super::read::state(row.get(2)?)?;
        let reason = super::read::reason(row.get(3)?)?;
        let instant = row.get(4)?;
        let initiated: String = row.get(5)?;
        let main = plan.main.holds(instant, &initiated);
        if !main && !plan.around.holds(instant, &initiated) {
            continue;
        }
        let Some((new_state, new_reason)) = fate(plan.purpose, main, state, reason) else {
            continue;
        };
        if state == State::Delivered {
            *(if main { &mut in_main } else { &mut in_around }) += 1;
        }
        note.execute((
            id.0,
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            main,
            state.code(),
            reason.map(PendingReason::code),
            new_state.code(),
            new_reason.map(PendingReason::code),
        ))?;
    }
    Ok((in_main, in_around))
}

/// What a deletion makes of a call before its request leaves; `None`: it does not concern it.
fn fate(
    purpose: Purpose,
    main: bool,
    state: State,
    reason: Option<PendingReason>,
) -> Option<(State, Option<PendingReason>)> {
    match (state, purpose, main) {
        (State::Delivered, Purpose::Withdraw, true) => Some((State::Withdrawn, None)),
        (State::Delivered, Purpose::SendAgain | Purpose::Rebuild, true) => {
            Some((State::Pending, Some(PendingReason::Deleted)))
        }
        (State::Delivered, _, false) => Some((State::Pending, Some(PendingReason::Verify))),
        // Sent once or about to be: at the CRM perhaps, and unwanted in any case.
        (State::Pending | State::InFlight, Purpose::Withdraw, true) => {
            Some((State::Withdrawn, None))
        }
        // As they are for now; noted, because today's settings take over once the deletion is confirmed.
        (
            State::Pending | State::InFlight | State::Unmatched | State::Rejected,
            Purpose::Rebuild,
            true,
        ) => Some((state, reason)),
        (State::Pending | State::InFlight | State::Unmatched | State::Rejected, _, _) => None,
        (State::Withdrawn | State::Held, _, _) => None,
    }
}

/// Sets the calls of a deletion to what it made of them (`new`), or back (`old`): only those that are still as it left
/// them, in case a run that came in between has got further.
fn apply(tx: &Transaction<'_>, job: i64, id: DeletionId, side: &'static str) -> Result<(), Fault> {
    let other = if side == "new" { "old" } else { "new" };
    tx.execute(
        &format!(
            "UPDATE calls SET state = d.{side}_state, reason = d.{side}_reason FROM deleted_calls d \
             WHERE d.deletion = ?1 AND calls.job = ?2 AND calls.start = d.start AND calls.id = d.call \
             AND calls.state = d.{other}_state AND calls.reason IS d.{other}_reason"
        ),
        (id.0, job),
    )?;
    Ok(())
}

/// After a confirmed deletion nothing is left at the CRM of the named days' calls: their bytes need not be kept.
fn rebuild(tx: &Transaction<'_>, job: i64, id: DeletionId) -> Result<(), Fault> {
    tx.execute(
        "UPDATE calls SET state = 4, reason = 4, prior_state = NULL, prior_reason = NULL FROM deleted_calls d \
         WHERE d.deletion = ?1 AND d.main = 1 AND calls.job = ?2 AND calls.start = d.start AND calls.id = d.call \
         AND calls.state = d.new_state AND calls.reason IS d.new_reason",
        (id.0, job),
    )?;
    Ok(())
}
