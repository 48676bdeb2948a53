//! How many requests may be in flight, and how fast they may start. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// Timers tick in milliseconds: so much lateness may be caught up, or a high rate would never be reached.
const CATCH_UP: Duration = Duration::from_millis(10);

/// The in-flight window. The first request goes alone; every verdict then opens the window by one, which doubles it
/// with each round trip, until the CRM shows pressure for the first time: from then on it grows by one a round trip and
/// is halved by pressure. Requests that left before the last halving cannot halve it again: one overload, one halving.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    most: usize,
    pressed: bool,
    credit: usize,
    halved_at: Option<Instant>,
    gap: Option<Duration>,
    next_start: Option<Instant>,
}

impl Pace {
    /// A window of one that may grow to `most`; at most `max_rps` starts a second, where given.
    #[must_use]
    pub fn new(most: usize, max_rps: Option<u32>) -> Self {
        Self {
            limit: 1,
            most: most.max(1),
            pressed: false,
            credit: 0,
            halved_at: None,
            // Rounded up: a third of a second cut short would be more than three a second.
            gap: max_rps
                .map(|rps| Duration::from_nanos(1_000_000_000u64.div_ceil(rps.max(1).into()))),
            next_start: None,
        }
    }

    /// Most requests that may be in flight now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A verdict came: the CRM keeps up.
    pub fn verdict(&mut self) {
        self.credit += 1;
        let needed = if self.pressed { self.limit } else { 1 };
        if self.credit >= needed {
            self.credit = 0;
            self.limit = (self.limit + 1).min(self.most);
        }
    }

    /// The CRM showed pressure (429, 503, a timeout) to a request that left at `started`.
    pub fn pressure(&mut self, started: Instant, now: Instant) {
        if self.halved_at.is_some_and(|at| started < at) {
            return;
        }
        self.pressed = true;
        self.credit = 0;
        self.halved_at = Some(now);
        self.limit = (self.limit / 2).max(1);
    }

    /// When the next request may start, as far as `max_rps` is concerned; `None`: at any time.
    #[must_use]
    pub fn next_start(&self) -> Option<Instant> {
        self.next_start
    }

    /// A request leaves now.
    pub fn started(&mut self, now: Instant) {
        if let Some(gap) = self.gap {
            // Where a tick is little beside the gap, nothing is caught up: a CRM that counts per second sees no burst.
            let slack = if gap < CATCH_UP {
                CATCH_UP
            } else {
                Duration::ZERO
            };
            let earliest = now.checked_sub(slack).unwrap_or(now);
            self.next_start = Some(self.next_start.unwrap_or(now).max(earliest) + gap);
        }
    }

    /// What was started was not sent after all, on purpose: it counts for nothing.
    pub fn not_sent(&mut self) {
        self.next_start = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_goes_alone_and_the_window_doubles_with_each_round_trip() {
        let mut pace = Pace::new(32, None);
        let mut sizes = Vec::new();
        for _ in 0..7 {
            let round = pace.limit();
            sizes.push(round);
            for _ in 0..round {
                pace.verdict();
            }
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 32]);
    }

    #[test]
    fn one_overload_halves_once_and_growth_is_additive_afterwards() {
        let start = Instant::now();
        let mut pace = Pace::new(64, None);
        for _ in 0..63 {
            pace.verdict();
        }
        assert_eq!(pace.limit(), 64);
        let later = start + Duration::from_secs(1);
        for _ in 0..20 {
            pace.pressure(start, later);
        }
        assert_eq!(
            pace.limit(),
            32,
            "twenty replies to one overload halve the window once"
        );
        for _ in 0..32 {
            pace.verdict();
        }
        assert_eq!(pace.limit(), 33, "one more after a whole round trip");
        pace.pressure(
            later + Duration::from_secs(1),
            later + Duration::from_secs(2),
        );
        assert_eq!(pace.limit(), 16);
    }

    #[test]
    fn the_window_never_closes() {
        let mut pace = Pace::new(8, None);
        let mut now = Instant::now();
        for _ in 0..10 {
            pace.pressure(now, now);
            now += Duration::from_secs(1);
        }
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn starts_are_spread_over_the_second() {
        let now = Instant::now();
        let mut pace = Pace::new(8, Some(10));
        assert_eq!(pace.next_start(), None);
        pace.started(now);
        assert_eq!(pace.next_start(), Some(now + Duration::from_millis(100)));
        pace.started(now + Duration::from_millis(100));
        assert_eq!(pace.next_start(), Some(now + Duration::from_millis(200)));
        pace.started(now + Duration::from_millis(205));
        assert_eq!(
            pace.next_start(),
            Some(now + Duration::from_millis(305)),
            "a late start moves all that follow"
        );
        pace.not_sent();
        assert_eq!(pace.next_start(), None);
    }

    #[test]
    fn a_high_rate_survives_late_timers() {
        let start = Instant::now();
        let mut pace = Pace::new(8, Some(1000));
        // Timers that are 3 ms late each time: without catching up, this would come to 250 a second.
        let mut now = start;
        let mut starts = 0;
        while now < start + Duration::from_secs(1) {
            while pace.next_start().is_none_or(|at| at <= now) {
                pace.started(now);
                starts += 1;
            }
            now = pace.next_start().unwrap_or(now) + Duration::from_millis(3);
        }
        assert!((990..=1011).contains(&starts), "{starts}");
    }
}
