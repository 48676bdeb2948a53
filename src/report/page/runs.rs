//! The section about runs: how they ended, and how long there was no success.

use std::time::Duration;

use crate::report::exit::Code;
use crate::report::figures::Figures;
use crate::report::figures::history::RunShown;
use crate::report::figures::timeline::Grain;
use crate::report::summary::{amount, grouped, span};

use super::Moment;
use super::chart::{Chart, Column, Series};
use super::look::shown;
use super::sections::TableRow;

/// Fewer steps than this need no chart.
const FEWEST: usize = 3;

/// Runs, listed.
#[derive(Debug)]
pub(super) struct RunList {
    pub(super) title: &'static str,
    pub(super) runs: Vec<RunRow>,
}

/// A run.
#[derive(Debug)]
pub(super) struct RunRow {
    pub(super) id: i64,
    pub(super) began: String,
    pub(super) mode: String,
    pub(super) took: String,
    pub(super) requests: String,
    pub(super) code: String,
    pub(super) class: &'static str,
    pub(super) reason: String,
}

/// How many there were, and how they ended.
pub(super) fn lead(figures: &Figures, moment: Moment) -> String {
    let runs = &figures.runs;
    let success = runs.last_success.map_or_else(
        || "No run has succeeded yet".to_owned(),
        |at| format!("The last success was {}", moment.minute(at)),
    );
    if runs.runs == 0 {
        return format!("No run began in this window. {success}.");
    }
    let codes: Vec<String> = runs
        .exit_codes
        .iter()
        .map(|count| match count.code {
            Some(code) => format!(
                "{} ended with {code} ({})",
                grouped(count.runs),
                meaning(code)
            ),
            None => format!("{} killed, or under way", grouped(count.runs)),
        })
        .collect();
    let gap = runs.longest_gap_s.map_or_else(String::new, |gap| {
        format!("; the longest time without one was {}", span(gap))
    });
    format!(
        "{}: {}. {success}{gap}.",
        amount(runs.runs, "run"),
        codes.join(", ")
    )
}

/// An exit code in a word or two.
fn meaning(number: u8) -> &'static str {
    let code = Code::ALL.into_iter().find(|code| code.number() == number);
    match code {
        Some(Code::Settled) => "settled",
        Some(Code::Internal) => "internal error",
        Some(Code::Usage) => "configuration",
        Some(Code::Look) => "look",
        Some(Code::Incomplete) => "incomplete",
        Some(Code::Source) => "source not readable",
        Some(Code::Crm) => "the CRM does not speak as agreed",
        Some(Code::LedgerMissing) => "ledger missing",
        Some(Code::Locked) => "locked",
        Some(Code::LedgerUnusable) => "ledger unusable",
        Some(Code::Interrupted | Code::Terminated) => "stopped",
        None => "unknown",
    }
}

/// What the chart of lags is called.
pub(super) fn lag_title(figures: &Figures) -> String {
    format!("Longest time without a success, by {}", figures.runs.step)
}

/// How far the last success lay back at most, along the calendar.
pub(super) fn lag(figures: &Figures, alert_after: Duration) -> Vec<Chart> {
    let steps = &figures.runs.steps;
    if steps.len() < FEWEST {
        return Vec::new();
    }
    let most = steps
        .iter()
        .filter_map(|step| step.lag_s)
        .max()
        .unwrap_or(0);
    let (divisor, unit) = match most {
        0..7_200 => (60.0, " min"),
        7_200..259_200 => (3_600.0, " h"),
        _ => (86_400.0, " d"),
    };
    let columns = steps
        .iter()
        .map(|step| {
            let lag = step.lag_s.unwrap_or(0);
            let class = if lag > alert_after.as_secs() {
                "rejected"
            } else {
                "plain"
            };
            let failures = match step.not_finished {
                0 => String::new(),
                n => format!(", {} not finished", grouped(n)),
            };
            #[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
            let height = lag as f64 / divisor;
            Column {
                from: step.from,
                parts: vec![(class, height)],
                title: format!(
                    "{}: {} ({}{failures})",
                    step.from,
                    step.lag_s.map_or_else(|| "no success yet".to_owned(), span),
                    amount(step.runs, "run")
                ),
                label: format!("{height:.0}"),
            }
        })
        .collect();
    let named = Grain::ALL.into_iter();
    Series {
        id: "lag",
        title: lag_title(figures),
        summary: format!("At most {}.", span(most)),
        grain: named
            .into_iter()
            .find(|grain| grain.word() == figures.runs.step)
            .unwrap_or(Grain::Day),
        columns,
        unit,
    }
    .charts()
}

/// The same as a table.
pub(super) fn lag_table(figures: &Figures) -> Vec<TableRow> {
    let steps = figures.runs.steps.iter();
    steps
        .map(|step| TableRow {
            name: step.from.to_string(),
            cells: vec![
                grouped(step.runs),
                grouped(step.not_finished),
                step.lag_s.map_or_else(|| "no success yet".to_owned(), span),
            ],
        })
        .collect()
}

/// The latest runs, and the latest failures before them.
pub(super) fn lists(figures: &Figures, moment: Moment) -> Vec<RunList> {
    let rows = |runs: &[RunShown]| runs.iter().map(|run| row(run, moment)).collect();
    let lists = [
        ("The latest", rows(&figures.runs.latest)),
        (
            "Before that, the latest that did not finish",
            rows(&figures.runs.failures_before),
        ),
    ];
    lists
        .into_iter()
        .map(|(title, runs): (&'static str, Vec<RunRow>)| RunList { title, runs })
        .filter(|list| !list.runs.is_empty())
        .collect()
}

fn row(run: &RunShown, moment: Moment) -> RunRow {
    RunRow {
        id: run.run_id,
        began: moment.minute(run.started),
        mode: shown(&run.mode),
        took: run.took_s.map_or_else(|| "–".to_owned(), span),
        requests: grouped(run.requests),
        code: run
            .code
            .map_or_else(|| "–".to_owned(), |code| code.to_string()),
        class: if matches!(run.code, Some(0 | 3)) {
            "fine"
        } else {
            "bad"
        },
        reason: shown(&run.reason),
    }
}
