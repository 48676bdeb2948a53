//! The spans of time over which a zone keeps one offset, and what a wall clock's reading means there.
//!
//! The zone database has no list of transitions to ask for, only the offset at one instant, so this walks over the
//! years once and keeps what it found. Looking up is then a search in a short list, without a lock or a cache.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

/// 1969-12-18: no PBX wrote a call before.
const FIRST: i64 = -14 * DAY;
/// 2100-01-15: the zone database is compiled up to the end of 2099 and repeats the last offset after that.
const LAST: i64 = 4_102_444_800 + 14 * DAY;
/// A step that cannot jump over a span: from 1970 to 2099 the shortest one of any zone lasts 6 days and 23 hours
/// (Brazil in October 2000, tzdata 2025b).
const STEP: i64 = 3 * DAY;
const DAY: i64 = 86_400;
/// More than any offset from UTC, and more than any change of offset (24 hours, over the date line). Twice this is
/// still shorter than the shortest span, so at most one transition lies this near to anything.
const REACH: i64 = 26 * 3600;

/// One stretch of time with one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First instant, Unix seconds.
    pub(super) from: i64,
    /// Seconds to add to UTC.
    pub(super) offset: i64,
}

/// What one reading of a wall clock can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readings {
    /// One instant.
    Once(i64),
    /// The clock was put back: two instants.
    Twice {
        /// Under the offset before the transition.
        first: i64,
        /// Under the offset after it.
        second: i64,
    },
    /// The clock was put forward over it: no instant.
    Never {
        /// The transition.
        gap: i64,
        /// Read with the offset after the gap: before the transition.
        early: i64,
        /// Read with the offset before the gap: shifted forward, to the transition or after it.
        shifted: i64,
    },
}

/// All spans of a zone, in the order of time.
#[derive(Debug, Clone)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    /// Those from 1970 to 2099.
    pub(super) fn of(zone: Tz) -> Self {
        Self::between(zone, FIRST, LAST)
    }

    /// Those around one instant: enough for every method here with an argument within two days of it.
    pub(super) fn around(zone: Tz, instant: i64) -> Self {
        let margin = 6 * DAY;
        Self::between(
            zone,
            instant.saturating_sub(margin),
            instant.saturating_add(margin),
        )
    }

    fn between(zone: Tz, from: i64, until: i64) -> Self {
        let mut offset = offset_at(zone, from);
        let mut spans = vec![Span {
            from: i64::MIN,
            offset,
        }];
        let mut at = from;
        while at < until {
            let next = at.saturating_add(STEP);
            let then = offset_at(zone, next);
            if then != offset {
                spans.push(Span {
                    from: transition(zone, at, next, offset),
                    offset: then,
                });
                offset = then;
            }
            at = next;
        }
        Self(spans)
    }

    /// Seconds to add to UTC at `instant`.
    pub(super) fn offset_at(&self, instant: i64) -> i64 {
        self.0[self.index_at(instant)].offset
    }

    /// What the wall clock reading `wall` (seconds, as if it were UTC) can mean.
    pub(super) fn readings(&self, wall: i64) -> Readings {
        let before = self.0[self.index_at(wall.saturating_sub(REACH))];
        let after = self.0[self.index_at(wall.saturating_add(REACH))];
        let early = wall.saturating_sub(after.offset);
        let late = wall.saturating_sub(before.offset);
        if before == after {
            return Readings::Once(late);
        }
        match (late < after.from, early >= after.from) {
            (true, true) => Readings::Twice {
                first: late,
                second: early,
            },
            (true, false) => Readings::Once(late),
            (false, true) => Readings::Once(early),
            (false, false) => Readings::Never {
                gap: after.from,
                early,
                shifted: late,
            },
        }
    }

    /// The first instant at which the wall clock shows `wall` or something later.
    pub(super) fn first_at_or_after(&self, wall: i64) -> i64 {
        match self.readings(wall) {
            Readings::Once(instant) => instant,
            Readings::Twice { first, .. } => first,
            Readings::Never { gap, .. } => gap,
        }
    }

    /// The least and the greatest offset that a reading of an instant near `instant` can have been made with.
    pub(super) fn offsets_near(&self, instant: i64) -> (i64, i64) {
        let first = self.index_at(instant.saturating_sub(2 * REACH));
        let last = self.index_at(instant.saturating_add(2 * REACH));
        let near = self.0[first..=last].iter().map(|span| span.offset);
        near.fold((i64::MAX, i64::MIN), |(least, most), offset| {
            (least.min(offset), most.max(offset))
        })
    }

    /// The transitions, each with the offsets before and after.
    #[cfg(test)]
    pub(super) fn transitions(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        self.0
            .windows(2)
            .map(|pair| (pair[1].from, pair[0].offset, pair[1].offset))
    }

    fn index_at(&self, instant: i64) -> usize {
        // The first span begins before everything, so at least one is counted.
        self.0.partition_point(|span| span.from <= instant) - 1
    }
}

/// The instant in `(from, until]` at which the offset is no longer `before`.
fn transition(zone: Tz, mut from: i64, mut until: i64, before: i64) -> i64 {
    while until - from > 1 {
        let middle = from + (until - from) / 2;
        if offset_at(zone, middle) == before {
            from = middle;
        } else {
            until = middle;
        }
    }
    until
}

/// Seconds to add to UTC at `instant` in a zone; for few questions about many zones.
pub(super) fn offset_at(zone: Tz, instant: i64) -> i64 {
    let utc = naive(instant);
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// The date and time of `seconds` since 1970; what no calendar holds becomes its first or last second.
pub(super) fn naive(seconds: i64) -> chrono::NaiveDateTime {
    let end = if seconds < 0 {
        chrono::NaiveDateTime::MIN
    } else {
        chrono::NaiveDateTime::MAX
    };
    DateTime::from_timestamp(seconds, 0).map_or(end, |time| time.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_is_missed_by_the_step() {
        // Hour by hour over the years with the shortest spans: every change that the database shows is in the list.
        for zone in [
            Tz::America__Sao_Paulo,
            Tz::Africa__Casablanca,
            Tz::Africa__Cairo,
            Tz::America__Caracas,
        ] {
            let spans = Spans::of(zone);
            for hour in (946_684_800..1_010_000_000).step_by(3600) {
                assert_eq!(
                    spans.offset_at(hour),
                    offset_at(zone, hour),
                    "{zone} {hour}"
                );
            }
        }
    }

    #[test]
    fn spans_of_every_zone_leave_room_for_one_transition_at_a_time() {
        for zone in chrono_tz::TZ_VARIANTS {
            let transitions: Vec<_> = Spans::of(zone).transitions().collect();
            for pair in transitions.windows(2) {
                assert!(pair[1].0 - pair[0].0 > 4 * REACH, "{zone} {pair:?}");
            }
            for (at, before, after) in transitions {
                assert!((after - before).abs() <= DAY, "{zone} {at}");
                assert!(before.abs().max(after.abs()) < REACH, "{zone} {at}");
            }
        }
    }

    #[test]
    fn seconds_beyond_any_calendar_do_not_panic() {
        let spans = Spans::of(Tz::Pacific__Apia);
        for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let _ = (
                spans.readings(at),
                spans.offsets_near(at),
                spans.first_at_or_after(at),
            );
            let _ = Spans::around(Tz::Pacific__Apia, at).readings(at);
        }
    }
}
