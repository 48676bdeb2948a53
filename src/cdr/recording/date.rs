//! The start of a call in a link: a small part of strftime, every letter of which is checked when the template is read.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};

use crate::text::Shown;

/// What stands after `date:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DateFormat(Vec<DatePiece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatePiece {
    Literal(char),
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
}

impl DateFormat {
    /// `%Y-%m-%d`, which `{date}` alone stands for.
    pub(super) fn day() -> Self {
        Self(Vec::from(ISO_DAY))
    }

    /// Reads a format; an error says what is wrong with it and what there is.
    pub(super) fn parse(format: &str) -> Result<Self, String> {
        use DatePiece::{
            Day, DayOfYear, Hour, Literal, Minute, Month, Second, Year, YearOfCentury,
        };
        if format.is_empty() {
            return Err("`{date:}` has no format; write `{date}` or `{date:%Y/%m/%d}`".to_owned());
        }
        let mut pieces = Vec::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('Y') => pieces.push(Year),
                    Some('y') => pieces.push(YearOfCentury),
                    Some('m') => pieces.push(Month),
                    Some('d') => pieces.push(Day),
                    Some('j') => pieces.push(DayOfYear),
                    Some('H') => pieces.push(Hour),
                    Some('M') => pieces.push(Minute),
                    Some('S') => pieces.push(Second),
                    Some('F') => pieces.extend(ISO_DAY),
                    other => {
                        let letter: Cow<'_, str> =
                            other.map_or("".into(), |c| c.to_string().into());
                        return Err(format!(
                            "`%{}` is unknown in `{{date:{}}}`; there are %Y %m %d %H %M %S %y %j %F",
                            Shown(&letter),
                            Shown(format)
                        ));
                    }
                },
                c if c.is_ascii_alphanumeric() || "/-_.~:".contains(c) => pieces.push(Literal(c)),
                c => {
                    return Err(format!(
                        "`{}` cannot stand in `{{date:{}}}`; between the parts of a date go letters, digits and / - _ . ~ :",
                        Shown(&c.to_string()),
                        Shown(format)
                    ));
                }
            }
        }
        Ok(Self(pieces))
    }

    /// Appends the date to a link.
    pub(super) fn push(&self, link: &mut String, local: NaiveDateTime) {
        for piece in &self.0 {
            // Writing to a String cannot fail.
            let _ = match piece {
                DatePiece::Literal(c) => link.write_char(*c),
                DatePiece::Year => write!(link, "{:04}", local.year()),
                DatePiece::YearOfCentury => write!(link, "{:02}", local.year().rem_euclid(100)),
                DatePiece::Month => write!(link, "{:02}", local.month()),
                DatePiece::Day => write!(link, "{:02}", local.day()),
                DatePiece::DayOfYear => write!(link, "{:03}", local.ordinal()),
                DatePiece::Hour => write!(link, "{:02}", local.hour()),
                DatePiece::Minute => write!(link, "{:02}", local.minute()),
                DatePiece::Second => write!(link, "{:02}", local.second()),
            };
        }
    }
}

const ISO_DAY: [DatePiece; 5] = [
    DatePiece::Year,
    DatePiece::Literal('-'),
    DatePiece::Month,
    DatePiece::Literal('-'),
    DatePiece::Day,
];
