//! A run's report for people. Its first line answers "is everything there, and if not, what do I do?"

use std::fmt::Write as _;

use chrono::DateTime;
use chrono_tz::Tz;

use super::exit::Code;
use super::{Agi, RunReport};
use crate::text::{Shown, count};

/// What the text shows beside the numbers.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    /// Sentences about the source (no index, a record cut off).
    pub notes: Vec<String>,
    /// Rows that could not be read, up to a few, with the reason.
    pub invalid: Vec<String>,
    /// Calls whose start fell into an hour that occurs twice, or not at all, and how that was decided.
    pub clock: ClockTally,
    /// Calls of the window that wait for a contact with their number, asked about in this run or not.
    pub unmatched: u64,
    /// Calls of the window that the CRM refused for good, in this run or before.
    pub rejected: u64,
}

/// Calls that were told while they happened.
fn told(agi: &Agi) -> String {
    let mut parts = vec![format!(
        "{} that {} told while happening",
        count(agi.taken_up, "call"),
        if agi.taken_up == 1 { "was" } else { "were" }
    )];
    for (n, what) in [
        (agi.delivered, "delivered now"),
        (agi.unmatched, "unmatched"),
        (agi.rejected, "rejected"),
        (agi.held, "held (`cdrelay held`)"),
        (agi.pending, "pending"),
        (agi.unreadable, "unreadable"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    parts.join(", ")
}

/// How wall times at zone transitions were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockTally {
    /// Ambiguous; the epoch in `uniqueid` decided.
    pub ambiguous_by_uniqueid: u64,
    /// Ambiguous; the first occurrence was assumed.
    pub ambiguous_assumed: u64,
    /// Non-existent; the epoch in `uniqueid` decided.
    pub skipped_by_uniqueid: u64,
    /// Non-existent; shifted forward.
    pub skipped_shifted: u64,
}

/// The report as text, several lines, with a line end.
#[must_use]
pub fn render(report: &RunReport, remarks: &Remarks, zone: Tz) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", headline(report, remarks));
    let _ = writeln!(text);
    line(&mut text, "window", &window(report, zone));
    line(&mut text, "rows", &rows(report));
    line(&mut text, "calls", &calls(report));
    if report.collisions > 0 {
        line(
            &mut text,
            "same key",
            &format!(
                "{} with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them",
                count(report.collisions, "call")
            ),
        );
    }
    if report.drift > 0 {
        line(
            &mut text,
            "drift",
            &format!(
                "{} would look different by today's rules, zone or rows; what was sent stays until `cdrelay rebuild`",
                count(report.drift, "known call")
            ),
        );
    }
    if report.stuck > 0 {
        line(
            &mut text,
            "stuck",
            &format!(
                "{} without a verdict in 3 runs or more; they go last, and `cdrelay calls --state pending` lists them",
                count(report.stuck, "call")
            ),
        );
    }
    if let Some(agi) = &report.agi {
        line(&mut text, "told", &told(agi));
    }
    missing(&mut text, report);
    line(&mut text, "requests", &requests(report));
    line(&mut text, "time", &time(report));
    clock(&mut text, remarks.clock);
    for example in &remarks.invalid {
        line(&mut text, "invalid", &Shown(example).to_string());
    }
    for note in &remarks.notes {
        line(&mut text, "note", &Shown(note).to_string());
    }
    text
}

/// The first line.
#[must_use]
pub fn headline(report: &RunReport, remarks: &Remarks) -> String {
    let calls = &report.calls;
    if report.dry_run && matches!(report.exit.code, Code::Settled | Code::Incomplete) {
        return match calls.pending {
            0 => format!(
                "Dry run: nothing to send; all {} are settled.",
                count(calls.total, "call")
            ),
            n => format!(
                "Dry run: {} would be sent, of {}.",
                count(n, "call"),
                calls.total
            ),
        };
    }
    match report.exit.code {
        Code::Settled => settled(report, remarks),
        Code::Incomplete => format!(
            "Not everything is there yet: {}. The next run goes on by itself.",
            report.exit.reason
        ),
        Code::Look => format!("Finished, but look: {}.", report.exit.reason),
        Code::Source => format!("The calls could not all be read: {}.", report.exit.reason),
        Code::Crm => format!("Stopped: {}.", report.exit.reason),
        Code::Interrupted | Code::Terminated => {
            format!("Stopped on request: {}.", report.exit.reason)
        }
        Code::Internal
        | Code::Usage
        | Code::LedgerMissing
        | Code::Locked
        | Code::LedgerUnusable => {
            format!("Not finished: {}.", report.exit.reason)
        }
    }
}

/// The first line where nothing is due. What is settled without being in the CRM is named, with the way to see it.
fn settled(report: &RunReport, remarks: &Remarks) -> String {
    let calls = &report.calls;
    let mut but = Vec::new();
    if remarks.unmatched > 0 {
        but.push(format!(
            "{} of them for numbers that no contact has (`cdrelay calls --state unmatched`)",
            remarks.unmatched
        ));
    }
    if remarks.rejected > 0 {
        but.push(format!(
            "{} of them refused by the CRM for good (`cdrelay calls --state rejected`)",
            remarks.rejected
        ));
    }
    if report.rows.skipped.invalid > 0 {
        but.push(format!(
            "{} could not be read, below",
            count(report.rows.skipped.invalid, "row")
        ));
    }
    let all = count(calls.total, "call");
    let what = match (calls.total, calls.created + calls.existing) {
        (0, _) => "the window holds no call to send".to_owned(),
        (_, 0) => format!("{all}, nothing to send"),
        (_, n) => format!("{all}, {n} of them sent now"),
    };
    if but.is_empty() {
        format!("Everything is there: {what}.")
    } else {
        format!("Everything is settled: {what}; {}.", but.join("; "))
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:<9} {value}");
}

fn window(report: &RunReport, zone: Tz) -> String {
    let show = |text: &str| match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string(),
        Err(_) => text.to_owned(),
    };
    format!(
        "{} to {} ({zone}), {}",
        show(&report.window.since),
        show(&report.window.until),
        report.mode.as_str()
    )
}

fn rows(report: &RunReport) -> String {
    let skipped = &report.rows.skipped;
    let mut text = format!("{} read", report.rows.read);
    let reasons = [
        (skipped.short_destination, "with a short destination"),
        (skipped.no_source, "without a caller's number"),
        (skipped.disposition, "with another disposition"),
        (skipped.excluded, "excluded"),
        (skipped.dropped_by_rule, "dropped by a rule"),
        (skipped.invalid, "invalid"),
    ];
    let shown: Vec<String> = reasons
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{n} {why}"))
        .collect();
    if !shown.is_empty() {
        let _ = write!(text, "; left out: {}", shown.join(", "));
    }
    if report.rows.merged > 0 {
        let _ = write!(
            text,
            "; {} folded into another row of the same call",
            report.rows.merged
        );
    }
    text
}

fn calls(report: &RunReport) -> String {
    let calls = &report.calls;
    let parts = [
        (calls.unchanged, "unchanged"),
        (calls.created, "created"),
        (calls.existing, "existing"),
        (calls.unmatched, "unmatched"),
        (calls.rejected, "rejected"),
        (calls.held, "held"),
        (calls.pending, "pending"),
        (calls.withdrawn, "withdrawn"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    if shown.is_empty() {
        calls.total.to_string()
    } else {
        format!("{}: {}", calls.total, shown.join(", "))
    }
}

fn requests(report: &RunReport) -> String {
    if report.requests.sent + report.requests.unconnected == 0 {
        return "none".to_owned();
    }
    let mut text = format!(
        "{} sent, {} of them retries; {:.0} calls/s; answers after {} ms (median), {} ms (95 %)",
        report.requests.sent,
        report.requests.retried,
        report.timings.calls_per_second,
        report.timings.latency_ms.p50,
        report.timings.latency_ms.p95
    );
    if report.requests.unconnected > 0 {
        let _ = write!(
            text,
            "; {} without a connection",
            count(report.requests.unconnected, "attempt")
        );
    }
    text
}

/// Due calls that the source does not give any more, and what to do about them.
fn missing(text: &mut String, report: &RunReport) {
    let sentences = [
        (
            report.missing.gone,
            "due, and the source does not hold the row any more: not sent; `cdrelay calls --state pending` marks them; they are \
             sent where the rows come back, else forgotten after `ledger.retention`",
        ),
        (
            report.missing.left_out,
            "due, and the row is left out now: not sent; `cdrelay calls --state pending` marks them; they are sent where \
             `[select]` takes the rows in again, else forgotten after `ledger.retention`",
        ),
        (
            report.missing.withdrawn,
            "of a rebuild without a row to send: withdrawn, until there is one",
        ),
    ];
    for (n, what) in sentences {
        if n > 0 {
            line(text, "no row", &format!("{} {what}", count(n, "call")));
        }
    }
}

fn time(report: &RunReport) -> String {
    format!(
        "{:.2} s ({:.2} s reading, {:.2} s sending)",
        report.timings.total_s, report.timings.read_s, report.timings.send_s
    )
}

fn clock(text: &mut String, tally: ClockTally) {
    let sentences = [
        (
            tally.ambiguous_by_uniqueid,
            "in an hour that occurs twice; the epoch in `uniqueid` decided",
        ),
        (
            tally.ambiguous_assumed,
            "in an hour that occurs twice; taken as its first occurrence",
        ),
        (
            tally.skipped_by_uniqueid,
            "at a time that the zone skips; the epoch in `uniqueid` decided",
        ),
        (
            tally.skipped_shifted,
            "at a time that the zone skips; shifted forward by the gap",
        ),
    ];
    for (n, what) in sentences {
        if n > 0 {
            line(text, "clock", &format!("{} {what}", count(n, "row")));
        }
    }
}
