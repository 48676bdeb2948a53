//! Where rows go as they are read: into the slice that is being put together, or to the spool; and how many are asked for
//! at once.

use std::ops::Range;

use super::spool::{SLICE_BYTES, Spool, SpooledWindow, row_bytes, text_bytes};
use super::{CdrRow, Digest, SLICE_ROWS, SourceError, StartCell};
use crate::call::ColumnTime;

/// Where rows go.
pub(super) trait Sink: Send {
    /// Takes one row, and its number in a [`Digest`], where the statement asks for it.
    ///
    /// # Errors
    /// [`SourceError::Spool`]
    fn push(&mut self, row: CdrRow, number: Option<u64>) -> Result<(), SourceError>;
}

impl Sink for Vec<CdrRow> {
    fn push(&mut self, row: CdrRow, _number: Option<u64>) -> Result<(), SourceError> {
        Self::push(self, row);
        Ok(())
    }
}

/// Rows, and their numbers in a [`Digest`] beside them: as many as there are rows, or fewer where some have none.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) rows: Vec<CdrRow>,
    numbers: Vec<u64>,
}

impl Numbered {
    /// The digest of the rows, where each has its number.
    pub(super) fn digest(&self) -> Option<Digest> {
        let all = self.numbers.len() == self.rows.len();
        let add = |sum: Digest, number: &u64| sum.and(*number);
        all.then(|| self.numbers.iter().fold(Digest::default(), add))
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.numbers.clear();
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.numbers.append(&mut other.numbers);
    }
}

impl Sink for Numbered {
    fn push(&mut self, row: CdrRow, number: Option<u64>) -> Result<(), SourceError> {
        // Once one has none, those of others would stand beside the wrong rows.
        if let Some(number) = number
            && self.numbers.len() == self.rows.len()
        {
            self.numbers.push(number);
        }
        self.rows.push(row);
        Ok(())
    }
}

/// How many rows one statement asks for.
#[derive(Debug)]
pub(super) struct Pace {
    rows: usize,
    /// What the rows of one statement may come to on the wire.
    bytes: usize,
}

impl Pace {
    /// For a server that keeps writers out of the table until the last row of a statement is taken: so few rows that the
    /// buffers of the connection take them all, and the statement ends even where nobody reads.
    pub(super) fn gentle() -> Self {
        Self {
            rows: 256,
            bytes: 64 << 10,
        }
    }

    /// For one where readers and writers do not meet.
    pub(super) fn full() -> Self {
        Self {
            rows: SLICE_ROWS,
            bytes: SLICE_BYTES / 2,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Learns from what one statement gave.
    pub(super) fn learn(&mut self, piece: &Piece) {
        if piece.seen == 0 {
            return;
        }
        let each = (piece.bytes / piece.seen).max(1);
        // Rows may grow on: never more than twice as many as went well.
        self.rows = (self.bytes / each).clamp(16, (self.rows * 2).min(SLICE_ROWS));
    }
}

/// The rows of one statement. What is beyond half a slice's bytes is drained and not kept: it is asked for again.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) kept_rows: Numbered,
    kept: usize,
    seen: usize,
    bytes: usize,
}

impl Piece {
    /// Whether there may be more than what was kept of a statement that was limited to `limit` rows and one.
    pub(super) fn is_cut(&self, limit: usize) -> bool {
        self.seen > limit || self.kept_rows.rows.len() < self.seen
    }
}

impl Sink for Piece {
    fn push(&mut self, row: CdrRow, number: Option<u64>) -> Result<(), SourceError> {
        self.seen += 1;
        // A few bytes more for the numbers and the frame around a row.
        self.bytes += text_bytes(&row) + 40;
        if self.kept < SLICE_BYTES / 2 {
            self.kept += row_bytes(&row);
            self.kept_rows.push(row, number)?;
        }
        Ok(())
    }
}

/// Rows that go to the spool at once.
const BLOCK: usize = 4096;

/// And their bytes.
const BLOCK_BYTES: usize = 2 << 20;

/// Gathers rows for the spool.
pub(super) struct Blocks {
    spool: Spool,
    window: Range<ColumnTime>,
    block: Vec<CdrRow>,
    bytes: usize,
}

impl Blocks {
    pub(super) fn new(window: Range<ColumnTime>) -> Result<Self, SourceError> {
        Ok(Self {
            spool: Spool::new()?,
            window,
            block: Vec::new(),
            bytes: 0,
        })
    }

    pub(super) fn finish(mut self) -> Result<SpooledWindow, SourceError> {
        self.spool.append(self.block)?;
        self.spool.finish(self.window)
    }
}

impl Sink for Blocks {
    fn push(&mut self, row: CdrRow, _number: Option<u64>) -> Result<(), SourceError> {
        // What only reading shows to be outside need not go over the disk.
        if time(&row).is_some_and(|at| !self.window.contains(&at)) {
            return Ok(());
        }
        self.bytes += row_bytes(&row);
        self.block.push(row);
        if self.block.len() >= BLOCK || self.bytes >= BLOCK_BYTES {
            let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
            self.bytes = 0;
            self.spool.append(block)?;
        }
        Ok(())
    }
}

/// Where rows that met a limit end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before this second; rows from there on were dropped.
    At(ColumnTime),
    /// All rows are of the window's first seconds up to and with this one, which may hold more.
    OneSecond(ColumnTime),
    /// No row has a time.
    Nowhere,
}

/// Cuts rows in the order of time before their last second, which may not be complete.
pub(super) fn cut(numbered: &mut Numbered, from: ColumnTime) -> Cut {
    let rows = &mut numbered.rows;
    let last = rows.iter().filter_map(time).max();
    let Some(last) = last else {
        return Cut::Nowhere;
    };
    if last <= from {
        return Cut::OneSecond(last.max(from));
    }
    let first_of_last = rows
        .iter()
        .position(|row| time(row).is_some_and(|at| at >= last));
    // By position, not by time: rows without a readable time come again exactly where the server sorts them.
    rows.truncate(first_of_last.unwrap_or(rows.len()));
    numbered.numbers.truncate(rows.len());
    if rows.is_empty() {
        return Cut::OneSecond(last);
    }
    Cut::At(last)
}

fn time(row: &CdrRow) -> Option<ColumnTime> {
    match row.start {
        StartCell::At(at) => Some(at),
        StartCell::Missing | StartCell::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Disposition, Origin};
    use crate::source::DurationCell;

    fn row(second: i64, text: usize) -> CdrRow {
        CdrRow {
            start: StartCell::At(ColumnTime(second)),
            source: "x".repeat(text),
            destination: String::new(),
            duration: DurationCell::Seconds(0),
            disposition: Disposition::Answered,
            origin: Origin::default(),
            extra: Vec::new(),
        }
    }

    fn piece(rows: usize, text: usize) -> Piece {
        let mut piece = Piece::default();
        for second in 0..rows {
            let second = i64::try_from(second).unwrap();
            piece.push(row(second, text), None).unwrap();
        }
        piece
    }

    #[test]
    fn long_rows_make_fewer_of_them_and_short_ones_more_again() {
        let mut pace = Pace::full();
        assert_eq!(pace.rows(), SLICE_ROWS);
        let long = piece(1000, 64 << 10);
        assert!(long.is_cut(SLICE_ROWS), "what is beyond 4 MiB is not kept");
        let kept = long.kept_rows.rows.len();
        assert!(kept < 70, "{kept}");
        pace.learn(&long);
        assert_eq!(pace.rows(), 63);
        for more in [126, 252, 504] {
            pace.learn(&piece(60, 60));
            assert_eq!(pace.rows(), more);
        }
        let mut gentle = Pace::gentle();
        gentle.learn(&piece(256, 16));
        assert_eq!(gentle.rows(), 512);
        gentle.learn(&piece(256, 16));
        assert_eq!(gentle.rows(), 1024, "64 KiB of 64 bytes each");
        gentle.learn(&piece(1024, 16));
        assert_eq!(gentle.rows(), 1024);
        gentle.learn(&piece(100, 1 << 20));
        assert_eq!(gentle.rows(), 16, "never so few that a window has no end");
    }

    #[test]
    fn a_piece_is_cut_before_its_last_second() {
        let at = |seconds: &[i64]| {
            let mut rows = Numbered::default();
            for &second in seconds {
                rows.push(row(second, 1), Some(second.unsigned_abs()))
                    .unwrap();
            }
            rows
        };
        let from = ColumnTime(5);
        let mut rows = at(&[5, 6, 7, 7]);
        assert_eq!(cut(&mut rows, from), Cut::At(ColumnTime(7)));
        assert_eq!(rows.rows.len(), 2);
        let digest = Digest { rows: 2, sum: 11 };
        assert_eq!(rows.digest(), Some(digest), "what was cut is not counted");
        rows.push(row(8, 1), None).unwrap();
        rows.push(row(9, 1), Some(9)).unwrap();
        assert_eq!(rows.digest(), None, "one has no number");
        assert_eq!(
            cut(&mut at(&[5, 5]), from),
            Cut::OneSecond(ColumnTime(5)),
            "it may hold more"
        );
        assert_eq!(cut(&mut at(&[9, 9]), from), Cut::OneSecond(ColumnTime(9)));
        assert_eq!(cut(&mut Numbered::default(), from), Cut::Nowhere);
    }
}
