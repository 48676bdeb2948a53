//! How late rows came into the source, as far as the ledger can tell.

use super::Ledger;
use super::error::{Fault, LedgerError};
use super::read::identity;
use super::store::Store;
use crate::call::Identity;

/// Calls that are looked at, at most.
const MOST: i64 = 200_000;

/// What the ledger knows about rows that came late.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lateness {
    /// Calls that were looked at.
    pub calls: u64,
    /// `duration` of the longest of them, seconds.
    pub longest: u64,
    /// The call whose row came latest after its end, and by how many seconds at least: a run that looked there so long
    /// after the end of the call did not find it, and a later one did.
    pub latest: Option<(Identity, u64)>,
}

/// A run as far as it says when a row was not there yet.
struct Look {
    since: i64,
    until: i64,
    started: i64,
    ended: i64,
    /// It read its whole window, and by the settings that are its own.
    settings: Option<i64>,
}

impl Ledger {
    /// How late rows came into the source: of calls that start at `since` or later, on the column's clock, the latest
    /// 200,000 at most.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn lateness(&self, since: i64) -> Result<Lateness, LedgerError> {
        self.door.ask(move |store| lateness(store, since)).await
    }
}

/// Looks at calls that start at `since` or later, on any clock, and that were delivered at the first try.
fn lateness(store: &Store, since: i64) -> Result<Lateness, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT since, until, started, coalesce(ended, started), iif(exit_code IN (0, 3) AND mode <> 'rebuild', settings, NULL) FROM runs \
         WHERE job = ?1 AND started >= ?2 ORDER BY started",
    )?;
    let looks: Vec<Look> = statement
        .query_map((store.job, since), |row| {
            Ok(Look {
                since: row.get(0)?,
                until: row.get(1)?,
                started: row.get(2)?,
                ended: row.get(3)?,
                settings: row.get(4)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut statement = store.db.prepare_cached(
        "SELECT c.start, c.fold, c.source, c.destination, c.instant, c.last_attempt, c.settings, w.duration \
         FROM calls c JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.start >= ?2 AND c.state = 0 AND c.attempts = 1 AND c.last_attempt IS NOT NULL ORDER BY c.start DESC LIMIT ?3",
    )?;
    let mut rows = statement.query((store.job, since, MOST))?;
    let mut found = Lateness::default();
    while let Some(row) = rows.next()? {
        let (instant, answered, settings): (i64, i64, i64) =
            (row.get(4)?, row.get(5)?, row.get(6)?);
        let duration = row.get::<_, i64>(7)?.cast_unsigned();
        found.calls += 1;
        found.longest = found.longest.max(duration);
        let ended = instant.saturating_add(i64::try_from(duration).unwrap_or(i64::MAX));
        // The run that sent it is the last one that had begun by then.
        let seen_by = looks.partition_point(|look| look.started <= answered);
        let looked_in_vain = looks[..seen_by.saturating_sub(1)]
            .iter()
            .rev()
            .find(|look| {
                // One that ended in the very second of the answer may have sent the call itself.
                look.settings == Some(settings)
                    && look.ended < answered
                    && look.since <= instant
                    && instant < look.until
            });
        let Some(look) = looked_in_vain else {
            continue;
        };
        let late = u64::try_from(look.started - ended).unwrap_or(0);
        if late > found.latest.as_ref().map_or(0, |(_, most)| *most) {
            found.latest = Some((identity(row, 0)?, late));
        }
    }
    Ok(found)
}
