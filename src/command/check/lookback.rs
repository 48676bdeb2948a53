//! Is `select.lookback` long enough? A row is written when its call ends, and in batches if the phone system is told so: a
//! run has to look back further than the longest call lasts and its row takes.
//!
//! No `cdr` table says when a row was written. What can be known: where the rows stand in the order of writing, a row was
//! written after those before it, which were written after their calls had ended; and a run that looked for a call that was
//! over and did not find it, while a later one did, came before its row. Both are bounds from below.

use std::time::Duration;

use super::findings::Findings;
use crate::call::Identity;
use crate::cdr::clock::Clock;
use crate::config::{Config, span};
use crate::intake::describe;
use crate::ledger::Lateness;
use crate::source::{CdrRow, DurationCell, SourceProfile, StartCell};
use crate::text::count;

/// Rows that are looked at in the order of writing.
pub(super) const LATEST: usize = 5_000;
/// Neighbours before a row that say when it was written: one with a wrong clock does not.
const BEFORE: usize = 9;
/// What a row may be late by before it counts as late at all, in seconds: several are written at once.
const ROOM: i64 = 5;
/// Rows that may be more than an hour late, in a hundred; where more are, the order is not that of writing.
const MOST_LATE: usize = 10;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The longest call, seconds.
    longest: u64,
    /// Calls that were looked at.
    calls: u64,
    /// The latest row after the end of its call, seconds at least, and how that is known.
    late: u64,
    known_by: String,
}

/// Puts together what source and ledger tell.
pub(super) fn seen(
    profile: &SourceProfile,
    config: &Config,
    sample: &[CdrRow],
    latest: Option<&[CdrRow]>,
    ledger: Option<&Lateness>,
) -> Seen {
    let clock = Clock::new(profile.time, config.source.timezone);
    let mut seen = Seen::default();
    for row in sample.iter().chain(latest.unwrap_or_default()) {
        if let DurationCell::Seconds(duration) = row.duration {
            seen.longest = seen.longest.max(duration);
        }
        seen.calls += 1;
    }
    if let Some(latest) = latest {
        let ends: Vec<i64> = latest.iter().filter_map(|row| end(row, &clock)).collect();
        if let Some(late) = latest_by_order(&ends) {
            seen.late = late;
            "the order of the rows".clone_into(&mut seen.known_by);
        }
    }
    if let Some(ledger) = ledger {
        seen.longest = seen.longest.max(ledger.longest);
        seen.calls += ledger.calls;
        if let Some((identity, late)) = &ledger.latest
            && *late > seen.late
        {
            seen.late = *late;
            seen.known_by = found_late(identity, &clock);
        }
    }
    seen
}

fn found_late(identity: &Identity, clock: &Clock) -> String {
    format!(
        "the ledger: an earlier run did not find {}",
        describe(identity, clock.kind())
    )
}

/// When a call was over, Unix seconds.
fn end(row: &CdrRow, clock: &Clock) -> Option<i64> {
    let (StartCell::At(at), DurationCell::Seconds(duration)) = (&row.start, &row.duration) else {
        return None;
    };
    let start = clock.resolve(*at, row.origin.uniqueid.as_deref()).instant;
    Some(start.saturating_add(i64::try_from(*duration).ok()?))
}

/// How long after its end a row was written, at the most of all: by the ends of the rows before it, in the order of
/// writing. `None` where the order says nothing.
fn latest_by_order(ends: &[i64]) -> Option<u64> {
    let mut most = 0;
    let mut out_of_order = 0;
    for (at, end) in ends.iter().enumerate().skip(BEFORE) {
        let mut before: Vec<i64> = ends[at - BEFORE..at].to_vec();
        before.sort_unstable();
        // Half of them had ended by then, and were written before this one.
        let late = before[BEFORE / 2].saturating_sub(*end);
        most = most.max(late);
        out_of_order += usize::from(late > 3600);
    }
    if ends.len() <= BEFORE || out_of_order * 100 > ends.len() * MOST_LATE {
        return None;
    }
    u64::try_from(most.saturating_sub(ROOM)).ok().or(Some(0))
}

/// Says whether the lookback is long enough for what was seen: twice that, so that one run that failed costs nothing.
pub(super) fn judge(seen: &Seen, lookback: Duration, findings: &mut Findings) {
    let set = span::render(lookback);
    if seen.calls == 0 {
        findings.ok(
            "lookback",
            format!("{set}; there is no call yet to measure it by"),
        );
        return;
    }
    let needed = Duration::from_secs(seen.longest.saturating_add(seen.late));
    let twice = needed.saturating_mul(2);
    let late = if seen.late == 0 {
        "no row came later than its call ended, as far as can be known".to_owned()
    } else {
        format!(
            "a row came {} or more after its call had ended (by {})",
            spoken(Duration::from_secs(seen.late)),
            seen.known_by
        )
    };
    let measured = format!(
        "of {} looked at the longest took {}, and {late}",
        count(seen.calls, "call"),
        spoken(Duration::from_secs(seen.longest)),
    );
    if lookback >= twice {
        findings.ok("lookback", format!("{set} is long enough: {measured}"));
    } else {
        let hours = twice.as_secs().div_ceil(3600).max(1);
        findings.warn(
            "lookback",
            format!(
                "select.lookback is {set}, less than twice what was seen: {measured}; set it to {hours}h or more, or calls \
                 wait for the next `cdrelay sync --full`"
            ),
        );
    }
}

fn spoken(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::check::findings::Mark;

    #[test]
    fn a_row_that_stands_behind_later_ones_was_written_after_they_had_ended() {
        let mut ends: Vec<i64> = (0..200).map(|n| 1_000_000 + n * 60).collect();
        assert_eq!(latest_by_order(&ends), Some(0));
        // Written with those of minute 150, although over in minute 100.
        ends.insert(150, 1_000_000 + 100 * 60);
        assert_eq!(latest_by_order(&ends), Some((145 - 100) * 60 - 5));
        // One row with a clock of next year makes none of its neighbours late.
        ends[60] += 31_536_000;
        assert_eq!(latest_by_order(&ends), Some((145 - 100) * 60 - 5));
        // Copied from another table, the newest first: no order of writing.
        ends.reverse();
        ends.iter_mut().for_each(|end| *end *= 100);
        assert_eq!(latest_by_order(&ends), None);
        assert_eq!(latest_by_order(&[1, 2, 3]), None);
    }

    #[track_caller]
    fn says(longest: u64, late: u64, lookback: u64, mark: Mark, text: &str) {
        let seen = Seen {
            longest,
            calls: 100,
            late,
            known_by: "the order of the rows".to_owned(),
        };
        let mut findings = Findings::new();
        judge(&seen, Duration::from_secs(lookback), &mut findings);
        let line = &findings.lines[0];
        assert_eq!((line.mark, line.text.as_str()), (mark, text));
    }

    #[test]
    fn a_lookback_of_less_than_twice_what_was_seen_is_a_warning_that_names_a_better_one() {
        says(
            7_200,
            300,
            200 * 3600,
            Mark::Ok,
            "200h is long enough: of 100 calls looked at the longest took 2h, and a row came 5m or more after its call had \
             ended (by the order of the rows)",
        );
        says(
            7_200,
            0,
            4 * 3600,
            Mark::Ok,
            "4h is long enough: of 100 calls looked at the longest took 2h, and no row came later than its call ended, as far \
             as can be known",
        );
        says(
            7_200,
            300,
            4 * 3600,
            Mark::Warning,
            "select.lookback is 4h, less than twice what was seen: of 100 calls looked at the longest took 2h, and a row came \
             5m or more after its call had ended (by the order of the rows); set it to 5h or more, or calls wait for the \
             next `cdrelay sync --full`",
        );
    }
}
