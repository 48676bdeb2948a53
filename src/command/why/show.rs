//! One call on one screen.

use std::fmt::Write as _;

use super::case::Case;
use super::verdict::{Around, Verdict};
use crate::call::{TimeKind, WireForm};
use crate::cdr::clock::ClockNote;
use crate::command::between::{local, stamp, utc};
use crate::command::calls::masked_identity;
use crate::command::explain;
use crate::config::TargetConfig;
use crate::intake::{Today, describe};
use crate::number::trace::Trace;
use crate::source::{CdrRow, DurationCell};
use crate::target;
use crate::text::{Shown, count};

/// Most rows of one call that are shown; the others are counted.
const LEGS: usize = 6;
/// Most attempts that are shown, the latest ones.
const ATTEMPTS: usize = 8;
/// Width of the labels.
const LABEL: usize = 11;

impl Case {
    /// The frozen form, or the one that would be frozen today.
    fn form(&self) -> Option<(&WireForm, bool)> {
        if let Some(wire) = self.listed.as_ref().and_then(|listed| listed.wire.as_ref()) {
            return Some((wire, true));
        }
        self.todays().map(|wire| (wire, false))
    }

    pub(super) fn todays(&self) -> Option<&WireForm> {
        match self.today.form.as_ref()? {
            Today::Wire(wire) => Some(wire),
            Today::Dropped => None,
        }
    }
}

/// One screen.
pub(super) fn text(case: &Case, verdict: &Verdict, around: Around<'_>) -> String {
    let config = around.config;
    let kind = case.today.clock.map_or(TimeKind::Wall, |(_, kind)| kind);
    let mut text = format!("{}\n", describe(&case.identity, kind));
    let word = verdict.word.replace('_', " ");
    labelled(
        &mut text,
        "state",
        &format!("{word}: {}", Shown(&verdict.says)),
    );
    labelled(&mut text, "next", &Shown(&verdict.next).to_string());
    text.push('\n');
    rows(&mut text, case);
    time(&mut text, case, around);
    rules(&mut text, case);
    request(&mut text, case, &config.target);
    for folded in &case.keeps_out {
        let folded = masked_identity(folded, around.privacy);
        let call = describe(&folded, kind);
        labelled(&mut text, "keeps out", &format!("{call}: the same key"));
    }
    attempts(&mut text, case, around);
    text
}

/// A line with a label in front.
fn labelled(text: &mut String, label: &str, line: &str) {
    let _ = writeln!(text, "{label:<LABEL$}{line}");
}

fn rows(text: &mut String, case: &Case) {
    let Some(legs) = &case.legs else {
        labelled(text, "row", "the source could not be asked");
        return;
    };
    if legs.is_empty() {
        labelled(text, "row", "the source does not hold it");
        return;
    }
    for (n, leg) in legs.iter().take(LEGS).enumerate() {
        let row = &leg.row;
        let mut line = format!("{}, {}", ended(row), lasted(row));
        for (what, id) in [
            ("uniqueid", row.origin.uniqueid.as_deref()),
            ("linkedid", row.origin.linkedid.as_deref()),
        ] {
            if let Some(id) = id.filter(|id| !id.is_empty()) {
                let _ = write!(line, ", {what} {}", Shown(id));
            }
        }
        if let Some(sequence) = row.origin.sequence {
            let _ = write!(line, ", sequence {sequence}");
        }
        let failed = leg.filters.iter().find(|filter| !filter.passes);
        match failed {
            Some(filter) if n > 0 => {
                let _ = write!(line, "; left out: {}", filter.why);
            }
            None if !leg.stands => line.push_str("; folded into the first"),
            Some(_) | None => {}
        }
        labelled(text, if n == 0 { "row" } else { "" }, &line);
    }
    if legs.len() > LEGS {
        let more = count((legs.len() - LEGS) as u64, "row");
        labelled(text, "", &format!("{more} more"));
    }
    if legs.len() > 1 {
        labelled(
            text,
            "",
            "rows of one call: an answered one stands for all, then the longest",
        );
    }
    for (n, filter) in legs[0].filters.iter().enumerate() {
        let passes = if filter.passes { "pass" } else { "LEFT OUT" };
        let label = if n == 0 { "selection" } else { "" };
        labelled(
            text,
            label,
            &format!("{:<12} {passes}: {}", filter.filter, filter.why),
        );
    }
}

fn ended(row: &CdrRow) -> String {
    match row.disposition.as_str() {
        "" => "no disposition".to_owned(),
        word => Shown(word).to_string(),
    }
}

fn lasted(row: &CdrRow) -> String {
    match &row.duration {
        DurationCell::Seconds(seconds) => format!("{seconds} s"),
        DurationCell::Unreadable(_) => "no usable duration".to_owned(),
    }
}

/// The rule by which a start was read.
fn read_by(note: ClockNote) -> &'static str {
    match note {
        ClockNote::Exact => "the clock showed it once",
        ClockNote::AmbiguousByUniqueid => {
            "the clock showed it twice; the epoch in uniqueid decides"
        }
        ClockNote::AmbiguousAssumedFirst => {
            "the clock showed it twice; nothing decides, so the first"
        }
        ClockNote::SkippedByUniqueid => {
            "the clock never showed it; the epoch in uniqueid says with which offset it was written"
        }
        ClockNote::SkippedShifted => "the clock never showed it; moved forward by the gap",
    }
}

fn time(text: &mut String, case: &Case, around: Around<'_>) {
    let zone = around.config.source.timezone;
    let at = stamp(case.identity.start);
    let utc = |instant| utc(instant).unwrap_or_default();
    let mut line = match case.today.clock {
        Some((resolved, TimeKind::Wall)) => {
            let fold = if resolved.fold.0 > 0 {
                ", the second time"
            } else {
                ""
            };
            format!(
                "{at} in {zone}{fold} is {} ({})",
                utc(resolved.instant),
                read_by(resolved.note)
            )
        }
        Some((resolved, TimeKind::Instant)) => format!(
            "{} in the column, which holds instants: {} in {zone}",
            utc(resolved.instant),
            local(resolved.instant, zone)
        ),
        None => format!("{at} in the column"),
    };
    if let Some(listed) = &case.listed
        && case
            .today
            .clock
            .is_none_or(|(resolved, _)| resolved.instant != listed.instant)
    {
        let _ = write!(line, "; taken for {} when it was sent", utc(listed.instant));
    }
    if let Some((form, frozen)) = case.form() {
        let sent = if frozen { "sent as" } else { "to be sent as" };
        let _ = write!(line, "; {sent} `{}`", Shown(&form.initiated));
    }
    labelled(text, "time", &line);
}

fn rules(text: &mut String, case: &Case) {
    let chain = |text: &mut String, label: &str, trace: &Trace| {
        let explained = explain::text(trace);
        for (n, line) in explained.lines().enumerate() {
            labelled(text, if n == 0 { label } else { "" }, line);
        }
    };
    match &case.today.source {
        // Without rules for it there is nothing to tell.
        Some(trace) if trace.steps.is_empty() => {}
        Some(trace) => chain(text, "source", trace),
        None => labelled(
            text,
            "source",
            "withheld: target.empty_source is sent in its place",
        ),
    }
    chain(text, "number", &case.today.destination);
}

fn request(text: &mut String, case: &Case, target: &TargetConfig) {
    let shown = |form: &WireForm| match target::shown_request(target, form) {
        Ok(request) => Shown(&request).to_string(),
        Err(error) => format!("cannot be shown: {}", Shown(&format!("{error:#}"))),
    };
    let Some((form, frozen)) = case.form() else {
        labelled(text, "request", "none");
        return;
    };
    let label = if frozen { "frozen" } else { "would send" };
    labelled(text, label, &shown(form));
    if let Some(today) = case.todays().filter(|today| frozen && *today != form) {
        labelled(text, "today", &shown(today));
    }
}

fn attempts(text: &mut String, case: &Case, around: Around<'_>) {
    let Some(listed) = &case.listed else {
        labelled(text, "attempts", "none");
        return;
    };
    let zone = around.config.source.timezone;
    let last = listed.last_attempt.map_or_else(
        || "no answer yet".to_owned(),
        |at| format!("the last answer on {}", local(at, zone)),
    );
    let told = match case.attempts.len() {
        0 if listed.attempts == 1 => "; a delivery at the first try leaves no more on record",
        _ => "",
    };
    labelled(
        text,
        "attempts",
        &format!("{}, {last}{told}", count(u64::from(listed.attempts), "run")),
    );
    let hidden = case.attempts.len().saturating_sub(ATTEMPTS);
    if hidden > 0 {
        labelled(
            text,
            "",
            &format!("{} before these", count(hidden as u64, "attempt")),
        );
    }
    for attempt in case.attempts.iter().skip(hidden) {
        let words = if attempt.words.is_empty() {
            String::new()
        } else {
            format!(": {}", Shown(&attempt.words))
        };
        labelled(
            text,
            "",
            &format!(
                "{}  run {}  {}{words}",
                local(attempt.at, zone),
                attempt.run.0,
                attempt.outcome.replace('_', " ")
            ),
        );
    }
}
