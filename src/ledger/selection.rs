//! Sets of calls by days: which of them the ledger holds as delivered.

use std::ops::{Range, RangeInclusive};

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::error::Fault;
use super::read::identity;
use super::store::Store;
use crate::call::Identity;

/// Seconds by which a start on the column's clock and the same start as an instant, or as its frozen rendering's date,
/// can lie apart: no zone is a day away from another, whatever was configured when; doubled, and a day for the date.
const APART: i64 = 3 * 86_400;

/// A set of calls: those that any of its parts holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// By start as an instant, Unix seconds: local or UTC days, as the caller counts them.
    pub instants: Vec<Range<i64>>,
    /// By start as the column holds it, on the column's own clock.
    pub starts: Option<Range<i64>>,
    /// By the date that the frozen `initiated` begins with.
    pub wire_dates: Option<RangeInclusive<NaiveDate>>,
}

impl Selection {
    /// Whether it holds a call with this start in the column that starts at this instant and whose frozen start reads
    /// like this.
    #[must_use]
    pub fn holds(&self, start: i64, instant: i64, initiated: &str) -> bool {
        self.instants.iter().any(|range| range.contains(&instant))
            || self
                .starts
                .as_ref()
                .is_some_and(|range| range.contains(&start))
            || self.wire_dates.as_ref().is_some_and(|dates| {
                initiated
                    .get(..10)
                    .and_then(|date| date.parse::<NaiveDate>().ok())
                    .is_some_and(|date| dates.contains(&date))
            })
    }

    /// Starts, on any column's clock, outside of which no call of the selection can lie; `None` for an empty one.
    pub(super) fn bounds(&self) -> Option<Range<i64>> {
        let dates = self
            .wire_dates
            .iter()
            .map(|days| midnight(*days.start())..midnight(*days.end()));
        self.instants
            .iter()
            .cloned()
            .chain(self.starts.clone())
            .chain(dates)
            .map(|range| range.start.saturating_sub(APART)..range.end.saturating_add(APART))
            .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
    }
}

/// Westernmost and easternmost offset from UTC in use, in seconds.
const WESTERNMOST: i64 = -12 * 3600;
const EASTERNMOST: i64 = 14 * 3600;

/// Whether a frozen start lies within the days wherever the CRM counts them: as its text, or at any offset from UTC. One
/// without an offset counts as it reads.
pub(super) fn lies_within(days: &RangeInclusive<NaiveDate>, initiated: &str) -> bool {
    let (date, instant) = if let Ok(at) = DateTime::parse_from_rfc3339(initiated) {
        (at.naive_local().date(), at.timestamp())
    } else if let Ok(at) = initiated.parse::<NaiveDateTime>() {
        (at.date(), at.and_utc().timestamp())
    } else {
        return false;
    };
    let after = days.end().checked_add_days(Days::new(1));
    let within = midnight(*days.start()) - WESTERNMOST
        ..after.map_or(i64::MIN, |day| midnight(day) - EASTERNMOST);
    days.contains(&date) && within.contains(&instant)
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
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

pub(super) fn count_doubtful(
    store: &Store,
    selection: &Selection,
    days: &RangeInclusive<NaiveDate>,
) -> Result<u64, Fault> {
    let Some(starts) = selection.bounds() else {
        return Ok(0);
    };
    let mut statement = store.db.prepare_cached(
        "SELECT c.start, c.instant, w.initiated FROM calls c JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3 AND c.state IN (0, 1, 4, 5)",
    )?;
    let mut rows = statement.query((store.job, starts.start, starts.end))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let initiated: String = row.get(2)?;
        let named = selection.holds(row.get(0)?, row.get(1)?, &initiated);
        count += u64::from(named && !lies_within(days, &initiated));
    }
    Ok(count)
}

pub(super) fn count_delivered(store: &Store, readings: &[Selection]) -> Result<Vec<u64>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT c.start, c.instant, w.initiated FROM calls c JOIN wire_forms w ON w.call = c.id \
         WHERE c.job = ?1 AND c.start >= ?2 AND c.start < ?3 AND c.state = 0",
    )?;
    let mut counts = Vec::with_capacity(readings.len());
    for reading in readings {
        let mut count = 0;
        if let Some(starts) = reading.bounds() {
            let mut rows = statement.query((store.job, starts.start, starts.end))?;
            while let Some(row) = rows.next()? {
                let initiated: String = row.get(2)?;
                count += u64::from(reading.holds(row.get(0)?, row.get(1)?, &initiated));
            }
        }
        counts.push(count);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;

    #[test]
    fn a_start_lies_within_days_only_where_every_clock_says_so() {
        let day = |n| NaiveDate::from_ymd_opt(2026, 3, n).unwrap();
        let days = day(4)..=day(8);
        for (initiated, within) in [
            ("2026-03-04T11:59:59Z", false),
            ("2026-03-04T12:00:00Z", true),
            ("2026-03-04T08:00:00-04:00", true),
            ("2026-03-04T07:59:59-04:00", false),
            ("2026-03-08T09:59:59Z", true),
            ("2026-03-08T10:00:00Z", false),
            ("2026-03-09T01:00:00+14:00", false),
            ("2026-03-04T12:00:00", true),
            ("2026-03-08T10:00:00", false),
            ("2026-03-06", false),
            ("", false),
        ] {
            assert_eq!(lies_within(&days, initiated), within, "{initiated}");
        }
    }
}
