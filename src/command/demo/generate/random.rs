//! A small seeded generator: splitmix64, after Sebastiano Vigna's public-domain description.

/// Random choices that a seed determines.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 where `bound` is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let product = u128::from(self.next()) * u128::from(bound);
        u32::try_from(product >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Seconds from a log-normal distribution, the usual shape of talking times: half of them are longer than `median`.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64, longest: u32) -> u32 {
        // The sum of twelve uniform numbers, less 6, has mean 0 and variance 1 and is near enough to normal here.
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        let seconds = (median * (sigma * normal).exp()).round();
        // A float cast saturates, so that no argument can make this wrap.
        (seconds as u32).clamp(1, longest)
    }

    /// One of `items`, or `None` where there is none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let bound = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.get(self.below(bound) as usize)
    }

    /// One of `items`, the first ones far more often, as an office calls few customers often and many rarely.
    pub(super) fn pick_favourite<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let place = self.unit() * self.unit() * items.len() as f64;
        items.get(place as usize)
    }

    /// The index of one of `weights`, in proportion to them.
    pub(super) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let mut rest = self.below(weights.clone().sum());
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if rest < weight {
                return index;
            }
            rest -= weight;
            last = index;
        }
        last
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            items.swap(last, self.below(bound) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn choices_stay_in_their_bounds() {
        let mut random = Random::new(7);
        for _ in 0..10_000 {
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((1..=600).contains(&random.log_normal(90.0, 0.9, 600)));
            assert_ne!(random.weighted([1, 0, 2].into_iter()), 1);
        }
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick_favourite::<u8>(&[]), None);
    }

    #[test]
    fn half_of_the_talks_are_longer_than_the_median() {
        let mut random = Random::new(11);
        let longer = (0..10_000)
            .filter(|_| random.log_normal(90.0, 0.9, 7_200) > 90)
            .count();
        assert!((4_700..5_300).contains(&longer), "{longer}");
    }
}
