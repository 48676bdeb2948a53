//! The program is killed, fails, or runs out of disk at every numbered point of small jobs, and an undisturbed run after
//! it brings CRM and ledger to what they would have been.
//!
//! Built with `--features fault-points`, and only then. Each named point is met at least once with each kind of fault;
//! `CDRELAY_SOAK=long` takes every passage of every job.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking, and what it printed is shown then; the support files serve several tests"
)]

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/soak.rs"]
mod soak;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/unruly.rs"]
mod unruly;

mod crm;
mod keyless;
mod ledger;
mod names;
mod order;
mod scenarios;
mod signals;
mod stage;
mod sweep;
