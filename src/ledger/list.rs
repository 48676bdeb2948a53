//! What a person asks the ledger: counts, lists, one call's story.

use std::collections::BTreeMap;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::entry::{Collision, Missing, PendingReason, STUCK_AFTER, State};
use super::error::Fault;
use super::read::{COLUMNS, WIDTH, entry, identity, missing, reason, state, unanswered, wire};
use super::runs::RunId;
use super::store::Store;
use crate::call::{ColumnTime, Disposition, Identity, Origin, WireForm};
use crate::target::Receipt;

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

/// Which calls to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that drift.
    pub drifting: bool,
    /// First start, on the column's clock.
    pub since: Option<ColumnTime>,
    /// First start that is not listed.
    pub until: Option<ColumnTime>,
    /// Only those whose row has this `uniqueid`.
    pub uniqueid: Option<String>,
    /// Only those with this number, raw or as sent, on either side.
    pub number: Option<String>,
}

/// One call, with everything that `calls` and `why` show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// How it is known.
    pub identity: Identity,
    /// Start as an instant, Unix seconds.
    pub instant: i64,
    /// What became of it.
    pub state: State,
    /// Why it is due, where it is.
    pub pending: Option<PendingReason>,
    /// What was said at the last attempt worth telling about.
    pub words: Option<String>,
    /// As [`super::Entry::attempts`].
    pub attempts: u32,
    /// As [`super::Entry::unanswered`].
    pub unanswered: u32,
    /// Unix seconds.
    pub last_attempt: Option<i64>,
    /// Whether today's settings would send something else.
    pub drift: bool,
    /// Why it cannot be sent although it is due; [`Missing::Nothing`] where it is not due.
    pub missing: Missing,
    /// The CRM's receipt.
    pub receipt: Receipt,
    /// The frozen wire form.
    pub wire: Option<WireForm>,
    /// The row it came from.
    pub origin: Origin,
    /// The row's outcome.
    pub disposition: Disposition,
    /// Fingerprint of the settings that the wire form was frozen under.
    pub settings: String,
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

/// A number that no contact has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedNumber {
    /// As sent.
    pub number: String,
    /// Calls to it.
    pub calls: u64,
    /// Start of the first and the last of them, Unix seconds.
    pub first: i64,
    /// See `first`.
    pub last: i64,
}

impl Listed {
    /// Whether it got no verdict in so many runs that the others go first.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.unanswered >= STUCK_AFTER
    }
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

pub(super) fn list(
    store: &Store,
    filter: &Filter,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Listed>, Fault> {
    // Left to itself SQLite takes the clustered key, and looks at a million calls to find a hundred.
    let index = if filter.state.is_some_and(State::is_unsettled) {
        "INDEXED BY calls_unsettled"
    } else if filter.drifting {
        "INDEXED BY calls_drifting"
    } else {
        ""
    };
    let mut sql = format!(
        "SELECT c.start, c.fold, c.source, c.destination, c.instant, c.state, c.reason, \
         (SELECT a.words FROM attempts a WHERE a.call = c.id ORDER BY a.id DESC LIMIT 1), \
         c.attempts, c.last_attempt, c.drift, c.existing, c.contact_id, c.call_id, \
         w.initiated, w.source, w.destination, w.duration, w.url, w.form, \
         o.uniqueid, o.linkedid, o.sequence, coalesce(o.disposition, ''), coalesce(s.fingerprint, ''), {}, \
         iif(c.state IN (4, 5), c.missing, 0) \
         FROM calls c {index} LEFT JOIN wire_forms w ON w.call = c.id LEFT JOIN origins o ON o.call = c.id \
         LEFT JOIN settings s ON s.id = c.settings WHERE c.job = ?",
        unanswered!()
    );
    let mut values = vec![Value::Integer(store.job)];
    let mut only = |condition: &str, bound: &[Value]| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.extend_from_slice(bound);
    };
    if let Some(state) = filter.state {
        if state.is_unsettled() {
            only("c.state NOT IN (0, 1)", &[]);
        }
        only("c.state = ?", &[Value::Integer(state.code())]);
    }
    if filter.drifting {
        only("c.drift = 1", &[]);
    }
    if let Some(since) = filter.since {
        only("c.start >= ?", &[Value::Integer(since.0)]);
    }
    if let Some(until) = filter.until {
        only("c.start < ?", &[Value::Integer(until.0)]);
    }
    if let Some(uniqueid) = &filter.uniqueid {
        only("o.uniqueid = ?", &[Value::Text(uniqueid.clone())]);
    }
    if let Some(number) = &filter.number {
        let number = Value::Text(number.clone());
        only(
            "? IN (c.source, c.destination, w.source, w.destination)",
            std::slice::from_ref(&number),
        );
    }
    if let Some(last) = after {
        only(
            "(c.start, c.fold, c.source, c.destination) > (?, ?, ?, ?)",
            &[
                Value::Integer(last.start.0),
                Value::Integer(i64::from(last.fold.0)),
                Value::Text(last.source.0.clone()),
                Value::Text(last.destination.0.clone()),
            ],
        );
    }
    sql.push_str(" ORDER BY c.start, c.fold, c.source, c.destination LIMIT ?");
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = store.db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(listed(row)?);
    }
    Ok(found)
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

pub(super) fn unmatched_numbers(
    store: &Store,
    limit: usize,
) -> Result<Vec<UnmatchedNumber>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT w.destination, count(*) AS calls, min(c.instant), max(c.instant) \
         FROM calls c INDEXED BY calls_unsettled JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state = 2 \
         GROUP BY w.destination ORDER BY calls DESC, w.destination LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map((store.job, limit), |row| {
        Ok(UnmatchedNumber {
            number: row.get(0)?,
            calls: row.get::<_, i64>(1)?.cast_unsigned(),
            first: row.get(2)?,
            last: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Looks at everything; fails with the first thing that is wrong, if anything is.
pub(super) fn integrity(store: &Store) -> Result<(), Fault> {
    let verdict: Option<String> = store
        .db
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .optional()?;
    if verdict.as_deref() != Some("ok") {
        return Err(Fault::Damaged);
    }
    // A changed letter of a text breaks no rule of SQLite's, and a text that is none is no offence to it.
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT {COLUMNS}, w.key_hash, c.job = w.job AND c.start = w.start \
         FROM calls c LEFT JOIN wire_forms w ON w.call = c.id"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // Looks at the hash over the whole form.
        let form = entry(row)?.wire.ok_or(Fault::Damaged)?;
        if form.key_hash() != row.get::<_, i64>(WIDTH)? || !row.get::<_, bool>(WIDTH + 1)? {
            return Err(Fault::Damaged);
        }
    }
    let tables: Vec<String> = store
        .db
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tables.iter().try_for_each(|table| readable(store, table))
}

/// Every text of this table is one. The name is one of the schema's, which is cdrelay's own to the letter.
fn readable(store: &Store, table: &str) -> Result<(), Fault> {
    let mut statement = store.db.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if let ValueRef::Text(text) = row.get_ref(column)?
                && std::str::from_utf8(text).is_err()
            {
                return Err(Fault::Damaged);
            }
        }
    }
    Ok(())
}

fn listed(row: &Row<'_>) -> Result<Listed, Fault> {
    Ok(Listed {
        identity: identity(row, 0)?,
        instant: row.get(4)?,
        state: state(row.get(5)?)?,
        pending: reason(row.get(6)?)?,
        words: row.get(7)?,
        attempts: row.get(8)?,
        last_attempt: row.get(9)?,
        drift: row.get(10)?,
        receipt: Receipt {
            existing: row.get(11)?,
            contact_id: row.get(12)?,
            call_id: row.get(13)?,
        },
        wire: wire(row, 14)?,
        origin: Origin {
            uniqueid: row.get(20)?,
            linkedid: row.get(21)?,
            sequence: row.get(22)?,
        },
        disposition: Disposition::parse(&row.get::<_, String>(23)?),
        settings: row.get(24)?,
        unanswered: row.get(25)?,
        missing: missing(row.get(26)?)?,
    })
}
