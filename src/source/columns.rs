//! What the cells of a `cdr` table mean: text to times, durations and text.

use chrono::NaiveDate;

use super::{DurationCell, StartCell};
use crate::call::{ColumnTime, TimeKind};

/// What a text turned out to say as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeText {
    /// Empty, a zero date, `1000-01-01` (FreePBX's default for "none"), or the epoch itself.
    Missing,
    /// A wall clock without offset.
    Wall(ColumnTime),
    /// Seconds since the epoch, or a wall clock with its offset.
    Instant(ColumnTime),
    /// Anything else.
    Unreadable,
}

impl TimeText {
    /// The cell of a column that holds times of `kind`; a time of the other kind is unreadable there, because no zone
    /// would be right for both. `raw` is the text it was read from.
    #[must_use]
    pub fn cell(self, kind: TimeKind, raw: &[u8]) -> StartCell {
        match (self, kind) {
            (Self::Missing, _) => StartCell::Missing,
            (Self::Wall(at), TimeKind::Wall) | (Self::Instant(at), TimeKind::Instant) => {
                StartCell::At(at)
            }
            (Self::Wall(_), TimeKind::Instant)
            | (Self::Instant(_), TimeKind::Wall)
            | (Self::Unreadable, _) => StartCell::Unreadable(decode(raw)),
        }
    }

    /// Which kind of column this time belongs to; `None` where it is no time.
    #[must_use]
    pub fn kind(self) -> Option<TimeKind> {
        match self {
            Self::Wall(_) => Some(TimeKind::Wall),
            Self::Instant(_) => Some(TimeKind::Instant),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// Reads a time as text.
///
/// Wall clocks: `YYYY-MM-DD HH:MM:SS[.fraction]`, the same with `T`, and what a spreadsheet makes of it,
/// `YYYY/M/D H:MM[:SS]`. Instants: a wall clock followed by `Z`, `+HH`, `+HHMM` or `+HH:MM`, and seconds since the epoch
/// up to the year 9999, whole or with a fraction. Fractions are cut off; second 60 counts as the one that follows.
#[must_use]
pub fn parse_time_text(text: &[u8]) -> TimeText {
    let text = text.trim_ascii();
    if text.is_empty() {
        return TimeText::Missing;
    }
    let read = epoch(text).map_or_else(|| dated(text), Some);
    match read {
        Some(TimeText::Wall(ColumnTime(0)) | TimeText::Instant(ColumnTime(0))) => TimeText::Missing,
        Some(time) => time,
        None => TimeText::Unreadable,
    }
}

/// Reads a duration in seconds as text: whole, signed or not, or with a fraction, as Asterisk's `cdr_pgsql` writes
/// `12.345678` into character columns. Empty and negative ones are 0, as [`DurationCell::Seconds`] says.
#[must_use]
pub fn parse_duration_text(text: &[u8]) -> DurationCell {
    let plain = text.trim_ascii();
    if plain.is_empty() {
        return DurationCell::Seconds(0);
    }
    let (negative, number) = match plain {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    match decimal(number) {
        Some(_) if negative => DurationCell::Seconds(0),
        Some(seconds) => DurationCell::Seconds(seconds),
        None => DurationCell::Unreadable(decode(text)),
    }
}

/// Bytes of unknown encoding as text: valid UTF-8 as such, anything else byte by byte as Latin-1, so that equal bytes
/// give equal text and no row fails for its encoding.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// 9999-12-31 23:59:59 UTC: a larger number counts milliseconds, or nothing.
const LAST_EPOCH_SECOND: u64 = 253_402_300_799;

fn epoch(text: &[u8]) -> Option<TimeText> {
    let seconds = decimal(text)?;
    if seconds > LAST_EPOCH_SECOND {
        return None;
    }
    Some(TimeText::Instant(ColumnTime(i64::try_from(seconds).ok()?)))
}

/// The whole part of `12`, `12.5`, `12.` or `.5`.
fn decimal(text: &[u8]) -> Option<u64> {
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next());
    if whole.is_empty() && fraction.is_none_or(<[u8]>::is_empty) {
        return None;
    }
    if !fraction.unwrap_or_default().iter().all(u8::is_ascii_digit) {
        return None;
    }
    whole.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn dated(text: &[u8]) -> Option<TimeText> {
    let mut rest = Scanner(text);
    let year = rest.number(4, 4)?;
    let separator = rest.one_of(b"-/")?;
    let month = rest.number(1, 2)?;
    rest.one_of(&[separator])?;
    let day = rest.number(1, 2)?;
    let none = (year, month, day) == (0, 0, 0) || (year, month, day) == (1000, 1, 1);
    if none && rest.0.is_empty() {
        return Some(TimeText::Missing);
    }
    rest.one_of(b" Tt")?;
    let hour = rest.number(1, 2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2, 2)?;
    let mut second = 0;
    if rest.one_of(b":").is_some() {
        second = rest.number(2, 2)?;
        if rest.one_of(b".,").is_some() {
            rest.number(1, usize::MAX)?;
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = rest.offset()?;
    if none {
        return Some(TimeText::Missing);
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    let wall = midnight + hour * 3600 + minute * 60 + second;
    Some(match offset {
        None => TimeText::Wall(ColumnTime(wall)),
        Some(east) => TimeText::Instant(ColumnTime(wall - east)),
    })
}

/// What is left of a time to read.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// So many digits, at least and at most; a value that does not fit saturates, because only fractions are that long.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.take(most).count();
        if length < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(digits.iter().fold(0_i64, |sum, byte| {
            sum.saturating_mul(10)
                .saturating_add(i64::from(byte - b'0'))
        }))
    }

    /// `Some(None)`: there is none. `Some(Some(_))`: seconds east of Greenwich. `None`: something else follows.
    #[expect(clippy::option_option, reason = "absent and wrong are two answers")]
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let east = match self.one_of(b"Zz+-")? {
            b'-' => -self.hours_and_minutes()?,
            b'+' => self.hours_and_minutes()?,
            _ => 0,
        };
        self.0.is_empty().then_some(Some(east))
    }

    fn hours_and_minutes(&mut self) -> Option<i64> {
        let hours = self.number(2, 2)?;
        let colon = self.one_of(b":").is_some();
        let minutes = if self.0.is_empty() && !colon {
            0
        } else {
            self.number(2, 2)?
        };
        (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
    }
}

#[cfg(test)]
mod text_tests {
    use super::*;

    #[track_caller]
    fn time(text: &str, expected: TimeText) {
        assert_eq!(parse_time_text(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn stamps_of_every_known_writer_are_read() {
        let wall = TimeText::Wall(ColumnTime(1_498_555_635));
        let instant = TimeText::Instant(ColumnTime(1_498_555_635));
        time("2017-06-27 09:27:15", wall);
        time(" 2017-06-27T09:27:15 ", wall);
        time("2017-06-27 09:27:15.999999", wall);
        time("2017/6/27 9:27:15", wall);
        time("2017/6/27 9:27", TimeText::Wall(ColumnTime(1_498_555_620)));
        time(
            "2016-12-31 23:59:60",
            TimeText::Wall(ColumnTime(1_483_228_800)),
        );
        time("1498555635", instant);
        time("1498555635.75", instant);
        time("2017-06-27T09:27:15Z", instant);
        time("2017-06-27 09:27:15+00", instant);
        time("2017-06-27 04:57:15-04:30", instant);
        time("2017-06-27 14:57:15.5+0530", instant);
    }

    #[test]
    fn the_many_ways_of_no_date_are_missing() {
        for text in [
            "",
            "  ",
            "0000-00-00",
            "0000-00-00 00:00:00",
            "0000-00-00 00:00:00.000000",
            "1000-01-01",
            "1000-01-01 00:00:00",
            "1970-01-01 00:00:00",
            "0",
            "0.0",
        ] {
            time(text, TimeText::Missing);
        }
    }

    #[test]
    fn what_is_no_time_is_unreadable() {
        for text in [
            "2017-06-27",
            "2017-02-29 10:00:00",
            "2017-13-01 10:00:00",
            "2017-06/27 10:00:00",
            "2017-06-27 24:00:00",
            "2017-06-27 10:60:00",
            "2017-06-27 10:00:00 PM",
            "2017-06-27 10:00:00+2",
            "2017-06-27 10:00:00.",
            "2017-00-00 10:00:00",
            "1498555635000",
            "99999999999999999999999",
            "-5",
            ".",
            "ANSWERED",
            "27/06/2017 10:00:00",
        ] {
            time(text, TimeText::Unreadable);
        }
    }

    #[test]
    fn a_time_of_the_other_kind_is_unreadable_in_its_column() {
        let epoch = b"1498555635";
        let read = parse_time_text(epoch);
        assert_eq!(
            read.cell(TimeKind::Instant, epoch),
            StartCell::At(ColumnTime(1_498_555_635))
        );
        assert_eq!(
            read.cell(TimeKind::Wall, epoch),
            StartCell::Unreadable("1498555635".to_owned())
        );
    }

    #[track_caller]
    fn duration(text: &str, expected: u64) {
        assert_eq!(
            parse_duration_text(text.as_bytes()),
            DurationCell::Seconds(expected),
            "{text:?}"
        );
    }

    #[test]
    fn durations_lose_their_fraction_and_their_sign() {
        duration("12", 12);
        duration(" 12 ", 12);
        duration("+12", 12);
        duration("12.345678", 12);
        duration(".9", 0);
        duration("-3", 0);
        duration("-3.5", 0);
        duration("", 0);
        duration("18446744073709551615", u64::MAX);
        for text in [
            "x",
            "1e3",
            "1:30",
            "18446744073709551616",
            "-",
            "1.2.3",
            "12 s",
        ] {
            assert_eq!(
                parse_duration_text(text.as_bytes()),
                DurationCell::Unreadable(text.to_owned())
            );
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_latin1() {
        assert_eq!(decode("Peña".as_bytes()), "Peña");
        assert_eq!(decode(b"Pe\xf1a"), "Peña");
        assert_eq!(decode(b"cut \xc3"), "cut Ã");
    }
}
