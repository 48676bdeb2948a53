//! `delete` does what it showed, never more, and whatever its answer or its end, the run after it brings the CRM to hold
//! every call exactly once.
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
#[path = "../support/unruly.rs"]
mod unruly;

mod answers;
mod days;
mod readings;
mod refused;
mod said;
