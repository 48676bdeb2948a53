//! Numbers over all calls: those that no contact has, and what each was sent as.

use std::ops::Range;

use rusqlite::OptionalExtension;

use super::error::Fault;
use super::read::identity;
use super::store::Store;
use crate::call::Identity;

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
    /// The one that starts last on the column's clock.
    pub example: UnmatchedExample,
}

/// One call to a number that no contact has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedExample {
    /// How it is known.
    pub identity: Identity,
    /// Its row's `uniqueid`.
    pub uniqueid: Option<String>,
}

/// The numbers that no contact has, in the order of their rank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnmatchedNumbers {
    /// Those with the most calls.
    pub first: Vec<UnmatchedNumber>,
    /// How many there are in all.
    pub numbers: u64,
    /// Calls to all of them.
    pub calls: u64,
}

/// A raw number, and what it was sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberUse<'a> {
    /// As the PBX wrote it.
    pub raw: &'a str,
    /// As it stands in the frozen wire forms.
    pub sent: &'a str,
    /// Calls with both.
    pub calls: u64,
    /// Of these, calls that the CRM holds.
    pub delivered: u64,
}

/// Which number of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The caller.
    Source,
    /// The number called.
    Destination,
}

pub(super) fn unmatched(
    store: &Store,
    instants: &Range<i64>,
    limit: usize,
) -> Result<UnmatchedNumbers, Fault> {
    // Where many calls are unmatched, the index costs a look-up for each; where few are, a look at all narrow rows costs a
    // tenth of a second. The last start leads to the example without a second pass.
    let mut statement = store.db.prepare_cached(
        "SELECT w.destination, count(*) AS calls, min(c.instant), max(c.instant), max(c.start) \
         FROM calls c NOT INDEXED CROSS JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.state = 2 AND c.instant >= ?2 AND c.instant < ?3 \
         GROUP BY w.destination ORDER BY calls DESC, w.destination",
    )?;
    let mut rows = statement.query((store.job, instants.start, instants.end))?;
    let mut found = UnmatchedNumbers::default();
    while let Some(row) = rows.next()? {
        let calls = row.get::<_, i64>(1)?.cast_unsigned();
        found.numbers += 1;
        found.calls += calls;
        if found.first.len() >= limit {
            continue;
        }
        let number: String = row.get(0)?;
        let example = example(store, &number, row.get(4)?)?;
        found.first.push(UnmatchedNumber {
            number,
            calls,
            first: row.get(2)?,
            last: row.get(3)?,
            example,
        });
    }
    Ok(found)
}

fn example(store: &Store, number: &str, start: i64) -> Result<UnmatchedExample, Fault> {
    store
        .db
        .prepare_cached(
            "SELECT c.start, c.fold, c.source, c.destination, o.uniqueid \
             FROM calls c INDEXED BY calls_unsettled JOIN wire_forms w ON w.call = c.id LEFT JOIN origins o ON o.call = c.id \
             WHERE c.job = ?1 AND c.state NOT IN (0, 1) AND c.state = 2 AND c.start = ?2 AND w.destination = ?3 \
             ORDER BY c.fold DESC, c.source DESC LIMIT 1",
        )?
        .query_row((store.job, start, number), |row| {
            Ok(UnmatchedExample {
                identity: identity(row, 0)?,
                uniqueid: row.get(4)?,
            })
        })
        .optional()?
        .ok_or(Fault::Damaged)
}

pub(super) fn uses(
    store: &Store,
    party: Party,
    instants: &Range<i64>,
    mut seen: impl FnMut(NumberUse<'_>),
) -> Result<(), Fault> {
    let column = match party {
        Party::Source => "source",
        Party::Destination => "destination",
    };
    // SQLite sorts in files where it does not fit in memory.
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT c.{column}, w.{column}, count(*), count(*) FILTER (WHERE c.state = 0) \
         FROM calls c NOT INDEXED CROSS JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.instant >= ?2 AND c.instant < ?3 \
         GROUP BY c.{column}, w.{column} ORDER BY c.{column}, w.{column}"
    ))?;
    let mut rows = statement.query((store.job, instants.start, instants.end))?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(|_| Fault::Damaged);
        seen(NumberUse {
            raw: text(0)?,
            sent: text(1)?,
            calls: row.get::<_, i64>(2)?.cast_unsigned(),
            delivered: row.get::<_, i64>(3)?.cast_unsigned(),
        });
    }
    Ok(())
}
