//! From what a time column holds to an instant, and from there to the text that the CRM gets.
//!
//! A PBX writes its local wall clock without an offset. Where the clock is put back, a reading means two instants; where
//! it is put forward, some readings mean none. What decides is the epoch inside `uniqueid`, which is the channel's
//! creation in UTC (Asterisk main/channel.c), so that the call cannot have started before it. Where that says nothing,
//! a reading that means two instants is the first of them, and one that means none is moved forward by the gap.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use chrono_tz::Tz;

use super::spans::{Readings, Spans, naive};
use super::uniqueid::creation_epoch;
use crate::call::{ColumnTime, Fold, TimeKind};
use crate::config::InitiatedAs;

/// How far before its channel's epoch a start may lie, in seconds: the host's clock may have been set back a little.
const TOLERANCE: i64 = 5;
/// How long before the start a channel's epoch may lie and still say something about it, in seconds.
const EVIDENCE_REACH: i64 = 86_400;

/// The clock of one time column. Pure: the same arguments give the same answer for ever.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: TimeKind,
    zone: Tz,
    spans: Spans,
}

/// An instant that a cell of the time column was found to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Unix seconds.
    pub instant: i64,
    /// Which of two equal readings; 0 where there is one, and where there is none.
    pub fold: Fold,
    /// How sure that is.
    pub note: ClockNote,
}

/// How an instant was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockNote {
    /// The reading means this instant and no other.
    Exact,
    /// The reading means two instants; `uniqueid` decided.
    AmbiguousByUniqueid,
    /// The reading means two instants and nothing decides: the first was taken.
    AmbiguousAssumedFirst,
    /// The clock never showed this reading: moved forward by the gap.
    SkippedShifted,
    /// The clock never showed this reading; `uniqueid` says with which of the two offsets it was written.
    SkippedByUniqueid,
}

impl Clock {
    /// A clock for a column of this kind; `zone` is that of the PBX (`source.timezone`), which for a column of instants
    /// only decides how they are shown.
    #[must_use]
    pub fn new(kind: TimeKind, zone: Tz) -> Self {
        Self {
            kind,
            zone,
            spans: Spans::of(zone),
        }
    }

    /// What the column holds.
    #[must_use]
    pub fn kind(&self) -> TimeKind {
        self.kind
    }

    /// The zone of the PBX.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The instant that `at` means, by the rule at the head of this file.
    #[must_use]
    pub fn resolve(&self, at: ColumnTime, uniqueid: Option<&str>) -> Resolved {
        let (instant, fold, note) = match self.kind {
            TimeKind::Instant => (at.0, 0, ClockNote::Exact),
            TimeKind::Wall => match self.spans.readings(at.0) {
                Readings::Once(instant) => (instant, 0, ClockNote::Exact),
                Readings::Twice { first, second } => match decide(first, second, uniqueid) {
                    Some(instant) => (
                        instant,
                        u8::from(instant == second),
                        ClockNote::AmbiguousByUniqueid,
                    ),
                    None => (first, 0, ClockNote::AmbiguousAssumedFirst),
                },
                Readings::Never { early, shifted, .. } => match decide(early, shifted, uniqueid) {
                    Some(instant) => (instant, 0, ClockNote::SkippedByUniqueid),
                    None => (shifted, 0, ClockNote::SkippedShifted),
                },
            },
        };
        Resolved {
            instant,
            fold: Fold(fold),
            note,
        }
    }

    /// The local start of a call, as its PBX's clock showed it: what a wall column holds, or the instant in the zone.
    #[must_use]
    pub fn local(&self, at: ColumnTime, instant: i64) -> NaiveDateTime {
        naive(self.local_seconds(at, instant))
    }

    /// The text that the CRM gets for the start: `at` as the column holds it, `instant` as [`Clock::resolve`] gave it.
    ///
    /// `utc` and `offset` give different texts for different instants. `local` and `local-z` are the clock's reading,
    /// so that two instants of an hour that occurs twice share a text. Years beyond 9999 get a sign and more digits.
    #[must_use]
    pub fn render(&self, at: ColumnTime, instant: i64, initiated_as: InitiatedAs) -> String {
        let mut text = String::with_capacity(25);
        match initiated_as {
            InitiatedAs::Utc => {
                push_clock(&mut text, instant, 'T');
                text.push('Z');
            }
            InitiatedAs::Offset => {
                let minutes = whole_minutes(self.spans.offset_at(instant));
                push_clock(&mut text, instant.saturating_add(minutes * 60), 'T');
                text.push(if minutes < 0 { '-' } else { '+' });
                push_two(&mut text, minutes.unsigned_abs() / 60);
                text.push(':');
                push_two(&mut text, minutes.unsigned_abs() % 60);
            }
            InitiatedAs::Local => push_clock(&mut text, self.local_seconds(at, instant), 'T'),
            InitiatedAs::LocalZ => {
                push_clock(&mut text, self.local_seconds(at, instant), 'T');
                text.push('Z');
            }
        }
        text
    }

    fn local_seconds(&self, at: ColumnTime, instant: i64) -> i64 {
        match self.kind {
            TimeKind::Wall => at.0,
            TimeKind::Instant => instant.saturating_add(self.spans.offset_at(instant)),
        }
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.spans
    }
}

/// The earlier of two candidates that is not before the channel's creation; `None` without evidence.
fn decide(earlier: i64, later: i64, uniqueid: Option<&str>) -> Option<i64> {
    let epoch = creation_epoch(uniqueid?)?;
    let start = [earlier, later]
        .into_iter()
        .find(|candidate| *candidate >= epoch - TOLERANCE)?;
    (start.saturating_sub(epoch) <= EVIDENCE_REACH).then_some(start)
}

/// An offset in the minutes that ISO 8601 can show. Liberia's was -00:44:30 until 1972; the clock's text is moved by the
/// same seconds, so the instant stays exact.
fn whole_minutes(offset: i64) -> i64 {
    (offset + 30).div_euclid(60)
}

/// `YYYY-MM-DD HH:MM:SS` with this between date and time, for seconds on whatever clock, counted as Unix seconds are.
#[must_use]
pub fn clock_text(seconds: i64, between: char) -> String {
    let mut text = String::with_capacity(20);
    push_clock(&mut text, seconds, between);
    text
}

/// Appends date and time.
fn push_clock(text: &mut String, seconds: i64, between: char) {
    let time = naive(seconds);
    match u64::try_from(time.year()) {
        Ok(year @ 0..=9999) => {
            push_two(text, year / 100);
            push_two(text, year % 100);
        }
        Ok(_) | Err(_) => {
            // Five digits and a sign, as ISO 8601 expands years. Writing to a String cannot fail.
            let _ = write!(text, "{:+06}", time.year());
        }
    }
    for (mark, number) in [
        ('-', time.month()),
        ('-', time.day()),
        (between, time.hour()),
        (':', time.minute()),
        (':', time.second()),
    ] {
        text.push(mark);
        push_two(text, u64::from(number));
    }
}

fn push_two(text: &mut String, number: u64) {
    for digit in [number / 10 % 10, number % 10] {
        text.push(char::from_digit(digit as u32, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const ALL: [InitiatedAs; 4] = [
        InitiatedAs::Utc,
        InitiatedAs::Offset,
        InitiatedAs::Local,
        InitiatedAs::LocalZ,
    ];

    /// Resolves and renders what a wall column holds in each of the four forms.
    #[track_caller]
    fn renders(zone: Tz, wall: &str, expected: [&str; 4]) {
        let at = ColumnTime(utc(&format!("{wall}Z")));
        let clock = Clock::new(TimeKind::Wall, zone);
        let found = clock.resolve(at, None);
        let texts = ALL.map(|initiated_as| clock.render(at, found.instant, initiated_as));
        assert_eq!(texts, expected, "{zone} {wall}");
    }

    fn utc(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect(text).timestamp()
    }

    #[test]
    fn noon_in_caracas_in_2012_was_half_past_four_in_utc() {
        renders(
            Tz::America__Caracas,
            "2012-08-23T12:20:33",
            [
                "2012-08-23T16:50:33Z",
                "2012-08-23T12:20:33-04:30",
                "2012-08-23T12:20:33",
                "2012-08-23T12:20:33Z",
            ],
        );
    }

    #[test]
    fn local_forms_keep_a_reading_that_the_clock_never_showed() {
        renders(
            Tz::America__New_York,
            "2025-03-09T02:30:00",
            [
                "2025-03-09T07:30:00Z",
                "2025-03-09T03:30:00-04:00",
                "2025-03-09T02:30:00",
                "2025-03-09T02:30:00Z",
            ],
        );
        renders(
            Tz::Pacific__Apia,
            "2011-12-30T12:00:00",
            [
                "2011-12-30T22:00:00Z",
                "2011-12-31T12:00:00+14:00",
                "2011-12-30T12:00:00",
                "2011-12-30T12:00:00Z",
            ],
        );
    }

    #[test]
    fn offsets_with_seconds_are_rounded_and_the_instant_stays() {
        renders(
            Tz::Africa__Monrovia,
            "1971-06-01T12:00:00",
            [
                "1971-06-01T12:44:30Z",
                "1971-06-01T12:00:30-00:44",
                "1971-06-01T12:00:00",
                "1971-06-01T12:00:00Z",
            ],
        );
    }

    #[test]
    fn offsets_are_never_written_as_z() {
        renders(
            Tz::UTC,
            "2026-11-20T08:30:00",
            [
                "2026-11-20T08:30:00Z",
                "2026-11-20T08:30:00+00:00",
                "2026-11-20T08:30:00",
                "2026-11-20T08:30:00Z",
            ],
        );
    }

    #[test]
    fn instants_are_shown_in_the_zone() {
        let clock = Clock::new(TimeKind::Instant, Tz::America__Caracas);
        let at = ColumnTime(utc("2012-08-23T16:50:33Z"));
        let found = clock.resolve(at, None);
        assert_eq!(found.note, ClockNote::Exact);
        let texts = ALL.map(|initiated_as| clock.render(at, found.instant, initiated_as));
        assert_eq!(
            texts,
            [
                "2012-08-23T16:50:33Z",
                "2012-08-23T12:20:33-04:30",
                "2012-08-23T12:20:33",
                "2012-08-23T12:20:33Z",
            ]
        );
    }

    #[test]
    fn the_second_of_two_equal_readings_differs_in_utc_and_offset_only() {
        let clock = Clock::new(TimeKind::Wall, Tz::America__Caracas);
        let at = ColumnTime(utc("2007-12-09T02:45:00Z"));
        let second = utc("2007-12-09T07:15:00Z");
        let found = clock.resolve(at, Some(&format!("caracas-{second}.3")));
        assert_eq!((found.instant, found.fold), (second, Fold(1)));
        assert_eq!(
            ALL.map(|initiated_as| clock.render(at, found.instant, initiated_as)),
            [
                "2007-12-09T07:15:00Z",
                "2007-12-09T02:45:00-04:30",
                "2007-12-09T02:45:00",
                "2007-12-09T02:45:00Z",
            ]
        );
    }

    #[test]
    fn years_that_need_more_than_four_digits_do_not_panic() {
        let clock = Clock::new(TimeKind::Wall, Tz::Pacific__Apia);
        for at in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
            let found = clock.resolve(ColumnTime(at), Some("1498555635.0"));
            for initiated_as in ALL {
                let _ = clock.render(ColumnTime(at), found.instant, initiated_as);
            }
        }
        let text = clock.render(ColumnTime(253_402_300_800), 0, InitiatedAs::Local);
        assert_eq!(text, "+10000-01-01T00:00:00");
        let text = clock.render(ColumnTime(-62_167_219_201), 0, InitiatedAs::Local);
        assert_eq!(text, "-00001-12-31T23:59:59");
    }

    #[test]
    fn a_clock_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<Clock>();
    }
}
