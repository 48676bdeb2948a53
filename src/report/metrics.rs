//! The figures that a monitoring system collects, in Prometheus's text format: for the textfile, and for `/metrics` of the
//! collector. The names are fixed; dashboards and alerts of `contrib` use them.
//!
//! Source of the format: prometheus.io, "Exposition formats", text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ledger::{Ledger, LedgerError};

/// One metric: name, type, and what it means.
type About = (&'static str, &'static str, &'static str);

const LAST_SUCCESS: About = (
    "cdrelay_last_success_timestamp_seconds",
    "gauge",
    "When the last run ended that settled its window (exit code 0 or 3), Unix time. 0: none has yet.",
);
const LAST_RUN: About = (
    "cdrelay_last_run_timestamp_seconds",
    "gauge",
    "When the last run ended, however it ended, Unix time.",
);
const EXIT_CODE: About = (
    "cdrelay_last_run_exit_code",
    "gauge",
    "Exit code of the last run. 0 and 3 are successes.",
);
const DURATION: About = (
    "cdrelay_last_run_duration_seconds",
    "gauge",
    "How long the last run of each mode took.",
);
const CALLS: About = (
    "cdrelay_calls",
    "gauge",
    "Calls that the ledger holds, by state.",
);
const OLDEST_PENDING: About = (
    "cdrelay_oldest_pending_timestamp_seconds",
    "gauge",
    "When the oldest call started that still has to be sent, Unix time. Absent while none has to.",
);
const REQUESTS: About = (
    "cdrelay_requests_total",
    "counter",
    "Requests that left for the CRM, repetitions included.",
);
const RETRIES: About = (
    "cdrelay_retries_total",
    "counter",
    "Requests that were repeated because the CRM gave no verdict.",
);

/// Every metric, in the order in which they are written.
const ALL: [About; 8] = [
    LAST_SUCCESS,
    LAST_RUN,
    EXIT_CODE,
    DURATION,
    CALLS,
    OLDEST_PENDING,
    REQUESTS,
    RETRIES,
];

/// The names of all metrics.
#[must_use]
pub fn names() -> [&'static str; 8] {
    ALL.map(|(name, ..)| name)
}

/// The figures of one job. What is not known is left out when they are written: a gap is better than a wrong value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// The replication's name.
    pub job: String,
    /// End of the last success, Unix seconds; 0: there was none yet.
    pub last_success: Option<i64>,
    /// The last run.
    pub last_run: Option<LastRun>,
    /// How long the last run of each mode took, seconds.
    pub durations: BTreeMap<String, f64>,
    /// Calls by state.
    pub calls: BTreeMap<String, u64>,
    /// Start of the oldest call that is pending or in flight, Unix seconds; `None`: nothing is.
    pub oldest_pending: Option<i64>,
    /// Requests that left.
    pub requests: Option<u64>,
    /// Of these, repetitions.
    pub retries: Option<u64>,
}

/// When and how the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRun {
    /// Unix seconds.
    pub ended: i64,
    /// What the shell saw.
    pub exit_code: u8,
}

impl Metrics {
    /// What the ledger knows about the job. A run under way counts only once it has ended.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn read(ledger: &Ledger, job: &str) -> Result<Self, LedgerError> {
        let counts = ledger.counts().await?;
        let totals = ledger.totals().await?;
        let success = ledger.last_success(None).await?;
        let runs = ledger.last_of_each_mode().await?;
        let durations = runs.iter().filter_map(|run| {
            let end = run.end.as_ref()?;
            let measured = serde_json::from_str::<serde_json::Value>(&end.counts)
                .ok()
                .and_then(|counts| counts["timings"]["total_s"].as_f64());
            #[expect(clippy::cast_precision_loss, reason = "seconds of one run")]
            let by_the_clock = (end.ended - run.start.started).max(0) as f64;
            Some((run.start.mode.clone(), measured.unwrap_or(by_the_clock)))
        });
        Ok(Self {
            job: job.to_owned(),
            last_success: Some(success.and_then(|run| run.end).map_or(0, |end| end.ended)),
            last_run: runs
                .last()
                .and_then(|run| run.end.as_ref())
                .map(|end| LastRun {
                    ended: end.ended,
                    exit_code: end.exit_code,
                }),
            durations: durations.collect(),
            calls: counts
                .by_state
                .iter()
                .map(|(state, n)| (state.as_str().to_owned(), *n))
                .collect(),
            oldest_pending: counts.oldest_pending,
            requests: Some(totals.requests_sent),
            retries: Some(totals.requests_retried),
        })
    }

    /// What an earlier text of [`render`] said about the job: the last good values, for when the ledger cannot be asked.
    /// Lines that are not understood are left out.
    #[must_use]
    pub fn remembered(text: &str, job: &str) -> Self {
        let mut metrics = Self {
            job: job.to_owned(),
            ..Self::default()
        };
        let (mut ended, mut exit_code) = (None, None);
        for (name, label, value) in text.lines().filter_map(|line| sample(line, job)) {
            let whole = || value.parse::<i64>().ok().filter(|n| *n >= 0);
            let count = || value.parse::<u64>().ok();
            match (name, label) {
                (name, None) if name == LAST_SUCCESS.0 => metrics.last_success = whole(),
                (name, None) if name == LAST_RUN.0 => ended = whole(),
                (name, None) if name == EXIT_CODE.0 => exit_code = value.parse().ok(),
                (name, None) if name == OLDEST_PENDING.0 => metrics.oldest_pending = whole(),
                (name, None) if name == REQUESTS.0 => metrics.requests = count(),
                (name, None) if name == RETRIES.0 => metrics.retries = count(),
                (name, Some(("mode", mode))) if name == DURATION.0 => {
                    if let Some(seconds) = value.parse::<f64>().ok().filter(|s| s.is_finite()) {
                        metrics.durations.insert(mode.to_owned(), seconds);
                    }
                }
                (name, Some(("state", state))) if name == CALLS.0 => {
                    if let Some(n) = count() {
                        metrics.calls.insert(state.to_owned(), n);
                    }
                }
                _ => {}
            }
        }
        metrics.last_run = ended
            .zip(exit_code)
            .map(|(ended, exit_code)| LastRun { ended, exit_code });
        metrics
    }
}

/// The text of these jobs' figures.
#[must_use]
pub fn render(jobs: &[Metrics]) -> String {
    let mut text = String::new();
    for about in ALL {
        let (name, kind, help) = about;
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for metrics in jobs {
            let job = escaped(&metrics.job);
            for (label, value) in metrics.samples(about) {
                let label = label.map_or_else(String::new, |(key, text)| {
                    format!(",{key}=\"{}\"", escaped(text))
                });
                let _ = writeln!(text, "{name}{{job=\"{job}\"{label}}} {value}");
            }
        }
    }
    text
}

/// A label beside `job`, and a value.
type Sample<'a> = (Option<(&'static str, &'a str)>, String);

impl Metrics {
    fn samples(&self, about: About) -> Vec<Sample<'_>> {
        let one = |value: Option<String>| value.map(|value| (None, value)).into_iter().collect();
        match about {
            LAST_SUCCESS => one(self.last_success.map(|at| at.to_string())),
            LAST_RUN => one(self.last_run.map(|run| run.ended.to_string())),
            EXIT_CODE => one(self.last_run.map(|run| run.exit_code.to_string())),
            OLDEST_PENDING => one(self.oldest_pending.map(|at| at.to_string())),
            REQUESTS => one(self.requests.map(|n| n.to_string())),
            RETRIES => one(self.retries.map(|n| n.to_string())),
            DURATION => self
                .durations
                .iter()
                .map(|(mode, seconds)| (Some(("mode", mode.as_str())), seconds.to_string()))
                .collect(),
            CALLS => self
                .calls
                .iter()
                .map(|(state, n)| (Some(("state", state.as_str())), n.to_string()))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped, and nothing else may be.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Name, label beside `job`, and value.
type Line<'a> = (&'a str, Option<(&'a str, &'a str)>, &'a str);

/// What a line of [`render`] says about this job.
fn sample<'a>(line: &'a str, job: &str) -> Option<Line<'a>> {
    let (name, rest) = line.split_once('{')?;
    let rest = rest.strip_prefix(&format!("job=\"{}\"", escaped(job)))?;
    let (labels, value) = rest.split_once("} ")?;
    let label = match labels.strip_prefix(',') {
        None => None,
        Some(label) => {
            let (key, quoted) = label.split_once('=')?;
            let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
            // Modes and states are plain words: what would need unescaping is none of ours.
            if value.contains(['\\', '"']) {
                return None;
            }
            Some((key, value))
        }
    };
    (label.is_some() || labels.is_empty()).then_some((name, label, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Metrics {
        Metrics {
            job: "pbx".to_owned(),
            last_success: Some(1_764_000_000),
            last_run: Some(LastRun {
                ended: 1_764_003_600,
                exit_code: 4,
            }),
            durations: [("full".to_owned(), 12.25), ("incremental".to_owned(), 0.5)].into(),
            calls: [("delivered".to_owned(), 7), ("pending".to_owned(), 2)].into(),
            oldest_pending: Some(1_763_990_000),
            requests: Some(9),
            retries: Some(1),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = render(&[full()]);
        assert_eq!(Metrics::remembered(&text, "pbx"), full());
        let unknown = Metrics {
            job: "pbx".to_owned(),
            ..Metrics::default()
        };
        assert_eq!(
            Metrics::remembered(&render(std::slice::from_ref(&unknown)), "pbx"),
            unknown
        );
        assert_eq!(Metrics::remembered("", "pbx"), unknown);
        // Another job's figures are not this one's.
        let other = Metrics {
            job: "pbx2".to_owned(),
            ..unknown
        };
        assert_eq!(Metrics::remembered(&text, "pbx2"), other);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let nonsense = [
            "cdrelay_requests_total{job=\"pbx\"} -1",
            "cdrelay_requests_total{job=\"pbx\"} many",
            "cdrelay_requests_total{job=\"pbx\",x=\"y\"} 3",
            "cdrelay_requests_total 3",
            "cdrelay_last_run_duration_seconds{job=\"pbx\",mode=\"full\"} NaN",
            "cdrelay_last_run_timestamp_seconds{job=\"pbx\"} 12",
            "cdrelay_calls{job=\"pbx\",state=\"a\\\"b\"} 3",
            "{job=\"pbx\"} 3",
            "\u{fffd}\u{0}",
        ];
        let read = Metrics::remembered(&nonsense.join("\n"), "pbx");
        let nothing = Metrics {
            job: "pbx".to_owned(),
            ..Metrics::default()
        };
        assert_eq!(read, nothing);
    }

    #[test]
    fn labels_are_escaped_and_every_metric_is_explained_once_for_all_jobs() {
        let odd = Metrics {
            job: "a\"b\\c\nd".to_owned(),
            requests: Some(1),
            ..Metrics::default()
        };
        let text = render(&[odd, full()]);
        assert!(text.contains("cdrelay_requests_total{job=\"a\\\"b\\\\c\\nd\"} 1\n"));
        assert!(text.contains("cdrelay_requests_total{job=\"pbx\"} 9\n"));
        for name in names() {
            assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1);
            assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1);
        }
    }
}
