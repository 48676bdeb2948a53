//! How long answers took, in bounded memory.

use std::time::Duration;

/// A histogram of latencies: buckets grow by a tenth, so that a percentile is right within five per cent at any size of
/// run. Spans from 0.01 ms to half an hour; what lies outside counts as the nearest end.
#[derive(Debug, Clone)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: vec![0; 200],
            count: 0,
        }
    }
}

impl Latency {
    const SMALLEST_MS: f64 = 0.01;
    const GROWTH: f64 = 1.1;

    /// Counts one answer.
    pub(super) fn add(&mut self, took: Duration) {
        let ms = (took.as_secs_f64() * 1000.0).max(Self::SMALLEST_MS);
        let bucket = (ms / Self::SMALLEST_MS).ln() / Self::GROWTH.ln();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the table"
        )]
        let bucket = (bucket.round() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// The given percentile (0..1) in milliseconds; 0 without any answer.
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((self.count as f64) * share).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if *n > 0 && seen >= rank {
                let i = i32::try_from(i).unwrap_or(i32::MAX);
                return Self::SMALLEST_MS * Self::GROWTH.powi(i);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both percentiles of latencies in microseconds, against the exact ones.
    #[track_caller]
    fn check(mut micros: Vec<u64>) {
        let mut latency = Latency::default();
        for one in &micros {
            latency.add(Duration::from_micros(*one));
        }
        micros.sort_unstable();
        for (share, rank) in [
            (0.5, micros.len().div_ceil(2)),
            (0.95, (micros.len() * 95).div_ceil(100)),
            (1.0, micros.len()),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let exact = micros[rank - 1] as f64 / 1000.0;
            let found = latency.percentile(share);
            assert!(
                (found / exact - 1.0).abs() <= 0.05,
                "{share}: {found} ms, exactly {exact} ms"
            );
        }
    }

    #[test]
    fn percentiles_are_right_within_five_per_cent() {
        check(vec![18_000]);
        check(vec![10, 1_000_000]);
        check((1..=1000).map(|n| n * 137).collect());
        check(
            (0..10_000)
                .map(|n| 1_000 + (n * 7919) % 30_000_000)
                .collect(),
        );
        check(vec![30 * 60 * 1_000_000; 3]);
    }

    #[test]
    fn no_answer_and_answers_beyond_the_scale_are_no_trouble() {
        let mut latency = Latency::default();
        assert!(latency.percentile(0.5).abs() < f64::EPSILON);
        latency.add(Duration::ZERO);
        assert!((latency.percentile(0.5) - 0.01).abs() < 1e-9);
        latency.add(Duration::MAX);
        assert!(latency.percentile(1.0) > 1e6);
    }
}
