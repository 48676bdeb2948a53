//! One pass over the files that a window needs.

use std::ops::Range;

use super::CsvSource;
use super::fields::Fields;
use super::layout::Layout;
use super::opened::split;
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
        let failed = |error| rotation::unreadable(&file.path, error);
        let name = file.path.display().to_string();
        let mut opened = self.begin(file, u64::MAX)?;
        fault::point!("source.csv.opened", failed);
        let mut fields = Fields::default();
        loop {
            let mut rows = Vec::new();
            let mut bytes_read = 0;
            let mut more = true;
            while more && rows.len() < SLICE_ROWS && bytes_read < BLOCK_BYTES {
                more = match opened.records.advance().map_err(failed)? {
                    None => false,
                    Some(Entry::Broken { line, excerpt, .. }) => {
                        rows.push(row::broken_row(&name, line, &excerpt, self.extra.len()));
                        true
                    }
                    Some(Entry::Record { bytes, unescaped }) => {
                        bytes_read += bytes.len();
                        split(&mut fields, &bytes, unescaped);
                        rows.extend(self.row_of(&opened.layout, &fields, window));
                        true
                    }
                };
            }
            fault::point!("source.csv.block", failed);
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
