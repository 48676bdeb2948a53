//! Getting it: from a machine with a phone system to a scheduled replication, with the real program: `init`, `adopt`, the
//! manual, the completions, and the Debian package.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking, and one that leaves a part out says that; the support files serve \
              several tests"
)]

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/unruly.rs"]
mod unruly;

mod adopt;
mod dialogue;
mod discovered;
mod init;
mod machine;
mod manual;
mod packaging;

use std::path::PathBuf;

/// Where a program that some machines lack is, if it is here; else says that its part of the test is left out.
fn here(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("left out: `{program}` is not installed");
    }
    found
}
