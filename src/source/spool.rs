//! Turns one unordered pass over a window into slices, on disk, in bounded memory.
//!
//! Files have no index on the start, and rows stand in them in the order of hanging up; the same goes for tables
//! without an index on the time column. The pass is therefore written to a private temporary SQLite database, clustered
//! by start, and read back slice by slice. SQLite deletes that file by itself, also after a kill.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::types::{Type, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, params};

use super::{CdrRow, DurationCell, SLICE_ROWS, Slice, SourceError, StartCell, Undated};
use crate::call::{ColumnTime, Disposition, Origin};
use crate::fault;

/// Most rows with an unreadable start that a window hands on; further ones are only counted, in [`Undated`].
pub const UNREADABLE_ROWS: usize = 1_000;

/// Rows of one window on their way to disk.
///
/// Rows may be appended in any order, and outside the window too; [`Spool::finish`] leaves those out. Rows whose start is
/// missing are not kept but counted. Rows whose start is unreadable are kept, up to [`UNREADABLE_ROWS`] or 1 MiB of
/// them, and come with the first slice, so that they are reported as invalid rather than overlooked; what is beyond that
/// is counted as undated. No row is both handed on and counted.
#[derive(Debug)]
pub struct Spool {
    db: Connection,
    appended: u64,
    earliest: i64,
    latest: i64,
    unreadable: Vec<CdrRow>,
    unreadable_bytes: usize,
    undated: Undated,
}

impl Spool {
    /// An empty spool. Its file is created only once the rows outgrow the page cache of 8 MiB.
    ///
    /// # Errors
    /// [`SourceError::Spool`]
    pub fn new() -> Result<Self, SourceError> {
        // An empty name is SQLite's word for a private file that is unlinked as soon as it is open.
        fault::point!("source.spool.new", failed);
        let db = Connection::open("").map_err(failed)?;
        db.execute_batch(SCHEMA).map_err(failed)?;
        Ok(Self {
            db,
            appended: 0,
            earliest: i64::MAX,
            latest: i64::MIN,
            unreadable: Vec::new(),
            unreadable_bytes: 0,
            undated: Undated::default(),
        })
    }

    /// Adds a block of rows. Blocks of some thousands are written fastest.
    ///
    /// # Errors
    /// [`SourceError::Spool`]; the spool is of no use afterwards, and the pass has to begin again with a new one.
    pub fn append(&mut self, rows: Vec<CdrRow>) -> Result<(), SourceError> {
        let transaction = self.db.transaction().map_err(failed)?;
        {
            let mut insert = transaction.prepare_cached(INSERT).map_err(failed)?;
            for row in rows {
                let start = match row.start {
                    StartCell::At(ColumnTime(start)) => start,
                    StartCell::Missing => {
                        count_undated(&mut self.undated, &row);
                        continue;
                    }
                    StartCell::Unreadable(_) => {
                        let bytes = self.unreadable_bytes + row_bytes(&row);
                        if self.unreadable.len() < UNREADABLE_ROWS && bytes <= UNREADABLE_BYTES {
                            self.unreadable_bytes = bytes;
                            self.unreadable.push(row);
                        } else {
                            count_undated(&mut self.undated, &row);
                        }
                        continue;
                    }
                };
                insert
                    .execute(params![
                        start,
                        self.appended.cast_signed(),
                        row.source,
                        row.destination,
                        duration_value(row.duration),
                        row.disposition.as_str(),
                        row.origin.uniqueid,
                        row.origin.linkedid,
                        row.origin.sequence,
                        extra_text(&row.extra),
                    ])
                    .map_err(failed)?;
                fault::point!("source.spool.row", failed);
                self.appended += 1;
                self.earliest = self.earliest.min(start);
                self.latest = self.latest.max(start);
            }
        }
        fault::point!("source.spool.before_commit", failed);
        transaction.commit().map_err(failed)
    }

    /// Ends the pass: nothing more is added, and the rows of `window` can be read in the order of time.
    ///
    /// # Errors
    /// [`SourceError::Spool`]
    pub fn finish(mut self, window: Range<ColumnTime>) -> Result<SpooledWindow, SourceError> {
        if window.is_empty() {
            // No slice will come that could carry them.
            for row in self.unreadable.drain(..) {
                count_undated(&mut self.undated, &row);
            }
        }
        fault::point!("source.spool.finish", failed);
        let all_inside = self.earliest >= window.start.0 && self.latest < window.end.0;
        let dated = if all_inside {
            self.appended
        } else {
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            self.db
                .query_row(COUNT, [window.start.0, window.end.0], count)
                .map_err(failed)?
                .unsigned_abs()
        };
        Ok(SpooledWindow {
            rows: dated + self.unreadable.len() as u64,
            db: self.db,
            position: window.start,
            last: window.start,
            window,
            unreadable: self.unreadable,
            undated: self.undated,
        })
    }
}

/// A window that was read completely and stands on disk in the order of time.
#[derive(Debug)]
pub struct SpooledWindow {
    db: Connection,
    window: Range<ColumnTime>,
    position: ColumnTime,
    last: ColumnTime,
    rows: u64,
    unreadable: Vec<CdrRow>,
    undated: Undated,
}

impl SpooledWindow {
    /// How many rows the slices of this window hold together.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that no slice holds, because their start is missing (or unreadable, and too many of those).
    #[must_use]
    pub fn undated(&self) -> &Undated {
        &self.undated
    }

    /// The next slice; `None` at the end of the window, and at once for an empty window.
    ///
    /// The slices cover the window without a gap: the first starts where it starts, the last ends where it ends, and a
    /// window without rows is one slice without rows. A slice holds at most [`SLICE_ROWS`] rows and about 8 MiB, more
    /// only where one second alone does; the first one carries the rows with an unreadable start on top.
    /// Rows stand in the order of their start, equal starts in the order of the pass.
    ///
    /// # Errors
    /// [`SourceError::Spool`]; calling again asks for the same slice again.
    #[expect(
        clippy::should_implement_trait,
        reason = "a slice can fail, and can be had again"
    )]
    pub fn next(&mut self) -> Result<Option<Slice>, SourceError> {
        let from = self.position;
        if from >= self.window.end {
            return Ok(None);
        }
        let mut slice = self.read(from).map_err(failed)?;
        fault::point!("source.spool.slice", failed);
        if from == self.window.start {
            slice.rows.extend(self.unreadable.iter().cloned());
        }
        self.last = from;
        self.position = slice.until;
        Ok(Some(slice))
    }

    /// Goes back by one slice: the one given last comes again, unchanged.
    pub fn rewind(&mut self) {
        self.position = self.last;
    }

    fn read(&self, from: ColumnTime) -> rusqlite::Result<Slice> {
        let mut statement = self.db.prepare_cached(SELECT)?;
        let mut found = statement.query([from.0, self.window.end.0])?;
        let mut rows: Vec<CdrRow> = Vec::new();
        let mut bytes = 0;
        let mut second = from;
        // Where the rows of `second` begin.
        let mut boundary = 0;
        while let Some(columns) = found.next()? {
            let start = ColumnTime(columns.get(0)?);
            let full = rows.len() >= SLICE_ROWS || bytes >= SLICE_BYTES;
            if full && start != second {
                return Ok(Slice {
                    from,
                    until: start,
                    rows,
                    digest: None,
                });
            }
            if full && boundary > 0 {
                rows.truncate(boundary);
                return Ok(Slice {
                    from,
                    until: second,
                    rows,
                    digest: None,
                });
            }
            if start != second {
                second = start;
                boundary = rows.len();
            }
            let row = spooled_row(start, columns)?;
            bytes += row_bytes(&row);
            rows.push(row);
        }
        Ok(Slice {
            from,
            until: self.window.end,
            rows,
            digest: None,
        })
    }
}

/// Kept in memory for the whole run, so bounded in bytes as well.
const UNREADABLE_BYTES: usize = 1 << 20;

/// A slice stands in memory twice at most, while the last one is sent and the next one is read.
pub(super) const SLICE_BYTES: usize = 8 << 20;

/// Nothing here outlives the process, so nothing is journalled or synced: after an error the pass begins again. Ordered by
/// its key the table needs no index and no sorting pass: rows come nearly in the order of time, so that inserts go to the
/// last few pages, which the cache holds.
const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -8192;
    CREATE TABLE spooled (
        start       INTEGER NOT NULL,
        n           INTEGER NOT NULL,  -- order of the pass
        source      TEXT NOT NULL,
        destination TEXT NOT NULL,
        duration    ANY NOT NULL,      -- INTEGER: the seconds, bit by bit; TEXT: the raw value of an unreadable one
        disposition TEXT NOT NULL,
        uniqueid    TEXT,
        linkedid    TEXT,
        sequence    INTEGER,
        extra       TEXT,              -- JSON array of texts and nulls; NULL where no template asks for any
        PRIMARY KEY (start, n)
    ) STRICT, WITHOUT ROWID;";

const INSERT: &str = "INSERT INTO spooled VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const COUNT: &str = "SELECT count(*) FROM spooled WHERE start >= ?1 AND start < ?2";

const SELECT: &str = "
    SELECT start, source, destination, duration, disposition, uniqueid, linkedid, sequence, extra
    FROM spooled WHERE start >= ?1 AND start < ?2 ORDER BY start, n";

fn spooled_row(start: ColumnTime, columns: &rusqlite::Row<'_>) -> rusqlite::Result<CdrRow> {
    let duration = match columns.get_ref(3)? {
        ValueRef::Integer(bits) => DurationCell::Seconds(bits.cast_unsigned()),
        _ => DurationCell::Unreadable(columns.get(3)?),
    };
    let extra = match columns.get_ref(8)? {
        ValueRef::Null => Vec::new(),
        text => serde_json::from_slice(text.as_bytes()?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(8, Type::Text, Box::new(error))
        })?,
    };
    Ok(CdrRow {
        start: StartCell::At(start),
        source: columns.get(1)?,
        destination: columns.get(2)?,
        duration,
        disposition: Disposition::parse(&columns.get::<_, String>(4)?),
        origin: Origin {
            uniqueid: columns.get(5)?,
            linkedid: columns.get(6)?,
            sequence: columns.get(7)?,
        },
        extra,
    })
}

fn duration_value(duration: DurationCell) -> Value {
    match duration {
        DurationCell::Seconds(seconds) => Value::Integer(seconds.cast_signed()),
        DurationCell::Unreadable(raw) => Value::Text(raw),
    }
}

fn extra_text(extra: &[Option<String>]) -> Option<String> {
    (!extra.is_empty()).then(|| serde_json::json!(extra).to_string())
}

fn count_undated(undated: &mut Undated, row: &CdrRow) {
    undated.rows += 1;
    if undated.examples.len() < 5 {
        let known = row.origin.uniqueid.iter().filter(|text| !text.is_empty());
        undated.examples.extend(known.cloned());
    }
}

/// What a row takes in memory.
pub(super) fn row_bytes(row: &CdrRow) -> usize {
    size_of::<CdrRow>() + text_bytes(row)
}

/// The bytes of a row's text.
pub(super) fn text_bytes(row: &CdrRow) -> usize {
    let start = match &row.start {
        StartCell::Unreadable(raw) => raw.len(),
        StartCell::At(_) | StartCell::Missing => 0,
    };
    let origin = [&row.origin.uniqueid, &row.origin.linkedid];
    let optional = origin.into_iter().chain(&row.extra).flatten();
    start
        + row.source.len()
        + row.destination.len()
        + row.disposition.as_str().len()
        + optional.map(String::len).sum::<usize>()
}

/// Says where the spool was to be written, because neither SQLite nor the system does.
fn failed(error: rusqlite::Error) -> SourceError {
    let directory = temporary_directory();
    let directory = directory.display();
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "is full",
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "is not writable"
        }
        Some(ErrorCode::SystemIoFailure) => "cannot be read or written",
        _ => "could not be used",
    };
    SourceError::Spool {
        what: format!(
            "the temporary directory `{directory}`, where the rows of the window are put in order, {why}; free space \
             there (as much as these rows take in the source), or name another directory in SQLITE_TMPDIR or TMPDIR"
        ),
        source: error.into(),
    }
}

/// The directory that SQLite chooses for temporary files (sqlite.org/tempfiles.html, section 5).
fn temporary_directory() -> PathBuf {
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    named
        .map(PathBuf::from)
        .chain(["/var/tmp", "/usr/tmp", "/tmp"].map(PathBuf::from))
        .find(|path| path.is_dir())
        .unwrap_or_else(|| Path::new(".").to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start: StartCell, uniqueid: &str) -> CdrRow {
        CdrRow {
            start,
            source: "1001".to_owned(),
            destination: "5550100".to_owned(),
            duration: DurationCell::Seconds(7),
            disposition: Disposition::Answered,
            origin: Origin {
                uniqueid: Some(uniqueid.to_owned()),
                linkedid: None,
                sequence: None,
            },
            extra: Vec::new(),
        }
    }

    fn at(second: i64) -> StartCell {
        StartCell::At(ColumnTime(second))
    }

    fn window(from: i64, until: i64) -> Range<ColumnTime> {
        ColumnTime(from)..ColumnTime(until)
    }

    fn drain(spooled: &mut SpooledWindow) -> Vec<Slice> {
        std::iter::from_fn(|| spooled.next().unwrap()).collect()
    }

    /// Every promise of a spooled window that does not depend on what is in it.
    #[track_caller]
    fn assert_covers(slices: &[Slice], window: &Range<ColumnTime>, rows: u64) {
        assert_eq!(slices.first().unwrap().from, window.start);
        assert_eq!(slices.last().unwrap().until, window.end);
        let mut read = 0;
        let mut last = (i64::MIN, 0);
        for (slice, following) in slices
            .iter()
            .zip(slices[1..].iter().map(Some).chain([None]))
        {
            assert!(slice.from < slice.until);
            assert!(following.is_none_or(|next| next.from == slice.until));
            let mut seconds = std::collections::BTreeSet::new();
            for row in &slice.rows {
                let StartCell::At(start) = row.start else {
                    panic!("undated row in a slice")
                };
                assert!(slice.from <= start && start < slice.until);
                let n: u64 = row.origin.uniqueid.as_deref().unwrap().parse().unwrap();
                assert!((start.0, n) > last, "{start:?} {n} after {last:?}");
                last = (start.0, n);
                seconds.insert(start);
            }
            assert!(slice.rows.len() <= SLICE_ROWS || seconds.len() == 1);
            read += slice.rows.len() as u64;
        }
        assert_eq!(read, rows);
    }

    #[test]
    fn many_rows_come_back_in_order_as_closed_sets() {
        let mut spool = Spool::new().unwrap();
        let mut inside = 0;
        for block in 0..20_u64 {
            let rows = (0..10_000_u64).map(|i| {
                let n = block * 10_000 + i;
                // Nearly in order, as hanging up is; bursts of equal times; every 97th far away; some outside.
                let second = if n.is_multiple_of(97) {
                    n * 7_919 % 60_000
                } else {
                    n / 4 + n % 13
                };
                inside += u64::from((1_000..49_000).contains(&second));
                row(at(second.cast_signed()), &n.to_string())
            });
            spool.append(rows.collect()).unwrap();
        }
        let window = window(1_000, 49_000);
        let mut spooled = spool.finish(window.clone()).unwrap();
        assert_eq!(spooled.rows(), inside);
        let slices = drain(&mut spooled);
        assert_covers(&slices, &window, inside);
        assert!(slices.len() > 20);
        assert_eq!(spooled.next().unwrap(), None);
    }

    #[test]
    fn one_crowded_second_is_one_slice() {
        let mut spool = Spool::new().unwrap();
        let crowd = SLICE_ROWS as u64 * 2;
        let second = |n: u64| match n {
            0..100 => 10,
            n if n < 100 + crowd => 11,
            _ => 12,
        };
        let rows = (0..crowd + 200).map(|n| row(at(second(n)), &n.to_string()));
        spool.append(rows.collect()).unwrap();
        let mut spooled = spool.finish(window(0, 20)).unwrap();
        let slices = drain(&mut spooled);
        assert_covers(&slices, &window(0, 20), crowd + 200);
        let sizes: Vec<_> = slices.iter().map(|slice| slice.rows.len()).collect();
        assert_eq!(sizes, [100, SLICE_ROWS * 2, 100]);
    }

    #[test]
    fn long_rows_make_short_slices() {
        let mut spool = Spool::new().unwrap();
        for block in 0..50 {
            let rows = (0..100).map(|i| CdrRow {
                destination: "5".repeat(8_000),
                ..row(at(block * 100 + i), &(block * 100 + i).to_string())
            });
            spool.append(rows.collect()).unwrap();
        }
        let mut spooled = spool.finish(window(0, 5_000)).unwrap();
        let slices = drain(&mut spooled);
        assert_covers(&slices, &window(0, 5_000), 5_000);
        let bytes = |slice: &Slice| slice.rows.iter().map(row_bytes).sum::<usize>();
        assert!(
            slices
                .iter()
                .all(|slice| bytes(slice) < SLICE_BYTES + 10_000)
        );
    }

    #[test]
    fn a_window_without_rows_is_one_slice() {
        let mut spooled = Spool::new().unwrap().finish(window(5, 9)).unwrap();
        let empty = Slice {
            from: ColumnTime(5),
            until: ColumnTime(9),
            rows: Vec::new(),
            digest: None,
        };
        assert_eq!(drain(&mut spooled), [empty]);
        let mut spooled = Spool::new().unwrap().finish(window(9, 9)).unwrap();
        assert_eq!(spooled.next().unwrap(), None);
    }

    #[test]
    fn the_last_slice_can_be_had_again() {
        let mut spool = Spool::new().unwrap();
        let rows = (0..SLICE_ROWS as i64 * 3).map(|n| row(at(n), &n.to_string()));
        spool.append(rows.collect()).unwrap();
        let mut spooled = spool.finish(window(0, 100_000)).unwrap();
        for _ in 0..3 {
            let slice = spooled.next().unwrap();
            spooled.rewind();
            assert_eq!(spooled.next().unwrap(), slice);
        }
        assert_eq!(spooled.next().unwrap(), None);
    }

    #[test]
    fn every_cell_survives_the_spool() {
        let full = CdrRow {
            start: at(-5),
            source: "nul \0, quote ', é \u{202e}".to_owned(),
            destination: String::new(),
            duration: DurationCell::Unreadable("7x".to_owned()),
            disposition: Disposition::Other("NORMAL_CLEARING".to_owned()),
            origin: Origin {
                uniqueid: Some("pbx-1.2".to_owned()),
                linkedid: Some(String::new()),
                sequence: Some(-1),
            },
            extra: vec![None, Some("a\"b\nc\0".to_owned())],
        };
        let huge = CdrRow {
            duration: DurationCell::Seconds(u64::MAX),
            disposition: Disposition::Cancel,
            ..row(at(-5), "")
        };
        let mut spool = Spool::new().unwrap();
        spool.append(vec![full.clone(), huge.clone()]).unwrap();
        let slice = spool
            .finish(window(-5, 0))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(slice.rows, [full, huge]);
    }

    #[test]
    fn undated_rows_are_counted_and_unreadable_ones_handed_on() {
        let mut spool = Spool::new().unwrap();
        let mut rows: Vec<_> = (0..7)
            .map(|n| row(StartCell::Missing, &n.to_string()))
            .collect();
        rows[1].origin.uniqueid = Some(String::new());
        rows.push(row(StartCell::Unreadable("x".to_owned()), "u"));
        rows.push(row(at(3), "d"));
        spool.append(rows).unwrap();
        let mut spooled = spool.finish(window(0, 9)).unwrap();
        assert_eq!(spooled.undated().rows, 7);
        assert_eq!(spooled.undated().examples, ["0", "2", "3", "4", "5"]);
        assert_eq!(spooled.rows(), 2);
        let slice = spooled.next().unwrap().unwrap();
        assert_eq!(slice.rows.len(), 2);
        spooled.rewind();
        assert_eq!(spooled.next().unwrap(), Some(slice));
    }

    #[test]
    fn unreadable_rows_beyond_the_bound_are_counted_once() {
        #[track_caller]
        fn check(raw: usize, rows: usize) -> usize {
            let mut spool = Spool::new().unwrap();
            let bad = row(StartCell::Unreadable("x".repeat(raw)), "");
            spool.append(vec![bad; rows]).unwrap();
            let mut spooled = spool.finish(window(0, 9)).unwrap();
            let handed_on = spooled.next().unwrap().unwrap().rows.len();
            assert_eq!(handed_on as u64 + spooled.undated().rows, rows as u64);
            assert_eq!(spooled.rows(), handed_on as u64);
            handed_on
        }
        assert_eq!(check(10, 1_500), UNREADABLE_ROWS);
        assert!((10..20).contains(&check(64 << 10, 1_500)));

        let mut spool = Spool::new().unwrap();
        spool
            .append(vec![row(StartCell::Unreadable(String::new()), "")])
            .unwrap();
        let spooled = spool.finish(window(9, 0)).unwrap();
        assert_eq!((spooled.rows(), spooled.undated().rows), (0, 1));
    }

    #[test]
    fn a_full_directory_is_named_with_the_mend() {
        let mut spool = Spool::new().unwrap();
        spool
            .db
            .execute_batch("PRAGMA max_page_count = 20")
            .unwrap();
        let rows: Vec<_> = (0..5_000).map(|n| row(at(n), "")).collect();
        let error = spool.append(rows).unwrap_err();
        let directory = temporary_directory();
        assert_eq!(
            error.to_string(),
            format!(
                "the temporary directory `{}`, where the rows of the window are put in order, is full; free space there \
                 (as much as these rows take in the source), or name another directory in SQLITE_TMPDIR or TMPDIR",
                directory.display()
            )
        );
        assert!(matches!(error, SourceError::Spool { .. }));
    }
}
