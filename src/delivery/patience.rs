//! When to try again, when to wait, and when to give a CRM up for this run. Pure: time and chance are passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::target::TroubleKind;

/// Attempts a call gets in one run.
pub const MAX_ATTEMPTS: u32 = 3;

/// A CRM that gave no verdict for so long since it first failed to, or asks to be left alone beyond it, is left to the
/// next run: that one comes within the hour.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Points without a verdict after which a CRM counts as down, unless it is known to be flaky: twelve waves of refused
/// connections or timeouts, thirty of error pages.
const DOWN_AT: u32 = 60;

/// Points after which it counts as down already, where these waves took [`LONG_SILENCE`]: eight timeouts of thirty
/// seconds say as much as twelve connections that were refused at once.
const DOWN_EARLY_AT: u32 = 40;

/// See [`DOWN_EARLY_AT`].
const LONG_SILENCE: Duration = Duration::from_secs(30);

/// A streak of failures that would be rarer than this, at the failure rate that the run has seen, is no accident.
const NO_ACCIDENT: f64 = 1e-6;

/// HTML pages in a row after which the address counts as wrong.
const HTML_AT: u32 = 5;

/// Retries that every run may make, however few calls it has.
const FREE_RETRIES: u64 = 30;

/// What the run's troubles so far say about the CRM.
///
/// It tells *down* from *flaky* by a rate over waves. Only failures since the last verdict are a streak, and requests
/// that were in flight together are one wave of it. Where the run had verdicts before, a streak ends it only when one so
/// long would be no accident at the failure rate seen until then: a CRM that fails every second request, in whatever
/// order, gets some twenty waves. Where it had none, a CRM is given up after twelve waves that could not connect or timed
/// out, or thirty others. Five minutes of silence end it in any case.
#[derive(Debug, Default)]
pub struct Patience {
    points: u32,
    waves: u32,
    html: u32,
    /// When the last failure was counted.
    counted_at: Option<Instant>,
    /// When the first failure since the last verdict was counted.
    silent_since: Option<Instant>,
    /// Verdicts of the run.
    verdicts: u64,
    /// Failures of the run up to the last verdict, and since then.
    failures: u64,
    streak: u64,
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
        self.verdicts += 1;
        self.failures += self.streak;
        self.streak = 0;
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

    /// Whether the next request, which feels its way, should be for a call far from the last one: calls that fail by
    /// themselves stand together more often than not, and must not be taken for the CRM.
    #[must_use]
    pub fn should_look_elsewhere(&self) -> bool {
        self.waves > 0 && self.waves.is_multiple_of(2)
    }

    /// A request that left at `started` ended without a verdict. `chance` is uniform in 0..1.
    pub fn trouble(
        &mut self,
        kind: TroubleKind,
        started: Instant,
        now: Instant,
        chance: f64,
    ) -> Advice {
        self.streak += 1;
        if self.counted_at.is_some_and(|at| started < at) && self.waves > 0 {
            return Advice::Pause(Duration::ZERO);
        }
        self.counted_at = Some(now);
        let silent_since = *self.silent_since.get_or_insert(now);
        self.waves += 1;
        self.points += match kind {
            // Refused connections and timeouts say more than an error page, and timeouts cost a deadline each.
            TroubleKind::Unreachable | TroubleKind::Timeout => DOWN_AT / 12,
            TroubleKind::Busy
            | TroubleKind::ServerError
            | TroubleKind::Garbled
            | TroubleKind::Html => DOWN_AT / 30,
        };
        let accident = self.may_be_accident();
        if kind == TroubleKind::Html {
            self.html += 1;
            if self.html >= HTML_AT && !accident {
                return Advice::WrongAddress;
            }
        }
        let silent_for = now.saturating_duration_since(silent_since);
        let many =
            self.points >= DOWN_AT || (self.points >= DOWN_EARLY_AT && silent_for >= LONG_SILENCE);
        if (many && !accident) || silent_for > LONGEST_WAIT {
            return Advice::Down;
        }
        // The first failure is followed up at once; then the pauses double, up to 1.6 s, with full jitter.
        let longest = match self.waves {
            0 | 1 => 0.0,
            n => 0.2 * f64::from(1u32 << (n - 2).min(3)),
        };
        Advice::Pause(Duration::from_secs_f64(longest * chance))
    }

    /// Whether a streak like this one is to be expected of a CRM that fails as often as this one did before it. A run
    /// without any verdict has seen nothing that could be expected.
    fn may_be_accident(&self) -> bool {
        if self.verdicts == 0 {
            return false;
        }
        // Laplace's estimate: a few requests prove no rate of 0 or 1.
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = (self.failures + 1) as f64 / (self.failures + self.verdicts + 2) as f64;
        rate.powi(i32::try_from(self.waves).unwrap_or(i32::MAX)) >= NO_ACCIDENT
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

    /// After how many waves in a row, a tenth of a second each, a CRM is given up.
    #[track_caller]
    fn waves(patience: &mut Patience, kind: TroubleKind, start: Instant) -> u64 {
        (1..10_000)
            .find(|i| {
                let left = at(start, i * 2);
                patience.trouble(kind, left, at(left, 1), 1.0) == Advice::Down
            })
            .expect("it is given up")
    }

    #[test]
    fn without_any_verdict_a_fixed_number_of_waves_is_enough() {
        for (kind, expected) in [
            (TroubleKind::Unreachable, 12),
            (TroubleKind::Timeout, 12),
            (TroubleKind::ServerError, 30),
            (TroubleKind::Busy, 30),
            (TroubleKind::Garbled, 30),
        ] {
            assert_eq!(
                waves(&mut Patience::default(), kind, Instant::now()),
                expected
            );
        }
    }

    #[test]
    fn slow_failures_are_enough_sooner_and_five_minutes_always() {
        for (kind, seconds, expected) in [
            (TroubleKind::Timeout, 30, 8),
            (TroubleKind::Unreachable, 5, 8),
            (TroubleKind::Unreachable, 3, 11),
            (TroubleKind::ServerError, 30, 12),
        ] {
            let start = Instant::now();
            let mut patience = Patience::default();
            let given_up = (1..100)
                .find(|n| {
                    let left = start + Duration::from_secs(seconds * (n - 1));
                    let now = start + Duration::from_secs(seconds * n);
                    patience.trouble(kind, left, now, 0.0) == Advice::Down
                })
                .expect("it is given up");
            assert_eq!(given_up, expected, "{kind:?} after {seconds} s each");
        }
    }

    #[test]
    fn how_long_a_streak_may_be_depends_on_the_failure_rate_before_it() {
        #[track_caller]
        fn check(failures: u64, verdicts: u64, kind: TroubleKind, expected: u64) {
            let start = Instant::now();
            let mut patience = Patience::default();
            for i in 0..verdicts {
                for _ in 0..failures * (i + 1) / verdicts - failures * i / verdicts {
                    patience.trouble(kind, start, start, 0.0);
                }
                patience.verdict();
            }
            assert_eq!(waves(&mut patience, kind, start), expected);
        }
        check(0, 1000, TroubleKind::Unreachable, 12);
        check(0, 1, TroubleKind::Unreachable, 13);
        check(500, 500, TroubleKind::Unreachable, 20);
        check(500, 500, TroubleKind::ServerError, 30);
        check(900, 100, TroubleKind::ServerError, 131);
    }

    #[test]
    fn a_crm_that_fails_at_random_halves_is_hardly_ever_down() {
        let mut chance = 7u64;
        let start = Instant::now();
        let mut patience = Patience::default();
        patience.verdict();
        for i in 0..100_000 {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if chance >> 63 == 0 {
                patience.verdict();
            } else {
                let left = at(start, i);
                let advice = patience.trouble(TroubleKind::Unreachable, left, at(left, 1), 1.0);
                assert!(matches!(advice, Advice::Pause(_)), "request {i}");
            }
        }
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
        let last = (0..5u64)
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
