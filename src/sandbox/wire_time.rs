//! Reading a start as it goes over the wire: the four renderings of `target.initiated_as`.

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, TimeDelta};

use super::DayZone;

/// A start: what the text says, and its offset where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WireTime {
    text: NaiveDateTime,
    offset_s: Option<i32>,
}

impl WireTime {
    /// `YYYY-MM-DDTHH:MM:SS`, bare, with `Z`, or with an offset `±HH:MM`. `None` for anything else, and for days and
    /// times that do not exist.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (head, tail) = bytes.split_at_checked(19)?;
        let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if shape.iter().any(|&(at, byte)| head[at] != byte) {
            return None;
        }
        let date = NaiveDate::from_ymd_opt(
            i32::try_from(digits(&head[..4])?).ok()?,
            digits(&head[5..7])?,
            digits(&head[8..10])?,
        )?;
        let text = date.and_hms_opt(
            digits(&head[11..13])?,
            digits(&head[14..16])?,
            digits(&head[17..])?,
        )?;
        let offset_s = match tail {
            b"" => None,
            b"Z" => Some(0),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let hours = digits(&[*h1, *h2]).filter(|hours| *hours < 24)?;
                let minutes = digits(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
                let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
                Some(if *sign == b'-' { -seconds } else { seconds })
            }
            _ => return None,
        };
        Some(Self { text, offset_s })
    }

    /// The time that decides about the day.
    pub(super) fn in_zone(self, zone: DayZone) -> NaiveDateTime {
        match (zone, self.offset_s) {
            (DayZone::WireText, _) | (DayZone::Fixed(_), None) => self.text,
            (DayZone::Fixed(there), Some(here)) => self
                .text
                .checked_add_signed(TimeDelta::seconds(shift(there, here)))
                // Beyond the calendar's end no day is nearer than the text's own.
                .unwrap_or(self.text),
        }
    }
}

/// A date without a time of day, `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    NaiveDate::from_ymd_opt(
        i32::try_from(digits(&bytes[..4])?).ok()?,
        digits(&bytes[5..7])?,
        digits(&bytes[8..])?,
    )
}

fn shift(there: FixedOffset, here_s: i32) -> i64 {
    i64::from(there.local_minus_utc()) - i64::from(here_s)
}

/// A number of at most nine digits and nothing else.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;

    #[track_caller]
    fn check(text: &str, zone: DayZone, expected: Option<&str>) {
        let found = WireTime::parse(text).map(|time| time.in_zone(zone).to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn the_four_renderings_are_read_and_nothing_else() {
        let caracas = DayZone::Fixed(FixedOffset::west_opt(16_200).unwrap());
        check(
            "2012-08-23T03:20:33Z",
            DayZone::WireText,
            Some("2012-08-23 03:20:33"),
        );
        check("2012-08-23T03:20:33Z", caracas, Some("2012-08-22 22:50:33"));
        check(
            "2012-08-22T22:50:33-04:30",
            caracas,
            Some("2012-08-22 22:50:33"),
        );
        check("2012-08-22T22:50:33", caracas, Some("2012-08-22 22:50:33"));
        for wrong in [
            "",
            "2012-08-23",
            "2012-08-23 03:20:33",
            "2012-02-30T03:20:33Z",
            "2012-08-23T24:00:00Z",
            "2012-08-23T03:20:33.5Z",
            "2012-08-23T03:20:33z",
            "2012-08-23T03:20:33-0430",
            "2012-08-23T03:20:33-24:00",
            "2012-08-23T03:20:3\u{e9}",
            "+012-08-23T03:20:33Z",
        ] {
            check(wrong, DayZone::WireText, None);
        }
    }

    #[test]
    fn a_date_has_no_time_of_day() {
        assert!(parse_date("2024-02-29").is_some());
        for wrong in ["2023-02-29", "2024-2-29", "2024-02-29T00", "", "2024-02-2x"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }
}
