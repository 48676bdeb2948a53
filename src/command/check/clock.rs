//! The clock proof: is the declared zone the one that the time column is written in, and was it always?

use std::ops::Range;
use std::time::{Duration, Instant};

use chrono_tz::Tz;

use super::findings::Findings;
use super::verdict::Verdict;
use crate::call::{ColumnTime, TimeKind};
use crate::cdr::clock::Clock;
use crate::cdr::proof::{Part, Sighting, parts};
use crate::cdr::window::Window;
use crate::config::Config;
use crate::source::{CallSource, CdrRow, SourceError, SourceProfile, TimeIndex};
use crate::text::Shown;

/// Rows that are looked at in each window.
const ROWS: usize = 12;
/// Most windows: one a day, as long as the lookback has no more days.
const WINDOWS: i64 = 400;
/// Windows that are asked for at once, where an index leads to them.
const CHUNK: usize = 32;
/// No further window is looked at after that long; the newest come first.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the time around a change is looked at more closely, into how many pieces it is cut, and how near is near
/// enough (seconds).
const CLOSER: usize = 3;
const PIECES: i64 = 32;
const NEAR: i64 = 60;
/// Changes that are looked at more closely, the latest ones.
const CHANGES: usize = 3;
/// More parts than that are no change of the clock: rows of several clocks stand side by side.
pub(super) const MANY: usize = 6;

/// What the time column was found to hold.
pub(super) struct Sample {
    /// Rows from all over the lookback.
    pub(super) rows: Vec<CdrRow>,
    /// The first day was too long ago for the time that was left.
    cut: bool,
}

/// Looks at some rows of each day of `select.full_lookback`.
pub(super) async fn sample(
    source: &mut dyn CallSource,
    profile: &SourceProfile,
    config: &Config,
    now: i64,
) -> Result<Sample, SourceError> {
    let clock = Clock::new(profile.time, config.source.timezone);
    let whole = Window::full(now, config.select.full_lookback).column_window(&clock);
    let span = whole.end.0.saturating_sub(whole.start.0);
    let windows = pieces(whole, (span / WINDOWS).max(86_400));
    let began = Instant::now();
    let mut sample = Sample {
        rows: Vec::new(),
        cut: false,
    };
    let chunk = match profile.index {
        TimeIndex::Usable(_) => CHUNK,
        // One reading is for all.
        TimeIndex::Missing(_) | TimeIndex::File => windows.len().max(1),
    };
    for some in windows.rchunks(chunk) {
        if began.elapsed() > PATIENCE {
            sample.cut = true;
            break;
        }
        let found = source.sample(some.to_vec(), ROWS).await?;
        // Thousands of rows are kept: no more of each than is looked at.
        sample
            .rows
            .extend(found.into_iter().flatten().map(|row| CdrRow {
                source: String::new(),
                destination: String::new(),
                extra: Vec::new(),
                ..row
            }));
    }
    Ok(sample)
}

/// Says what the sample proves.
pub(super) async fn judge(
    source: &mut dyn CallSource,
    profile: &SourceProfile,
    config: &Config,
    sample: &Sample,
    findings: &mut Findings,
) -> Result<(), SourceError> {
    let mut sightings = Sighting::among(&sample.rows);
    if sightings.is_empty() {
        findings.ok("clock", unproven(profile, sample));
        return Ok(());
    }
    let declared = match profile.time {
        TimeKind::Wall => config.source.timezone,
        TimeKind::Instant => Tz::UTC,
    };
    let looked_at = sightings.len() as u64;
    let mut found = parts(&sightings, declared);
    for _ in 0..CLOSER {
        if found.len() < 2 || found.len() > MANY {
            break;
        }
        let before = sightings.len();
        for gap in gaps(&found) {
            let rows = source.sample(gap.windows(), ROWS).await?;
            let rows = rows.into_iter().flatten().collect::<Vec<_>>();
            let inside = Sighting::among(&rows).into_iter();
            sightings.extend(inside.filter(|sighting| gap.epochs.contains(&sighting.epoch)));
        }
        sightings.sort_unstable();
        sightings.dedup_by_key(|sighting| sighting.epoch);
        if sightings.len() == before {
            break;
        }
        found = parts(&sightings, declared);
    }
    let column = profile
        .columns
        .iter()
        .find(|found| found.role == "initiated")
        .map_or("start", |found| found.column.as_str());
    Verdict {
        column,
        config,
        kind: profile.time,
        parts: &found,
        looked_at,
        cut: sample.cut,
    }
    .tell(findings);
    Ok(())
}

/// The time between two parts, in which the clock changed.
struct Gap {
    epochs: Range<i64>,
    /// The offset before it and the one after it.
    offsets: [i64; 2],
}

impl Gap {
    /// Where its rows stand in the column, by either clock, in pieces.
    fn windows(&self) -> Vec<Range<ColumnTime>> {
        let step = (self.epochs.end - self.epochs.start) / PIECES + 1;
        let stretches = self
            .offsets
            .map(|offset| self.epochs.start + offset..self.epochs.end + offset + 1);
        let mut cuts: Vec<i64> = stretches
            .iter()
            .flat_map(|stretch| {
                let ahead = stretch.clone().step_by(usize::try_from(step).unwrap_or(1));
                ahead.chain([stretch.end])
            })
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2)
            .map(|pair| pair[0]..pair[1])
            // What lies between the two stretches is of no interest.
            .filter(|piece| {
                stretches
                    .iter()
                    .any(|stretch| stretch.contains(&piece.start))
            })
            .map(|piece| ColumnTime(piece.start)..ColumnTime(piece.end))
            .collect()
    }
}

/// The gaps that are worth a closer look.
fn gaps(parts: &[Part]) -> Vec<Gap> {
    parts
        .windows(2)
        .rev()
        .take(CHANGES)
        .map(|pair| Gap {
            epochs: pair[0].last..pair[1].first,
            offsets: [pair[0].ends.1, pair[1].ends.0],
        })
        .filter(|gap| gap.epochs.end - gap.epochs.start > NEAR)
        .collect()
}

/// Cuts a window into pieces of `step` seconds.
fn pieces(whole: Range<ColumnTime>, step: i64) -> Vec<Range<ColumnTime>> {
    let mut pieces = Vec::new();
    let mut from = whole.start.0;
    while from < whole.end.0 {
        let until = from.saturating_add(step).min(whole.end.0);
        pieces.push(ColumnTime(from)..ColumnTime(until));
        from = until;
    }
    pieces
}

/// Why nothing is proven.
fn unproven(profile: &SourceProfile, sample: &Sample) -> String {
    if sample.rows.is_empty() {
        return "there is no call yet to prove the zone by".to_owned();
    }
    let told = if !profile.columns.iter().any(|found| found.role == "uniqueid") {
        "the table has no `uniqueid`".to_owned()
    } else {
        let some = sample
            .rows
            .iter()
            .find_map(|row| row.origin.uniqueid.as_deref())
            .map_or_else(
                || " (they are empty)".to_owned(),
                |id| {
                    let short: String = id.chars().take(60).collect();
                    format!(", such as `{}`", Shown(&short))
                },
            );
        format!("no `uniqueid` holds the time of its channel{some}")
    };
    format!(
        "the zone cannot be proven: {told}; make a call, and compare the start that `cdrelay calls` shows with a clock"
    )
}
