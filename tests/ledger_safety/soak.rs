//! How long the loops are, what they showed, and numbers that are the same in every run of a test.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::program::{Program, Ran};

/// Longest that a command may take which has nothing to wait for; whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);

/// How often a loop runs.
pub fn times(short: usize, long: usize) -> usize {
    match std::env::var("CDRELAY_SOAK") {
        Ok(word) if word == "long" => long,
        Ok(_) | Err(_) => short,
    }
}

/// Says what a loop showed.
pub fn tell(name: &str, runs: usize, result: &str) {
    println!("{name} | {runs} | {result}");
    if let Some(table) = std::env::var_os("CDRELAY_SOAK_TABLE") {
        let mut table = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(table)
            .unwrap();
        writeln!(table, "{name} | {runs} | {result}").unwrap();
    }
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Runs the program, which must end by itself.
#[track_caller]
pub fn prompt(program: &Program, args: &[&str]) -> Ran {
    ended(program.command(args), &format!("{args:?}"))
}

/// Runs a command, which must end by itself.
#[track_caller]
pub fn ended(mut command: Command, what: &str) -> Ran {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > HANGS {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ran::of(child.wait_with_output().unwrap())
}
