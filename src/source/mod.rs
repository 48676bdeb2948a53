//! Where calls come from: one trait, one file an implementation.
//!
//! A source reads rows and finds out what the table looks like. It never writes, and it has never heard of the ledger
//! or the CRM. Where the time column has no usable index, and for files, [`spool`] turns one pass over the window into
//! slices.

use std::ops::Range;

use futures_util::future::BoxFuture;

use crate::call::{ColumnTime, Disposition, Origin, TimeKind};
use crate::config::{SourceConfig, SourceLocation};

pub mod columns;
pub mod csv;
mod gather;
pub mod inspect;
mod keyset;
pub mod mysql;
pub mod postgres;
mod samples;
pub(crate) mod server;
pub mod spool;
pub mod sqlite;

/// The source that `[source]` names; `extra_roles` are the columns that templates and rules ask for beyond those that every
/// call needs. Nothing is connected yet: that is for [`CallSource::probe`].
///
/// A new kind of source is one file beside this one, one variant of [`SourceLocation`], and one line here.
///
/// # Errors
/// [`SourceError::Unusable`] where the address cannot be used as it stands.
pub fn connect(
    config: &SourceConfig,
    extra_roles: Vec<String>,
) -> Result<Box<dyn CallSource>, SourceError> {
    match &config.location {
        SourceLocation::Mysql(url) => mysql::source(url, config, extra_roles),
        SourceLocation::Postgres(url) => postgres::source(url, config, extra_roles),
        SourceLocation::Sqlite(path) => sqlite::source(path, config, extra_roles),
        SourceLocation::Csv(path) => Ok(Box::new(csv::CsvSource::new(
            path.clone(),
            config.csv_columns.clone(),
            &config.columns,
            extra_roles,
        ))),
    }
}

/// Most rows a slice aims at. A slice is longer only where one second alone holds more.
pub const SLICE_ROWS: usize = 4096;

/// Most characters of a number, a disposition or an id: three times the 80 that Asterisk has room for in `src` and `dst`
/// (AST_MAX_EXTENSION in `include/asterisk/channel.h`). A row with a longer number is invalid, never shortened.
pub const LONGEST_NUMBER: usize = 255;

/// Most characters of a value that a template uses; a longer one counts as none, because no address could hold it.
pub const LONGEST_VALUE: usize = 4096;

/// One row of a `cdr` table, as far as cdrelay needs it. All text is decoded: valid UTF-8 as such, anything else byte by
/// byte as Latin-1, so that no row fails for its encoding and equal bytes stay equal text. Text that is longer than
/// [`LONGEST_NUMBER`] or [`LONGEST_VALUE`] may come shortened, but always longer than that, so that it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct CdrRow {
    /// The start of the call.
    pub start: StartCell,
    /// `src`; empty where NULL.
    pub source: String,
    /// `dst`; empty where NULL.
    pub destination: String,
    /// `duration`.
    pub duration: DurationCell,
    /// `disposition`; `Other("")` where the table has none.
    pub disposition: Disposition,
    /// Where to find the row again.
    pub origin: Origin,
    /// Values of [`SourceProfile::extra`], in that order; `None` for NULL and empty.
    pub extra: Vec<Option<String>>,
}

/// What a time column's cell turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartCell {
    /// A usable time.
    At(ColumnTime),
    /// NULL, empty, a zero date, or one of the dates that stand for none (`1000-01-01`, the epoch itself).
    Missing,
    /// Text or a number that is no time; the raw value.
    Unreadable(String),
}

/// What a duration column's cell turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationCell {
    /// Whole seconds; fractions cut off; NULL, empty and negative values are 0.
    Seconds(u64),
    /// Text that is no number; the raw value.
    Unreadable(String),
}

/// A closed set of rows: everything the source holds with `from <= start < until`, in no particular order.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// First second covered.
    pub from: ColumnTime,
    /// First second not covered.
    pub until: ColumnTime,
    /// The rows.
    pub rows: Vec<CdrRow>,
    /// What the source says of all of them as one, where it can.
    pub digest: Option<Digest>,
}

/// Rows as one: what a server can compute of a stretch of its table without sending it. Equal digests mean equal rows, as
/// far as cdrelay reads them, in whatever order: each row has a 64-bit number made of all columns that are read, and equal
/// rows do not cancel out. Digests of neighbours add up to that of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The sum of their numbers, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// With one more row.
    #[must_use]
    pub fn and(self, row: u64) -> Self {
        Self {
            rows: self.rows + 1,
            sum: self.sum.wrapping_add(row),
        }
    }

    /// Of both stretches.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            sum: self.sum.wrapping_add(other.sum),
        }
    }
}

/// What [`CallSource::probe`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceProfile {
    /// Product and version, or file, as `check` shows it.
    pub server: String,
    /// What the time column holds.
    pub time: TimeKind,
    /// The columns in use: role (a name of `[source.columns]`), column, and the type the source declares for it.
    pub columns: Vec<ColumnFound>,
    /// Roles whose values come as [`CdrRow::extra`], in that order: those that templates asked for and the table has.
    pub extra: Vec<String>,
    /// Whether a window can be read by an index.
    pub index: TimeIndex,
    /// What else a person should know: one sentence each.
    pub notes: Vec<String>,
}

/// One column in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFound {
    /// Name in `[source.columns]`, such as `initiated`.
    pub role: String,
    /// Name in the table.
    pub column: String,
    /// Declared type, as the source spells it; empty where there is none.
    pub sql_type: String,
}

/// Whether the time column can be searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeIndex {
    /// An index leads with the time column.
    Usable(String),
    /// None does: the window is spooled in one pass. Holds the statement that would add one.
    Missing(String),
    /// The source is a file.
    File,
}

/// Why a source could not be read. Every variant is exit code 5 but the last.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or lost; reading again may help.
    #[error("{what}")]
    Unreachable {
        /// What failed, where, and what to do.
        what: String,
        /// The driver's error.
        #[source]
        source: Option<anyhow::Error>,
    },
    /// The source answered, and reading again will not help: no such table, no such column, no right to read.
    #[error("{0}")]
    Unusable(String),
    /// Spooling failed: the temporary directory is full or not writable.
    #[error("{what}")]
    Spool {
        /// What failed and what to do.
        what: String,
        /// The cause.
        #[source]
        source: anyhow::Error,
    },
}

/// A place that calls can be read from.
///
/// # Contract
///
/// - It never writes, and asks the server for a read-only session where there is such a thing.
/// - It holds no statement open while others work: every method drains what it reads before it returns.
/// - A slice is a closed set: no two rows with equal start times are ever split over two slices.
/// - After an error of [`CallSource::next`] the same slice can be asked for again, by calling `next` again.
pub trait CallSource: Send {
    /// Looks at the table: columns, types, index. Reads no rows.
    ///
    /// # Errors
    /// [`SourceError`]
    fn probe(&mut self) -> BoxFuture<'_, Result<SourceProfile, SourceError>>;

    /// Sets the window, on the column's own clock, and prepares to read it (spools it, where there is no index).
    /// `probe` has been called before.
    ///
    /// # Errors
    /// [`SourceError`]
    fn open(&mut self, window: Range<ColumnTime>) -> BoxFuture<'_, Result<(), SourceError>>;

    /// How many rows the open window has, where milliseconds are enough to know it, for whoever shows how far a run is.
    /// Asked before the first slice.
    ///
    /// # Errors
    /// [`SourceError`]
    fn expected(&mut self) -> BoxFuture<'_, Result<Option<u64>, SourceError>>;

    /// The next slice, in the order of time; the slices of a window cover it without a gap. `None` at its end.
    ///
    /// # Errors
    /// [`SourceError`]
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Slice>, SourceError>>;

    /// Whether slices come with a [`Digest`], and [`CallSource::digest`] gives one. `probe` has been called before.
    fn digests(&self) -> bool {
        false
    }

    /// The digest of everything with `from <= start < until`, which the server computes from the rows as they are now.
    /// Asked only where [`CallSource::digests`] says so.
    ///
    /// # Errors
    /// [`SourceError`]
    fn digest(
        &mut self,
        range: Range<ColumnTime>,
    ) -> BoxFuture<'_, Result<Option<Digest>, SourceError>> {
        let _ = range;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// How many rows carry no usable start, and so belong to no window, with up to five examples (their `uniqueid`).
    ///
    /// # Errors
    /// [`SourceError`]
    fn undated(&mut self) -> BoxFuture<'_, Result<Undated, SourceError>>;

    /// Some rows out of many, for whoever judges the table and does not copy it: at most `limit` of each window. The windows
    /// are in ascending order and do not overlap.
    ///
    /// With an index these are the first rows of each window. A file is read once; of a table without an index as many
    /// rows are looked at as some seconds allow, in no order, and a window may get none although it has some. `probe` has
    /// been called before.
    ///
    /// # Errors
    /// [`SourceError`]
    fn sample(
        &mut self,
        windows: Vec<Range<ColumnTime>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<CdrRow>>, SourceError>>;

    /// The rows that were written last, in the order in which they were written, at most `limit`; `None` where the source
    /// keeps no such order. `probe` has been called before.
    ///
    /// # Errors
    /// [`SourceError`]
    fn latest(&mut self, limit: usize) -> BoxFuture<'_, Result<Option<Vec<CdrRow>>, SourceError>>;

    /// What the last pass found that a person should know, beside the profile's notes: one sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Puts a row into the window that it starts in, as long as that has fewer than `limit`.
fn share_out(row: CdrRow, windows: &[Range<ColumnTime>], found: &mut [Vec<CdrRow>], limit: usize) {
    let StartCell::At(at) = row.start else {
        return;
    };
    let place = windows.partition_point(|window| window.end <= at);
    let holds = windows
        .get(place)
        .is_some_and(|window| window.contains(&at));
    if holds && found[place].len() < limit {
        found[place].push(row);
    }
}

/// Rows that belong to no window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undated {
    /// How many.
    pub rows: u64,
    /// `uniqueid` of up to five of them, empty ones left out.
    pub examples: Vec<String>,
}
