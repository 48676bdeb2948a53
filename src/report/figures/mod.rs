//! What the ledger's calls and runs of a stretch of time add up to: everything that the page, its JSON and its summary say.
//!
//! [`gather`] looks at each call once and keeps counts, never calls; [`Figures`] is what comes of it, with numbers masked
//! where that was asked for, and nothing escaped yet. Nothing here reads a file, and `now` is an argument.

use chrono::{DateTime, NaiveDate};
use serde::{Serialize, Serializer};

use crate::ledger::State;

pub mod coverage;
pub mod gather;
pub mod history;
mod ids;
pub mod numbers;
pub mod spread;
pub mod timeline;

use coverage::Coverage;
use history::History;

/// Numbers without a contact that are listed.
pub const TOP: usize = 20;

/// Calls of each kind that are shown as examples.
pub const EXAMPLES: usize = 5;

/// Most steps of a chart along the calendar.
pub const STEPS: usize = 132;

/// Bounds between the classes of the durations, in seconds; the last class has no end.
pub const CLASSES: [u64; 10] = [0, 1, 10, 30, 60, 120, 300, 600, 1_200, 3_600];

/// The figures of a report, printed as JSON with exactly these keys.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// The replication's name.
    pub job: String,
    /// When they were taken, Unix seconds.
    #[serde(serialize_with = "stamp")]
    pub generated: i64,
    /// The zone of days and hours: `source.timezone`.
    pub timezone: String,
    /// The window.
    pub window: Stretch,
    /// Is everything there, and if not, what is to be done?
    pub headline: String,
    /// Whether numbers show their last digits only.
    pub masked: bool,
    /// Calls of the window.
    pub calls: Calls,
    /// Calls by local day, or longer steps.
    pub over_time: OverTime,
    /// Calls by weekday (from Monday) and local hour.
    pub by_hour: [[u64; 24]; 7],
    /// Numbers that no contact has.
    pub unmatched_numbers: Unmatched,
    /// How long the calls lasted (column `duration`).
    pub durations: Durations,
    /// How long after their start calls were in the CRM.
    pub arrival: Lengths,
    /// Runs of the window.
    pub runs: History,
    /// What today's rules do to the numbers of the window.
    pub rules: Rules,
    /// What somebody should look at.
    pub look: Look,
    /// What the last full run that succeeded left out, as it counted it.
    pub left_out: Option<LeftOut>,
}

/// From one instant to another, half-open, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// First instant.
    #[serde(serialize_with = "stamp")]
    pub since: i64,
    /// First instant not covered.
    #[serde(serialize_with = "stamp")]
    pub until: i64,
}

/// Calls of the window.
#[derive(Debug, Clone, Serialize)]
pub struct Calls {
    /// All.
    pub total: u64,
    /// By state, in the order of [`State::ALL`].
    #[serde(serialize_with = "by_state")]
    pub states: [u64; 7],
    /// Start of the first and of the last, Unix seconds.
    #[serde(serialize_with = "stamps")]
    pub first: Option<i64>,
    /// See `first`.
    #[serde(serialize_with = "stamps")]
    pub last: Option<i64>,
    /// Calls that start before the window and are still due or held.
    pub due_before: u64,
}

/// Counts along the calendar.
#[derive(Debug, Clone, Serialize)]
pub struct OverTime {
    /// `day`, `week`, `month`, …
    pub step: &'static str,
    /// Every step from the first call's to the last one's.
    pub steps: Vec<StateStep>,
}

/// One step of it.
#[derive(Debug, Clone, Serialize)]
pub struct StateStep {
    /// Its first day.
    pub from: NaiveDate,
    /// Calls by state, in the order of [`State::ALL`].
    #[serde(serialize_with = "by_state")]
    pub states: [u64; 7],
}

/// Numbers that no contact has, as sent.
#[derive(Debug, Clone, Serialize)]
pub struct Unmatched {
    /// How many numbers; at least so many where `count_may_lack` is not 0.
    pub numbers: u64,
    /// By how much a count may be too low, because there are too many numbers to keep all; 0: exact.
    pub count_may_lack: u64,
    /// Those with the most calls.
    pub top: Vec<UnmatchedNumber>,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub struct UnmatchedNumber {
    /// As sent, masked where that was asked for; hostile text.
    pub number: String,
    /// Calls to it.
    pub calls: u64,
    /// Start of the last one, Unix seconds.
    #[serde(serialize_with = "stamps")]
    pub last: Option<i64>,
}

/// Lengths of time, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// How many there are.
    pub calls: u64,
    /// Median.
    pub p50_s: u64,
    /// So many per cent are at most as long.
    pub p90_s: u64,
    /// See `p90_s`.
    pub p95_s: u64,
    /// See `p90_s`.
    pub p99_s: u64,
    /// The longest.
    pub longest_s: u64,
}

/// How long calls lasted.
#[derive(Debug, Clone, Serialize)]
pub struct Durations {
    /// The figures.
    #[serde(flatten)]
    pub lengths: Lengths,
    /// The classes of [`CLASSES`].
    pub classes: Vec<Class>,
}

/// Durations between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Class {
    /// At least.
    pub from_s: u64,
    /// Less than; the last class has no end.
    pub until_s: Option<u64>,
    /// Calls.
    pub calls: u64,
}

/// What the rules do, by side.
#[derive(Debug, Clone, Serialize)]
pub struct Rules {
    /// Numbers called.
    pub destination: Coverage,
    /// Callers; `None` where no rule is for them.
    pub source: Option<Coverage>,
}

/// What somebody should look at.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// Refused for good.
    pub rejected: Found,
    /// Outcome unknown on a CRM without a natural key.
    pub held: Found,
    /// Due, without a verdict in several runs.
    pub stuck: Found,
    /// Today's settings or rows would send something else.
    pub drift: Found,
    /// Due, and the source does not hold the row any more.
    pub row_gone: Found,
    /// Due, and `[select]` leaves the row out now.
    pub row_left_out: Found,
    /// Kept out by another call with their key.
    pub same_key: u64,
}

/// How many calls of a kind there are, and the last few of them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Found {
    /// All.
    pub calls: u64,
    /// The latest, at most [`EXAMPLES`].
    pub examples: Vec<Example>,
}

/// A call, shown.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Start, Unix seconds.
    #[serde(serialize_with = "stamp")]
    pub start: i64,
    /// Raw source, masked where that was asked for; hostile text.
    pub source: String,
    /// Raw destination; as `source`.
    pub destination: String,
    /// What was said at the last attempt worth telling about; as `source`.
    pub words: Option<String>,
}

/// Rows that a run left out, by reason.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// When that run ended, Unix seconds.
    #[serde(serialize_with = "stamp")]
    pub run_ended: i64,
    /// Rows that it read.
    pub read: u64,
    /// Rows folded into another one of the same call.
    pub merged: u64,
    /// By reason, as the run's report names it; those that are not 0.
    pub skipped: Vec<(String, u64)>,
}

impl Calls {
    /// Calls in a state.
    #[must_use]
    pub fn of(&self, state: State) -> u64 {
        self.states[place(state)]
    }
}

/// Where a state stands among [`State::ALL`].
#[must_use]
pub fn place(state: State) -> usize {
    State::ALL
        .into_iter()
        .position(|one| one == state)
        .unwrap_or(0)
}

/// RFC 3339 in UTC; the number itself where no calendar reaches.
fn stamp<S: Serializer>(at: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match DateTime::from_timestamp(*at, 0) {
        Some(time) => serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%SZ")),
        None => serializer.serialize_i64(*at),
    }
}

fn stamps<S: Serializer>(at: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => stamp(at, serializer),
        None => serializer.serialize_none(),
    }
}

fn by_state<S: Serializer>(counts: &[u64; 7], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        State::ALL
            .iter()
            .zip(counts)
            .map(|(state, n)| (state.as_str(), n)),
    )
}
