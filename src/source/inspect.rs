//! Which columns of a table play which role, and how their cells become a [`CdrRow`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::DateTime;

use super::columns::{decode, parse_duration_text, parse_time_text};
use super::{
    CdrRow, ColumnFound, DurationCell, LONGEST_NUMBER, LONGEST_VALUE, SourceError, StartCell,
};
use crate::call::{ColumnTime, Disposition, Origin, TimeKind};
use crate::config::{COLUMN_NAMES, is_column_name};
use crate::text::Shown;

/// First second that counts as a date: 1970-01-02. Earlier ones stand for "none": zero dates, `1000-01-01`, and the epoch
/// itself, which as a local time is written as any hour of the days around 1970-01-01.
pub const FIRST_SECOND: i64 = 86_400;

/// Last second that counts as a date: 9999-12-31 23:59:59.
pub const LAST_SECOND: i64 = 253_402_300_799;

/// A column as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Name in the table.
    pub name: String,
    /// Declared type, as the database spells it.
    pub sql_type: String,
}

/// The columns to read, in the order of the SELECT list; the first is the time column.
#[derive(Debug, Clone)]
pub struct Chosen {
    slots: Vec<Slot>,
    columns: Vec<ColumnFound>,
    extra: Vec<String>,
}

impl Chosen {
    /// Role, name and declared type of each column, in the order of the SELECT list.
    #[must_use]
    pub fn columns(&self) -> &[ColumnFound] {
        &self.columns
    }

    /// The roles that come as [`CdrRow::extra`], in that order.
    #[must_use]
    pub fn extra(&self) -> &[String] {
        &self.extra
    }

    /// The time column.
    #[must_use]
    pub fn time(&self) -> &ColumnFound {
        &self.columns[0]
    }

    /// The SELECT list: what `write` makes of each column and of the most characters, or bytes, that may come of it.
    ///
    /// Four units for each character that is kept, and one more: a server that counts bytes then gives more characters
    /// than are kept of every text that has more, whatever its encoding, so that nothing is shortened unnoticed.
    #[must_use]
    pub fn select_list(&self, write: impl Fn(&ColumnFound, usize) -> String) -> Vec<String> {
        let columns = self.columns.iter().zip(&self.slots);
        columns
            .map(|(column, slot)| write(column, 4 * slot.longest() + 1))
            .collect()
    }

    /// Builds one row from its cells, asked for by position in the SELECT list.
    ///
    /// # Errors
    /// Those of `cell`.
    pub fn row<'r, E>(
        &self,
        kind: TimeKind,
        mut cell: impl FnMut(usize) -> Result<Cell<'r>, E>,
    ) -> Result<CdrRow, E> {
        let mut row = CdrRow {
            start: StartCell::Missing,
            source: String::new(),
            destination: String::new(),
            duration: DurationCell::Seconds(0),
            disposition: Disposition::Other(String::new()),
            origin: Origin::default(),
            extra: vec![None; self.extra.len()],
        };
        for (position, slot) in self.slots.iter().enumerate() {
            let cell = cell(position)?;
            let text = || clipped(cell.text(), slot.longest());
            let filled = || Some(text()).filter(|text| !text.is_empty());
            match *slot {
                Slot::Start => row.start = cell.start(kind),
                Slot::Source => row.source = text(),
                Slot::Destination => row.destination = text(),
                Slot::Duration => row.duration = cell.duration(),
                Slot::Disposition => {
                    let shown = cell.shown();
                    row.disposition = if shown.len() <= slot.longest() {
                        Disposition::parse(&shown)
                    } else {
                        Disposition::parse(&text())
                    };
                }
                Slot::Uniqueid => row.origin.uniqueid = filled(),
                Slot::Linkedid => row.origin.linkedid = filled(),
                Slot::Sequence => row.origin.sequence = cell.whole(),
                Slot::Extra(at) => row.extra[at] = filled(),
            }
        }
        Ok(row)
    }
}

/// One cell, as far as a driver can tell what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'r> {
    /// NULL.
    Null,
    /// A whole number.
    Whole(i128),
    /// A floating-point number.
    Float(f64),
    /// Text, or a number as text, in bytes of whatever encoding.
    Text(Cow<'r, [u8]>),
    /// A date with a time of day, on its own clock, as [`ColumnTime`] counts.
    Stamp(i64),
    /// A date that stands for none: MySQL's zero date, PostgreSQL's infinities.
    NoDate,
    /// A date that does not exist, or something that this column cannot mean; as text.
    Odd(String),
}

/// The fields of a row as [`Cell::text`]: as many as there are, each by its place.
pub(super) fn texts<'r, E>(
    count: usize,
    read: impl Fn(usize) -> Result<Cell<'r>, E>,
) -> Result<Vec<String>, E> {
    (0..count).map(|at| Ok(read(at)?.text())).collect()
}

impl Cell<'_> {
    /// As the start of a call, in a column that holds times of `kind`.
    #[must_use]
    pub fn start(&self, kind: TimeKind) -> StartCell {
        let instant = match kind {
            TimeKind::Instant => true,
            TimeKind::Wall => false,
        };
        let read = match self {
            Self::Null | Self::NoDate | Self::Whole(0) => StartCell::Missing,
            Self::Stamp(seconds) => StartCell::At(ColumnTime(*seconds)),
            Self::Whole(number) if instant => i64::try_from(*number).map_or_else(
                |_| StartCell::Unreadable(number.to_string()),
                |seconds| StartCell::At(ColumnTime(seconds)),
            ),
            Self::Float(number) if instant && number.is_finite() => floor(*number).map_or_else(
                || StartCell::Unreadable(number.to_string()),
                |seconds| StartCell::At(ColumnTime(seconds)),
            ),
            Self::Whole(number) => StartCell::Unreadable(number.to_string()),
            Self::Float(number) => StartCell::Unreadable(number.to_string()),
            Self::Text(raw) => parse_time_text(raw).cell(kind, raw),
            Self::Odd(text) => StartCell::Unreadable(text.clone()),
        };
        match read {
            StartCell::At(ColumnTime(seconds)) if seconds < FIRST_SECOND => StartCell::Missing,
            StartCell::At(ColumnTime(seconds)) if seconds > LAST_SECOND => {
                StartCell::Unreadable(self.text())
            }
            StartCell::At(_) | StartCell::Missing | StartCell::Unreadable(_) => read,
        }
    }

    /// As a duration in seconds.
    #[must_use]
    pub fn duration(&self) -> DurationCell {
        match self {
            Self::Null => DurationCell::Seconds(0),
            Self::Whole(number) => u64::try_from((*number).max(0)).map_or_else(
                |_| DurationCell::Unreadable(number.to_string()),
                DurationCell::Seconds,
            ),
            Self::Float(number) if number.is_finite() => floor(number.max(0.0))
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or_else(
                    || DurationCell::Unreadable(number.to_string()),
                    DurationCell::Seconds,
                ),
            Self::Text(raw) => parse_duration_text(raw),
            Self::Float(_) | Self::Stamp(_) | Self::NoDate | Self::Odd(_) => {
                DurationCell::Unreadable(self.text())
            }
        }
    }

    /// As text; empty where NULL.
    #[must_use]
    pub fn text(&self) -> String {
        self.shown().into_owned()
    }

    /// The same without a copy, where there is a text to show.
    fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Null | Self::NoDate => Cow::Borrowed(""),
            Self::Whole(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Text(raw) => match std::str::from_utf8(raw) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => decode(raw).into(),
            },
            Self::Stamp(seconds) => stamp(*seconds).into(),
            Self::Odd(text) => Cow::Borrowed(text),
        }
    }

    /// As a whole number; `None` where it is none.
    #[must_use]
    pub fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => i64::try_from(*number).ok(),
            Self::Float(number) => floor(*number),
            Self::Text(raw) => decode(raw).trim().parse().ok(),
            Self::Null | Self::Stamp(_) | Self::NoDate | Self::Odd(_) => None,
        }
    }
}

/// A time as databases write it, `YYYY-MM-DD HH:MM:SS`; a number where there is no such date.
#[must_use]
pub fn stamp(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).map_or_else(
        || seconds.to_string(),
        |time| time.format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Finds the columns to read in `table`: those that cdrelay needs or can use, and those that `extra_roles` name.
///
/// Names are compared without regard to case; one that is spelled exactly so goes first. An extra role that the table
/// has no column for is left out, unless `[source.columns]` names one.
///
/// # Errors
/// [`SourceError::Unusable`] where a required column, or one that `overrides` names, is not there, or a name is none that
/// cdrelay would put into a statement.
pub fn choose(
    table: &str,
    available: &[TableColumn],
    overrides: &BTreeMap<String, String>,
    extra_roles: &[String],
) -> Result<Chosen, SourceError> {
    let mut chosen = Chosen {
        slots: Vec::new(),
        columns: Vec::new(),
        extra: Vec::new(),
    };
    for (role, slot, required) in WANTED {
        if let Some(column) = find(table, available, overrides, role, *required)? {
            chosen.add(role, *slot, column);
        }
    }
    for role in extra_roles {
        if let Some(column) = find(table, available, overrides, role, false)? {
            let at = Slot::Extra(chosen.extra.len());
            chosen.extra.push(role.clone());
            chosen.add(role, at, column);
        }
    }
    Ok(chosen)
}

/// The first of the names, and how many more there are: `a, b, c and 12 more`.
#[must_use]
pub fn some_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", Shown(name)))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Where a cell goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Start,
    Source,
    Destination,
    Duration,
    Disposition,
    Uniqueid,
    Linkedid,
    Sequence,
    Extra(usize),
}

impl Slot {
    /// Most characters that are of use.
    fn longest(self) -> usize {
        match self {
            Self::Start
            | Self::Source
            | Self::Destination
            | Self::Duration
            | Self::Disposition
            | Self::Uniqueid
            | Self::Linkedid
            | Self::Sequence => LONGEST_NUMBER,
            Self::Extra(_) => LONGEST_VALUE,
        }
    }
}

/// A text as it is, or the beginning of one that is too long: one character more than is of use.
fn clipped(mut text: String, longest: usize) -> String {
    if text.len() > longest
        && let Some((end, _)) = text.char_indices().nth(longest + 1)
    {
        text.truncate(end);
        text.shrink_to_fit();
    }
    text
}

/// What is always read, and whether there is no call without it.
const WANTED: &[(&str, Slot, bool)] = &[
    ("initiated", Slot::Start, true),
    ("source", Slot::Source, true),
    ("destination", Slot::Destination, true),
    ("duration", Slot::Duration, true),
    ("disposition", Slot::Disposition, false),
    ("uniqueid", Slot::Uniqueid, false),
    ("linkedid", Slot::Linkedid, false),
    ("sequence", Slot::Sequence, false),
];

/// The names that a role's column has with Asterisk and FreePBX, then with FreeSWITCH (`scripts/sql/cdr.sql` and
/// `mod_cdr_csv`'s templates). Any other role is a column's own name.
fn usual_names(role: &str) -> Vec<&str> {
    match role {
        "initiated" => vec!["calldate", "start", "start_stamp", "start_timestamp"],
        "source" => vec!["src", "caller_id_number"],
        "destination" => vec!["dst", "destination_number"],
        "disposition" => vec!["disposition", "hangup_cause"],
        "uniqueid" => vec!["uniqueid", "uuid"],
        "linkedid" => vec!["linkedid", "call_uuid"],
        "clid" => vec!["clid", "caller_id"],
        other => vec![other],
    }
}

impl Chosen {
    fn add(&mut self, role: &str, slot: Slot, column: &TableColumn) {
        self.slots.push(slot);
        self.columns.push(ColumnFound {
            role: role.to_owned(),
            column: column.name.clone(),
            sql_type: column.sql_type.clone(),
        });
    }
}

fn find<'a>(
    table: &str,
    available: &'a [TableColumn],
    overrides: &BTreeMap<String, String>,
    role: &str,
    required: bool,
) -> Result<Option<&'a TableColumn>, SourceError> {
    let named = overrides.get(role);
    let names = named.map_or_else(|| usual_names(role), |name| vec![name.as_str()]);
    for name in &names {
        if !is_column_name(name) {
            return Err(SourceError::Unusable(format!(
                "`{}` is no column name that cdrelay reads ({COLUMN_NAMES}); set `source.columns.{role}` \
                 to another column, or give that column a plain name in a view",
                Shown(name)
            )));
        }
        let exact = available.iter().find(|column| column.name == *name);
        let found = exact.or_else(|| {
            available
                .iter()
                .find(|column| column.name.eq_ignore_ascii_case(name))
        });
        if let Some(column) = found {
            return Ok(Some(column));
        }
    }
    if named.is_none() && !required {
        return Ok(None);
    }
    let has = if available.is_empty() {
        "shows no columns: is it a broken view, or one that this user may not read?".to_owned()
    } else {
        let names = available.iter().map(|column| column.name.as_str());
        format!("has {}", some_of(names))
    };
    let mend = if named.is_some() { "correct" } else { "set" };
    Err(SourceError::Unusable(format!(
        "column `{}` not found in `{table}`; {mend} `source.columns.{role}` (the table {has})",
        names[0]
    )))
}

/// The whole seconds of a number; `None` where it is far from any date or duration.
fn floor(number: f64) -> Option<i64> {
    let whole = number.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within 2^53, where every f64 is an i64"
    )]
    (whole.abs() <= 9_007_199_254_740_992.0).then_some(whole as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Vec<TableColumn> {
        names
            .iter()
            .map(|name| TableColumn {
                name: (*name).to_owned(),
                sql_type: "text".to_owned(),
            })
            .collect()
    }

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(role, column)| ((*role).to_owned(), (*column).to_owned()))
            .collect()
    }

    #[track_caller]
    fn finds(names: &[&str], set: &[(&str, &str)], extra: &[&str], expected: &[(&str, &str)]) {
        let extra: Vec<String> = extra.iter().map(|role| (*role).to_owned()).collect();
        let chosen = choose("cdr", &table(names), &overrides(set), &extra).unwrap();
        let found: Vec<(&str, &str)> = chosen
            .columns()
            .iter()
            .map(|found| (found.role.as_str(), found.column.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn refuses(names: &[&str], set: &[(&str, &str)], expected: &str) {
        let error = choose("cdr", &table(names), &overrides(set), &[]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn columns_are_found_under_the_names_that_writers_give_them() {
        finds(
            &["calldate", "clid", "src", "dst", "duration", "billsec"],
            &[],
            &["did", "clid"],
            &[
                ("initiated", "calldate"),
                ("source", "src"),
                ("destination", "dst"),
                ("duration", "duration"),
                ("clid", "clid"),
            ],
        );
        finds(
            &[
                "Caller_Id_Number",
                "destination_number",
                "start_stamp",
                "DURATION",
                "hangup_cause",
                "uuid",
            ],
            &[],
            &[],
            &[
                ("initiated", "start_stamp"),
                ("source", "Caller_Id_Number"),
                ("destination", "destination_number"),
                ("duration", "DURATION"),
                ("disposition", "hangup_cause"),
                ("uniqueid", "uuid"),
            ],
        );
        finds(
            &["CallDate", "calldate", "start", "src", "dst", "duration"],
            &[("initiated", "Start"), ("source", "dst")],
            &[],
            &[
                ("initiated", "start"),
                ("source", "dst"),
                ("destination", "dst"),
                ("duration", "duration"),
            ],
        );
        finds(
            &["CallDate", "calldate", "src", "dst", "duration"],
            &[],
            &[],
            &[
                ("initiated", "calldate"),
                ("source", "src"),
                ("destination", "dst"),
                ("duration", "duration"),
            ],
        );
    }

    #[test]
    fn a_missing_column_is_named_with_its_setting_and_the_columns_that_are_there() {
        refuses(
            &["src", "dst", "duration"],
            &[],
            "column `calldate` not found in `cdr`; set `source.columns.initiated` (the table has `src`, `dst`, `duration`)",
        );
        refuses(
            &["calldate", "src", "dst", "duration"],
            &[("linkedid", "linked")],
            "column `linked` not found in `cdr`; correct `source.columns.linkedid` (the table has `calldate`, `src`, `dst`, \
             `duration`)",
        );
        refuses(
            &["calldate", "src", "dst", "duration"],
            &[("source", "src`; DROP TABLE cdr; -- ")],
            "`src`; DROP TABLE cdr; -- ` is no column name that cdrelay reads (letters, digits, `_`, `$`, `-` and blanks, not beginning \
             with a digit, at most 64 characters); set \
             `source.columns.source` to another column, or give that column a plain name in a view",
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..14).map(|n| format!("c{n}")).collect();
        let text = some_of(names.iter().map(String::as_str));
        assert!(text.ends_with("`c11` and 2 more"), "{text}");
    }

    #[track_caller]
    fn start(cell: &Cell<'_>, kind: TimeKind, expected: &StartCell) {
        assert_eq!(&cell.start(kind), expected, "{cell:?}");
    }

    #[test]
    fn cells_that_stand_for_no_date_are_missing_and_impossible_ones_unreadable() {
        let odd = |text: &str| StartCell::Unreadable(text.to_owned());
        start(&Cell::Null, TimeKind::Wall, &StartCell::Missing);
        start(&Cell::NoDate, TimeKind::Wall, &StartCell::Missing);
        start(&Cell::Stamp(0), TimeKind::Wall, &StartCell::Missing);
        start(
            &Cell::Stamp(-30_610_224_000),
            TimeKind::Wall,
            &StartCell::Missing,
        );
        start(&Cell::Whole(0), TimeKind::Instant, &StartCell::Missing);
        start(
            &Cell::Whole(86_400),
            TimeKind::Instant,
            &StartCell::At(ColumnTime(86_400)),
        );
        start(&Cell::Whole(86_400), TimeKind::Wall, &odd("86400"));
        start(
            &Cell::Float(1_498_555_635.75),
            TimeKind::Instant,
            &StartCell::At(ColumnTime(1_498_555_635)),
        );
        start(&Cell::Float(f64::NAN), TimeKind::Instant, &odd("NaN"));
        start(
            &Cell::Whole(1_498_555_635_000),
            TimeKind::Instant,
            &odd("1498555635000"),
        );
        start(
            &Cell::Whole(i128::from(u64::MAX)),
            TimeKind::Instant,
            &odd("18446744073709551615"),
        );
        start(
            &Cell::Odd("2020-00-00 00:00:00".to_owned()),
            TimeKind::Wall,
            &odd("2020-00-00 00:00:00"),
        );
    }

    #[test]
    fn durations_of_every_column_type_are_whole_seconds() {
        let seconds = DurationCell::Seconds;
        assert_eq!(Cell::Null.duration(), seconds(0));
        assert_eq!(Cell::Whole(-5).duration(), seconds(0));
        assert_eq!(
            Cell::Whole(4_294_967_295).duration(),
            seconds(4_294_967_295)
        );
        assert_eq!(Cell::Float(12.9).duration(), seconds(12));
        assert_eq!(Cell::Float(-0.5).duration(), seconds(0));
        assert_eq!(
            Cell::Float(f64::INFINITY).duration(),
            DurationCell::Unreadable("inf".to_owned())
        );
        assert_eq!(
            Cell::Text(b"12.345678".as_slice().into()).duration(),
            seconds(12)
        );
    }
}
