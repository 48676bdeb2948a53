//! How often a loop goes round, and where it leaves what it came to.
//!
//! `CDRELAY_SOAK=long` asks for the large counts, anything else for the few that every change is tested with.
//! `CDRELAY_SOAK_TABLE` names a file that gets one line for each loop: `name | runs | result`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::fs::OpenOptions;
use std::io::Write;

/// Whether the large counts are asked for.
pub fn long() -> bool {
    std::env::var("CDRELAY_SOAK").is_ok_and(|asked| asked == "long")
}

/// The one count or the other.
pub fn count(short: usize, long: usize) -> usize {
    if self::long() { long } else { short }
}

/// Appends what a loop came to: its name, how often it went round, and what it showed. Does nothing where no table is
/// kept.
///
/// # Panics
/// The table cannot be written: a result that is lost in silence is worse than a failed test.
pub fn note(name: &str, runs: usize, result: &str) {
    let Some(table) = std::env::var_os("CDRELAY_SOAK_TABLE") else {
        return;
    };
    let line = format!("{} | {runs} | {}\n", cell(name), cell(result));
    // One write of a whole line: tests of one binary run side by side.
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&table)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("the table {}: {error}", table.display()));
}

/// On one line, and without the sign that parts the columns.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "/")
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
