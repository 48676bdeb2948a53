//! The stretch of time that a run looks at, and where its rows stand in the time column.

use std::ops::Range;
use std::time::Duration;

use super::clock::Clock;
use crate::call::{ColumnTime, TimeKind};

/// How far a window reaches beyond now, in seconds: clocks of PBXs run ahead.
const AHEAD: i64 = 86_400;

/// Instants, Unix seconds, half-open. A call belongs to a window by its instant alone, so adjacent windows share no call
/// and lose none, whatever the zone does in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first second.
    pub since: i64,
    /// The first second not covered.
    pub until: i64,
}

impl Window {
    /// The window of an incremental run: `select.lookback` before `now` to one day after it.
    #[must_use]
    pub fn incremental(now: i64, lookback: Duration) -> Self {
        let lookback = i64::try_from(lookback.as_secs()).unwrap_or(i64::MAX);
        Self {
            since: now.saturating_sub(lookback),
            until: now.saturating_add(AHEAD),
        }
    }

    /// The window of a full run: `select.full_lookback` before `now` to one day after it.
    #[must_use]
    pub fn full(now: i64, full_lookback: Duration) -> Self {
        Self::incremental(now, full_lookback)
    }

    /// Whether an instant lies in the window.
    #[must_use]
    pub fn contains(&self, instant: i64) -> bool {
        self.since <= instant && instant < self.until
    }

    /// Whether no instant lies in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.since >= self.until
    }

    /// Where the window's rows stand on the column's own clock.
    ///
    /// For a wall column that is a little wider than the window wherever a transition is near, so that a reading that
    /// occurs twice, or never, or lies beyond a day that the zone left out, cannot be missed. Rows found there count only
    /// if [`Window::contains`] their instant.
    #[must_use]
    pub fn column_window(&self, clock: &Clock) -> Range<ColumnTime> {
        if self.is_empty() {
            return ColumnTime(self.since)..ColumnTime(self.since);
        }
        match clock.kind() {
            TimeKind::Instant => ColumnTime(self.since)..ColumnTime(self.until),
            TimeKind::Wall => {
                let (least, _) = clock.spans().offsets_near(self.since);
                let (_, most) = clock.spans().offsets_near(self.until);
                ColumnTime(self.since.saturating_add(least))
                    ..ColumnTime(self.until.saturating_add(most))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    const NOW: i64 = 1_763_625_600;

    #[test]
    fn windows_reach_from_the_lookback_to_one_day_ahead() {
        let lookback = Duration::from_secs(200 * 3600);
        let window = Window::incremental(NOW, lookback);
        assert_eq!((window.since, window.until), (NOW - 720_000, NOW + 86_400));
        let full = Window::full(NOW, Duration::from_secs(360 * 86_400));
        assert_eq!((full.since, full.until), (NOW - 31_104_000, NOW + 86_400));
        assert_eq!(Window::full(NOW, Duration::MAX).since, NOW - i64::MAX);
    }

    #[test]
    fn a_window_holds_its_first_second_and_not_its_last() {
        let window = Window {
            since: 10,
            until: 12,
        };
        assert_eq!(
            [9, 10, 11, 12].map(|at| window.contains(at)),
            [false, true, true, false]
        );
        assert!(!window.is_empty());
    }

    #[track_caller]
    fn spans(zone: Tz, window: Window, from: i64, until: i64) {
        let clock = Clock::new(TimeKind::Wall, zone);
        assert_eq!(
            window.column_window(&clock),
            ColumnTime(from)..ColumnTime(until),
            "{zone}"
        );
    }

    #[test]
    fn far_from_a_transition_nothing_is_read_in_vain() {
        let window = Window {
            since: NOW,
            until: NOW + 3600,
        };
        spans(Tz::America__Caracas, window, NOW - 14_400, NOW - 10_800);
        spans(Tz::UTC, window, NOW, NOW + 3600);
    }

    #[test]
    fn near_a_transition_the_gap_is_read_on_either_side() {
        // 2011-12-30T10:00:00Z: from -10:00 to +14:00.
        let at = 1_325_239_200;
        let window = Window {
            since: at,
            until: at + 1,
        };
        spans(Tz::Pacific__Apia, window, at - 36_000, at + 1 + 50_400);
    }

    #[test]
    fn an_empty_window_reads_nothing_and_extremes_do_not_panic() {
        let clock = Clock::new(TimeKind::Wall, Tz::Pacific__Apia);
        let empty = Window { since: 5, until: 5 }.column_window(&clock);
        assert!(empty.is_empty());
        let reversed = Window { since: 5, until: 4 }.column_window(&clock);
        assert!(reversed.is_empty());
        let all = Window {
            since: i64::MIN,
            until: i64::MAX,
        }
        .column_window(&clock);
        assert_eq!(all.end, ColumnTime(i64::MAX));
    }
}
