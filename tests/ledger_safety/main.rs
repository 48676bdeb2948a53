//! The ledger under everything that can happen to a file, and two runs that want it at once: nothing is sent that could
//! not be recorded, what is damaged is refused or found, and an undisturbed run brings the CRM to golden.
//!
//! Loops are short unless `CDRELAY_SOAK` is `long`; where `CDRELAY_SOAK_TABLE` names a file, each adds a line to it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking, and what a loop showed on stdout; the support files serve several tests"
)]

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/soak.rs"]
mod soak;
#[path = "../support/unruly.rs"]
mod unruly;

mod corruption;
mod full_disk;
mod nonsense;
mod odd_files;
mod overlap;
mod prompt;
mod restored;
mod rights;
mod vanishing;
