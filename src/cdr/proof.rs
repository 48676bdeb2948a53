//! What the epochs inside `uniqueid` prove about the clock of the time column.
//!
//! The epoch is the creation of the channel, an instant. The first row of a channel starts in the same second, or the next
//! one, on the column's clock: the difference is the column's offset from UTC. Later rows of the channel, of a call that
//! was parked or handed on, start seconds to hours after it, and never before. So a row votes for an offset only where
//! the difference is a quarter of an hour, or a little more, and what most rows of some say counts.

use std::collections::HashMap;

use chrono_tz::Tz;

use super::spans::offset_at;
use super::uniqueid::creation_epoch;
use crate::source::{CdrRow, StartCell};

mod ranking;

/// Offsets from UTC are whole quarters of an hour, in every zone since 1972.
const QUARTER: i64 = 900;
/// How far before its channel's epoch a start may lie, in seconds: the host's clock may have been set back a little.
const EARLY: i64 = 5;
/// How far behind the epoch the start of a channel's first row may lie, in seconds.
const LATE: i64 = 90;
/// The offsets in use, in seconds.
const OFFSETS: std::ops::RangeInclusive<i64> = -12 * 3600..=14 * 3600;
/// Rows that decide together: one that is odd does not.
const TOGETHER: usize = 5;

/// One row whose `uniqueid` holds an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// Creation of the channel, Unix seconds.
    pub epoch: i64,
    /// Start of the row, on the column's clock.
    pub at: i64,
}

impl Sighting {
    /// The sightings among some rows: of each channel the row that starts first.
    #[must_use]
    pub fn among<'a>(rows: impl IntoIterator<Item = &'a CdrRow>) -> Vec<Self> {
        let mut first: HashMap<&str, Self> = HashMap::new();
        for row in rows {
            let (StartCell::At(at), Some(uniqueid)) = (&row.start, &row.origin.uniqueid) else {
                continue;
            };
            if let Some(epoch) = creation_epoch(uniqueid) {
                let sighting = Self { epoch, at: at.0 };
                let known = first.entry(uniqueid).or_insert(sighting);
                known.at = known.at.min(at.0);
            }
        }
        let mut found: Vec<Self> = first.into_values().collect();
        found.sort_unstable();
        found
    }

    /// The offset from UTC that it votes for, in seconds; `None`: the row started some time after its channel.
    #[must_use]
    pub fn offset(self) -> Option<i64> {
        let apart = self.at.saturating_sub(self.epoch);
        if !(OFFSETS.start() - EARLY..=OFFSETS.end() + LATE).contains(&apart) {
            return None;
        }
        let offset = (apart + EARLY).div_euclid(QUARTER) * QUARTER;
        (apart - offset <= LATE).then_some(offset)
    }
}

/// A stretch of time over which one zone explains the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Epoch of the first and of the last row that shows it, Unix seconds.
    pub first: i64,
    /// See `first`.
    pub last: i64,
    /// Rows that the zone explains.
    pub agreeing: u64,
    /// Whether the declared zone explains it.
    pub declared: bool,
    /// The zones that explain it, the likeliest first.
    pub zones: Vec<Tz>,
    /// The offsets that were seen, in seconds, in the order of time, each once.
    pub offsets: Vec<i64>,
    /// The offsets at `first` and at `last`.
    pub ends: (i64, i64),
}

/// The parts that the sightings fall into, in the order of time; empty where there are too few to say anything. `declared`
/// is the zone that the column is taken for: UTC, where it holds instants.
#[must_use]
pub fn parts(sightings: &[Sighting], declared: Tz) -> Vec<Part> {
    let mut voters: Vec<(i64, i64)> = sightings
        .iter()
        .filter_map(|sighting| Some((sighting.epoch, sighting.offset()?)))
        .collect();
    voters.sort_unstable();
    let bins = bins(&voters);
    let mut parts: Vec<Part> = Vec::new();
    let mut from = 0;
    while from < bins.len() {
        let (zones, until) = longest(&bins, from, declared);
        if let Some(found) = part(&bins[from..until], zones, declared) {
            match parts.last_mut() {
                // What no zone explains stood between them.
                Some(before) if before.zones[0] == found.zones[0] => before.go_on(found),
                Some(_) | None => parts.push(found),
            }
        }
        from = until.max(from + 1);
    }
    parts
}

impl Part {
    fn go_on(&mut self, next: Self) {
        self.last = next.last;
        self.ends.1 = next.ends.1;
        self.agreeing += next.agreeing;
        for offset in next.offsets {
            if !self.offsets.contains(&offset) {
                self.offsets.push(offset);
            }
        }
        self.zones.retain(|zone| next.zones.contains(zone));
    }
}

/// Groups of votes that decide together. The last one takes what is left.
fn bins(voters: &[(i64, i64)]) -> Vec<&[(i64, i64)]> {
    let whole = voters.len() / TOGETHER;
    (0..whole)
        .map(|n| {
            let end = if n + 1 == whole {
                voters.len()
            } else {
                (n + 1) * TOGETHER
            };
            &voters[n * TOGETHER..end]
        })
        .collect()
}

/// The zones that explain the most bins from `from` on, and where they end to do so. The declared zone comes first.
fn longest(bins: &[&[(i64, i64)]], from: usize, declared: Tz) -> (Vec<Tz>, usize) {
    let fit = |zones: &[Tz], bin: &[(i64, i64)]| -> Vec<Tz> {
        let fits = |zone: &&Tz| fits(**zone, bin);
        zones.iter().filter(fits).copied().collect()
    };
    let mut zones = ranking::all(declared);
    let mut begun = false;
    for (at, bin) in bins.iter().enumerate().skip(from) {
        let left = fit(&zones, bin);
        if !left.is_empty() {
            zones = left;
            begun = true;
            continue;
        }
        // One group of odd rows between others ends nothing.
        let goes_on = bins
            .get(at + 1)
            .is_some_and(|next| !fit(&zones, next).is_empty());
        if begun && !goes_on {
            return (zones, at);
        }
        if !begun {
            // No zone explains the first group.
            return (Vec::new(), at + 1);
        }
    }
    (zones, bins.len())
}

/// Whether a zone explains most of a group.
fn fits(zone: Tz, bin: &[(i64, i64)]) -> bool {
    let (Some(first), Some(last)) = (bin.first(), bin.last()) else {
        return true;
    };
    let offset = offset_at(zone, first.0);
    let steady = offset == offset_at(zone, last.0);
    let agree = bin.iter().filter(|(epoch, seen)| {
        let expected = if steady {
            offset
        } else {
            offset_at(zone, *epoch)
        };
        expected == *seen
    });
    agree.count() * 2 > bin.len()
}

fn part(bins: &[&[(i64, i64)]], zones: Vec<Tz>, declared: Tz) -> Option<Part> {
    let zone = *zones.first()?;
    let mut offsets = Vec::new();
    let (mut first, mut last, mut agreeing) = (None, (0, 0), 0);
    for (epoch, seen) in bins.iter().copied().flatten() {
        if offset_at(zone, *epoch) != *seen {
            continue;
        }
        first.get_or_insert((*epoch, *seen));
        last = (*epoch, *seen);
        agreeing += 1;
        if !offsets.contains(seen) {
            offsets.push(*seen);
        }
    }
    let first = first?;
    Some(Part {
        first: first.0,
        last: last.0,
        ends: (first.1, last.1),
        agreeing,
        declared: zone == declared,
        zones,
        offsets,
    })
}

#[cfg(test)]
mod tests;
