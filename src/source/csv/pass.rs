//! One pass over the files that a window needs.

use std::ops::Range;
use std::path::Path;

use super::CsvSource;
use super::fields::Fields;
use super::layout::Layout;
use super::opened::{Opened, split};
use super::records::Entry;
use super::rotation::{self, Log, LogFile};
use super::row;
use crate::call::{ColumnTime, TimeKind};
use crate::fault;
use crate::source::columns::parse_time_text;
use crate::source::spool::{Spool, SpooledWindow};
use crate::source::{CdrRow, SLICE_ROWS, SourceError, StartCell};

/// Read without a pause, so that neither a signal nor the memory waits for a million long records.
const BLOCK_BYTES: usize = 4 << 20;

/// What was read of a file in one step.
pub(super) struct Taken {
    /// Length of the record; 0 for lines that are none.
    bytes: usize,
    /// Its row; `None` where it starts outside the window.
    pub(super) row: Option<CdrRow>,
}

impl CsvSource {
    /// Spools `window`, and notes what it had to leave out.
    pub(super) async fn pass(
        &mut self,
        window: Range<ColumnTime>,
    ) -> Result<SpooledWindow, SourceError> {
        fault::point!("source.csv.find");
        let log = Log::find(&self.path)?;
        let mut spool = Spool::new()?;
        self.notes.clear();
        // A file last written before the window began holds no call of it. Its time is UTC and the window may be on a
        // wall clock, up to 14 hours away.
        let since = window.start.0.saturating_sub(86_400);
        let current = log.files.len() - 1;
        for (at, file) in log.files.iter().enumerate() {
            if at == current || file.written >= since {
                self.pass_file(file, &window, &mut spool).await?;
            }
        }
        log.still_complete(&self.path, since)?;
        for file in log.compressed.iter().filter(|file| file.written >= since) {
            let note = format!(
                "`{}` is not compressed by gzip and was not read; it may hold calls of the window: unpack it and run again.",
                file.path.display()
            );
            tracing::warn!("{note}");
            self.notes.push(note);
        }
        spool.finish(window)
    }

    async fn pass_file(
        &mut self,
        file: &LogFile,
        window: &Range<ColumnTime>,
        spool: &mut Spool,
    ) -> Result<(), SourceError> {
        let name = file.path.display().to_string();
        let mut opened = self.begin(file, u64::MAX)?;
        fault::point!("source.csv.opened", |error| rotation::unreadable(
            &file.path, error
        ));
        loop {
            let mut rows = Vec::new();
            let mut bytes_read = 0;
            let mut more = true;
            while more && rows.len() < SLICE_ROWS && bytes_read < BLOCK_BYTES {
                match self.entry(&mut opened, &name, window)? {
                    None => more = false,
                    Some(read) => {
                        bytes_read += read.bytes;
                        rows.extend(read.row);
                    }
                }
            }
            fault::point!("source.csv.block", |error| rotation::unreadable(
                &file.path, error
            ));
            spool.append(rows)?;
            if !more {
                break;
            }
            // Signals are heard between blocks.
            tokio::task::yield_now().await;
        }
        if let Some(line) = opened.records.left() {
            let note = format!(
                "the record that begins in line {line} of `{name}` is not finished yet; the next run reads it."
            );
            tracing::debug!("{note}");
            self.notes.push(note);
        }
        Ok(())
    }

    /// The next record, or the next lines that are none, as a row; `None` at the end. `name` is for messages.
    pub(super) fn entry(
        &mut self,
        opened: &mut Opened,
        name: &str,
        window: &Range<ColumnTime>,
    ) -> Result<Option<Taken>, SourceError> {
        let failed = |error| rotation::unreadable(Path::new(name), error);
        Ok(match opened.records.advance().map_err(failed)? {
            None => None,
            Some(Entry::Broken { line, excerpt, .. }) => Some(Taken {
                bytes: 0,
                row: Some(row::broken_row(name, line, &excerpt, self.extra.len())),
            }),
            Some(Entry::Record { bytes, unescaped }) => {
                split(&mut opened.fields, &bytes, unescaped);
                Some(Taken {
                    bytes: bytes.len(),
                    row: self.row_of(&opened.layout, &opened.fields, window),
                })
            }
        })
    }

    /// The row of a record, unless it starts outside the window.
    fn row_of(
        &mut self,
        layout: &Layout,
        fields: &Fields,
        window: &Range<ColumnTime>,
    ) -> Option<CdrRow> {
        let places = layout.of(fields)?;
        let raw = fields.get(places.initiated);
        let time = parse_time_text(raw);
        if self.time.is_none() {
            self.time = time.kind();
        }
        let start = time.cell(self.time.unwrap_or(TimeKind::Wall), raw);
        match start {
            StartCell::At(at) if !window.contains(&at) => None,
            StartCell::At(_) | StartCell::Missing | StartCell::Unreadable(_) => {
                Some(row::row(fields, places, start))
            }
        }
    }
}
