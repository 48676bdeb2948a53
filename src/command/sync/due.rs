//! Whether a full run is due: the choice that `cdrelay run --auto` makes.
//!
//! One is owed for each night. It is due from `select.full_at` on, until a full run has looked at the whole
//! `select.full_lookback` and settled it: a night that was missed, or a run that the CRM cut short, is made up for by the
//! next run there is.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use serde_json::Value;

use crate::cdr::when::first_instant_of;
use crate::config::Config;
use crate::ledger::{Access, Ledger, LedgerError, Run};
use crate::report::Mode;

/// Whether the run that begins now has to be a full one. Where the ledger cannot say, it has not: whatever run comes then
/// says what is wrong with the ledger.
pub(super) async fn full_is_due(config: &Config, now: i64) -> bool {
    let since = latest(config.select.full_at, config.source.timezone, now);
    let read = async {
        let (ledger, _) =
            Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
        let runs = ledger.runs_begun_since(Mode::Full.as_str(), since).await?;
        ledger.close().await?;
        Ok::<_, LedgerError>(runs)
    };
    match read.await {
        Ok(runs) => !runs
            .iter()
            .any(|run| is_whole(run, config.select.full_lookback)),
        Err(_) => false,
    }
}

/// The last instant, up to now, at which the zone's clocks showed this time of day; where they skipped it, the instant at
/// which they did.
fn latest(time: NaiveTime, zone: Tz, now: i64) -> i64 {
    let today = DateTime::from_timestamp(now, 0)
        .unwrap_or_default()
        .with_timezone(&zone)
        .date_naive();
    // Today's, yesterday's, or the one before where the zone left a day out.
    (0..=2)
        .map(|ago| first_instant_of((today - TimeDelta::days(ago)).and_time(time), zone))
        .find(|at| *at <= now)
        .unwrap_or(now - 86_400)
}

/// Whether a full run looked at everything that one looks at, and left nothing that trying again soon could settle.
/// A backfill of some days is no such run.
fn is_whole(run: &Run, full_lookback: Duration) -> bool {
    let lookback = i64::try_from(full_lookback.as_secs()).unwrap_or(i64::MAX);
    let began = run.start.started;
    let whole = run.start.window.start <= began.saturating_sub(lookback).saturating_add(60)
        && began <= run.start.window.end;
    whole
        && run.end.as_ref().is_some_and(|end| match end.exit_code {
            0 | 3 => true,
            4 => left_only_stuck(&end.counts),
            _ => false,
        })
}

/// Calls that got no verdict in several runs get one tomorrow, or never: they do not make every run a full one.
fn left_only_stuck(counts: &str) -> bool {
    let counts: Value = serde_json::from_str(counts).unwrap_or_default();
    let pending = counts["calls"]["pending"].as_u64();
    pending.is_some_and(|n| n > 0) && pending == counts["stuck"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{RunId, RunRecord, RunStart};

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_764_000_000;

    #[track_caller]
    fn shown(zone: Tz, now: &str, time: &str, expected: &str) {
        let now = DateTime::parse_from_rfc3339(now).unwrap().timestamp();
        let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
        let expected = DateTime::parse_from_rfc3339(expected).unwrap().timestamp();
        assert_eq!(latest(time, zone, now), expected, "{time}");
    }

    #[test]
    fn the_last_night_began_at_the_last_such_time_of_day() {
        let caracas = Tz::America__Caracas;
        shown(
            caracas,
            "2026-11-27T23:07:00-04:00",
            "23:00",
            "2026-11-27T23:00:00-04:00",
        );
        shown(
            caracas,
            "2026-11-27T22:59:59-04:00",
            "23:00",
            "2026-11-26T23:00:00-04:00",
        );
        shown(
            caracas,
            "2026-11-27T23:00:00-04:00",
            "23:00",
            "2026-11-27T23:00:00-04:00",
        );
        shown(
            caracas,
            "2026-11-27T00:00:00-04:00",
            "00:00",
            "2026-11-27T00:00:00-04:00",
        );
        // Clocks go from 02:00 to 03:00, and 02:30 never is.
        let berlin = Tz::Europe__Berlin;
        shown(
            berlin,
            "2026-03-29T03:30:00+02:00",
            "02:30",
            "2026-03-29T03:00:00+02:00",
        );
        // They go back from 03:00 to 02:00, and 02:30 comes twice: the first of both counts.
        shown(
            berlin,
            "2026-10-25T02:45:00+01:00",
            "02:30",
            "2026-10-25T02:30:00+02:00",
        );
        // Samoa had no 30th of December: its night begins where the day was left out.
        let apia = Tz::Pacific__Apia;
        shown(
            apia,
            "2011-12-31T01:00:00+14:00",
            "23:00",
            "2011-12-31T00:00:00+14:00",
        );
    }

    fn run(window: std::ops::Range<i64>, exit_code: u8, counts: &str) -> Run {
        Run {
            id: RunId(1),
            start: RunStart {
                mode: "full".to_owned(),
                window,
                settings: String::new(),
                started: NOW,
            },
            end: Some(RunRecord {
                ended: NOW + 10,
                exit_code,
                reason: String::new(),
                counts: counts.to_owned(),
                requests_sent: 0,
                requests_retried: 0,
            }),
        }
    }

    #[track_caller]
    fn counts_as_whole(run: &Run, expected: bool) {
        let year = Duration::from_secs(360 * 86_400);
        assert_eq!(is_whole(run, year), expected, "{run:?}");
    }

    #[test]
    fn only_a_run_that_settled_the_whole_lookback_makes_the_next_one_needless() {
        let whole = NOW - 360 * DAY..NOW + DAY;
        let none = r#"{"calls":{"pending":0},"stuck":0}"#;
        counts_as_whole(&run(whole.clone(), 0, none), true);
        counts_as_whole(&run(whole.clone(), 3, none), true);
        for code in [4, 5, 6, 130, 143] {
            counts_as_whole(&run(whole.clone(), code, none), false);
        }
        counts_as_whole(&run(NOW - 30 * DAY..NOW + DAY, 0, none), false);
        counts_as_whole(&run(NOW - 400 * DAY..NOW - 30 * DAY, 0, none), false);
        let killed = Run {
            end: None,
            ..run(whole.clone(), 0, none)
        };
        counts_as_whole(&killed, false);
        let stuck = r#"{"calls":{"pending":2},"stuck":2}"#;
        counts_as_whole(&run(whole.clone(), 4, stuck), true);
        let more = r#"{"calls":{"pending":3},"stuck":2}"#;
        counts_as_whole(&run(whole.clone(), 4, more), false);
        counts_as_whole(&run(whole, 4, "nonsense"), false);
    }
}
