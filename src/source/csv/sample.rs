//! What the first records of a file tell about all of them.

use super::CsvSource;
use super::fields::Fields;
use super::layout::{Layout, Places};
use super::opened::split;
use super::records::Entry;
use super::rotation::{self, Log, LogFile};
use crate::call::TimeKind;
use crate::source::columns::{decode, parse_time_text};
use crate::source::{ColumnFound, SourceError, SourceProfile, TimeIndex};
use crate::text::{Shown, count};

/// What the first records of a file tell.
struct Sample {
    layout: Layout,
    time: Option<TimeKind>,
    columns: Vec<ColumnFound>,
    fields: usize,
    note: Option<String>,
}

/// How far `probe` looks for a record with a date.
const SAMPLE_RECORDS: usize = 1_000;
const SAMPLE_BYTES: u64 = 1 << 20;

impl CsvSource {
    /// Finds out the layout, without reading more than the beginning of a file.
    pub(super) fn look(&mut self) -> Result<SourceProfile, SourceError> {
        crate::fault::point!("source.csv.look");
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
                "`{}` and {} in all are not compressed by gzip and are not read; unpack those that hold calls you want.",
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

    fn found(&self, places: &Places) -> Vec<ColumnFound> {
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
}
