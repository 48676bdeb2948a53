//! A look at some records out of many.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::ops::Range;

use super::CsvSource;
use super::rotation::{self, Log};
use crate::call::ColumnTime;
use crate::source::{CdrRow, SourceError, share_out};

/// Records that are read without a pause.
const BLOCK: usize = 4_096;

/// How much of the end of a file is looked at.
const TAIL_BYTES: u64 = 2 << 20;

/// Longest header line.
const HEADER_BYTES: u64 = 64 << 10;

impl CsvSource {
    /// As [`crate::source::CallSource::sample`]: one reading of the files, and nothing goes to the spool.
    pub(super) async fn sampled(
        &mut self,
        windows: Vec<Range<ColumnTime>>,
        limit: usize,
    ) -> Result<Vec<Vec<CdrRow>>, SourceError> {
        let mut found = vec![Vec::new(); windows.len()];
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
            return Ok(found);
        };
        let hull = first.start..last.end;
        let log = Log::find(&self.path)?;
        let since = hull.start.0.saturating_sub(86_400);
        let current = log.files.len() - 1;
        for (at, file) in log.files.iter().enumerate() {
            if at < current && file.written < since {
                continue;
            }
            let name = file.path.display().to_string();
            let mut opened = self.begin(file, u64::MAX)?;
            let mut seen = 0;
            while let Some(taken) = self.entry(&mut opened, &name, &hull)? {
                if let Some(row) = taken.row {
                    share_out(row, &windows, &mut found, limit);
                }
                seen += 1;
                if seen % BLOCK == 0 {
                    // Signals are heard between blocks.
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(found)
    }

    /// As [`crate::source::CallSource::latest`]: the last records of the file that is written now.
    pub(super) fn tail(&mut self, limit: usize) -> Result<Option<Vec<CdrRow>>, SourceError> {
        let log = Log::find(&self.path)?;
        let Some(file) = log.files.last().filter(|file| !file.packed) else {
            return Ok(None);
        };
        let name = file.path.display().to_string();
        let input =
            end_of(file.open()?).map_err(|error| rotation::unreadable(&file.path, error))?;
        let mut opened = self.begin_with(input, false, &file.path)?;
        let always = ColumnTime(i64::MIN)..ColumnTime(i64::MAX);
        let mut rows = Vec::new();
        while let Some(taken) = self.entry(&mut opened, &name, &always)? {
            rows.extend(taken.row);
        }
        let surplus = rows.len().saturating_sub(limit);
        rows.drain(..surplus);
        Ok(Some(rows))
    }
}

/// The whole of a short file; of a long one the first line, which may name the columns, and its end from the next line on.
fn end_of(mut handle: File) -> std::io::Result<Box<dyn Read + Send>> {
    let length = handle.metadata()?.len();
    if length <= TAIL_BYTES + HEADER_BYTES {
        return Ok(Box::new(handle.take(length)));
    }
    let mut head = Vec::new();
    BufReader::new((&mut handle).take(HEADER_BYTES)).read_until(b'\n', &mut head)?;
    handle.seek(SeekFrom::Start(length - TAIL_BYTES))?;
    let mut tail = BufReader::new(handle.take(TAIL_BYTES));
    tail.skip_until(b'\n')?;
    Ok(Box::new(Cursor::new(head).chain(tail)))
}
