//! Points in time and days, as a person writes them on the command line.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

use super::spans::Spans;
use crate::text::Shown;

/// Reads a point in time: RFC 3339, or `YYYY-MM-DD[ HH:MM[:SS]]` (also with `T`) in `zone`; Unix seconds.
///
/// A bare date is its first instant. A local time that occurs twice is the first of both; one that the clock skipped is
/// the instant at which it did. Fractions of a second are cut off.
///
/// # Errors
/// What is wrong with the text, and what is accepted.
pub fn parse_when(text: &str, zone: Tz) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp());
    }
    let Some((day, rest)) = split_day(text) else {
        return Err(not_a_time(text, zone));
    };
    let day = existing(day)?;
    let time = match rest.as_bytes() {
        [] => NaiveTime::MIN,
        [b' ' | b'T' | b't', clock @ ..] => {
            let (hour, minute, second) =
                clock_numbers(clock).ok_or_else(|| not_a_time(text, zone))?;
            NaiveTime::from_hms_opt(hour, minute, second).ok_or_else(|| {
                format!("there is no time of day {hour:02}:{minute:02}:{second:02}; hours go to 23, minutes and seconds to 59")
            })?
        }
        [..] => return Err(not_a_time(text, zone)),
    };
    Ok(first_at_or_after(
        day.and_time(time).and_utc().timestamp(),
        zone,
    ))
}

/// Reads a day, `YYYY-MM-DD`.
///
/// # Errors
/// A time of day, a day that does not exist, or anything else that is no day: what is wrong, and what is accepted.
pub fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let text = text.trim();
    match split_day(text) {
        Some((day, "")) => existing(day),
        Some((_, rest)) if rest.starts_with([' ', 'T', 't']) => Err(format!(
            "`{}` has a time of day; only whole days can be given here, as `2026-11-20`",
            Shown(text)
        )),
        Some(_) | None => Err(format!(
            "`{}` is no day; write it as `2026-11-20` (year, month, day)",
            Shown(text)
        )),
    }
}

/// The instants of a day in `zone`, Unix seconds: from its first to the first of the next. Empty for a day that the zone
/// left out (Pacific/Apia, 2011-12-30).
#[must_use]
pub fn day_bounds(day: NaiveDate, zone: Tz) -> Range<i64> {
    let midnight = day.and_time(NaiveTime::MIN).and_utc().timestamp();
    first_at_or_after(midnight, zone)..first_at_or_after(midnight + 86_400, zone)
}

/// The first instant at which the clocks of `zone` show this time, Unix seconds; where they skip it, the instant at which
/// they do.
#[must_use]
pub fn first_instant_of(local: NaiveDateTime, zone: Tz) -> i64 {
    first_at_or_after(local.and_utc().timestamp(), zone)
}

fn first_at_or_after(wall: i64, zone: Tz) -> i64 {
    Spans::around(zone, wall).first_at_or_after(wall)
}

/// The numbers of `YYYY-MM-DD`, and what follows.
fn split_day(text: &str) -> Option<((i32, u32, u32), &str)> {
    let day = text.get(..10)?;
    let (year, month, date) = (day.get(..4)?, day.get(5..7)?, day.get(8..)?);
    if day.as_bytes()[4] != b'-' || day.as_bytes()[7] != b'-' {
        return None;
    }
    let year = i32::try_from(number(year.as_bytes())?).ok()?;
    let numbers = (year, number(month.as_bytes())?, number(date.as_bytes())?);
    Some((numbers, &text[10..]))
}

/// The numbers of `HH:MM` or `HH:MM:SS`.
fn clock_numbers(text: &[u8]) -> Option<(u32, u32, u32)> {
    match text {
        [h1, h2, b':', m1, m2] => Some((number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0)),
        [h1, h2, b':', m1, m2, b':', s1, s2] => Some((
            number(&[*h1, *h2])?,
            number(&[*m1, *m2])?,
            number(&[*s1, *s2])?,
        )),
        _ => None,
    }
}

/// At most four digits, and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

fn existing((year, month, day): (i32, u32, u32)) -> Result<NaiveDate, String> {
    NaiveDate::from_ymd_opt(year, month, day)
        .ok_or_else(|| format!("there is no day {year:04}-{month:02}-{day:02} in the calendar"))
}

fn not_a_time(text: &str, zone: Tz) -> String {
    format!(
        "`{}` is no point in time; write `2026-11-20`, `2026-11-20 08:30` or `2026-11-20 08:30:00` (local time in {zone}), \
         or RFC 3339 such as `2026-11-20T08:30:00-04:00`",
        Shown(text)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_a_point_in_time_or_refused(text in "\\PC{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ Tt]?[0-9:.+Z-]{0,16}") {
            for zone in [Tz::America__Caracas, Tz::Pacific__Apia] {
                let _ = parse_when(&text, zone);
            }
            let _ = parse_day(&text);
        }

        #[test]
        fn what_a_clock_shows_is_read_as_the_first_instant_that_shows_it(
            zone in 0..chrono_tz::TZ_VARIANTS.len(), instant in 0..4_102_444_800_i64,
        ) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let local = DateTime::from_timestamp(instant, 0).expect("a time").with_timezone(&zone);
            prop_assert_eq!(parse_when(&local.to_rfc3339(), Tz::UTC), Ok(instant - i64::from(seconds_lost(&local))));
            let shown = local.format("%Y-%m-%d %H:%M:%S").to_string();
            let read = parse_when(&shown, zone).expect("a local time");
            prop_assert!(read <= instant && instant - read <= 86_400, "{zone} {shown}");
            let again = DateTime::from_timestamp(read, 0).expect("a time").with_timezone(&zone);
            prop_assert_eq!(again.format("%Y-%m-%d %H:%M:%S").to_string(), shown);
        }
    }

    /// RFC 3339 has no seconds in offsets; chrono rounds Liberia's of 1971 to minutes.
    fn seconds_lost(local: &DateTime<Tz>) -> i32 {
        let shown = DateTime::parse_from_rfc3339(&local.to_rfc3339()).expect("RFC 3339");
        i32::try_from(local.timestamp() - shown.timestamp()).expect("less than a minute")
    }

    #[track_caller]
    fn means(text: &str, zone: Tz, utc: &str) {
        let instant = parse_when(text, zone).expect(text);
        let expected = DateTime::parse_from_rfc3339(utc).expect(utc).timestamp();
        assert_eq!(instant, expected, "{text} in {zone}");
    }

    #[track_caller]
    fn day(text: &str) -> NaiveDate {
        parse_day(text).expect(text)
    }

    #[test]
    fn a_point_in_time_is_read_in_the_zone_unless_it_carries_an_offset() {
        let caracas = Tz::America__Caracas;
        means("2012-08-23 12:20:33", caracas, "2012-08-23T16:50:33Z");
        means("2012-08-23T12:20:33", caracas, "2012-08-23T16:50:33Z");
        means("2012-08-23 12:20", caracas, "2012-08-23T16:50:00Z");
        means(" 2012-08-23 ", caracas, "2012-08-23T04:30:00Z");
        means("2012-08-23T12:20:33Z", caracas, "2012-08-23T12:20:33Z");
        means(
            "2012-08-23T12:20:33.9+02:00",
            caracas,
            "2012-08-23T10:20:33Z",
        );
    }

    #[test]
    fn a_bare_date_is_its_first_instant() {
        means("2018-11-04", Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z");
        means("2025-11-02", Tz::America__Havana, "2025-11-02T04:00:00Z");
        means("2011-12-30", Tz::Pacific__Apia, "2011-12-30T10:00:00Z");
        means("2011-12-31", Tz::Pacific__Apia, "2011-12-30T10:00:00Z");
        // St. John's put the clock back at 00:01, so the 29th began twice.
        means("2006-10-29", Tz::America__St_Johns, "2006-10-29T02:30:00Z");
        // Pyongyang's last half hour of the 4th was left out.
        means("2018-05-05", Tz::Asia__Pyongyang, "2018-05-04T15:00:00Z");
    }

    #[test]
    fn a_local_time_that_occurs_twice_or_never_is_the_first_instant_from_there() {
        let york = Tz::America__New_York;
        means("2025-11-02 01:30", york, "2025-11-02T05:30:00Z");
        means("2025-03-09 02:30", york, "2025-03-09T07:00:00Z");
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(
            parse_when(text, Tz::America__Caracas),
            Err(message.to_owned())
        );
    }

    #[test]
    fn what_is_no_point_in_time_is_refused_with_what_is_accepted() {
        let forms = "is no point in time; write `2026-11-20`, `2026-11-20 08:30` or `2026-11-20 08:30:00` (local time in \
                     America/Caracas), or RFC 3339 such as `2026-11-20T08:30:00-04:00`";
        for text in [
            "",
            "yesterday",
            "20261120",
            "2026-11-2",
            "2026-11-20x",
            "2026-11-20 8:30",
            "2026/11/20",
            "２026-11-20",
        ] {
            refused(text, &format!("`{text}` {forms}"));
        }
        refused("\u{1b}[2J", &format!("`\\u{{1b}}[2J` {forms}"));
        refused("2026-02-30", "there is no day 2026-02-30 in the calendar");
        refused(
            "2026-11-20 24:00",
            "there is no time of day 24:00:00; hours go to 23, minutes and seconds to 59",
        );
    }

    #[test]
    fn a_day_with_a_time_or_outside_the_calendar_is_refused() {
        assert_eq!(parse_day("2026-11-20"), Ok(day("2026-11-20")));
        for (text, message) in [
            ("2026-02-29", "there is no day 2026-02-29 in the calendar"),
            ("2026-00-10", "there is no day 2026-00-10 in the calendar"),
            (
                "2026-11-20 00:00",
                "`2026-11-20 00:00` has a time of day; only whole days can be given here, as `2026-11-20`",
            ),
            (
                "2026-11-20T00:00:00Z",
                "`2026-11-20T00:00:00Z` has a time of day; only whole days can be given here, as `2026-11-20`",
            ),
            (
                "20-11-2026",
                "`20-11-2026` is no day; write it as `2026-11-20` (year, month, day)",
            ),
            (
                "2026-11-200",
                "`2026-11-200` is no day; write it as `2026-11-20` (year, month, day)",
            ),
        ] {
            assert_eq!(parse_day(text), Err(message.to_owned()));
        }
    }

    #[test]
    fn days_follow_each_other_without_gap_or_overlap_in_every_zone() {
        for zone in chrono_tz::TZ_VARIANTS {
            let mut next = None;
            // From a week before Samoa left a day out to a week after; then over two ordinary changes of the clock.
            for start in ["2011-12-24", "2018-10-28", "2018-02-12", "2006-10-24"] {
                let mut at = day(start);
                for _ in 0..14 {
                    let bounds = day_bounds(at, zone);
                    assert!(bounds.start <= bounds.end, "{zone} {at}");
                    assert!(bounds.end - bounds.start <= 26 * 3600, "{zone} {at}");
                    if let Some(expected) = next {
                        assert_eq!(bounds.start, expected, "{zone} {at}");
                    }
                    next = Some(bounds.end);
                    at = at.succ_opt().expect("a next day");
                }
                next = None;
            }
        }
        assert!(day_bounds(day("2011-12-30"), Tz::Pacific__Apia).is_empty());
        let short = day_bounds(day("2018-11-04"), Tz::America__Sao_Paulo);
        assert_eq!(short.end - short.start, 23 * 3600);
        let _ = day_bounds(NaiveDate::MAX, Tz::Pacific__Apia);
        let _ = day_bounds(NaiveDate::MIN, Tz::Pacific__Apia);
    }
}
