//! A record as a row.

use super::fields::Fields;
use super::layout::Places;
use crate::call::{Disposition, Origin};
use crate::cdr::cause::{self, Cause};
use crate::source::columns::{decode, parse_duration_text};
use crate::source::{CdrRow, DurationCell, StartCell};

/// The row that a record holds. `start` was read from it before.
pub(super) fn row(fields: &Fields, places: &Places, start: StartCell) -> CdrRow {
    let text = |at: usize| decode(fields.get(at));
    let optional = |at: Option<usize>| at.map(text).filter(|text| !text.is_empty());
    let sequence = optional(places.sequence).and_then(|text| text.trim().parse().ok());
    CdrRow {
        start,
        source: text(places.source),
        destination: text(places.destination),
        duration: parse_duration_text(fields.get(places.duration)),
        disposition: outcome(fields, places),
        origin: Origin {
            uniqueid: optional(places.uniqueid),
            linkedid: optional(places.linkedid),
            sequence,
        },
        extra: places.extra.iter().map(|&at| optional(at)).collect(),
    }
}

/// The row that stands for lines which are no record: it is reported as invalid, with where to look.
pub(super) fn broken_row(file: &str, line: u64, excerpt: &str, extra: usize) -> CdrRow {
    CdrRow {
        start: StartCell::Unreadable(format!(
            "{file}, line {line}, is no whole record: {excerpt}"
        )),
        source: String::new(),
        destination: String::new(),
        duration: DurationCell::Seconds(0),
        disposition: Disposition::Other(String::new()),
        origin: Origin::default(),
        extra: vec![None; extra],
    }
}

/// FreeSWITCH writes a hangup cause where Asterisk writes the disposition; then the answer decides, as in Asterisk.
fn outcome(fields: &Fields, places: &Places) -> Disposition {
    let text = places
        .disposition
        .map_or_else(String::new, |at| decode(fields.get(at)));
    let answer = places.answer.map(|at| fields.get(at).trim_ascii());
    match Disposition::parse(&text) {
        Disposition::Other(text) if is_hangup_cause(&text) => {
            if answer.is_some_and(|answer| !answer.is_empty() && answer != b"0") {
                Disposition::Answered
            } else {
                cause::unanswered(&text)
            }
        }
        known => known,
    }
}

/// Names such as `NORMAL_CLEARING` (FreeSWITCH `src/switch_channel.c`). Asterisk's dispositions have no underscore.
fn is_hangup_cause(text: &str) -> bool {
    let shaped = text.contains('_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    shaped || Cause::named(text).is_some()
}
