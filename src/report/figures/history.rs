//! The runs of a stretch of time: how they ended, and how long the replication went without a success.

use std::collections::{BTreeMap, VecDeque};

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Serialize;

use super::timeline::Grain;
use super::{STEPS, stamp, stamps};
use crate::cdr::when::day_bounds;
use crate::ledger::Run;
use crate::text::mask::Privacy;

/// Runs that are listed, and failures among those before them.
const LISTED: usize = 10;
const FAILURES: usize = 5;

/// What is kept of the runs while they are looked at.
#[derive(Debug, Default)]
pub struct Log {
    runs: u64,
    codes: BTreeMap<Option<u8>, u64>,
    /// When runs began, and whether they succeeded; a number or two a run.
    began: Vec<(i64, bool)>,
    /// When those ended that succeeded.
    successes: Vec<i64>,
    latest: VecDeque<Run>,
    failures: VecDeque<Run>,
}

/// Runs of the window.
#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// All.
    pub runs: u64,
    /// How many ended with which exit code; `None`: killed, or under way.
    pub exit_codes: Vec<CodeCount>,
    /// Runs that did not end with 0 or 3.
    pub not_finished: u64,
    /// When the last success ended, of any window, Unix seconds.
    #[serde(serialize_with = "stamps")]
    pub last_success: Option<i64>,
    /// The longest time between two successes, or from the last one to now or to the window's end, in seconds.
    pub longest_gap_s: Option<u64>,
    /// `day`, `week`, …
    pub step: &'static str,
    /// Every step from the first run's to the last one's.
    pub steps: Vec<RunStep>,
    /// The latest ones, the last one first.
    pub latest: Vec<RunShown>,
    /// The latest of those before that did not end with 0 or 3.
    pub failures_before: Vec<RunShown>,
}

/// How many runs ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CodeCount {
    /// The exit code; `None`: killed, or under way.
    pub code: Option<u8>,
    /// Runs.
    pub runs: u64,
}

/// Runs that began in a step of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunStep {
    /// Its first day.
    pub from: NaiveDate,
    /// Runs.
    pub runs: u64,
    /// Of these, the ones that did not end with 0 or 3.
    pub not_finished: u64,
    /// The longest that the last success lay back at any moment of the step, in seconds; `None`: there was none yet.
    pub lag_s: Option<u64>,
}

/// A run, shown.
#[derive(Debug, Clone, Serialize)]
pub struct RunShown {
    /// Its number.
    pub run_id: i64,
    /// `incremental`, `full` or `rebuild`.
    pub mode: String,
    /// Unix seconds.
    #[serde(serialize_with = "stamp")]
    pub started: i64,
    /// From start to end, in seconds; `None`: killed, or under way.
    pub took_s: Option<u64>,
    /// Requests that left.
    pub requests: u64,
    /// The exit code; `None`: killed, or under way.
    pub code: Option<u8>,
    /// The sentence that goes with it, masked where that was asked for; hostile text.
    pub reason: String,
}

/// What the history has to know beside the runs.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// Days are counted here.
    pub zone: Tz,
    /// The end of the window, or now where that is earlier, Unix seconds.
    pub end: i64,
    /// When the last run before the window that succeeded ended.
    pub success_before: Option<i64>,
    /// When the last success of all ended.
    pub last_success: Option<i64>,
    /// How numbers are shown.
    pub privacy: Privacy,
}

impl Log {
    /// Looks at a run; the oldest comes first.
    pub fn add(&mut self, run: &Run) {
        self.runs += 1;
        let code = run.end.as_ref().map(|end| end.exit_code);
        *self.codes.entry(code).or_default() += 1;
        let finished = matches!(code, Some(0 | 3));
        self.began.push((run.start.started, finished));
        if let Some(end) = &run.end
            && finished
            && run.start.mode != "rebuild"
        {
            self.successes.push(end.ended);
        }
        self.latest.push_back(run.clone());
        if self.latest.len() > LISTED
            && let Some(older) = self.latest.pop_front()
            && !matches!(older.end.as_ref().map(|end| end.exit_code), Some(0 | 3))
        {
            self.failures.push_back(older);
            if self.failures.len() > FAILURES {
                self.failures.pop_front();
            }
        }
    }

    /// What they come to; `day` gives the local day of an instant.
    #[must_use]
    pub fn history(mut self, around: &Around, day: impl Fn(i64) -> NaiveDate) -> History {
        self.successes.extend(around.success_before);
        self.successes.sort_unstable();
        self.began.sort_unstable();
        let first = self.began.first().map(|(at, _)| day(*at));
        let last = self.began.last().map(|(at, _)| day(*at));
        let (step, steps) = match (first, last) {
            (Some(first), Some(last)) => {
                let grain = Grain::fitting(first, last, STEPS);
                (grain.word(), self.steps(grain, first, last, around))
            }
            (None, _) | (_, None) => (Grain::Day.word(), Vec::new()),
        };
        let mut ends = self.successes.clone();
        ends.push(around.end);
        let longest = ends
            .windows(2)
            .filter_map(|pair| u64::try_from(pair[1].saturating_sub(pair[0])).ok())
            .max();
        let shown = |run: &Run| shown(run, around.privacy);
        History {
            runs: self.runs,
            not_finished: self
                .codes
                .iter()
                .filter(|(code, _)| !matches!(code, Some(0 | 3)))
                .map(|(_, runs)| runs)
                .sum(),
            exit_codes: self
                .codes
                .iter()
                .map(|(code, runs)| CodeCount {
                    code: *code,
                    runs: *runs,
                })
                .collect(),
            last_success: around.last_success,
            longest_gap_s: longest,
            step,
            steps,
            latest: self.latest.iter().rev().map(shown).collect(),
            failures_before: self.failures.iter().rev().map(shown).collect(),
        }
    }

    fn steps(
        &self,
        grain: Grain,
        first: NaiveDate,
        last: NaiveDate,
        around: &Around,
    ) -> Vec<RunStep> {
        let (mut runs, mut success) = (self.began.iter().peekable(), None);
        let mut successes = self.successes.iter().peekable();
        let steps = grain.steps(first, last, STEPS);
        let mut shown = Vec::with_capacity(steps.len());
        for from in steps {
            let begin = day_bounds(from, around.zone).start;
            let end = day_bounds(grain.next(from), around.zone)
                .start
                .min(around.end);
            let mut step = RunStep {
                from,
                runs: 0,
                not_finished: 0,
                lag_s: None,
            };
            while let Some((_, finished)) = runs.next_if(|(at, _)| *at < end || end == around.end) {
                step.runs += 1;
                step.not_finished += u64::from(!finished);
            }
            let mut lag = |at: i64, before: Option<i64>| {
                let lag = before.and_then(|before| u64::try_from(at.saturating_sub(before)).ok());
                step.lag_s = step.lag_s.max(lag);
            };
            while let Some(at) = successes.next_if(|at| **at < end) {
                if *at >= begin {
                    lag(*at, success);
                }
                success = Some(*at);
            }
            lag(end, success);
            shown.push(step);
        }
        shown
    }
}

fn shown(run: &Run, privacy: Privacy) -> RunShown {
    let end = run.end.as_ref();
    RunShown {
        run_id: run.id.0,
        mode: run.start.mode.clone(),
        started: run.start.started,
        took_s: end.and_then(|end| u64::try_from(end.ended.saturating_sub(run.start.started)).ok()),
        requests: end.map_or(0, |end| end.requests_sent),
        code: end.map(|end| end.exit_code),
        reason: end.map_or_else(
            || "under way, or killed".to_owned(),
            |end| privacy.text(&end.reason).into_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a day that does not exist fails the test"
    )]

    use chrono::DateTime;

    use super::*;
    use crate::ledger::{RunId, RunRecord, RunStart};

    const HOUR: i64 = 3_600;
    /// 2026-11-01 00:00 UTC.
    const BEGIN: i64 = 1_793_491_200;

    fn run(started: i64, code: Option<u8>) -> Run {
        Run {
            id: RunId(started / HOUR),
            start: RunStart {
                mode: "incremental".to_owned(),
                window: 0..1,
                settings: String::new(),
                started,
            },
            end: code.map(|exit_code| RunRecord {
                ended: started + 60,
                exit_code,
                reason: "to 02125550142".to_owned(),
                counts: String::new(),
                requests_sent: 7,
                requests_retried: 0,
            }),
        }
    }

    fn history(runs: &[Run], end: i64, success_before: Option<i64>) -> History {
        let mut log = Log::default();
        for run in runs {
            log.add(run);
        }
        let around = Around {
            zone: chrono_tz::UTC,
            end,
            success_before,
            last_success: None,
            privacy: Privacy::Masked,
        };
        log.history(&around, |at| {
            DateTime::from_timestamp(at, 0).unwrap().date_naive()
        })
    }

    #[test]
    fn the_lag_of_a_day_is_how_far_the_last_success_lay_back_at_most() {
        let day = 24 * HOUR;
        let runs = [
            run(BEGIN + HOUR, Some(0)),
            run(BEGIN + 5 * HOUR, Some(3)),
            run(BEGIN + day, Some(4)),
            run(BEGIN + 2 * day + 6 * HOUR, Some(0)),
            run(BEGIN + 2 * day + 7 * HOUR, None),
        ];
        let history = history(&runs, BEGIN + 2 * day + 9 * HOUR, None);
        let steps: Vec<_> = history
            .steps
            .iter()
            .map(|step| (step.runs, step.not_finished, step.lag_s.unwrap() / 3_600))
            .collect();
        assert_eq!(steps, [(2, 0, 18), (1, 1, 42), (2, 1, 49)]);
        assert_eq!(history.longest_gap_s, Some(49 * 3_600));
        assert_eq!((history.runs, history.not_finished), (5, 2));
        assert_eq!(history.latest[0].code, None);
        assert_eq!(history.latest[1].reason, "to xxxxxxxx142");
    }

    #[test]
    fn a_success_before_the_window_counts_and_without_any_there_is_no_lag() {
        let failed = [run(BEGIN + 2 * HOUR, Some(6))];
        let none = history(&failed, BEGIN + 4 * HOUR, None);
        assert_eq!((none.steps[0].lag_s, none.longest_gap_s), (None, None));
        let before = history(&failed, BEGIN + 4 * HOUR, Some(BEGIN - 6 * HOUR));
        assert_eq!(before.steps[0].lag_s, Some(10 * 3_600));
        assert_eq!(before.longest_gap_s, Some(10 * 3_600));
        let nothing = history(&[], BEGIN, None);
        assert!(nothing.steps.is_empty() && nothing.latest.is_empty());
    }

    #[test]
    fn older_failures_are_kept_apart_from_the_latest_runs() {
        let runs: Vec<Run> = (0..40)
            .map(|n| run(BEGIN + n * HOUR, Some(if n % 3 == 0 { 4 } else { 0 })))
            .collect();
        let history = history(&runs, BEGIN + 50 * HOUR, None);
        assert_eq!(history.latest.len(), LISTED);
        assert_eq!(history.failures_before.len(), FAILURES);
        let newest = history.failures_before[0].started;
        assert_eq!(newest, BEGIN + 27 * HOUR);
        assert!(newest < history.latest.last().unwrap().started);
    }
}
