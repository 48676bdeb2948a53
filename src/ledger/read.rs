//! What a run asks the ledger: entries in order, owners of wire keys, calls that wait for a number.

use std::collections::HashSet;
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::entry::{Entry, Missing, PendingReason, Standing, State, Wires};
use super::error::Fault;
use super::store::Store;
use crate::call::{ColumnTime, Fold, Identity, PhoneNumber, RawNumber, WireForm};
use crate::fault;
use crate::target::Receipt;

/// Runs in a row in which the call `c` got no verdict, as an SQL expression: a run leaves one attempt on record.
macro_rules! unanswered {
    () => {
        "iif(c.state = 4 AND c.reason = 1, (SELECT count(*) FROM attempts a WHERE a.call = c.id \
         AND a.id > coalesce((SELECT max(v.id) FROM attempts v WHERE v.call = c.id AND v.outcome <> 'no_verdict'), 0)), 0)"
    };
}
pub(super) use unanswered;

/// The columns of an [`Entry`], in the order that [`entry`] reads them.
pub(super) const COLUMNS: &str = concat!(
    "c.start, c.fold, c.source, c.destination, c.state, iif(c.state = 1, c.prior_reason, c.reason), \
     c.attempts, c.last_attempt, c.content_hash, c.drift, c.existing, c.contact_id, c.call_id, c.missing, \
     w.initiated, w.source, w.destination, w.duration, w.url, w.form, ",
    unanswered!()
);

pub(super) fn entries(
    store: &Store,
    range: &Range<ColumnTime>,
    wires: Wires,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM calls c LEFT JOIN wire_forms w ON w.call = c.id AND (?4 OR c.state > 1) \
         WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3 \
         AND (c.start, c.fold, c.source, c.destination) > (?2, ?5, ?6, ?7) \
         ORDER BY c.start, c.fold, c.source, c.destination LIMIT ?8"
    ))?;
    // No identity sorts before one with a fold of -1.
    let (start, fold, source, destination) = match after {
        Some(id) if id.start >= range.start => (
            id.start.0,
            i64::from(id.fold.0),
            id.source.as_str(),
            id.destination.as_str(),
        ),
        Some(_) | None => (range.start.0, -1, "", ""),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((
        store.job,
        start,
        range.end.0,
        wires == Wires::All,
        fold,
        source,
        destination,
        limit,
    ))?;
    let mut found = Vec::new();
    fault::point!("ledger.entries");
    while let Some(row) = rows.next()? {
        found.push(entry(row)?);
    }
    Ok(found)
}

/// Where each of these calls stands, which come in the order of identities; `None` for those that are not known. One walk
/// over the calls between the first and the last of them.
pub(super) fn standings<C: AsRef<Identity>>(
    store: &Store,
    calls: &[C],
) -> Result<Vec<Option<Standing>>, Fault> {
    let mut found = vec![None; calls.len()];
    let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
        return Ok(found);
    };
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination, state, iif(state = 1, prior_reason, reason), last_attempt, \
         content_hash, drift FROM calls WHERE job = ?1 AND start >= ?2 AND start <= ?3 \
         ORDER BY start, fold, source, destination",
    )?;
    let mut rows = statement.query((store.job, first.as_ref().start.0, last.as_ref().start.0))?;
    fault::point!("ledger.standings");
    let mut at = 0;
    while let Some(row) = rows.next()? {
        let known: (i64, u8, &str, &str) = (
            row.get(0)?,
            row.get(1)?,
            row.get_ref(2)?.as_str().map_err(|_| Fault::Damaged)?,
            row.get_ref(3)?.as_str().map_err(|_| Fault::Damaged)?,
        );
        let order = |call: &C| {
            let id = call.as_ref();
            let asked = (
                id.start.0,
                id.fold.0,
                id.source.as_str(),
                id.destination.as_str(),
            );
            asked.cmp(&known)
        };
        while calls.get(at).is_some_and(|call| order(call).is_lt()) {
            at += 1;
        }
        let Some(call) = calls.get(at) else { break };
        if order(call).is_eq() {
            found[at] = Some(Standing {
                state: state(row.get(4)?)?,
                pending: reason(row.get(5)?)?,
                last_attempt: row.get(6)?,
                content_hash: row.get(7)?,
                drift: row.get(8)?,
            });
            at += 1;
        }
    }
    Ok(found)
}

/// The entries of these calls, one by one, in their order; a call that is not known has none.
pub(super) fn entries_of(
    store: &Store,
    wanted: &[Identity],
    wires: Wires,
) -> Result<Vec<Option<Entry>>, Fault> {
    let tx = one_view(store)?;
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM calls c LEFT JOIN wire_forms w ON w.call = c.id AND (?6 OR c.state > 1) \
         WHERE c.job = ?1 AND c.start = ?2 AND c.fold = ?3 AND c.source = ?4 AND c.destination = ?5"
    ))?;
    let one = |id: &Identity| {
        let mut rows = statement.query((
            store.job,
            id.start.0,
            id.fold.0,
            id.source.as_str(),
            id.destination.as_str(),
            wires == Wires::All,
        ))?;
        rows.next()?.map(entry).transpose()
    };
    fault::point!("ledger.entries_of");
    wanted.iter().map(one).collect()
}

/// Whether any call is delivered: found at once where many are.
pub(super) fn any_delivered(store: &Store) -> Result<bool, Fault> {
    let mut statement = store
        .db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM calls WHERE job = ?1 AND state = 0)")?;
    Ok(statement.query_row([store.job], |row| row.get(0))?)
}

/// The words under which calls are rejected now, each once, at most `limit`.
pub(super) fn refusals(store: &Store, limit: usize) -> Result<Vec<String>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT DISTINCT (SELECT a.words FROM attempts a WHERE a.call = c.id ORDER BY a.id DESC LIMIT 1) AS said \
         FROM calls c INDEXED BY calls_unsettled \
         WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state = 3 AND said IS NOT NULL LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map((store.job, limit), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn due(
    store: &Store,
    range: &Range<ColumnTime>,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM calls c INDEXED BY calls_unsettled LEFT JOIN wire_forms w ON w.call = 0 \
         WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state IN (4, 5) AND c.start >= ?2 AND c.start < ?3 \
         AND (c.start, c.fold, c.source, c.destination) > (?2, ?4, ?5, ?6) \
         ORDER BY c.start, c.fold, c.source, c.destination LIMIT ?7"
    ))?;
    // No identity sorts before one with a fold of -1.
    let (start, fold, source, destination) = after.map_or((range.start.0, -1, "", ""), |last| {
        (
            last.start.0,
            i64::from(last.fold.0),
            last.source.as_str(),
            last.destination.as_str(),
        )
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((
        store.job,
        start,
        range.end.0,
        fold,
        source,
        destination,
        limit,
    ))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(bare_entry(row)?);
    }
    Ok(found)
}

pub(super) fn owners<F: AsRef<WireForm>>(
    store: &Store,
    forms: &[F],
) -> Result<Vec<Option<Identity>>, Fault> {
    // Without the hints, SQLite prefers to walk the whole table in the order of `call`.
    let tx = one_view(store)?;
    let mut statement = tx.prepare_cached(
        "SELECT c.start, c.fold, c.source, c.destination, w.call \
         FROM wire_forms w INDEXED BY wire_forms_key \
         CROSS JOIN calls c ON c.job = w.job AND c.start = w.start AND c.id = w.call \
         WHERE w.job = ?1 AND w.initiated = ?2 AND w.key_hash = ?3 AND w.source = ?4 AND w.destination = ?5 \
         AND iif(c.state = 1, c.prior_reason, c.reason) IS NOT 4 AND NOT (c.state IN (4, 5) AND c.missing <> 0)",
    )?;
    let owner = |form: &F| {
        let form = form.as_ref();
        let mut rows = statement.query((
            store.job,
            &form.initiated,
            form.key_hash(),
            form.source.as_str(),
            form.destination.as_str(),
        ))?;
        // Mostly there is none, and seldom more than one: sorting them would cost more than all the rest.
        let mut first: Option<(i64, Identity)> = None;
        while let Some(row) = rows.next()? {
            let call: i64 = row.get(4)?;
            if first.as_ref().is_none_or(|(known, _)| call < *known) {
                first = Some((call, identity(row, 0)?));
            }
        }
        Ok(first.map(|(_, identity)| identity))
    };
    forms.iter().map(owner).collect()
}

pub(super) fn unmatched_followers(
    store: &Store,
    range: &Range<ColumnTime>,
    destinations: &HashSet<PhoneNumber>,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM calls c INDEXED BY calls_unsettled JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state = 2 AND c.start >= ?2 AND c.start < ?3 \
         AND (c.start, c.fold, c.source, c.destination) > (?2, ?4, ?5, ?6) \
         ORDER BY c.start, c.fold, c.source, c.destination"
    ))?;
    // No identity sorts before one with a fold of -1.
    let (start, fold, source, destination) = after.map_or((range.start.0, -1, "", ""), |last| {
        (
            last.start.0,
            i64::from(last.fold.0),
            last.source.as_str(),
            last.destination.as_str(),
        )
    });
    let mut rows = statement.query((store.job, start, range.end.0, fold, source, destination))?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let follower = entry(row)?;
        if follower
            .wire
            .as_ref()
            .is_some_and(|wire| destinations.contains(&wire.destination))
        {
            found.push(follower);
        }
    }
    Ok(found)
}

/// One transaction for many small questions: each by itself would lock the file and let it go again.
fn one_view(store: &Store) -> Result<Transaction<'_>, Fault> {
    Ok(store.db.unchecked_transaction()?)
}

/// The key columns from column `at` on.
pub(super) fn identity(row: &Row<'_>, at: usize) -> rusqlite::Result<Identity> {
    Ok(Identity {
        start: ColumnTime(row.get(at)?),
        fold: Fold(row.get(at + 1)?),
        source: RawNumber(row.get(at + 2)?),
        destination: RawNumber(row.get(at + 3)?),
    })
}

/// The wire form's columns from column `at` on; `None` where the join found none.
pub(super) fn wire(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<WireForm>> {
    let Some(initiated) = row.get(at)? else {
        return Ok(None);
    };
    Ok(Some(WireForm {
        initiated,
        source: PhoneNumber(row.get(at + 1)?),
        destination: PhoneNumber(row.get(at + 2)?),
        duration: row.get::<_, i64>(at + 3)?.cast_unsigned(),
        url: row.get(at + 4)?,
        form: row.get(at + 5)?,
    }))
}

pub(super) fn state(code: i64) -> Result<State, Fault> {
    State::from_code(code).ok_or(Fault::Damaged)
}

pub(super) fn reason(code: Option<i64>) -> Result<Option<PendingReason>, Fault> {
    code.map(|code| PendingReason::from_code(code).ok_or(Fault::Damaged))
        .transpose()
}

pub(super) fn missing(code: i64) -> Result<Missing, Fault> {
    Missing::from_code(code).ok_or(Fault::Damaged)
}

/// The frozen wire form of one call.
pub(super) fn frozen(db: &Connection, call: i64) -> Result<Option<WireForm>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT initiated, source, destination, duration, url, form FROM wire_forms WHERE call = ?1",
    )?;
    Ok(statement
        .query_row([call], |row| wire(row, 0))
        .optional()?
        .flatten())
}

/// Reads [`COLUMNS`]. A call that is due has a wire form, and one that its hash vouches for: nothing else is ever sent.
pub(super) fn entry(row: &Row<'_>) -> Result<Entry, Fault> {
    let entry = bare_entry(row)?;
    let wire = wire(row, 14)?;
    let vouched = wire.as_ref().map_or(!entry.state.is_unsettled(), |wire| {
        wire.content_hash() == entry.content_hash
    });
    if !vouched {
        return Err(Fault::Damaged);
    }
    Ok(Entry { wire, ..entry })
}

/// Reads [`COLUMNS`], the wire form left out.
fn bare_entry(row: &Row<'_>) -> Result<Entry, Fault> {
    Ok(Entry {
        identity: identity(row, 0)?,
        state: state(row.get(4)?)?,
        pending: reason(row.get(5)?)?,
        attempts: row.get(6)?,
        last_attempt: row.get(7)?,
        content_hash: row.get(8)?,
        drift: row.get(9)?,
        receipt: Receipt {
            existing: row.get(10)?,
            contact_id: row.get(11)?,
            call_id: row.get(12)?,
        },
        missing: missing(row.get(13)?)?,
        wire: None,
        unanswered: row.get(20)?,
    })
}
