//! Every exit code is reached with the real program, says on stderr what happened and what to do, and after every fault
//! an undisturbed run brings the CRM to hold every call exactly once.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking; the support files serve several tests"
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

mod crm;
mod disagreed;
mod flaky;
mod interrupted;
mod ledger;
mod locked;
mod quiet;
mod rejected;
mod source;
mod usage;
