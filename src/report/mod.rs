//! What a run adds up to, and how it is shown: the numbers here, the words in [`text`], the verdict in [`exit`], the figures
//! over all runs in [`metrics`].
//!
//! What many runs came to is the report's business: [`figures`] adds up what the ledger holds, [`summary`] says it in
//! words, [`page`] shows it as one HTML page.

use std::ops::AddAssign;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub mod csv;
pub mod exit;
pub mod figures;
pub mod metrics;
pub mod page;
pub mod summary;
pub mod text;

use exit::Exit;

/// What one `sync` came to; printed as JSON with exactly these keys.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The replication's name.
    pub job: String,
    /// Number of the run in the ledger; 0 with `--dry-run`.
    pub run_id: i64,
    /// `incremental`, `full` or `rebuild`.
    pub mode: Mode,
    /// Nothing was sent.
    pub dry_run: bool,
    /// The window, RFC 3339 in UTC.
    pub window: WindowText,
    /// What was read.
    pub rows: Rows,
    /// What became of it.
    pub calls: Calls,
    /// Identities folded because another has their wire key.
    pub collisions: u64,
    /// Known calls that today's settings or rows would send differently.
    pub drift: u64,
    /// Of the pending ones, calls without a verdict in several runs: they go last.
    pub stuck: u64,
    /// Due calls of the window that the source does not give any more; in none of the figures above.
    pub missing: Missing,
    /// Requests.
    pub requests: Requests,
    /// How long it took.
    pub timings: Timings,
    /// Calls that were told while they happened (`cdrelay agi`); left out where none ever was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agi: Option<Agi>,
    /// How it ended.
    pub exit: Exit,
    /// Rebuilds that the run took up first; left out where there was none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rebuilds: Vec<Rebuilt>,
}

/// Calls that were told while they happened: in none of the other figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Agi {
    /// Taken from their files into the ledger, whatever had become of them.
    pub taken_up: u64,
    /// Files that could not be read.
    pub unreadable: u64,
    /// Requests of this run.
    pub sent: u64,
    /// Delivered by this run.
    pub delivered: u64,
    /// Unmatched, as this run was told.
    pub unmatched: u64,
    /// Rejected, as this run was told.
    pub rejected: u64,
    /// Held, of this run or before.
    pub held: u64,
    /// Due, of this run or before.
    pub pending: u64,
}

/// An interrupted rebuild that a run took up.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// First day.
    pub from: NaiveDate,
    /// Last day, inclusive.
    pub to: NaiveDate,
    /// How many calls the CRM says it deleted, where it was asked now and confirmed it.
    pub deleted: Option<u64>,
    /// What sending its calls came to; `None`: it did not get that far.
    pub sync: Option<Box<RunReport>>,
    /// How it ended; 0 and 3: it is finished.
    pub exit: Exit,
}

/// Calls that are due, and that the source does not give any more: they are never sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The source does not hold the row.
    pub gone: u64,
    /// The row is there, and left out by `[select]`, or as invalid.
    pub left_out: u64,
    /// Either, after a rebuild had deleted them: they were withdrawn now.
    pub withdrawn: u64,
}

/// The kinds of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Sends what is new, and asks again about unmatched calls only after a rest.
    Incremental,
    /// Asks again about everything that the CRM did not take.
    Full,
    /// Sends what a rebuild had deleted.
    Rebuild,
}

impl Mode {
    /// `incremental`, `full` or `rebuild`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
            Self::Rebuild => "rebuild",
        }
    }
}

/// A window as JSON shows it.
#[derive(Debug, Clone, Serialize)]
pub struct WindowText {
    /// First instant.
    pub since: String,
    /// First instant not covered.
    pub until: String,
}

/// Rows: `read = skipped + merged + calls.total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows of the window.
    pub read: u64,
    /// Rows left out, by reason.
    pub skipped: Skipped,
    /// Rows folded into another.
    pub merged: u64,
}

/// Rows left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// `dst` shorter than `select.min_destination_length`.
    pub short_destination: u64,
    /// The caller withheld the number.
    pub no_source: u64,
    /// Not in `select.dispositions`.
    pub disposition: u64,
    /// In `select.exclude`.
    pub excluded: u64,
    /// A rule dropped the call.
    pub dropped_by_rule: u64,
    /// Start or duration could not be read.
    pub invalid: u64,
}

impl AddAssign for Rows {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.merged += more.merged;
        let skipped = &mut self.skipped;
        skipped.short_destination += more.skipped.short_destination;
        skipped.no_source += more.skipped.no_source;
        skipped.disposition += more.skipped.disposition;
        skipped.excluded += more.skipped.excluded;
        skipped.dropped_by_rule += more.skipped.dropped_by_rule;
        skipped.invalid += more.skipped.invalid;
    }
}

impl Skipped {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.short_destination
            + self.no_source
            + self.disposition
            + self.excluded
            + self.dropped_by_rule
            + self.invalid
    }
}

/// Calls, each counted once, by what became of it in this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// All.
    pub total: u64,
    /// Settled earlier and not asked now.
    pub unchanged: u64,
    /// Created now.
    pub created: u64,
    /// Sent now; was there already.
    pub existing: u64,
    /// No contact has the number.
    pub unmatched: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Outcome unknown on a CRM without keys.
    pub held: u64,
    /// Due, and not settled by this run.
    pub pending: u64,
    /// Deleted for good.
    pub withdrawn: u64,
}

impl Calls {
    /// Sum of the parts.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.unchanged
            + self.created
            + self.existing
            + self.unmatched
            + self.rejected
            + self.held
            + self.pending
            + self.withdrawn
    }
}

/// Requests of a run.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Requests {
    /// All that left, those of a login included.
    pub sent: u64,
    /// Repetitions among them.
    pub retried: u64,
    /// Attempts that found no connection, and so were none.
    pub unconnected: u64,
}

/// How long a run took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Timings {
    /// From start to end, seconds.
    pub total_s: f64,
    /// Waiting for the source, seconds.
    pub read_s: f64,
    /// From the first request to the last answer, seconds.
    pub send_s: f64,
    /// Answers a second while sending.
    pub calls_per_second: f64,
    /// Of answered requests.
    pub latency_ms: LatencyMs,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LatencyMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// Rounds to what a person can use: `digits` decimals.
#[must_use]
pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
