//! How a table is cut into slices: the same for every database that speaks SQL.
//!
//! With an index on the time column, a slice is the next rows in the order of time, cut at a whole second; the next one
//! starts at that second. Without one, a single pass spools the window. Every statement is drained before a method
//! returns.

use std::ops::Range;

use futures_util::future::{BoxFuture, FutureExt};

use super::gather::{Blocks, Cut, Numbered, Pace, Piece, Sink, cut};
use super::inspect::{Chosen, FIRST_SECOND, LAST_SECOND, stamp};
use super::spool::{SLICE_BYTES, SpooledWindow, row_bytes};
use super::{
    CallSource, CdrRow, Digest, SLICE_ROWS, Slice, SourceError, SourceProfile, StartCell,
    TimeIndex, Undated,
};
use crate::call::{ColumnTime, TimeKind};
use crate::fault;

mod estimate;
mod sampling;

/// What databases differ in. An implementation connects when it is first asked for something, and again after a failure.
pub(super) trait Dialect: Send {
    /// Most rows that are counted one by one for an estimate; beyond, the planner is asked.
    const COUNTED: u64;

    /// Looks at the table.
    fn inspect(&mut self) -> BoxFuture<'_, Result<Layout, SourceError>>;

    /// Runs a statement that selects [`Layout::select`] and drains it into `sink`. `pass`: it reads the whole table, and
    /// may take as long as that takes.
    fn read<'a>(
        &'a mut self,
        layout: &'a Layout,
        statement: Statement,
        pass: bool,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), SourceError>>;

    /// Runs a statement that selects texts, and gives those of its first row; none where there is no row.
    fn answer(&mut self, statement: Statement) -> BoxFuture<'_, Result<Vec<String>, SourceError>>;

    /// Runs a statement that selects [`COUNT`].
    fn count(&mut self, statement: Statement) -> BoxFuture<'_, Result<u64, SourceError>> {
        let answer = self.answer(statement);
        async {
            let number = answer
                .await?
                .first()
                .and_then(|rows| rows.trim().parse().ok());
            Ok(number.unwrap_or(0))
        }
        .boxed()
    }

    /// The planner's guess how many rows a statement gives; `None` where it makes none.
    fn guess(&mut self, statement: Statement) -> BoxFuture<'_, Result<Option<u64>, SourceError>>;

    /// What the rows stand in the order of writing by, ready for an ORDER BY that an index serves; `None` where nothing
    /// keeps that order.
    fn insertion_order(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>>;

    /// Says goodbye to the server, so that it does not log an aborted connection.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

/// How many rows, as text: with blanks around it on some servers.
const COUNT: &str = "CAST(COUNT(*) AS CHAR(40))";

/// A statement and the values bound to it, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) bounds: Vec<Bound>,
}

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Whole(i64),
    Text(String),
}

/// What the time column's type is, as far as statements care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// `DATETIME`, `timestamp`.
    Civil,
    /// `TIMESTAMP`, `timestamptz`.
    Stamp,
    /// Seconds since the epoch as a number.
    Epoch,
    /// A wall clock as text.
    Text,
    /// An instant as text: its order as text is not that of time.
    InstantText,
}

impl Clock {
    pub(super) fn kind(self) -> TimeKind {
        match self {
            Self::Civil | Self::Text => TimeKind::Wall,
            Self::Stamp | Self::Epoch | Self::InstantText => TimeKind::Instant,
        }
    }

    fn bound(self, second: i64) -> Bound {
        match self {
            Self::Epoch => Bound::Whole(second),
            Self::Civil | Self::Stamp | Self::Text | Self::InstantText => {
                Bound::Text(stamp(second))
            }
        }
    }
}

/// What inspection found, ready to build statements from. All names in it are checked and quoted.
pub(super) struct Layout {
    pub(super) profile: SourceProfile,
    pub(super) chosen: Chosen,
    pub(super) clock: Clock,
    /// The SELECT list.
    pub(super) select: String,
    /// A row's number in a [`Digest`], as SQL: a whole number of 64 bits made of all of `select`; `None` where the server has
    /// no cheap function for it.
    pub(super) number: Option<String>,
    /// Whether a statement keeps the table's writers waiting until its last row is taken.
    pub(super) locks_writers: bool,
    /// The table.
    pub(super) table: String,
    /// The table with a hint to use the index on the time column.
    pub(super) indexed_table: String,
    /// The time column.
    pub(super) time: String,
    /// How a bound time is written; `#` stands for its number.
    pub(super) placeholder: &'static str,
    /// Whether values beyond the last date can be stored and compared.
    pub(super) has_late_values: bool,
}

impl Layout {
    fn indexed(&self) -> bool {
        match self.profile.index {
            TimeIndex::Usable(_) => self.clock != Clock::InstantText,
            TimeIndex::Missing(_) | TimeIndex::File => false,
        }
    }

    /// A row's number in a [`Digest`], where digests are worth asking for: only the index finds a stretch cheaply, and who
    /// keeps writers waiting is not asked for more than the rows.
    fn digested(&self) -> Option<&str> {
        let cheap = self.indexed() && self.clock != Clock::Text && !self.locks_writers;
        self.number.as_deref().filter(|_| cheap)
    }

    fn place(&self, number: usize) -> String {
        self.placeholder.replace('#', &number.to_string())
    }

    /// `from <= time < until`. Both are brought into the range that holds dates: text and old dates sort outside it.
    fn window(&self, window: &Range<ColumnTime>) -> (String, Vec<Bound>) {
        let from = window.start.0.clamp(FIRST_SECOND, LAST_SECOND);
        let until = window.end.0.clamp(FIRST_SECOND, LAST_SECOND);
        // The last second of all has no successor that every database could compare with.
        let less = if window.end.0 > LAST_SECOND {
            "<="
        } else {
            "<"
        };
        (
            format!(
                "{t} >= {} AND {t} {less} {}",
                self.place(1),
                self.place(2),
                t = self.time
            ),
            vec![self.clock.bound(from), self.clock.bound(until)],
        )
    }

    /// Conditions that together select what belongs to no window; each binds the bounds with it.
    fn undated(&self) -> Vec<(String, Vec<Bound>)> {
        let t = &self.time;
        let mut conditions = vec![
            // In MySQL, a zero date in a column that is NOT NULL "is null" too; it is counted with the early ones.
            (
                format!("{t} IS NULL AND ({t} < {}) IS NOT TRUE", self.place(1)),
                vec![self.clock.bound(FIRST_SECOND)],
            ),
            (
                format!("{t} < {}", self.place(1)),
                vec![self.clock.bound(FIRST_SECOND)],
            ),
        ];
        if self.has_late_values {
            conditions.push((
                format!("{t} >= {}", self.place(1)),
                vec![match self.clock {
                    Clock::Epoch => Bound::Whole(LAST_SECOND + 1),
                    // Every collation sorts letters behind digits.
                    Clock::Text | Clock::InstantText => {
                        Bound::Text(format!("{}.999999", stamp(LAST_SECOND)))
                    }
                    Clock::Civil | Clock::Stamp => Bound::Text("10000-01-01 00:00:00".to_owned()),
                }],
            ));
        }
        conditions
    }

    /// Texts that do not sort as times do.
    fn odd_shape(&self) -> String {
        let t = &self.time;
        format!("({t} NOT LIKE '____-__-__ __:__:__' AND {t} NOT LIKE '____-__-__ __:__:__.%')")
    }

    /// The next rows of a window in the order of time.
    fn slice(&self, window: &Range<ColumnTime>, limit: Option<usize>) -> Statement {
        let (condition, bounds) = self.window(window);
        let limit = limit.map_or_else(String::new, |rows| format!(" LIMIT {rows}"));
        let number = self
            .digested()
            .map_or_else(String::new, |number| format!(", {number}"));
        Statement {
            sql: format!(
                "SELECT {}{number} FROM {} WHERE {condition} ORDER BY {}{limit}",
                self.select, self.indexed_table, self.time
            ),
            bounds,
        }
    }

    /// How many rows of a window there are, and the sum of their numbers, both as text; `None` where they have none.
    fn digest(&self, window: &Range<ColumnTime>) -> Option<Statement> {
        let number = self.digested()?;
        let (condition, bounds) = self.window(window);
        Some(Statement {
            sql: format!(
                "SELECT {COUNT}, CAST(SUM({number}) AS CHAR(60)) FROM {} WHERE {condition}",
                self.indexed_table
            ),
            bounds,
        })
    }

    /// Everything of a window and what belongs to no window, in any order.
    fn pass(&self, window: &Range<ColumnTime>) -> Statement {
        let head = format!("SELECT {} FROM {}", self.select, self.table);
        if self.clock == Clock::InstantText {
            // Only reading them tells what time they mean.
            return Statement {
                sql: head,
                bounds: Vec::new(),
            };
        }
        let (condition, mut bounds) = self.window(window);
        let mut sql = format!("{head} WHERE ({condition})");
        for (undated, more) in self.undated() {
            // Numbered placeholders go on counting.
            let undated = undated.replace(&self.place(1), &self.place(bounds.len() + 1));
            sql.push_str(&format!(" OR {undated}"));
            bounds.extend(more);
        }
        if self.clock == Clock::Text {
            sql.push_str(&format!(" OR {}", self.odd_shape()));
        }
        Statement { sql, bounds }
    }

    fn few(&self, condition: &str, bounds: Vec<Bound>, limit: u64) -> Statement {
        Statement {
            sql: format!(
                "SELECT {COUNT} FROM (SELECT 1 AS one FROM {} WHERE {condition} LIMIT {limit}) AS few",
                self.indexed_table
            ),
            bounds,
        }
    }
}

/// A table read through SQL.
pub(super) struct Table<D> {
    dialect: D,
    layout: Option<Layout>,
    pace: Pace,
    /// Most rows of the next slice.
    reach: usize,
    state: State,
}

/// Rows of a window's first slice. A run sends nothing before it has read a slice and put its intents on record, so the
/// first one is small, and each has four times the rows of the one before until they are full.
const FIRST_SLICE: usize = 64;

enum State {
    /// Nothing is left, or nothing was opened.
    Done,
    /// Read by index: what is left of the window.
    Indexed(Range<ColumnTime>),
    /// Read from the spool.
    Spooled(SpooledWindow),
}

impl<D: Dialect> Table<D> {
    pub(super) fn new(dialect: D) -> Self {
        Self {
            dialect,
            layout: None,
            pace: Pace::full(),
            reach: FIRST_SLICE,
            state: State::Done,
        }
    }

    async fn look(&mut self) -> Result<&Layout, SourceError> {
        if self.layout.is_none() {
            self.layout = Some(self.dialect.inspect().await?);
        }
        Ok(self
            .layout
            .as_ref()
            .expect("inspection has just filled it in"))
    }

    async fn open_window(&mut self, window: Range<ColumnTime>) -> Result<(), SourceError> {
        self.state = State::Done;
        self.look().await?;
        if window.start >= window.end || window.start.0 > LAST_SECOND {
            return Ok(());
        }
        if !self.sorts_as_time().await? {
            return self.spool(window).await;
        }
        self.pace = match &self.layout {
            Some(layout) if layout.locks_writers => Pace::gentle(),
            Some(_) | None => Pace::full(),
        };
        self.reach = FIRST_SLICE;
        self.state = State::Indexed(window);
        Ok(())
    }

    /// Whether the index on the time column gives the order of time. Text does where every value has the form that
    /// Asterisk writes; the index alone tells.
    async fn sorts_as_time(&mut self) -> Result<bool, SourceError> {
        let Some(layout) = &self.layout else {
            return Ok(false);
        };
        if !layout.indexed() {
            return Ok(false);
        }
        if layout.clock != Clock::Text {
            return Ok(true);
        }
        let condition = format!("{} <> '' AND {}", layout.time, layout.odd_shape());
        let odd = layout.few(&condition, Vec::new(), 1);
        Ok(self.dialect.count(odd).await? == 0)
    }

    async fn spool(&mut self, window: Range<ColumnTime>) -> Result<(), SourceError> {
        let layout = self.layout.as_ref().expect("opened after inspection");
        let pass = layout.pass(&window);
        let mut blocks = Blocks::new(window)?;
        self.dialect.read(layout, pass, true, &mut blocks).await?;
        self.dialect.close().await;
        self.state = State::Spooled(blocks.finish()?);
        Ok(())
    }

    async fn next_slice(&mut self) -> Result<Option<Slice>, SourceError> {
        let window = match &mut self.state {
            State::Done => return Ok(None),
            State::Spooled(spooled) => return spooled.next(),
            State::Indexed(window) => window.clone(),
        };
        if window.start >= window.end {
            self.state = State::Done;
            self.dialect.close().await;
            return Ok(None);
        }
        fault::point!("source.slice");
        let mut numbered = Numbered::default();
        let mut bytes = 0;
        let mut until = window.start;
        // Nothing is kept of a slice that fails half-way: it is read again from its beginning.
        while until < window.end
            && numbered.rows.len() + self.pace.rows().min(self.reach) <= self.reach
            && bytes < SLICE_BYTES / 2
        {
            let Some((more, end)) = self.next_piece(until..window.end).await? else {
                if until > window.start {
                    break;
                }
                // Thousands of rows in a row without a readable time: the order of the index says nothing.
                self.spool(window).await?;
                return match &mut self.state {
                    State::Spooled(spooled) => spooled.next(),
                    State::Done | State::Indexed(_) => Ok(None),
                };
            };
            bytes += more.rows.iter().map(row_bytes).sum::<usize>();
            numbered.append(more);
            until = end;
        }
        let slice = Slice {
            from: window.start,
            until,
            digest: numbered.digest(),
            rows: within_slice(numbered.rows, &(window.start..until)),
        };
        fault::point!("source.slice_read");
        self.reach = (self.reach * 4).min(SLICE_ROWS);
        self.state = State::Indexed(until..window.end);
        Ok(Some(slice))
    }

    /// The next rows of what is left of a window, complete up to the second that comes with them; `None` where the order
    /// of the index says nothing.
    async fn next_piece(
        &mut self,
        left: Range<ColumnTime>,
    ) -> Result<Option<(Numbered, ColumnTime)>, SourceError> {
        let layout = self.layout.as_ref().expect("opened after inspection");
        let mut limit = self.pace.rows().min(self.reach);
        loop {
            let mut piece = Piece::default();
            let statement = layout.slice(&left, Some(limit + 1));
            self.dialect
                .read(layout, statement, false, &mut piece)
                .await?;
            self.pace.learn(&piece);
            if !piece.is_cut(limit) {
                return Ok(Some((piece.kept_rows, left.end)));
            }
            let mut rows = piece.kept_rows;
            match cut(&mut rows, left.start) {
                Cut::At(second) => return Ok(Some((rows, second))),
                Cut::OneSecond(second) => {
                    let whole = left.start..ColumnTime(second.0 + 1);
                    let statement = layout.slice(&whole, None);
                    rows.clear();
                    self.dialect
                        .read(layout, statement, false, &mut rows)
                        .await?;
                    return Ok(Some((rows, whole.end)));
                }
                // A few of them may well stand side by side.
                Cut::Nowhere if limit < SLICE_ROWS => limit = SLICE_ROWS,
                Cut::Nowhere => return Ok(None),
            }
        }
    }

    async fn digest_of(&mut self, range: Range<ColumnTime>) -> Result<Option<Digest>, SourceError> {
        let Some(statement) = self.look().await?.digest(&range) else {
            return Ok(None);
        };
        fault::point!("source.digest");
        let answer = self.dialect.answer(statement).await?;
        Ok(match answer.as_slice() {
            [rows, sum] => digest(rows.trim(), sum.trim()),
            _ => None,
        })
    }

    async fn count_undated(&mut self) -> Result<Undated, SourceError> {
        if let State::Spooled(spooled) = &self.state {
            return Ok(spooled.undated().clone());
        }
        self.look().await?;
        let layout = self.layout.as_ref().expect("inspected above");
        let mut undated = Undated::default();
        for (condition, bounds) in layout.undated() {
            let count = Statement {
                sql: format!("SELECT {COUNT} FROM {} WHERE {condition}", layout.table),
                bounds: bounds.clone(),
            };
            let rows = self.dialect.count(count).await?;
            undated.rows += rows;
            if rows == 0 || undated.examples.len() >= EXAMPLES {
                continue;
            }
            let some = Statement {
                sql: format!(
                    "SELECT {} FROM {} WHERE {condition} LIMIT {EXAMPLES}",
                    layout.select, layout.table
                ),
                bounds,
            };
            let mut rows = Vec::new();
            self.dialect.read(layout, some, false, &mut rows).await?;
            let found = rows.into_iter().filter_map(|row| row.origin.uniqueid);
            undated.examples.extend(found);
            undated.examples.truncate(EXAMPLES);
        }
        Ok(undated)
    }
}

impl<D: Dialect> CallSource for Table<D> {
    fn probe(&mut self) -> BoxFuture<'_, Result<SourceProfile, SourceError>> {
        Box::pin(async {
            let layout = self.dialect.inspect().await?;
            let profile = layout.profile.clone();
            self.layout = Some(layout);
            Ok(profile)
        })
    }

    fn open(&mut self, window: Range<ColumnTime>) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(self.open_window(window))
    }

    fn expected(&mut self) -> BoxFuture<'_, Result<Option<u64>, SourceError>> {
        Box::pin(self.expected_rows())
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Slice>, SourceError>> {
        Box::pin(self.next_slice())
    }

    fn digests(&self) -> bool {
        self.layout
            .as_ref()
            .is_some_and(|layout| layout.digested().is_some())
    }

    fn digest(
        &mut self,
        range: Range<ColumnTime>,
    ) -> BoxFuture<'_, Result<Option<Digest>, SourceError>> {
        Box::pin(self.digest_of(range))
    }

    fn undated(&mut self) -> BoxFuture<'_, Result<Undated, SourceError>> {
        Box::pin(self.count_undated())
    }

    fn sample(
        &mut self,
        windows: Vec<Range<ColumnTime>>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<CdrRow>>, SourceError>> {
        Box::pin(self.sampled(windows, limit))
    }

    fn latest(&mut self, limit: usize) -> BoxFuture<'_, Result<Option<Vec<CdrRow>>, SourceError>> {
        Box::pin(self.newest(limit))
    }
}

/// Reads what [`Layout::digest`] selects. A sum of no rows is NULL; one of signed numbers may be negative.
fn digest(rows: &str, sum: &str) -> Option<Digest> {
    let sum: i128 = if sum.is_empty() { 0 } else { sum.parse().ok()? };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "modulo 2^64 is what is meant"
    )]
    let sum = sum as u64;
    Some(Digest {
        rows: rows.parse().ok()?,
        sum,
    })
}

/// Most examples of rows that belong to no window.
const EXAMPLES: usize = 5;

/// A time that reads differently from how the server sorted it (text such as `23:59:60`) is no time: it would belong to
/// another slice, which is read already or will not bring it.
fn within_slice(mut rows: Vec<CdrRow>, slice: &Range<ColumnTime>) -> Vec<CdrRow> {
    for row in &mut rows {
        if let StartCell::At(at) = row.start
            && !slice.contains(&at)
        {
            row.start = StartCell::Unreadable(stamp(at.0));
        }
    }
    rows
}
