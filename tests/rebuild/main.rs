//! `rebuild` replaces the calls of its days by what today's settings make of them, once each, whatever interrupts it; and
//! what it leaves behind (keys, collisions, calls without a row) is in order.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking; the support files serve several tests"
)]

#[path = "../delete/days.rs"]
mod days;
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

mod answers;
mod collisions;
mod readings;
mod rows;
mod sweep;
