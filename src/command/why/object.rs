//! One call as one object.

use serde_json::{Value, json};

use super::case::{Case, Leg};
use super::hunt::start;
use super::name;
use super::verdict::{Around, Verdict};
use crate::call::{TimeKind, WireForm};
use crate::cdr::clock::ClockNote;
use crate::command::between::{stamp, utc};
use crate::command::calls::{missing, wire_object};
use crate::command::explain;
use crate::ledger::{Listed, PendingReason};
use crate::source::DurationCell;
use crate::target;

/// One object.
pub(super) fn object(case: &Case, verdict: &Verdict, around: Around<'_>) -> Value {
    let target = &around.config.target;
    let form = |form: &WireForm| {
        let mut object = wire_object(form);
        object["request"] = json!(target::shown_request(target, form).ok());
        object
    };
    let listed = case.listed.as_ref();
    json!({
        "start": stamp(case.identity.start),
        "fold": case.identity.fold.0,
        "source": case.identity.source.as_str(),
        "destination": case.identity.destination.as_str(),
        "state": verdict.word,
        "says": verdict.says,
        "next": verdict.next,
        "instant": case.instant().and_then(utc),
        "time": case.today.clock.map(|(resolved, kind)| json!({
            "column": match kind { TimeKind::Wall => "wall", TimeKind::Instant => "instant" },
            "instant": utc(resolved.instant),
            "rule": match resolved.note {
                ClockNote::Exact => "exact",
                ClockNote::AmbiguousByUniqueid => "ambiguous_by_uniqueid",
                ClockNote::AmbiguousAssumedFirst => "ambiguous_assumed_first",
                ClockNote::SkippedByUniqueid => "skipped_by_uniqueid",
                ClockNote::SkippedShifted => "skipped_shifted",
            },
        })),
        "rows": case.legs.as_ref().map(|legs| legs.iter().map(leg).collect::<Vec<_>>()),
        "rules": {
            "source": case.today.source.as_ref().map(explain::object),
            "destination": explain::object(&case.today.destination),
        },
        "frozen": listed.and_then(|listed| listed.wire.as_ref()).map(form),
        "today": case.todays().map(form),
        "drift": listed.is_some_and(|listed| listed.drift),
        "stuck": listed.is_some_and(Listed::is_stuck),
        "missing": listed.and_then(|listed| missing(listed.missing)),
        "pending": listed.and_then(|listed| listed.pending).map(PendingReason::as_str),
        "attempts": listed.map_or(0, |listed| listed.attempts),
        "last_attempt": listed.and_then(|listed| listed.last_attempt).and_then(utc),
        "answers": case.attempts.iter().map(|attempt| json!({
            "run": attempt.run.0,
            "at": utc(attempt.at),
            "outcome": attempt.outcome,
            "words": attempt.words,
        })).collect::<Vec<_>>(),
        "contact_id": listed.and_then(|listed| listed.receipt.contact_id),
        "call_id": listed.and_then(|listed| listed.receipt.call_id),
        "ask": name::argument(&case.identity, case.row().map(|row| &row.origin).or(listed.map(|listed| &listed.origin)), around.privacy),
    })
}

fn leg(leg: &Leg) -> Value {
    let row = &leg.row;
    json!({
        "start": stamp(start(row)),
        "source": row.source,
        "destination": row.destination,
        "duration": match &row.duration {
            DurationCell::Seconds(seconds) => json!(seconds),
            DurationCell::Unreadable(text) => json!(text),
        },
        "disposition": row.disposition.as_str(),
        "uniqueid": row.origin.uniqueid,
        "linkedid": row.origin.linkedid,
        "sequence": row.origin.sequence,
        "stands": leg.stands,
        "filters": leg.filters.iter().map(|filter| json!({
            "filter": filter.filter, "passes": filter.passes, "why": filter.why,
        })).collect::<Vec<_>>(),
    })
}
