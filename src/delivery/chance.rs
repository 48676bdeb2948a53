//! Chance for jitter: SplitMix64 over a seed of the process. Not for secrets.

use std::hash::{BuildHasher, Hasher};

/// A source of chance.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new() -> Self {
        // The standard library has no random numbers, but it seeds its hash maps with some.
        Self(
            std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish(),
        )
    }

    /// Uniform in 0..1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (z >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_in_its_interval_and_is_spread_over_it() {
        let mut chance = Chance::new();
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            let drawn = chance.next();
            assert!((0.0..1.0).contains(&drawn));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 9"
            )]
            let tenth = (drawn * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|n| (700..1300).contains(n)), "{tenths:?}");
    }
}
