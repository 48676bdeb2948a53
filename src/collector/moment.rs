//! When something happened: the wall clock that a phone system writes, and the instant it means.

use chrono_tz::Tz;

use crate::call::{ColumnTime, TimeKind};
use crate::cdr::clock::Clock;
use crate::source::columns::{TimeText, parse_time_text};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Unix seconds.
    pub instant: i64,
    /// As a wall clock showed it; `None` where only the instant is known.
    pub wall: Option<ColumnTime>,
}

impl Moment {
    /// The second in which `milliseconds` since 1970 fall.
    #[must_use]
    pub fn of_milliseconds(milliseconds: i64) -> Self {
        Self::of_instant(milliseconds.div_euclid(1000))
    }

    /// An instant.
    #[must_use]
    pub fn of_instant(instant: i64) -> Self {
        Self {
            instant,
            wall: None,
        }
    }
}

/// The clock of one phone system: reads what it writes, and shows it on the clock of the table.
#[derive(Debug, Clone)]
pub struct Reader {
    own: Clock,
    table: Tz,
}

impl Reader {
    /// For a system in zone `own` and a table in zone `table`.
    #[must_use]
    pub fn new(own: Tz, table: Tz) -> Self {
        Self {
            own: Clock::new(TimeKind::Wall, own),
            table,
        }
    }

    /// Reads `YYYY-MM-DD HH:MM:SS` (with `T` or, form-encoded, `+` in the middle), the same with an offset, or seconds
    /// since 1970; `None` where it says no time. `not_before`, Unix seconds, decides between two instants that the same
    /// reading means.
    #[must_use]
    pub fn read(&self, text: &str, not_before: Option<i64>) -> Option<Moment> {
        let plain = match text.as_bytes().get(10) {
            Some(b'+') => text.replacen('+', " ", 1),
            Some(_) | None => text.to_owned(),
        };
        match parse_time_text(plain.as_bytes()) {
            TimeText::Missing | TimeText::Unreadable => None,
            TimeText::Instant(at) => Some(Moment::of_instant(at.0)),
            TimeText::Wall(wall) => {
                // The rule for a channel id serves here, too: the call cannot have gone on before that.
                let evidence = not_before.map(|instant| format!("{instant}.0"));
                let resolved = self.own.resolve(wall, evidence.as_deref());
                Some(Moment {
                    instant: resolved.instant,
                    wall: Some(wall),
                })
            }
        }
    }

    /// What the table's clock shows at that moment. Where both clocks are in one zone the reading stays as it was.
    #[must_use]
    pub fn on_table(&self, at: Moment) -> ColumnTime {
        match at.wall {
            Some(wall) if self.own.zone() == self.table => wall,
            Some(_) | None => {
                let time = chrono::DateTime::from_timestamp(at.instant, 0).unwrap_or_default();
                let local = time.with_timezone(&self.table).naive_local();
                ColumnTime(local.and_utc().timestamp())
            }
        }
    }
}

/// Whole seconds from one instant to another; 0 where they are the other way round.
#[must_use]
pub fn seconds(from: i64, until: i64) -> u32 {
    u32::try_from(until.saturating_sub(from).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::row::stamp;

    #[track_caller]
    fn shows(reader: &Reader, text: &str, not_before: Option<i64>, instant: i64, shown: &str) {
        let moment = reader.read(text, not_before).expect(text);
        assert_eq!(moment.instant, instant, "{text}");
        assert_eq!(stamp(reader.on_table(moment)), shown, "{text}");
    }

    #[test]
    fn one_zone_keeps_the_reading_and_two_convert_it() {
        let same = Reader::new(Tz::America__New_York, Tz::America__New_York);
        // 01:30 occurs twice on that day.
        let text = "2025-11-02 01:30:00";
        shows(&same, text, None, 1_762_061_400, text);
        shows(&same, text, Some(1_762_063_200), 1_762_065_000, text);
        let other = Reader::new(Tz::Asia__Shanghai, Tz::America__Caracas);
        shows(
            &other,
            "2010-01-01+08:22:01",
            None,
            1_262_305_321,
            "2009-12-31 19:52:01",
        );
        shows(
            &other,
            "1262305321",
            None,
            1_262_305_321,
            "2009-12-31 19:52:01",
        );
        assert_eq!(other.read("", None), None);
        assert_eq!(other.read("soon", None), None);
    }

    #[test]
    fn seconds_never_run_backwards() {
        assert_eq!((seconds(5, 9), seconds(9, 5)), (4, 0));
        assert_eq!(seconds(i64::MIN, i64::MAX), u32::MAX);
    }
}
