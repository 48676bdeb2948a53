//! From rows of the `cdr` table to calls: clock, selection, folding of legs, wire form, link to the recording.
//!
//! Everything here is pure: the same rows and settings give the same calls for ever. It reads no file, asks no clock,
//! and has never heard of a database or a CRM. A row that cannot be used is counted and named, never fatal.
//!
//! [`Assembly::assemble`] goes the whole way for the rows of one slice; [`wire::wire_form`] follows once the rules have
//! made the numbers.

use crate::call::{Call, ColumnTime, Identity, RawNumber};
use crate::config::SelectConfig;
use crate::source::{CdrRow, DurationCell, LONGEST_VALUE, StartCell};

pub mod cause;
pub mod clock;
pub mod filter;
pub mod filters;
pub mod form;
pub mod merge;
pub mod proof;
pub mod recording;
pub mod select;
mod spans;
#[cfg(test)]
mod transitions;
pub mod uniqueid;
pub mod when;
pub mod window;
pub mod wire;

use clock::{Clock, ClockNote, Resolved};
use select::Skip;
use window::Window;

/// Most examples of invalid rows that one slice keeps.
const EXAMPLES: usize = 5;

/// What turns the rows of a slice into calls.
#[derive(Debug, Clone, Copy)]
pub struct Assembly<'a> {
    /// The clock of the time column.
    pub clock: &'a Clock,
    /// The window of the run; rows beyond it, which [`Window::column_window`] takes in around transitions, are left out.
    pub window: Window,
    /// Which rows count.
    pub select: &'a SelectConfig,
    /// `target.empty_source`.
    pub empty_source: Option<&'a str>,
    /// [`crate::source::SourceProfile::extra`].
    pub extra_roles: &'a [String],
}

/// What became of the rows of one slice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assembled {
    /// The calls, sorted by identity, each identity once.
    pub calls: Vec<Call>,
    /// The figures.
    pub counts: RowCounts,
    /// Up to five of the invalid rows.
    pub invalid: Vec<InvalidRow>,
    /// Up to five of the rows that `[select.where]` leaves out.
    pub filtered: Vec<InvalidRow>,
    /// Every row with a start that is in none of the calls, sorted.
    pub others: Vec<Other>,
}

/// The figures of a slice. `read` is the sum of the five reasons to skip, `merged`, and the number of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Rows of the window.
    pub read: u64,
    /// [`Skip::ShortDestination`]
    pub short_destination: u64,
    /// [`Skip::NoSource`]
    pub no_source: u64,
    /// [`Skip::Disposition`]
    pub disposition: u64,
    /// [`Skip::Excluded`]
    pub excluded: u64,
    /// [`Skip::Invalid`]
    pub invalid: u64,
    /// Rows folded into another of the same identity.
    pub merged: u64,
    /// Rows whose start means two instants, decided by `uniqueid`. Rows, not calls, here and below; skipped ones are not
    /// among them.
    pub ambiguous_by_uniqueid: u64,
    /// Rows whose start means two instants, and the first was taken.
    pub ambiguous_assumed_first: u64,
    /// Rows whose start the clock never showed, decided by `uniqueid`.
    pub skipped_hour_by_uniqueid: u64,
    /// Rows whose start the clock never showed, moved forward.
    pub skipped_hour_shifted: u64,
    /// Values for the link that were left out because they are longer than [`LONGEST_VALUE`].
    pub long_values: u64,
}

/// A row that cannot be used, or that a filter leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow {
    /// Where to find it; hostile text.
    pub uniqueid: Option<String>,
    /// What is wrong with it; safe to show.
    pub reason: String,
}

/// A row of the slice that is no call of the window: what was sent of it earlier is not gone from the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    /// Start as the column holds it.
    pub start: ColumnTime,
    /// Raw source.
    pub source: String,
    /// Raw destination.
    pub destination: String,
    /// It lies outside of the window, and belongs to another one; otherwise it was left out.
    pub beyond: bool,
}

impl Other {
    fn of(row: CdrRow, start: ColumnTime, beyond: bool) -> Self {
        Self {
            start,
            source: row.source,
            destination: row.destination,
            beyond,
        }
    }
}

impl Assembly<'_> {
    /// The calls of a slice's rows.
    #[must_use]
    pub fn assemble(&self, rows: Vec<CdrRow>) -> Assembled {
        let mut done = Assembled::default();
        let mut legs = Vec::with_capacity(rows.len());
        for row in rows {
            let start = match row.start {
                StartCell::At(at) => {
                    let resolved = self.clock.resolve(at, row.origin.uniqueid.as_deref());
                    if !self.window.contains(resolved.instant) {
                        done.others.push(Other::of(row, at, true));
                        continue;
                    }
                    Some((at, resolved))
                }
                StartCell::Missing | StartCell::Unreadable(_) => None,
            };
            done.counts.read += 1;
            let skip = select::classify(&row, self.select, self.empty_source, self.extra_roles);
            if skip == Some(Skip::Excluded) && done.filtered.len() < EXAMPLES {
                let objection = select::objecting(&row, self.select, self.extra_roles);
                done.filtered
                    .extend(objection.map(|(filter, value)| InvalidRow {
                        uniqueid: row.origin.uniqueid.clone(),
                        reason: filter.objection(value),
                    }));
            }
            match (skip, start) {
                (Some(skip), start) => {
                    done.skip(skip, &row);
                    done.others
                        .extend(start.map(|(at, _)| Other::of(row, at, false)));
                }
                (None, Some((at, resolved))) => {
                    done.counts.note(resolved.note);
                    let mut row = row;
                    for value in &mut row.extra {
                        let long = |text: &mut String| select::is_longer(text, LONGEST_VALUE);
                        if value.take_if(long).is_some() {
                            done.counts.long_values += 1;
                        }
                    }
                    legs.push(leg(row, at, resolved));
                }
                // A row without a start is invalid, and was skipped above.
                (None, None) => done.skip(Skip::Invalid("it has no start".to_owned()), &row),
            }
        }
        let recordingfile = self
            .extra_roles
            .iter()
            .position(|role| role == "recordingfile");
        let legs_in = legs.len();
        done.calls = merge::merge(legs, recordingfile);
        done.counts.merged = (legs_in - done.calls.len()) as u64;
        done.others.sort_unstable();
        done
    }
}

impl Assembled {
    fn skip(&mut self, skip: Skip, row: &CdrRow) {
        let count = match skip {
            Skip::Invalid(reason) => {
                if self.invalid.len() < EXAMPLES {
                    self.invalid.push(InvalidRow {
                        uniqueid: row.origin.uniqueid.clone(),
                        reason,
                    });
                }
                &mut self.counts.invalid
            }
            Skip::ShortDestination => &mut self.counts.short_destination,
            Skip::Excluded => &mut self.counts.excluded,
            Skip::Disposition => &mut self.counts.disposition,
            Skip::NoSource => &mut self.counts.no_source,
        };
        *count += 1;
    }
}

impl RowCounts {
    fn note(&mut self, note: ClockNote) {
        match note {
            ClockNote::Exact => {}
            ClockNote::AmbiguousByUniqueid => self.ambiguous_by_uniqueid += 1,
            ClockNote::AmbiguousAssumedFirst => self.ambiguous_assumed_first += 1,
            ClockNote::SkippedByUniqueid => self.skipped_hour_by_uniqueid += 1,
            ClockNote::SkippedShifted => self.skipped_hour_shifted += 1,
        }
    }
}

/// A call of one row.
fn leg(row: CdrRow, start: ColumnTime, resolved: Resolved) -> Call {
    let duration = match row.duration {
        DurationCell::Seconds(seconds) => seconds,
        // Such a row is invalid and does not get here.
        DurationCell::Unreadable(_) => 0,
    };
    Call {
        identity: Identity {
            start,
            fold: resolved.fold,
            source: RawNumber(row.source),
            destination: RawNumber(row.destination),
        },
        instant: resolved.instant,
        duration,
        disposition: row.disposition,
        origin: row.origin,
        extra: row.extra,
        rows: 1,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono_tz::Tz;

    use super::*;
    use crate::call::{Disposition, Origin, TimeKind};

    /// 2007-12-09T07:00:00Z: Caracas put its clock back from 03:00 to 02:30.
    const BACK: i64 = 1_197_183_600;
    const BEFORE: i64 = -14_400;
    const AFTER: i64 = -16_200;

    fn row(wall: i64, uniqueid: &str, destination: &str, disposition: Disposition) -> CdrRow {
        CdrRow {
            start: StartCell::At(ColumnTime(wall)),
            source: "104".to_owned(),
            destination: destination.to_owned(),
            duration: DurationCell::Seconds(30),
            disposition,
            origin: Origin {
                uniqueid: Some(uniqueid.to_owned()),
                linkedid: None,
                sequence: None,
            },
            extra: vec![Some("x.wav".to_owned())],
        }
    }

    fn assemble(rows: Vec<CdrRow>) -> Assembled {
        let clock = Clock::new(TimeKind::Wall, Tz::America__Caracas);
        let select = SelectConfig {
            lookback: Duration::ZERO,
            full_lookback: Duration::ZERO,
            min_destination_length: 7,
            dispositions: Vec::new(),
            exclude: Vec::new(),
            withheld: Vec::new(),
            filters: Vec::new(),
            recheck_unmatched: Duration::ZERO,
            full_at: chrono::NaiveTime::MIN,
        };
        let assembly = Assembly {
            clock: &clock,
            window: Window {
                since: BACK - 7200,
                until: BACK + 7200,
            },
            select: &select,
            empty_source: None,
            extra_roles: &["recordingfile".to_owned()],
        };
        assembly.assemble(rows)
    }

    #[test]
    fn rows_become_calls_and_every_row_of_the_window_is_counted_once() {
        let twice = BACK + AFTER + 600;
        let (first, second) = (twice - BEFORE, twice - AFTER);
        let no_start = CdrRow {
            start: StartCell::Missing,
            ..row(0, "none", "1234567", Disposition::Busy)
        };
        let done = assemble(vec![
            row(twice, &format!("{second}.9"), "1234567", Disposition::Busy),
            row(
                twice,
                &format!("{first}.1"),
                "1234567",
                Disposition::NoAnswer,
            ),
            row(
                twice,
                &format!("{first}.2"),
                "1234567",
                Disposition::Answered,
            ),
            row(twice, "odd", "7654321", Disposition::Answered),
            row(twice, "short", "100", Disposition::Answered),
            row(
                BACK + AFTER + 7200,
                "beyond",
                "1234567",
                Disposition::Answered,
            ),
            row(
                BACK + BEFORE - 7201,
                "before",
                "1234567",
                Disposition::Answered,
            ),
            CdrRow {
                source: String::new(),
                ..row(
                    BACK + AFTER + 7199,
                    "withheld",
                    "1234567",
                    Disposition::Busy,
                )
            },
            no_start,
        ]);
        let found: Vec<_> = done
            .calls
            .iter()
            .map(|call| {
                let Identity {
                    fold, destination, ..
                } = &call.identity;
                (
                    destination.as_str(),
                    fold.0,
                    call.instant,
                    call.disposition.clone(),
                    call.rows,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("1234567", 0, first, Disposition::Answered, 2),
                ("7654321", 0, first, Disposition::Answered, 1),
                ("1234567", 1, second, Disposition::Busy, 1),
            ]
        );
        let expected = RowCounts {
            read: 7,
            short_destination: 1,
            no_source: 1,
            invalid: 1,
            merged: 1,
            ambiguous_by_uniqueid: 3,
            ambiguous_assumed_first: 1,
            ..RowCounts::default()
        };
        assert_eq!(done.counts, expected);
        let invalid = InvalidRow {
            uniqueid: Some("none".to_owned()),
            reason: "it has no start".to_owned(),
        };
        assert_eq!(done.invalid, [invalid]);
    }

    #[test]
    fn examples_of_invalid_rows_are_few_and_all_are_counted() {
        let bad = CdrRow {
            duration: DurationCell::Unreadable("long".to_owned()),
            ..row(BACK + AFTER + 60, "1.1", "1234567", Disposition::Busy)
        };
        let done = assemble(vec![bad; 12]);
        assert_eq!(
            (done.counts.invalid, done.counts.read, done.invalid.len()),
            (12, 12, EXAMPLES)
        );
        assert!(done.calls.is_empty());
    }
}
