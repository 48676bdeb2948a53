//! How a million lengths of time are spread, in a hundred kilobytes.

/// Values below this are counted each by itself: an hour and some minutes.
const EXACT: u64 = 4_096;

/// Steps of each doubling above.
const STEPS: u64 = 128;

/// Counts of values: exact below an hour, within one per cent above, whatever their size.
#[derive(Debug, Clone)]
pub struct Spread {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            counts: vec![0; place(u64::MAX) + 1],
            total: 0,
            largest: 0,
        }
    }
}

impl Spread {
    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        self.counts[place(value)] += 1;
        self.total += 1;
        self.largest = self.largest.max(value);
    }

    /// How many values there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest of them; 0 without any.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// The value that so many per cent do not exceed; 0 without any.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, n) in self.counts.iter().enumerate() {
            seen += n;
            if *n > 0 && seen >= rank {
                return value(at).min(self.largest);
            }
        }
        0
    }

    /// How many are at least `from` and less than `until`, of which each is below the bound of exactness or `None`.
    #[must_use]
    pub fn between(&self, from: u64, until: Option<u64>) -> u64 {
        let end = until.map_or(self.counts.len(), place);
        self.counts[place(from)..end].iter().sum()
    }
}

fn place(value: u64) -> usize {
    if value < EXACT {
        return usize::try_from(value).unwrap_or(0);
    }
    let doublings = u64::from(value.ilog2());
    let step = (value >> (doublings - 7)) & (STEPS - 1);
    usize::try_from(EXACT + (doublings - 12) * STEPS + step).unwrap_or(0)
}

/// The smallest value of a place.
fn value(place: usize) -> u64 {
    let place = place as u64;
    if place < EXACT {
        return place;
    }
    let (doublings, step) = ((place - EXACT) / STEPS, (place - EXACT) % STEPS);
    (STEPS + step) << (doublings + 12 - 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_place_and_is_found_within_one_per_cent() {
        let mut before = 0;
        for value_in in (0..10_000)
            .chain((14..64).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) + (1 << (n - 3))]))
            .chain([u64::MAX])
        {
            let found = value(place(value_in));
            assert!(
                found <= value_in && value_in - found <= value_in / 128,
                "{value_in}"
            );
            assert!(place(value_in) >= before);
            before = place(value_in);
            if value_in < EXACT {
                assert_eq!(found, value_in);
            }
        }
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let mut spread = Spread::default();
        assert_eq!((spread.percentile(50), spread.largest()), (0, 0));
        for n in 1..=100 {
            spread.add(n);
        }
        assert_eq!(
            [1, 50, 95, 100].map(|p| spread.percentile(p)),
            [1, 50, 95, 100]
        );
        spread.add(u64::MAX);
        assert_eq!(spread.percentile(50), 51);
        assert_eq!(spread.largest(), u64::MAX);
        assert_eq!(spread.between(1, Some(11)), 10);
        assert_eq!(spread.between(3_600, None), 1);
        assert_eq!(spread.between(0, None), spread.total());
    }

    #[test]
    fn one_value_is_every_percentile() {
        let mut spread = Spread::default();
        spread.add(580_000);
        assert!(
            [1, 50, 100]
                .iter()
                .all(|p| spread.percentile(*p).abs_diff(580_000) < 5_800)
        );
    }
}
