//! What need not be read again: stretches of the source whose rows are what they were when they were read, by the source's
//! own digest, and whose calls are on record as those rows made them.
//!
//! Nothing is taken on trust. The source computes its digest from the rows as they are now; the ledger adds up the calls as
//! they are now; and the settings are part of what a stretch is known by. Where one of the three differs, rows are read.

use std::ops::{AddAssign, Range};

use serde::{Deserialize, Serialize};

use super::board::Dropped;
use crate::call::ColumnTime;
use crate::cdr::Other;
use crate::intake::{Batch, Candidate};
use crate::ledger::Stretch;
use crate::report::Rows;
use crate::source::{Digest, SLICE_ROWS};

/// What the rows of a stretch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) from: ColumnTime,
    pub(super) until: ColumnTime,
    /// First second after its last row, as far as that is known.
    filled: ColumnTime,
    pub(super) digest: Digest,
    /// Calls that today's settings make of the rows, and the sum of their content hashes, modulo 2^64.
    calls: u64,
    content: i64,
    pub(super) counts: Counts,
}

/// What the report counts of rows that are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) rows: Rows,
    pub(super) dropped: Dropped,
}

impl Known {
    /// The rows of a slice, before its calls are looked at; `None` where more is to be said of them than counts say.
    /// `first`: it is the first one of its window, whose beginning moves on with the clock. What is known begins with its first
    /// row, so that it lies within the next window, too.
    pub(super) fn of(batch: &Batch, first: bool) -> Option<Self> {
        let (digest, rows) = batch.known_by?;
        let (calls, others) = (&batch.calls, &batch.others);
        let of = |call: Option<&Candidate>, other: Option<&Other>| {
            let call = call.map(|call| call.call.identity.start);
            (call, other.map(|other| other.start))
        };
        let (call, other) = of(calls.first(), others.first());
        let earliest = call.into_iter().chain(other).min();
        let (call, other) = of(calls.last(), others.last());
        let latest = call.into_iter().chain(other).max();
        Some(Self {
            from: earliest.filter(|_| first).unwrap_or(batch.from),
            until: batch.until,
            filled: latest.map_or(batch.until, |latest| ColumnTime(latest.0 + 1)),
            digest,
            calls: 0,
            content: 0,
            counts: Counts {
                rows,
                dropped: Dropped::default(),
            },
        })
    }

    /// One more call, by its content hash.
    pub(super) fn add(&mut self, hash: i64) {
        self.calls += 1;
        self.content = self.content.wrapping_add(hash);
    }

    /// Reads what was kept; `None` where that says nothing to this program.
    pub(super) fn kept(stretch: &Stretch) -> Option<Self> {
        Some(Self {
            from: stretch.from,
            until: stretch.until,
            filled: stretch.until,
            digest: Digest {
                rows: stretch.rows,
                sum: stretch.sum,
            },
            calls: stretch.calls,
            content: stretch.content,
            counts: serde_json::from_str(&stretch.counts).ok()?,
        })
    }

    /// As the ledger keeps it.
    pub(super) fn stretch(&self) -> Stretch {
        Stretch {
            from: self.from,
            until: self.until,
            rows: self.digest.rows,
            sum: self.digest.sum,
            calls: self.calls,
            content: self.content,
            counts: serde_json::json!(self.counts).to_string(),
        }
    }

    /// Together with the stretch that follows, where both make no more than a slice: small ones would become many.
    fn joined(&self, next: &Self) -> Option<Self> {
        let digest = self.digest.plus(next.digest);
        let together = self.until == next.from && digest.rows <= SLICE_ROWS as u64;
        let mut counts = self.counts;
        counts += next.counts;
        together.then_some(Self {
            from: self.from,
            until: next.until,
            filled: if next.digest.rows > 0 {
                next.filled
            } else {
                self.filled
            },
            digest,
            calls: self.calls + next.calls,
            content: self.content.wrapping_add(next.content),
            counts,
        })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.dropped += more.dropped;
    }
}

/// The stretches of a window that are known at its end, in order.
#[derive(Debug, Default)]
pub(super) struct Gathered(Vec<Known>);

impl Gathered {
    /// Whether there is none yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next one.
    pub(super) fn push(&mut self, next: Known) {
        if self.0.is_empty() && next.digest.rows == 0 {
            // It would begin where the window does.
            return;
        }
        match self.0.last_mut() {
            Some(last) => match last.joined(&next) {
                Some(both) => *last = both,
                None => self.0.push(next),
            },
            None => self.0.push(next),
        }
    }

    /// As the ledger keeps them.
    pub(super) fn stretches(self) -> Vec<Stretch> {
        let mut known = self.0;
        // What has no rows at the end grows with the clock: it would be written anew by each run, and says nothing.
        while known.pop_if(|last| last.digest.rows == 0).is_some() {}
        if let Some(last) = known.last_mut() {
            last.until = last.filled;
        }
        known.iter().map(Known::stretch).collect()
    }
}

/// A part of a window.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Perhaps it need not be read.
    Known(Known),
    /// Nothing is known of it.
    Unknown(Range<ColumnTime>),
    /// It belongs to a stretch that goes beyond the window: it is read, and the stretch stays as it is.
    Overlap(Range<ColumnTime>),
}

/// Cuts a window into parts, without gap or overlap, by what is on record, which is in the order of starts.
pub(super) fn parts(window: &Range<ColumnTime>, stretches: &[Stretch]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = window.start;
    for stretch in stretches {
        let within = stretch.from.max(window.start)..stretch.until.min(window.end);
        if within.start < at || within.start >= within.end {
            continue;
        }
        if at < within.start {
            parts.push(Part::Unknown(at..within.start));
        }
        at = within.end;
        let whole = within == (stretch.from..stretch.until);
        parts.push(match Known::kept(stretch) {
            Some(known) if whole => Part::Known(known),
            None if whole => Part::Unknown(within),
            Some(_) | None => Part::Overlap(within),
        });
    }
    if at < window.end {
        parts.push(Part::Unknown(at..window.end));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(from: i64, until: i64, rows: u64) -> Known {
        let read = Rows {
            read: rows,
            ..Rows::default()
        };
        Known {
            from: ColumnTime(from),
            until: ColumnTime(until),
            filled: ColumnTime(until),
            digest: Digest {
                rows,
                sum: u64::MAX,
            },
            calls: rows,
            content: i64::MAX,
            counts: Counts {
                rows: read,
                dropped: Dropped { rows: 1, merged: 0 },
            },
        }
    }

    #[test]
    fn what_is_kept_is_what_was_known() {
        let one = known(1, 2, 3);
        assert_eq!(Known::kept(&one.stretch()), Some(one));
        let other = Stretch {
            counts: "{}".into(),
            ..one.stretch()
        };
        assert_eq!(Known::kept(&other), None);
    }

    #[test]
    fn small_neighbours_become_one_and_large_ones_and_strangers_do_not() {
        let mut gathered = Gathered::default();
        gathered.push(known(-10, 0, 0));
        assert!(gathered.is_empty(), "nothing is known of no rows");
        gathered.push(known(0, 10, 4000));
        gathered.push(known(10, 20, 90));
        gathered.push(known(20, 30, 7));
        gathered.push(known(31, 40, 1));
        gathered.push(known(40, 50, 0));
        gathered.push(known(60, 70, 0));
        let stretches = gathered.stretches();
        let ends: Vec<_> = stretches
            .iter()
            .map(|s| (s.from.0, s.until.0, s.rows, s.calls))
            .collect();
        assert_eq!(ends, [(0, 20, 4090, 4090), (20, 30, 7, 7), (31, 40, 1, 1)]);
        assert_eq!(stretches[0].sum, u64::MAX - 1, "modulo 2^64");
        assert_eq!(stretches[0].content, -2, "modulo 2^64");
        let first = Known::kept(&stretches[0]).unwrap();
        assert_eq!(first.counts.rows.read, 4090);
        assert_eq!(first.counts.dropped.rows, 2);
    }

    #[test]
    fn parts_cover_a_window_once() {
        let at = |from: i64, until: i64| ColumnTime(from)..ColumnTime(until);
        let kept: Vec<Stretch> = [(0, 12), (12, 20), (25, 30), (28, 33), (33, 45)]
            .map(|(from, until)| known(from, until, 1).stretch())
            .into();
        assert_eq!(
            parts(&at(10, 40), &kept),
            [
                Part::Overlap(at(10, 12)),
                Part::Known(known(12, 20, 1)),
                Part::Unknown(at(20, 25)),
                Part::Known(known(25, 30, 1)),
                Part::Unknown(at(30, 33)),
                Part::Overlap(at(33, 40)),
            ]
        );
        assert_eq!(parts(&at(5, 6), &[]), [Part::Unknown(at(5, 6))]);
        assert_eq!(parts(&at(5, 6), &kept), [Part::Overlap(at(5, 6))]);
    }
}
