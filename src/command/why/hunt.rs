//! Looking for rows in the source: read-only, in narrow windows, and never through a whole table if it can be helped.

use std::ops::Range;

use crate::call::{ColumnTime, TimeKind};
use crate::cdr::clock::Clock;
use crate::cdr::window::Window;
use crate::command::sync::connect_source;
use crate::config::Config;
use crate::source::{CallSource, CdrRow, SourceError, SourceProfile, StartCell, TimeIndex};

/// Most rows that one question reads, where an index lets it stop.
const MOST_ROWS: u64 = 250_000;

/// A source that is looked through.
pub(super) struct Hunt {
    source: Box<dyn CallSource>,
    pub(super) profile: SourceProfile,
    pub(super) clock: Clock,
    /// What was looked at.
    pub(super) searched: Vec<Searched>,
}

/// One stretch of the time column that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Searched {
    /// First and last bound, on the column's clock, half-open.
    pub(super) range: Range<ColumnTime>,
    /// Rows that were read there.
    pub(super) rows: u64,
    /// There were more: reading stopped.
    pub(super) cut: bool,
}

impl Hunt {
    /// Connects and looks at the table.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(super) async fn begin(config: &Config) -> Result<Self, SourceError> {
        let (source, profile) = connect_source(config).await?;
        let clock = Clock::new(profile.time, config.source.timezone);
        Ok(Self {
            source,
            profile,
            clock,
            searched: Vec::new(),
        })
    }

    /// Whether a window costs a pass over everything, so that one wide window is better than two narrow ones.
    pub(super) fn reads_all(&self) -> bool {
        match self.profile.index {
            TimeIndex::Usable(_) => false,
            TimeIndex::Missing(_) | TimeIndex::File => true,
        }
    }

    /// A window of instants on the column's clock.
    pub(super) fn column(&self, since: i64, until: i64) -> Range<ColumnTime> {
        Window { since, until }.column_window(&self.clock)
    }

    /// The rows of this range that are wanted, in the order of their start.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(super) async fn rows(
        &mut self,
        range: Range<ColumnTime>,
        wanted: impl Fn(&CdrRow) -> bool,
    ) -> Result<Vec<CdrRow>, SourceError> {
        let before: u64 = self.searched.iter().map(|one| one.rows).sum();
        let mut searched = Searched {
            range: range.clone(),
            rows: 0,
            cut: false,
        };
        self.source.open(range).await?;
        let mut found = Vec::new();
        while let Some(slice) = self.source.next().await? {
            searched.rows += slice.rows.len() as u64;
            found.extend(slice.rows.into_iter().filter(|row| wanted(row)));
            if before + searched.rows > MOST_ROWS {
                searched.range.end = slice.until;
                searched.cut = true;
                break;
            }
        }
        self.searched.push(searched);
        found.sort_by_key(start);
        Ok(found)
    }

    /// Whether no more rows should be read.
    pub(super) fn is_tired(&self) -> bool {
        self.searched.iter().any(|one| one.cut)
    }

    /// What the column holds.
    pub(super) fn kind(&self) -> TimeKind {
        self.profile.time
    }
}

/// The start of a row; the first second of all for a row without one.
pub(super) fn start(row: &CdrRow) -> ColumnTime {
    match row.start {
        StartCell::At(at) => at,
        StartCell::Missing | StartCell::Unreadable(_) => ColumnTime(i64::MIN),
    }
}
