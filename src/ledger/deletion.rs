//! Deletions: recorded before the request leaves, put back where nothing was deleted, found again after a kill.
//!
//! Between the request and its recorded answer every call that the CRM may have deleted is due, with its frozen bytes:
//! sending one that is still there changes nothing, and one that is gone comes back.
//!
//! A rebuild stays on record until its calls were sent again: the deletion is repeated until the CRM has confirmed it.

use std::ops::{Range, RangeInclusive};

use chrono::NaiveDate;
use rusqlite::Transaction;

use super::entry::{PendingReason, State};
use super::error::Fault;
use super::record::cut;
use super::selection::{Selection, lies_within};
use super::store::Store;
use crate::fault;
use crate::target;

/// What a deletion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `delete`: the next run that covers the days sends them again.
    SendAgain,
    /// `delete --for-good`: they stay out until `--resend`.
    Withdraw,
    /// `rebuild`: sent again by today's settings, once the CRM has confirmed that it deleted them. It stays open until
    /// that was done.
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
    /// For [`Purpose::Rebuild`]: days that the CRM deletes whole, whatever its reading of the bounds. A call of `main`
    /// that its own frozen start does not put there under every reading may survive: it is treated as one of `around`,
    /// since a second form of it must not go out beside the first. `None`: no call can survive.
    pub certain: Option<RangeInclusive<NaiveDate>>,
    /// For [`Purpose::Rebuild`]: what the sending afterwards has to cover, Unix seconds.
    pub window: Range<i64>,
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

/// A deletion whose answer was never recorded, or a rebuild whose calls were not all sent again yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDeletion {
    /// Its number.
    pub id: DeletionId,
    /// The days as a person named them, inclusive.
    pub days: RangeInclusive<NaiveDate>,
    /// What it was for.
    pub purpose: Purpose,
    /// How far it is.
    pub stage: Stage,
    /// For a rebuild: what its sending has to cover, Unix seconds.
    pub window: Range<i64>,
    /// Unix seconds.
    pub started: i64,
}

/// How far an open deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The CRM was asked, and has not confirmed it.
    Asked,
    /// A rebuild: what is left is to send its calls.
    Sending,
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

pub(super) fn begin(store: &mut Store, plan: &DeletionPlan) -> Result<Begun, Fault> {
    let dry = Begun {
        id: DeletionId(0),
        main: 0,
        around: 0,
    };
    store.write(fault::step!("ledger.deletion_begin"), dry, |tx, job| {
        tx.execute(
            "INSERT INTO deletions (job, from_day, to_day, purpose, started, since, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                job,
                plan.days.start().to_string(),
                plan.days.end().to_string(),
                plan.purpose.as_str(),
                plan.started,
                plan.window.start,
                plan.window.end,
            ),
        )?;
        let id = DeletionId(tx.last_insert_rowid());
        let (main, around) = choose(tx, job, id, plan)?;
        fault::point!("ledger.deletion_begin.chosen");
        apply(tx, job, id, "new")?;
        Ok(Begun { id, main, around })
    })
}

/// As [`begin`], after all that were interrupted are given up.
pub(super) fn begin_anew(store: &mut Store, plan: &DeletionPlan) -> Result<Begun, Fault> {
    for older in unfinished(store)? {
        let reason = "interrupted; done again".to_owned();
        let unknown = target::Deletion::Unknown { reason };
        finish(store, older.id, plan.started, &unknown)?;
    }
    begin(store, plan)
}

pub(super) fn repeat(store: &mut Store, id: DeletionId, plan: &DeletionPlan) -> Result<(), Fault> {
    store.write(fault::step!("ledger.deletion_repeat"), (), |tx, job| {
        open(tx, job, id)?;
        // Runs may have sent some of its calls since: they are at the CRM again.
        tx.execute("DELETE FROM deleted_calls WHERE deletion = ?1", [id.0])?;
        choose(tx, job, id, plan)?;
        apply(tx, job, id, "new")?;
        tx.execute(
            "UPDATE deletions SET asked = asked + 1, since = min(since, ?2), until = max(until, ?3) WHERE id = ?1",
            (id.0, plan.window.start, plan.window.end),
        )?;
        Ok(())
    })
}

pub(super) fn finish(
    store: &mut Store,
    id: DeletionId,
    at: i64,
    result: &target::Deletion,
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.deletion_finish"), (), |tx, job| {
        let Open { purpose, asked } = open(tx, job, id)?;
        let rebuild = purpose == Purpose::Rebuild;
        // What becomes of it: its outcome, if that is known; whether it ends here.
        let (outcome, ends, count, words) = match result {
            target::Deletion::Deleted { count } => {
                if rebuild {
                    set_to_rebuild(tx, job, id)?;
                }
                (Some("deleted"), !rebuild, Some(count.cast_signed()), None)
            }
            // Asked before without an answer, it may have been done then.
            target::Deletion::Refused { reason } if asked > 1 => {
                (Some("unknown"), false, None, Some(cut(reason)))
            }
            target::Deletion::NotSent { reason } if asked > 1 => {
                (None, false, None, Some(cut(reason)))
            }
            target::Deletion::Refused { reason } | target::Deletion::NotSent { reason } => {
                apply(tx, job, id, "old")?;
                (Some("nothing_deleted"), true, None, Some(cut(reason)))
            }
            // An answer that is no answer proves nothing about what was deleted.
            target::Deletion::Unknown { reason } | target::Deletion::Broken { reason } => {
                let outcome = (!rebuild).then_some("unknown");
                (outcome, !rebuild, None, Some(cut(reason)))
            }
        };
        tx.execute(
            "UPDATE deletions SET ended = iif(?6, ?2, NULL), outcome = ?3, count = ?4, words = ?5 WHERE id = ?1",
            (id.0, at, outcome, count, words, ends),
        )?;
        if outcome != Some("nothing_deleted") {
            if purpose == Purpose::Withdraw {
                keep_out(tx, job, id)?;
            }
            take_over(tx, job, id, at, rebuild)?;
        }
        fault::point!("ledger.deletion_finish.noted");
        if outcome.is_some() {
            tx.execute("DELETE FROM deleted_calls WHERE deletion = ?1", [id.0])?;
        }
        Ok(())
    })
}

pub(super) fn close_rebuild(store: &mut Store, id: DeletionId, at: i64) -> Result<(), Fault> {
    store.write(fault::step!("ledger.rebuild_close"), (), |tx, job| {
        tx.execute(
            "UPDATE deletions SET ended = ?3 WHERE id = ?1 AND job = ?2 AND ended IS NULL AND purpose = 'rebuild' \
             AND outcome IS NOT NULL",
            (id.0, job, at),
        )?;
        Ok(())
    })
}

pub(super) fn unfinished(store: &Store) -> Result<Vec<UnfinishedDeletion>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT id, from_day, to_day, purpose, started, outcome IS NULL, since, until FROM deletions \
         WHERE job = ?1 AND ended IS NULL ORDER BY id",
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
            stage: if row.get(5)? {
                Stage::Asked
            } else {
                Stage::Sending
            },
            window: row.get(6)?..row.get(7)?,
            started: row.get(4)?,
        });
    }
    Ok(found)
}

/// What is on record about a deletion that the CRM has not confirmed.
struct Open {
    purpose: Purpose,
    asked: i64,
}

fn open(tx: &Transaction<'_>, job: i64, id: DeletionId) -> Result<Open, Fault> {
    let mut statement = tx.prepare(
        "SELECT purpose, asked FROM deletions WHERE id = ?1 AND job = ?2 AND ended IS NULL AND outcome IS NULL",
    )?;
    let mut rows = statement.query((id.0, job))?;
    let Some(row) = rows.next()? else {
        return Err(Fault::Wrong(
            "the end of a deletion that is not open".into(),
        ));
    };
    Ok(Open {
        purpose: Purpose::parse(&row.get::<_, String>(0)?).ok_or(Fault::Damaged)?,
        asked: row.get(1)?,
    })
}

/// Older rebuilds that are open and whose days this deletion covers are not asked for again. A rebuild does their sending, too; another
/// deletion leaves them that.
fn take_over(
    tx: &Transaction<'_>,
    job: i64,
    id: DeletionId,
    at: i64,
    rebuild: bool,
) -> Result<(), Fault> {
    tx.execute(
        "UPDATE deletions SET outcome = coalesce(outcome, 'unknown'), ended = iif(?3, ?4, NULL) FROM \
         (SELECT from_day AS first, to_day AS last FROM deletions WHERE id = ?1) AS newer \
         WHERE job = ?2 AND id < ?1 AND purpose = 'rebuild' AND ended IS NULL \
         AND from_day >= newer.first AND to_day <= newer.last",
        (id.0, job, rebuild, at),
    )?;
    Ok(())
}

/// Writes down which calls the deletion concerns, and what is to become of them; counts the delivered ones.
fn choose(
    tx: &Transaction<'_>,
    job: i64,
    id: DeletionId,
    plan: &DeletionPlan,
) -> Result<(u64, u64), Fault> {
    let bounds = [plan.main.bounds(), plan.around.bounds()]
        .into_iter()
        .flatten()
        .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
    let Some(starts) = bounds else {
        return Ok((0, 0));
    };
    let mut candidates = tx.prepare(
        "SELECT c.start, c.id, c.state, c.reason, c.prior_reason, c.instant, w.initiated \
         FROM calls c JOIN wire_forms w ON w.call = c.id WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3",
    )?;
    let mut note = tx.prepare(
        "INSERT INTO deleted_calls (deletion, start, call, main, old_state, old_reason, new_state, new_reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (mut in_main, mut in_around) = (0, 0);
    let mut rows = candidates.query((job, starts.start, starts.end))?;
    while let Some(row) = rows.next()? {
        let start = row.get(0)?;
        let state = super::read::state(row.get(2)?)?;
        let reason = super::read::reason(row.get(3)?)?;
        let awaited = state == State::Withdrawn && row.get::<_, Option<i64>>(4)?.is_some();
        let instant = row.get(5)?;
        let initiated: String = row.get(6)?;
        let mut main = plan.main.holds(start, instant, &initiated);
        if !main && !plan.around.holds(start, instant, &initiated) {
            continue;
        }
        // What the CRM never took cannot survive there.
        if !matches!(state, State::Unmatched | State::Rejected) {
            main &= plan
                .certain
                .as_ref()
                .is_none_or(|days| lies_within(days, &initiated));
        }
        let Some((new_state, new_reason)) = fate(plan.purpose, main, state, reason, awaited) else {
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

/// What a deletion makes of a call before its request leaves; `None`: it does not concern it. `awaited`: withdrawn until
/// there is something to send in its place.
fn fate(
    purpose: Purpose,
    main: bool,
    state: State,
    reason: Option<PendingReason>,
    awaited: bool,
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
        (State::Withdrawn, Purpose::Withdraw, true) if awaited => Some((State::Withdrawn, None)),
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

/// After a confirmed deletion nothing is left at the CRM of the named days' calls: their bytes need not be kept, and no
/// call is kept out by their keys.
fn set_to_rebuild(tx: &Transaction<'_>, job: i64, id: DeletionId) -> Result<(), Fault> {
    tx.execute(
        "UPDATE calls SET state = 4, reason = 4, prior_state = NULL, prior_reason = NULL, drift = 0 FROM deleted_calls d \
         WHERE d.deletion = ?1 AND d.main = 1 AND calls.job = ?2 AND calls.start = d.start AND calls.id = d.call \
         AND calls.state = d.new_state AND calls.reason IS d.new_reason",
        (id.0, job),
    )?;
    tx.execute(
        "DELETE FROM collisions WHERE job = ?2 AND EXISTS (SELECT 1 FROM deleted_calls d JOIN calls c \
         ON c.job = ?2 AND c.start = d.start AND c.id = d.call \
         WHERE d.deletion = ?1 AND d.main = 1 AND d.start = owner_start AND c.fold = owner_fold \
         AND c.source = owner_source AND c.destination = owner_destination AND c.state = 4 AND c.reason = 4)",
        (id.0, job),
    )?;
    Ok(())
}

/// What a rebuild had withdrawn until there is something to send stays out for good.
fn keep_out(tx: &Transaction<'_>, job: i64, id: DeletionId) -> Result<(), Fault> {
    tx.execute(
        "UPDATE calls SET prior_state = NULL, prior_reason = NULL FROM deleted_calls d \
         WHERE d.deletion = ?1 AND d.main = 1 AND calls.job = ?2 AND calls.start = d.start AND calls.id = d.call \
         AND calls.state = 1",
        (id.0, job),
    )?;
    Ok(())
}
