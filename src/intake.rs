//! From slices of rows to calls with the wire form that today's settings give them.
//!
//! It joins the pure rooms ([`crate::cdr`], [`crate::number`]) to a source, counts what it leaves out, and has never heard
//! of the ledger or the CRM. `sync` sends what comes out of it, `delete` compares it with what was delivered.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::call::{Call, ColumnTime, Identity, TimeKind};
use crate::cdr::clock::Clock;
use crate::cdr::window::Window;
use crate::cdr::{Assembled, Assembly, Other, RowCounts, merge};
use crate::report::text::ClockTally;
use crate::report::{Rows, Skipped};
use crate::source::{CallSource, Digest, Slice, SourceError, SourceProfile, StartCell};

mod settings;

pub use settings::{Problems, Settings, Today, chains};

/// How often a slice is read again after an I/O error before the source counts as lost.
const SLICE_RETRIES: u32 = 3;

/// How many unreadable rows are shown as examples.
const EXAMPLES: usize = 5;

/// A call of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The call.
    pub call: Call,
    /// Its form today.
    pub today: Today,
}

impl AsRef<Identity> for Candidate {
    fn as_ref(&self) -> &Identity {
        &self.call.identity
    }
}

/// The calls of one slice, ordered by identity.
#[derive(Debug)]
pub struct Batch {
    /// First second of the slice, on the column's clock.
    pub from: ColumnTime,
    /// First second after it.
    pub until: ColumnTime,
    /// The calls.
    pub calls: Vec<Candidate>,
    /// Rows the slice brought, those left out included.
    pub rows: u64,
    /// Rows that are in none of the calls, sorted.
    pub others: Vec<Other>,
    /// What stands for the rows, where these counts are all that there is to say of those that made no call.
    pub known_by: Option<(Digest, Rows)>,
}

impl Batch {
    /// Whether a call of this identity is among the calls.
    #[must_use]
    pub fn holds(&self, identity: &Identity) -> bool {
        self.calls
            .binary_search_by(|candidate| candidate.call.identity.cmp(identity))
            .is_ok()
    }

    /// The row with the start and the numbers of this identity that is in none of the calls.
    #[must_use]
    pub fn other(&self, identity: &Identity) -> Option<&Other> {
        let wanted = (
            identity.start,
            identity.source.as_str(),
            identity.destination.as_str(),
        );
        let at = self.others.partition_point(|other| {
            (
                other.start,
                other.source.as_str(),
                other.destination.as_str(),
            ) < wanted
        });
        self.others.get(at).filter(|other| {
            (
                other.start,
                other.source.as_str(),
                other.destination.as_str(),
            ) == wanted
        })
    }
}

/// What the intake has counted so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Rows read and left out. `merged` counts legs only; rows that a rule dropped are counted by whoever decides that.
    pub rows: Rows,
    /// Readings of ambiguous and missing hours.
    pub clock: ClockTally,
    /// Some of the invalid rows.
    pub invalid: Vec<String>,
    /// Values for the link that were too long for one.
    pub long_values: u64,
    /// Rows with a usable start, and rows whose start is there and cannot be read.
    pub starts: (u64, u64),
}

/// A window on its way through the pure rooms.
pub struct Intake<'a> {
    reader: Reader,
    sorter: Sorter<'a>,
}

/// The half that waits for the source.
pub struct Reader {
    source: Box<dyn CallSource>,
    waited: Duration,
}

/// The half that makes calls of rows.
pub struct Sorter<'a> {
    settings: &'a Settings<'a>,
    profile: SourceProfile,
    clock: Clock,
    window: Window,
    tally: Tally,
}

/// Looks at the table, as [`CallSource::probe`], again where the connection is lost meanwhile.
///
/// # Errors
/// [`SourceError`], after the same was tried again three times.
pub async fn probe(source: &mut dyn CallSource) -> Result<SourceProfile, SourceError> {
    let mut tries = 0;
    loop {
        match source.probe().await {
            Err(error) => again(error, &mut tries).await?,
            Ok(profile) => return Ok(profile),
        }
    }
}

impl<'a> Intake<'a> {
    /// Opens the window. `source` has been probed; `profile` is what it found.
    ///
    /// # Errors
    /// [`SourceError`]
    pub async fn open(
        settings: &'a Settings<'a>,
        mut source: Box<dyn CallSource>,
        profile: SourceProfile,
        window: Window,
    ) -> Result<Self, SourceError> {
        let clock = Clock::new(profile.time, settings.config.source.timezone);
        let started = Instant::now();
        let mut tries = 0;
        while let Err(error) = source.open(window.column_window(&clock)).await {
            again(error, &mut tries).await?;
        }
        Ok(Self {
            reader: Reader {
                source,
                waited: started.elapsed(),
            },
            sorter: Sorter {
                settings,
                profile,
                clock,
                window,
                tally: Tally::default(),
            },
        })
    }

    /// How many rows there are to read, where that is known before; asked before the first slice. What is wrong with the
    /// source shows when it is read.
    pub async fn expected(&mut self) -> Option<u64> {
        self.reader.source.expected().await.ok().flatten()
    }

    /// The next slice's calls; `None` at the end of the window.
    ///
    /// # Errors
    /// [`SourceError`], after the slice was tried again three times.
    pub async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        let slice = self.reader.next().await?;
        Ok(match slice {
            Some(slice) => Some(self.sorter.batch(slice).await),
            None => None,
        })
    }

    /// Both halves, for whoever lets the source work on the next slice while the last one is sorted.
    pub fn halves(&mut self) -> (&mut Reader, &mut Sorter<'a>) {
        (&mut self.reader, &mut self.sorter)
    }

    /// Counts the rows without a usable start: they belong to no window, and so to runs that were not given one.
    ///
    /// # Errors
    /// [`SourceError`]
    pub async fn count_undated(&mut self) -> Result<(), SourceError> {
        let mut tries = 0;
        let undated = loop {
            match self.reader.source.undated().await {
                Err(error) => again(error, &mut tries).await?,
                Ok(undated) => break undated,
            }
        };
        let tally = &mut self.sorter.tally;
        tally.rows.read += undated.rows;
        tally.rows.skipped.invalid += undated.rows;
        if undated.rows > 0 {
            let which = if undated.examples.is_empty() {
                String::new()
            } else {
                format!(" (uniqueid {})", undated.examples.join(", "))
            };
            tally.invalid.push(format!(
                "{} without a usable start{which}",
                crate::text::count(undated.rows, "row")
            ));
        }
        Ok(())
    }

    /// Why the window counts as unread, where starts were found and not one of them could be read.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        let (readable, unreadable) = self.tally().starts;
        (readable == 0 && unreadable > 0).then(|| {
            format!(
                "not one of {} has a start that can be read, such as: {}; see `cdrelay check`, and set \
                 `source.columns.initiated` to the column that holds the start of the call",
                crate::text::count(unreadable, "row"),
                self.tally().invalid.first().map_or("no example", String::as_str)
            )
        })
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.sorter.tally
    }

    /// Time spent waiting for the source.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.reader.waited
    }

    /// What the source looks like.
    #[must_use]
    pub fn profile(&self) -> &SourceProfile {
        &self.sorter.profile
    }

    /// What a person should know about the source.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.profile().notes.clone();
        for note in self.reader.source.notes() {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let long = self.tally().long_values;
        if long > 0 {
            notes.push(format!(
                "{} for the link longer than {} characters; those calls go without a link",
                crate::text::count(long, "value"),
                crate::source::LONGEST_VALUE
            ));
        }
        notes
    }

    /// How the time column is read.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.sorter.clock
    }

    /// The window on the column's own clock.
    #[must_use]
    pub fn column_window(&self) -> Range<ColumnTime> {
        self.sorter.window.column_window(self.clock())
    }
}

impl Reader {
    /// The next slice; `None` at the end of what was opened.
    ///
    /// # Errors
    /// [`SourceError`], after the slice was tried again three times.
    pub async fn next(&mut self) -> Result<Option<Slice>, SourceError> {
        self.ask(|source| source.next()).await
    }

    /// Opens a part of the window instead of all of it.
    ///
    /// # Errors
    /// [`SourceError`], after the same was tried again three times.
    pub async fn open(&mut self, part: Range<ColumnTime>) -> Result<(), SourceError> {
        self.ask(|source| source.open(part.clone())).await
    }

    /// Whether slices come with digests, and [`Reader::digest`] gives some.
    #[must_use]
    pub fn digests(&self) -> bool {
        self.source.digests()
    }

    /// What the source holds there now, as one number.
    ///
    /// # Errors
    /// [`SourceError`], after the same was tried again three times.
    pub async fn digest(&mut self, part: Range<ColumnTime>) -> Result<Option<Digest>, SourceError> {
        self.ask(|source| source.digest(part.clone())).await
    }

    async fn ask<T>(
        &mut self,
        question: impl for<'a> Fn(&'a mut Box<dyn CallSource>) -> BoxFuture<'a, Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let started = Instant::now();
        let mut tries = 0;
        let answer = loop {
            match question(&mut self.source).await {
                Err(error) => {
                    if let Err(error) = again(error, &mut tries).await {
                        break Err(error);
                    }
                }
                Ok(answer) => break Ok(answer),
            }
        };
        self.waited += started.elapsed();
        answer
    }
}

impl Sorter<'_> {
    /// The calls of a slice, with the form that today's settings give them. Gives way meanwhile to what else goes on.
    pub async fn batch(&mut self, slice: Slice) -> Batch {
        let config = self.settings.config;
        for row in &slice.rows {
            match row.start {
                StartCell::At(_) => self.tally.starts.0 += 1,
                StartCell::Unreadable(_) => self.tally.starts.1 += 1,
                StartCell::Missing => {}
            }
        }
        let assembled = Assembly {
            clock: &self.clock,
            window: self.window,
            select: &config.select,
            empty_source: config.target.empty_source.as_deref(),
            extra_roles: &self.profile.extra,
        }
        .assemble(slice.rows);
        self.tally.add(&assembled);
        let known_by = slice
            .digest
            .filter(|digest| digest.rows == assembled.counts.read && is_plain(&assembled))
            .map(|digest| (digest, rows(&assembled.counts)));
        let mut calls = Vec::with_capacity(assembled.calls.len());
        for call in assembled.calls {
            let today = self.settings.today(&call, &self.clock, &self.profile.extra);
            calls.push(Candidate { call, today });
            tokio::task::consume_budget().await;
        }
        Batch {
            from: slice.from,
            until: slice.until,
            calls,
            rows: assembled.counts.read,
            others: assembled.others,
            known_by,
        }
    }

    /// Counts rows that were not read, because it is known what they come to.
    pub fn pass_over(&mut self, rows: &Rows) {
        self.tally.starts.0 += rows.read;
        self.tally.rows += *rows;
    }
}

/// Whether the counts of rows are all that a report says of this slice: no row is shown, no hour was ambiguous, and no row
/// belongs to another window.
fn is_plain(assembled: &Assembled) -> bool {
    let counts = &assembled.counts;
    let told = counts.invalid
        + counts.long_values
        + counts.ambiguous_by_uniqueid
        + counts.ambiguous_assumed_first
        + counts.skipped_hour_by_uniqueid
        + counts.skipped_hour_shifted;
    told == 0 && !assembled.others.iter().any(|other| other.beyond)
}

fn rows(counts: &RowCounts) -> Rows {
    Rows {
        read: counts.read,
        merged: counts.merged,
        skipped: Skipped {
            short_destination: counts.short_destination,
            no_source: counts.no_source,
            disposition: counts.disposition,
            excluded: counts.excluded,
            invalid: counts.invalid,
            dropped_by_rule: 0,
        },
    }
}

impl Tally {
    fn add(&mut self, assembled: &Assembled) {
        let counts = &assembled.counts;
        self.rows += rows(counts);
        self.long_values += counts.long_values;
        self.clock.ambiguous_by_uniqueid += counts.ambiguous_by_uniqueid;
        self.clock.ambiguous_assumed += counts.ambiguous_assumed_first;
        self.clock.skipped_by_uniqueid += counts.skipped_hour_by_uniqueid;
        self.clock.skipped_shifted += counts.skipped_hour_shifted;
        for row in &assembled.filtered {
            let which = row.uniqueid.as_deref().unwrap_or("without uniqueid");
            tracing::info!(
                "row {} is left out: {}",
                crate::text::Shown(which),
                row.reason
            );
        }
        let room = EXAMPLES.saturating_sub(self.invalid.len());
        self.invalid
            .extend(assembled.invalid.iter().take(room).map(|row| {
                let which = row.uniqueid.as_deref().unwrap_or("without uniqueid");
                format!("row {which}: {}", row.reason)
            }));
    }
}

/// Waits a little before the same is asked of the source again; gives the error back where that was done often enough, or
/// cannot help.
async fn again(error: SourceError, tries: &mut u32) -> Result<(), SourceError> {
    let SourceError::Unreachable { what, source } = &error else {
        return Err(error);
    };
    if *tries >= SLICE_RETRIES {
        return Err(error);
    }
    *tries += 1;
    let cause = source
        .as_ref()
        .map(|cause| format!(": {cause:#}"))
        .unwrap_or_default();
    // For those who ask: nobody has to act on what heals by itself, and what does not is told when the tries are over.
    tracing::info!(
        "reading the source failed, trying again ({tries} of {SLICE_RETRIES}): {}",
        crate::text::Shown(&format!("{what}{cause}"))
    );
    tokio::time::sleep(Duration::from_millis(200 * u64::from(*tries))).await;
    Ok(())
}

/// Whether `a` is to be kept rather than `b` where both would be sent under one key: the same order of preference as
/// between the legs of one call, then the lower identity.
#[must_use]
pub fn preferred(a: &Call, b: &Call) -> bool {
    merge::preference(a, b)
        .then_with(|| a.identity.cmp(&b.identity))
        .is_lt()
}

/// For messages: a call as a person would point at it.
#[must_use]
pub fn describe(identity: &Identity, kind: TimeKind) -> String {
    let at = chrono::DateTime::from_timestamp(identity.start.0, 0).map_or_else(
        || identity.start.0.to_string(),
        |at| at.format("%Y-%m-%d %H:%M:%S").to_string(),
    );
    let zone = match kind {
        TimeKind::Wall => "",
        TimeKind::Instant => " UTC",
    };
    format!(
        "{at}{zone} {} -> {}",
        crate::text::Shown(identity.source.as_str()),
        crate::text::Shown(identity.destination.as_str())
    )
}
