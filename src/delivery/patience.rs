//! When to try again, when to wait, and when to give a CRM up for this run. Pure: time and chance are passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::target::TroubleKind;

/// Attempts a call gets in one run.
pub const MAX_ATTEMPTS: u32 = 3;

/// A CRM that gave no verdict for so long since it first failed to, or asks to be left alone beyond it, is left to the
/// next run: that one comes within the hour.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Points without any verdict after which a CRM counts as down.
const DOWN_AT: u32 = 30;

/// HTML pages in a row after which the address counts as wrong.
const HTML_AT: u32 = 5;

/// Retries that every run may make, however few calls it has.
const FREE_RETRIES: u64 = 30;

/// What the run's troubles so far say about the CRM.
///
/// It tells *down* from *flaky* by a rate over waves: only failures since the last verdict count, and requests that were
/// in flight together count once. A CRM that answers every second request never comes near `DOWN_AT`; one that answers
/// none is given up after some thirty requests, or six that could not connect or timed out, or five minutes.
#[derive(Debug, Default)]
pub struct Patience {
    points: u32,
    waves: u32,
    html: u32,
    /// When the last failure was counted.
    counted_at: Option<Instant>,
    /// When the first failure since the last verdict was counted.
    silent_since: Option<Instant>,
    first_attempts: u64,
    retries: u64,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Go on; no new request for this long.
    Pause(Duration),
    /// The CRM is down: end the run, it is for the next one.
    Down,
    /// HTML again and again: the address or the login is wrong.
    WrongAddress,
}

impl Patience {
    /// A call is sent for the first time in this run.
    pub fn first_attempt(&mut self) {
        self.first_attempts += 1;
    }

    /// A verdict came: whatever went before, the CRM is there.
    pub fn verdict(&mut self) {
        self.points = 0;
        self.waves = 0;
        self.html = 0;
        self.silent_since = None;
    }

    /// Whether the last word was a failure: then one request at a time feels its way.
    #[must_use]
    pub fn strained(&self) -> bool {
        self.waves > 0
    }

    /// A request that left at `started` ended without a verdict. `chance` is uniform in 0..1.
    pub fn trouble(
        &mut self,
        kind: TroubleKind,
        started: Instant,
        now: Instant,
        chance: f64,
    ) -> Advice {
        if self.counted_at.is_some_and(|at| started < at) && self.waves > 0 {
            return Advice::Pause(Duration::ZERO);
        }
        self.counted_at = Some(now);
        let silent_since = *self.silent_since.get_or_insert(now);
        self.waves += 1;
        self.points += match kind {
            // Refused connections and timeouts say more than an error page, and timeouts cost a deadline each.
            TroubleKind::Unreachable | TroubleKind::Timeout => DOWN_AT / 6,
            TroubleKind::Busy
            | TroubleKind::ServerError
            | TroubleKind::Garbled
            | TroubleKind::Html => 1,
        };
        if kind == TroubleKind::Html {
            self.html += 1;
            if self.html >= HTML_AT {
                return Advice::WrongAddress;
            }
        }
        let silent_for = now.saturating_duration_since(silent_since);
        if self.points >= DOWN_AT || silent_for > LONGEST_WAIT {
            return Advice::Down;
        }
        // The first failure is followed up at once; then the pauses double, up to 3.2 s, with full jitter.
        let longest = match self.waves {
            0 | 1 => 0.0,
            n => 0.2 * f64::from(1u32 << (n - 2).min(4)),
        };
        Advice::Pause(Duration::from_secs_f64(longest * chance))
    }

    /// Whether a `Retry-After` is granted: no CRM is waited for longer than [`LONGEST_WAIT`] without a verdict, however
    /// often it asks.
    #[must_use]
    pub fn grants(&self, asked: Duration, now: Instant) -> bool {
        let silent_for = self
            .silent_since
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        asked.saturating_add(silent_for) <= LONGEST_WAIT
    }

    /// Whether the run's budget allows another retry; it is spent when it does. With three attempts a call, an error
    /// rate of one half stays just inside: 0.75 retries a call.
    pub fn spend_retry(&mut self) -> bool {
        let allowed = FREE_RETRIES + self.first_attempts * 78 / 100;
        let within = self.retries < allowed;
        if within {
            self.retries += 1;
        }
        within
    }
}

/// How long a call rests before its next attempt: full jitter between 1 s and 4 s after the first, 16 s after the
/// second, never more than 60 s. `Retry-After` is a floor.
#[must_use]
pub fn backoff(attempts: u32, retry_after: Option<Duration>, chance: f64) -> Duration {
    let longest = 4f64
        .powi(i32::try_from(attempts.min(8)).unwrap_or(8))
        .min(60.0);
    let own = Duration::from_secs_f64(1.0 + (longest - 1.0).max(0.0) * chance);
    retry_after.map_or(own, |asked| asked.max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, tenths: u64) -> Instant {
        start + Duration::from_millis(100 * tenths)
    }

    #[test]
    fn a_refused_connection_is_given_up_after_six() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let advice: Vec<Advice> = (0..6)
            .map(|i| {
                patience.trouble(
                    TroubleKind::Unreachable,
                    at(start, i * 2),
                    at(start, i * 2 + 1),
                    1.0,
                )
            })
            .collect();
        assert!(advice[..5].iter().all(|a| matches!(a, Advice::Pause(_))));
        assert_eq!(advice[5], Advice::Down);
    }

    #[test]
    fn requests_in_flight_together_count_once() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for _ in 0..200 {
            let advice = patience.trouble(TroubleKind::Garbled, start, at(start, 1), 0.5);
            assert_eq!(advice, Advice::Pause(Duration::ZERO));
        }
    }

    #[test]
    fn a_crm_that_answers_every_second_request_is_never_down() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for i in 0..10_000 {
            let advice = patience.trouble(
                TroubleKind::ServerError,
                at(start, i),
                at(start, i + 1),
                1.0,
            );
            assert!(matches!(advice, Advice::Pause(_)));
            patience.verdict();
        }
    }

    #[test]
    fn a_login_page_is_recognised_after_five() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let last = (0..5)
            .map(|i| {
                patience.trouble(
                    TroubleKind::Html,
                    at(start, i * 2),
                    at(start, i * 2 + 1),
                    0.0,
                )
            })
            .last();
        assert_eq!(last, Some(Advice::WrongAddress));
    }

    #[test]
    fn a_crm_that_asks_for_patience_again_and_again_gets_five_minutes_in_all() {
        let start = Instant::now();
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let mut patience = Patience::default();
        let mut busy = |now| patience.trouble(TroubleKind::Busy, now, now, 0.0);
        assert!(matches!(busy(start), Advice::Pause(_)));
        assert_eq!(busy(start + minutes(6)), Advice::Down);
        let mut patience = Patience::default();
        patience.trouble(TroubleKind::Busy, start, start, 0.0);
        assert!(patience.grants(minutes(5), start));
        assert!(!patience.grants(minutes(5) + Duration::from_secs(1), start));
        assert!(!patience.grants(minutes(3), start + minutes(3)));
        assert!(!patience.grants(Duration::MAX, start));
        patience.verdict();
        patience.trouble(
            TroubleKind::Busy,
            start + minutes(3),
            start + minutes(3),
            0.0,
        );
        assert!(patience.grants(minutes(3), start + minutes(3)));
    }

    #[test]
    fn the_budget_covers_one_half_and_stops_a_storm() {
        let mut patience = Patience::default();
        for _ in 0..1000 {
            patience.first_attempt();
        }
        let granted = (0..5000).filter(|_| patience.spend_retry()).count();
        assert_eq!(granted, 810);
    }

    #[test]
    fn retry_after_is_a_floor_and_jitter_stays_within_bounds() {
        assert_eq!(backoff(1, None, 0.0), Duration::from_secs(1));
        assert_eq!(backoff(1, None, 1.0), Duration::from_secs(4));
        assert_eq!(backoff(2, None, 1.0), Duration::from_secs(16));
        assert_eq!(backoff(9, None, 1.0), Duration::from_secs(60));
        assert_eq!(
            backoff(1, Some(Duration::from_secs(20)), 0.3),
            Duration::from_secs(20)
        );
    }
}
