//! Calls from the text files that Asterisk's `cdr_csv` and `cdr_custom`, FreePBX and FreeSWITCH write.
//!
//! One pass over the file, and over those files that it was before logrotate renamed it, spools the window. A record that
//! is still being written is left to the next run, and a broken one costs itself and nothing else. No file is ever
//! written to, and none is held in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use self::fields::Fields;
use self::layout::{Layout, Wishes};
use self::lines::Lines;
use self::records::{Entry, Records};
use self::rotation::{Log, LogFile};
use super::columns::{decode, parse_time_text};
use super::spool::{Spool, SpooledWindow};
use super::{
    CallSource, CdrRow, ColumnFound, SLICE_ROWS, Slice, SourceError, SourceProfile, StartCell,
    TimeIndex, Undated,
};
use crate::call::{ColumnTime, TimeKind};
use crate::text::{Shown, count};

mod fields;
mod layout;
mod lines;
mod records;
mod rotation;
mod row;

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

    /// What the last pass over the window left out, one sentence each: a record that is still being written, a compressed
    /// file that may hold calls of the window. Empty before [`CallSource::open`].
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn look(&mut self) -> Result<SourceProfile, SourceError> {
        let log = Log::find(&self.path)?;
        let mut notes = Vec::new();
        let mut sample = None;
        for file in log.files.iter().rev() {
            sample = self.sample(file)?;
            if sample.is_some() {
                break;
            }
        }
        let (layout, columns, fields) = match sample {
            Some(sample) => {
                self.time = Some(sample.time.unwrap_or(TimeKind::Wall));
                notes.extend(sample.note);
                (
                    sample.layout,
                    sample.columns,
                    format!(", {} fields a record", sample.fields),
                )
            }
            None => {
                self.time = Some(TimeKind::Wall);
                notes.push(format!("`{}` holds no record yet.", self.path.display()));
                let names = self.csv_columns.as_deref();
                (
                    Layout::new(names, self.wishes(), &self.path.display().to_string())?,
                    Vec::new(),
                    String::new(),
                )
            }
        };
        self.extra = layout.extra(&self.extra);
        let older = log.files.len().saturating_sub(1);
        if older > 0 {
            notes.push(format!(
                "{} beside it, read as far as the window needs them.",
                count(older as u64, "rotated file")
            ));
        }
        if let Some(file) = log.compressed.last() {
            notes.push(format!(
                "`{}` and {} in all are compressed and are not read; unpack those that hold calls you want.",
                file.path.display(),
                count(log.compressed.len() as u64, "rotated file"),
            ));
        }
        notes.extend(self.notes.iter().cloned());
        Ok(SourceProfile {
            server: format!("CSV file {}{fields}", self.path.display()),
            time: self.time.unwrap_or(TimeKind::Wall),
            columns,
            extra: self.extra.clone(),
            index: TimeIndex::File,
            notes,
        })
    }

    /// Reads the first records of a file; `None` if it has none.
    fn sample(&self, file: &LogFile) -> Result<Option<Sample>, SourceError> {
        let name = file.path.display().to_string();
        let failed = |error| rotation::unreadable(&file.path, error);
        let mut opened = self.begin(file, SAMPLE_BYTES)?;
        let mut fields = Fields::default();
        let mut sample: Option<Sample> = None;
        let mut other = None;
        let mut misfit = None;
        for _ in 0..SAMPLE_RECORDS {
            let Some(entry) = opened.records.advance().map_err(failed)? else {
                break;
            };
            let (bytes, unescaped) = match entry {
                Entry::Record { bytes, unescaped } => (bytes, unescaped),
                // A line that is no record at all is one bad row, and says nothing about the layout.
                Entry::Broken {
                    line,
                    excerpt,
                    fields,
                } => {
                    other = other.or(fields.map(|count| (line, count, excerpt)));
                    continue;
                }
            };
            split(&mut fields, &bytes, unescaped);
            let Some(places) = opened.layout.of(&fields) else {
                continue;
            };
            let start = parse_time_text(fields.get(places.initiated));
            if !places.fits(&fields) {
                let at = [
                    Some(places.initiated),
                    Some(places.duration),
                    places.disposition,
                ];
                let cells = at.map(|at| decode(at.map_or(&[], |at| fields.get(at))));
                misfit.get_or_insert((fields.len(), cells));
                continue;
            }
            let known = sample.take();
            let time = known.as_ref().and_then(|known| known.time).or(start.kind());
            sample = known.or_else(|| {
                let note = matches!(fields.len(), 17 | 20) && !opened.named;
                Some(Sample {
                    layout: Layout::default(),
                    time,
                    columns: self.found(places),
                    fields: fields.len(),
                    note: note.then(|| {
                        format!(
                            "The 17th of {} fields is read as `{}`; name the columns in source.csv_columns if that is \
                             wrong.",
                            fields.len(),
                            places.columns[16]
                        )
                    }),
                })
            });
            if let Some(sample) = &mut sample {
                sample.time = time;
            }
            if time.is_some() {
                break;
            }
        }
        if let Some(sample) = sample {
            return Ok(Some(Sample {
                layout: opened.layout,
                ..sample
            }));
        }
        if let Some((count, [start, duration, outcome])) = misfit {
            let (start, duration, outcome) = (Shown(&start), Shown(&duration), Shown(&outcome));
            return Err(SourceError::Unusable(format!(
                "the records of `{name}` have {count} fields, but do not read as calls: start `{start}`, duration \
                 `{duration}`, disposition `{outcome}`; name the columns, in order, in `source.csv_columns` (a start reads \
                 as `2026-01-31 12:00:00`)"
            )));
        }
        if let Some((line, count, excerpt)) = other {
            let excerpt = Shown(&excerpt);
            return Err(SourceError::Unusable(format!(
                "`{name}` holds no call record of a known layout; line {line} has {count} fields and begins with \
                 `{excerpt}`; name the columns, in order, in `source.csv_columns`"
            )));
        }
        Ok(None)
    }

    fn found(&self, places: &layout::Places) -> Vec<ColumnFound> {
        let mut columns = vec![
            ("initiated", Some(places.initiated)),
            ("source", Some(places.source)),
            ("destination", Some(places.destination)),
            ("duration", Some(places.duration)),
            ("disposition", places.disposition),
            ("uniqueid", places.uniqueid),
            ("linkedid", places.linkedid),
            ("sequence", places.sequence),
        ];
        for (role, &at) in self.extra.iter().zip(&places.extra) {
            if columns.iter().all(|(known, _)| known != role) {
                columns.push((role, at));
            }
        }
        let found = columns
            .into_iter()
            .filter_map(|(role, at)| Some((role, at?)));
        let column = |(role, at): (&str, usize)| ColumnFound {
            role: role.to_owned(),
            column: places.columns[at].clone(),
            sql_type: format!("field {}", at + 1),
        };
        found.map(column).collect()
    }

    /// Opens a file up to its present length, or to `most` bytes, and reads its header line, if it has one.
    fn begin(&self, file: &LogFile, most: u64) -> Result<Opened, SourceError> {
        let failed = |error| rotation::unreadable(&file.path, error);
        let name = file.path.display().to_string();
        let handle = file.open()?;
        let found = handle.metadata().map_err(failed)?;
        let written = found.modified().map_err(failed)?;
        let age = SystemTime::now()
            .duration_since(written)
            .unwrap_or_default();
        // What is behind the present end is left to the next run, so that a pass ends however fast the file grows.
        let input = BufReader::with_capacity(BUFFER_BYTES, handle.take(found.len().min(most)));
        let mut lines = Lines::new(input);
        let mut header = None;
        if lines.peek().map_err(failed)? == Some(lines::LineEnd::Newline) {
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
        let layout = Layout::new(names.map(Vec::as_slice), self.wishes(), &name)?;
        let settled = age > SETTLED_AFTER && found.len() <= most;
        Ok(Opened {
            named: names.is_some(),
            records: Records::new(lines, layout.counts(), settled),
            layout,
        })
    }

    async fn pass(&mut self, window: Range<ColumnTime>) -> Result<SpooledWindow, SourceError> {
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
                "`{}` is compressed and was not read; it may hold calls of the window: unpack it and run again.",
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
        let mut fields = Fields::default();
        loop {
            let mut rows = Vec::new();
            let mut more = false;
            for _ in 0..SLICE_ROWS {
                more = match opened.records.advance().map_err(failed)? {
                    None => false,
                    Some(Entry::Broken { line, excerpt, .. }) => {
                        rows.push(row::broken_row(&name, line, &excerpt, self.extra.len()));
                        true
                    }
                    Some(Entry::Record { bytes, unescaped }) => {
                        split(&mut fields, &bytes, unescaped);
                        rows.extend(self.row_of(&opened.layout, &fields, window));
                        true
                    }
                };
                if !more {
                    break;
                }
            }
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

    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            columns: &self.columns,
            extra: &self.extra,
        }
    }
}

impl CallSource for CsvSource {
    fn probe(&mut self) -> BoxFuture<'_, Result<SourceProfile, SourceError>> {
        Box::pin(async move { self.look() })
    }

    fn open(
        &mut self,
        window: Range<ColumnTime>,
    ) -> BoxFuture<'_, Result<Option<u64>, SourceError>> {
        Box::pin(async move {
            self.spooled = None;
            let spooled = self.pass(window).await?;
            let rows = spooled.rows();
            self.spooled = Some(spooled);
            Ok(Some(rows))
        })
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
}

/// What the first records of a file tell.
struct Sample {
    layout: Layout,
    time: Option<TimeKind>,
    columns: Vec<ColumnFound>,
    fields: usize,
    note: Option<String>,
}

/// A file that is being read.
struct Opened {
    records: Records<BufReader<io::Take<File>>>,
    layout: Layout,
    named: bool,
}

const BUFFER_BYTES: usize = 64 << 10;

/// How far `probe` looks for a record with a date.
const SAMPLE_RECORDS: usize = 1_000;
const SAMPLE_BYTES: u64 = 1 << 20;

/// Asterisk opens, writes and closes the file for each record: after an hour, what has no line end will never get one.
const SETTLED_AFTER: Duration = Duration::from_secs(3_600);

fn split(fields: &mut Fields, record: &[u8], unescaped: bool) {
    let whole = if unescaped {
        fields.split_unescaped(record)
    } else {
        fields.split(record)
    };
    debug_assert!(whole, "only whole records are handed on");
}
