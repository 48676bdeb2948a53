//! Calls from the text files that Asterisk's `cdr_csv` and `cdr_custom`, FreePBX and FreeSWITCH write.
//!
//! One pass over the file, and over those files that it was before logrotate renamed it, spools the window. A record that
//! is still being written is left to the next run, and a broken one costs itself and nothing else. No file is ever
//! written to, and none is held in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use futures_util::future::BoxFuture;

use self::layout::Wishes;
use super::spool::SpooledWindow;
use super::{CallSource, CdrRow, Slice, SourceError, SourceProfile, Undated};
use crate::call::{ColumnTime, TimeKind};

mod fields;
mod layout;
mod lines;
mod names;
mod opened;
mod pass;
mod records;
mod rotation;
mod row;
mod sample;
mod some;

/// A CSV file, with its rotated siblings.
///
/// Records are told apart by their number of fields: 16 to 21 as Asterisk's `cdr_csv` writes them, 18 and 19 as its
/// sample `cdr_custom.conf` does, which is told by what stands in the fields. A first line of column names (FreePBX's
/// export) is the layout, and so is `source.csv_columns`, which goes before it. Whether the 17th of 17 or 20 fields is
/// `uniqueid` or `userfield` is decided by what it looks like.
#[derive(Debug)]
pub struct CsvSource {
    path: PathBuf,
    csv_columns: Option<Vec<String>>,
    columns: BTreeMap<String, String>,
    extra: Vec<String>,
    time: Option<TimeKind>,
    spooled: Option<SpooledWindow>,
    notes: Vec<String>,
}

impl CsvSource {
    /// A source that reads `path`, and has not looked at it yet.
    ///
    /// `csv_columns` names all columns in the order of the file, as `[source.columns]` or Asterisk does; `columns` maps
    /// roles to such names; `extra_roles` are those that templates use.
    #[must_use]
    pub fn new(
        path: PathBuf,
        csv_columns: Option<Vec<String>>,
        columns: &BTreeMap<String, String>,
        extra_roles: Vec<String>,
    ) -> Self {
        Self {
            path,
            csv_columns,
            columns: columns.clone(),
            extra: extra_roles,
            time: None,
            spooled: None,
            notes: Vec::new(),
        }
    }

    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            columns: &self.columns,
            extra: &self.extra,
        }
    }
}

/// The rows that bytes hold, read as a file with a `recordingfile` is, and how many records and broken places there were:
/// for tests that make up files by the million. `settled` says that nobody writes the file any more.
///
/// # Errors
/// [`SourceError::Unusable`] where a header lacks a column that is needed.
#[doc(hidden)]
pub fn rows_of(bytes: Vec<u8>, settled: bool) -> Result<(Vec<CdrRow>, usize), SourceError> {
    let path = PathBuf::from("bytes");
    let extra = vec!["recordingfile".to_owned()];
    let mut source = CsvSource::new(path.clone(), None, &BTreeMap::new(), extra);
    let always = ColumnTime(i64::MIN)..ColumnTime(i64::MAX);
    let mut opened = source.begin_with(Box::new(std::io::Cursor::new(bytes)), settled, &path)?;
    let (mut rows, mut entries) = (Vec::new(), 0);
    while let Some(entry) = source.entry(&mut opened, "bytes", &always)? {
        entries += 1;
        rows.extend(entry.row);
    }
    Ok((rows, entries))
}

impl CallSource for CsvSource {
    /// A record that is still being written, a compressed file that may hold calls of the window. Empty before
    /// [`CallSource::open`].
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn probe(&mut self) -> BoxFuture<'_, Result<SourceProfile, SourceError>> {
        Box::pin(async move { self.look() })
    }

    fn open(&mut self, window: Range<ColumnTime>) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(async move {
            self.spooled = None;
            self.spooled = Some(self.pass(window).await?);
            Ok(())
        })
    }

    fn expected(&mut self) -> BoxFuture<'_, Result<Option<u64>, SourceError>> {
        Box::pin(async move { Ok(self.spooled.as_ref().map(SpooledWindow::rows)) })
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Slice>, SourceError>> {
        Box::pin(async move { self.spooled.as_mut().map_or(Ok(None), SpooledWindow::next) })
    }

    /// Counts in the files that the window needed; before [`CallSource::open`], in the file itself.
    fn undated(&mut self) -> BoxFuture<'_, Result<Undated, SourceError>> {
        Box::pin(async move {
            if let Some(spooled) = &self.spooled {
                return Ok(spooled.undated().clone());
            }
            let never = ColumnTime(i64::MAX)..ColumnTime(i64::MAX);
            Ok(self.pass(never).await?.undated().clone())
        })
    }

    fn sample(
        &mut self,
        windows: Vec<Range<ColumnTime>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<CdrRow>>, SourceError>> {
        Box::pin(self.sampled(windows, limit))
    }

    /// In the order of the file, which is that of hanging up.
    fn latest(&mut self, limit: usize) -> BoxFuture<'_, Result<Option<Vec<CdrRow>>, SourceError>> {
        Box::pin(async move { self.tail(limit) })
    }
}
