//! How long the long loops are: a few seconds for every change, the full numbers when `CDRELAY_SOAK=long` asks for them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::io::Write as _;

/// Whether the full numbers are asked for.
pub fn is_long() -> bool {
    std::env::var_os("CDRELAY_SOAK").is_some_and(|value| value == "long")
}

/// One of two counts.
pub fn count(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Appends a line `name | runs | result` to the file that `CDRELAY_SOAK_TABLE` names, if it names one.
pub fn note(name: &str, runs: usize, result: &str) {
    let Some(path) = std::env::var_os("CDRELAY_SOAK_TABLE") else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(file, "{name} | {runs} | {result}").unwrap();
}

/// SplitMix64: the same numbers for the same seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` - 1.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.draw() % n as u64).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
