//! What a run tells the ledger: intents before requests leave, outcomes before they are counted.

use rusqlite::{CachedStatement, OptionalExtension, Statement, Transaction};

use super::entry::{Intent, PendingReason, Recorded, State};
use super::error::Fault;
use super::runs::RunId;
use super::store::Store;
use super::{mark, read};
use crate::call::{Identity, WireForm};
use crate::fault;
use crate::target::Receipt;

/// Most characters kept of what the CRM said.
pub const WORDS: usize = 500;

pub(super) fn intents(store: &mut Store, run: RunId, intents: &[Intent]) -> Result<(), Fault> {
    store.write(fault::step!("ledger.intents"), (), |tx, job| {
        let settings: i64 = tx
            .prepare_cached("SELECT settings FROM runs WHERE id = ?1 AND job = ?2")?
            .query_row((run.0, job), |row| row.get(0))
            .optional()?
            .ok_or_else(|| Fault::Wrong("an intent of a run that was not started".into()))?;
        // Every call has a frozen form, so the highest number of these is the highest of all.
        let mut last: i64 = tx
            .prepare_cached("SELECT coalesce(max(call), 0) FROM wire_forms")?
            .query_row([], |row| row.get(0))?;
        let mut freezing = Freezing::new(tx, job, settings)?;
        for intent in intents {
            // Most calls are new: no look at what is on record before one turns out not to be.
            if freezing.first(last + 1, intent)? {
                last += 1;
            } else {
                let known = known(tx, job, &intent.identity)?
                    .ok_or_else(|| Fault::Wrong("a first intent without a wire form".into()))?;
                again(tx, job, settings, &known, intent)?;
            }
            fault::point!("ledger.intents.row");
        }
        Ok(())
    })
}

pub(super) fn outcomes(
    store: &mut Store,
    run: RunId,
    at: i64,
    outcomes: &[(Identity, Recorded)],
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.outcomes"), (), |tx, job| {
        let mut delivered = Delivered::new(tx, job)?;
        for (identity, recorded) in outcomes {
            let done = match recorded {
                Recorded::Delivered(receipt) => delivered.at_once(identity, at, receipt)?,
                Recorded::Unmatched { .. }
                | Recorded::Rejected { .. }
                | Recorded::Pending { .. }
                | Recorded::Held { .. }
                | Recorded::Doubted { .. }
                | Recorded::NotAttempted => false,
            };
            if !done {
                let known = known(tx, job, identity)?
                    .filter(|known| {
                        known.state == State::InFlight
                            || (known.state == State::Delivered
                                && matches!(recorded, Recorded::Doubted { .. }))
                    })
                    .ok_or_else(|| Fault::Wrong("an outcome without an intent".into()))?;
                outcome(tx, job, run, at, &known, identity, recorded)?;
            }
            fault::point!("ledger.outcomes.row");
        }
        Ok(())
    })
}

/// The first [`WORDS`] characters.
pub(super) fn cut(words: &str) -> String {
    words.chars().take(WORDS).collect()
}

/// What recording needs to know of a call that is on record.
struct Known {
    id: i64,
    state: State,
    reason: Option<PendingReason>,
    attempts: u32,
    prior: Option<State>,
    prior_reason: Option<PendingReason>,
}

impl Known {
    /// Nothing of it is at the CRM, and today's form takes the place of the frozen one.
    fn is_rebuilt(&self) -> bool {
        let reason = match self.state {
            State::Withdrawn => self.prior_reason,
            State::Delivered
            | State::Unmatched
            | State::Rejected
            | State::Pending
            | State::InFlight
            | State::Held => self.reason,
        };
        reason == Some(PendingReason::Rebuild)
    }
}

fn known(tx: &Transaction<'_>, job: i64, id: &Identity) -> Result<Option<Known>, Fault> {
    let mut statement = tx.prepare_cached(
        "SELECT id, state, reason, attempts, prior_state, prior_reason FROM calls \
         WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5",
    )?;
    let key = (
        job,
        id.start.0,
        id.fold.0,
        id.source.as_str(),
        id.destination.as_str(),
    );
    let mut rows = statement.query(key)?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let prior: Option<i64> = row.get(4)?;
    Ok(Some(Known {
        id: row.get(0)?,
        state: read::state(row.get(1)?)?,
        reason: read::reason(row.get(2)?)?,
        attempts: row.get(3)?,
        prior: prior.map(read::state).transpose()?,
        prior_reason: read::reason(row.get(5)?)?,
    }))
}

/// Records first intents, with statements that are prepared once for all of a block.
struct Freezing<'a> {
    insert: CachedStatement<'a>,
    forms: CachedStatement<'a>,
    origins: CachedStatement<'a>,
    tx: &'a Transaction<'a>,
    job: i64,
    settings: i64,
    /// Whether any call is on record as folded into another.
    folds: bool,
}

impl<'a> Freezing<'a> {
    fn new(tx: &'a Transaction<'a>, job: i64, settings: i64) -> Result<Self, Fault> {
        let folds = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM collisions WHERE job = ?1)")?
            .query_row([job], |row| row.get(0))?;
        Ok(Self {
            insert: tx.prepare_cached(
                "INSERT INTO calls (job, start, fold, source, destination, id, state, attempts, instant, content_hash, settings) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 5, 1, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
            )?,
            forms: tx.prepare_cached(&format!("INSERT INTO {FORM}"))?,
            origins: tx.prepare_cached(&format!("INSERT INTO {ORIGIN}"))?,
            tx,
            job,
            settings,
            folds,
        })
    }

    /// The first intent of a call: from here on it is known by the number `call`, and its bytes are fixed. `false`, and
    /// nothing done, where it is known already or the intent brings no form.
    fn first(&mut self, call: i64, intent: &Intent) -> Result<bool, Fault> {
        let Some(wire) = &intent.wire else {
            return Ok(false);
        };
        let id = &intent.identity;
        let inserted = self.insert.execute((
            self.job,
            id.start.0,
            id.fold.0,
            id.source.as_str(),
            id.destination.as_str(),
            call,
            intent.instant,
            wire.content_hash(),
            self.settings,
        ))?;
        if inserted == 0 {
            return Ok(false);
        }
        if self.folds {
            mark::unfold(self.tx, self.job, id)?;
        }
        put_form(&mut self.forms, self.job, call, id, wire)?;
        put_origin(&mut self.origins, call, intent)?;
        Ok(true)
    }
}

/// Records deliveries at the first try, with a statement that is prepared once for all of a block.
struct Delivered<'a> {
    update: CachedStatement<'a>,
    job: i64,
}

impl<'a> Delivered<'a> {
    fn new(tx: &'a Transaction<'a>, job: i64) -> Result<Self, Fault> {
        let update = tx.prepare_cached(
            "UPDATE calls SET state = 0, prior_state = NULL, prior_reason = NULL, last_attempt = ?6, existing = ?7, \
             contact_id = ?8, call_id = ?9 \
             WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5 AND state = 5 AND attempts = 1",
        )?;
        Ok(Self { update, job })
    }

    /// `false`, and nothing done, where the call was tried before: that is worth a line of its own.
    fn at_once(&mut self, id: &Identity, at: i64, receipt: &Receipt) -> Result<bool, Fault> {
        let updated = self.update.execute((
            self.job,
            id.start.0,
            id.fold.0,
            id.source.as_str(),
            id.destination.as_str(),
            at,
            receipt.existing,
            receipt.contact_id,
            receipt.call_id,
        ))?;
        Ok(updated == 1)
    }
}

/// An intent of a call that is known: the frozen bytes stay, but after a confirmed deletion for a rebuild.
fn again(
    tx: &Transaction<'_>,
    job: i64,
    settings: i64,
    known: &Known,
    intent: &Intent,
) -> Result<(), Fault> {
    let id = &intent.identity;
    match &intent.wire {
        Some(wire) if known.is_rebuilt() => {
            tx.prepare_cached(
                "UPDATE calls SET instant = ?6, content_hash = ?7, settings = ?8, drift = 0 \
                 WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5",
            )?
            .execute((
                job,
                id.start.0,
                id.fold.0,
                id.source.as_str(),
                id.destination.as_str(),
                intent.instant,
                wire.content_hash(),
                settings,
            ))?;
            mark::unfold(tx, job, id)?;
            refreeze(tx, job, known.id, intent, wire)?;
        }
        Some(wire) if read::frozen(tx, known.id)?.as_ref() != Some(wire) => {
            return Err(Fault::Wrong(
                "an intent with other bytes than the frozen ones".into(),
            ));
        }
        Some(_) | None => {}
    }
    // What was in flight when a run was killed may have been sent: nothing takes that back. What was frozen anew just
    // now stays frozen.
    let (prior, prior_reason) = match known.state {
        State::Pending | State::Withdrawn if known.is_rebuilt() && intent.wire.is_some() => {
            (State::Pending, Some(PendingReason::Deleted))
        }
        State::InFlight => (State::Pending, Some(PendingReason::Retry)),
        State::Delivered
        | State::Withdrawn
        | State::Unmatched
        | State::Rejected
        | State::Pending
        | State::Held => (known.state, known.reason),
    };
    tx.prepare_cached(
        "UPDATE calls SET state = 5, reason = NULL, prior_state = ?6, prior_reason = ?7, attempts = attempts + 1, missing = 0 \
         WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5",
    )?
    .execute((
        job,
        id.start.0,
        id.fold.0,
        id.source.as_str(),
        id.destination.as_str(),
        prior.code(),
        prior_reason.map(PendingReason::code),
    ))?;
    Ok(())
}

/// What follows `INSERT INTO` for a wire form, and for an origin.
const FORM: &str = "wire_forms (call, job, start, initiated, source, destination, duration, url, form, key_hash) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const ORIGIN: &str =
    "origins (call, uniqueid, linkedid, sequence, disposition) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Freezes another form in the place of the one that is frozen.
fn refreeze(
    tx: &Transaction<'_>,
    job: i64,
    call: i64,
    intent: &Intent,
    wire: &WireForm,
) -> Result<(), Fault> {
    let mut forms = tx.prepare_cached(&format!("INSERT OR REPLACE INTO {FORM}"))?;
    put_form(&mut forms, job, call, &intent.identity, wire)?;
    let mut origins = tx.prepare_cached(&format!("INSERT OR REPLACE INTO {ORIGIN}"))?;
    put_origin(&mut origins, call, intent)
}

fn put_form(
    statement: &mut Statement<'_>,
    job: i64,
    call: i64,
    id: &Identity,
    wire: &WireForm,
) -> Result<(), Fault> {
    statement.execute((
        call,
        job,
        id.start.0,
        &wire.initiated,
        wire.source.as_str(),
        wire.destination.as_str(),
        wire.duration.cast_signed(),
        &wire.url,
        &wire.form,
        wire.key_hash(),
    ))?;
    Ok(())
}

fn put_origin(statement: &mut Statement<'_>, call: i64, intent: &Intent) -> Result<(), Fault> {
    let origin = &intent.origin;
    statement.execute((
        call,
        &origin.uniqueid,
        &origin.linkedid,
        origin.sequence,
        intent.disposition.as_str(),
    ))?;
    Ok(())
}

fn outcome(
    tx: &Transaction<'_>,
    job: i64,
    run: RunId,
    at: i64,
    known: &Known,
    id: &Identity,
    recorded: &Recorded,
) -> Result<(), Fault> {
    let nothing = Receipt::default();
    // State and reason; the receipt, where it changes; what `attempts` is to hold, where it is worth a row.
    let (state, reason, receipt, told) = match recorded {
        Recorded::Delivered(receipt) => {
            let word = if receipt.existing {
                "existing"
            } else {
                "delivered"
            };
            let told = (known.attempts > 1).then_some((word, ""));
            (State::Delivered, None, Some(receipt), told)
        }
        Recorded::Unmatched { reason } => (
            State::Unmatched,
            None,
            Some(&nothing),
            Some(("unmatched", reason.as_str())),
        ),
        Recorded::Rejected { reason } => (
            State::Rejected,
            None,
            Some(&nothing),
            Some(("rejected", reason.as_str())),
        ),
        Recorded::Pending { reason } => {
            let told = Some(("no_verdict", reason.as_str()));
            (State::Pending, Some(PendingReason::Retry), None, told)
        }
        Recorded::Doubted { reason } => {
            let told = Some(("no_verdict", reason.as_str()));
            (
                State::Pending,
                Some(PendingReason::Verify),
                Some(&nothing),
                told,
            )
        }
        Recorded::Held { reason } => (
            State::Held,
            None,
            None,
            Some(("no_verdict", reason.as_str())),
        ),
        Recorded::NotAttempted => match known.prior {
            Some(prior) => (prior, known.prior_reason, None, None),
            None => (State::Pending, Some(PendingReason::New), None, None),
        },
    };
    let attempted = !matches!(recorded, Recorded::NotAttempted);
    tx.prepare_cached(
        "UPDATE calls SET state = ?6, reason = ?7, prior_state = NULL, prior_reason = NULL, \
         attempts = max(0, attempts - NOT ?8), last_attempt = iif(?8, ?9, last_attempt), \
         existing = iif(?10, ?11, existing), contact_id = iif(?10, ?12, contact_id), call_id = iif(?10, ?13, call_id) \
         WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5",
    )?
    .execute((
        job,
        id.start.0,
        id.fold.0,
        id.source.as_str(),
        id.destination.as_str(),
        state.code(),
        reason.map(PendingReason::code),
        attempted,
        at,
        receipt.is_some(),
        receipt.is_some_and(|receipt| receipt.existing),
        receipt.and_then(|receipt| receipt.contact_id),
        receipt.and_then(|receipt| receipt.call_id),
    ))?;
    if let Some((word, words)) = told {
        tx.prepare_cached(
            "INSERT INTO attempts (call, run, at, outcome, words) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((known.id, run.0, at, word, cut(words)))?;
    }
    Ok(())
}
