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
