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
