//! Commands that must end by themselves.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::program::{Program, Ran};

/// Longest that a command may take which has nothing to wait for; whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);

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
