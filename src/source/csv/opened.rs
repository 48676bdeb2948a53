//! A file of which the records can be read.

use std::fs::File;
use std::io::{self, BufReader, Read, Take};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::CsvSource;
use super::fields::Fields;
use super::layout::{self, Layout};
use super::lines::{LineEnd, Lines};
use super::records::Records;
use super::rotation::{self, LogFile, Truncated};
use crate::source::SourceError;

/// A file that is being read.
pub(super) struct Opened {
    pub(super) records: Records<BufReader<Box<dyn Read + Send>>>,
    pub(super) layout: Layout,
    /// The fields of the record that was read last.
    pub(super) fields: Fields,
    /// Whether its columns are named, by a header line or by the user.
    pub(super) named: bool,
}

const BUFFER_BYTES: usize = 64 << 10;

/// Asterisk opens, writes and closes the file for each record: after an hour, what has no line end will never get one.
const SETTLED_AFTER: Duration = Duration::from_secs(3_600);

impl CsvSource {
    /// Opens a file up to its present length, or to `most` bytes, and reads its header line, if it has one.
    pub(super) fn begin(&self, file: &LogFile, most: u64) -> Result<Opened, SourceError> {
        let failed = |error| rotation::unreadable(&file.path, error);
        let handle = file.open()?;
        let found = handle.metadata().map_err(failed)?;
        let written = found.modified().map_err(failed)?;
        let age = SystemTime::now()
            .duration_since(written)
            .unwrap_or_default();
        // What is behind the present end is left to the next run, so that a pass ends however fast the file grows.
        let input: Box<dyn Read + Send> = if file.packed {
            Box::new(flate2::read::MultiGzDecoder::new(handle).take(most))
        } else {
            Box::new(Promised(handle.take(found.len().min(most))))
        };
        let settled = file.packed || (age > SETTLED_AFTER && found.len() <= most);
        self.begin_with(input, settled, &file.path)
    }

    /// Reads the header line of an open file, if it has one; `path` is for messages.
    pub(super) fn begin_with(
        &self,
        input: Box<dyn Read + Send>,
        settled: bool,
        path: &Path,
    ) -> Result<Opened, SourceError> {
        let failed = |error| rotation::unreadable(path, error);
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut lines = Lines::new(input);
        let mut header = None;
        if lines.peek().map_err(failed)? == Some(LineEnd::Newline) {
            let mut fields = Fields::default();
            header = fields
                .split(lines.line())
                .then(|| layout::header(&fields))
                .flatten();
        }
        if header.is_some() {
            lines.advance().map_err(failed)?;
        }
        let names = self.csv_columns.as_ref().or(header.as_ref());
        let name = path.display().to_string();
        let layout = Layout::new(names.map(Vec::as_slice), self.wishes(), &name)?;
        Ok(Opened {
            named: names.is_some(),
            records: Records::new(lines, layout.counts(), settled),
            layout,
            fields: Fields::default(),
        })
    }
}

/// A file that has the length it had when it was opened, or an error.
struct Promised(Take<File>);

impl Read for Promised {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.0.limit() > 0 {
            return Err(io::Error::other(Truncated));
        }
        Ok(read)
    }
}

/// Takes apart a record that [`Records`] handed on.
pub(super) fn split(fields: &mut Fields, record: &[u8], unescaped: bool) {
    let whole = if unescaped {
        fields.split_unescaped(record)
    } else {
        fields.split(record)
    };
    debug_assert!(whole, "only whole records are handed on");
}
