//! How many requests may be in flight, and how fast they may start. Pure: time is passed in.

use std::time::{Duration, Instant};

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
            gap: max_rps.map(|rps| Duration::from_secs(1) / rps.max(1)),
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

    /// How long the next start has to wait for `max_rps`; zero when it may go now.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        self.next_start
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// A request leaves now.
    pub fn started(&mut self, now: Instant) {
        if let Some(gap) = self.gap {
            // Timers tick in milliseconds: up to 10 ms of lateness may be caught up, so that a high rate is reached.
            let earliest = now.checked_sub(Duration::from_millis(10)).unwrap_or(now);
            self.next_start = Some(self.next_start.unwrap_or(now).max(earliest) + gap);
        }
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
        assert_eq!(pace.wait(now), Duration::ZERO);
        pace.started(now);
        assert_eq!(pace.wait(now), Duration::from_millis(100));
        pace.started(now + Duration::from_millis(100));
        assert_eq!(pace.wait(now), Duration::from_millis(200));
    }
}
