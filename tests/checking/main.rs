//! Is everything there, and if not, what to do: `check`, `reconcile` and `purge` by the real program on real sources.
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
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/unruly.rs"]
mod unruly;

mod clock;
mod nagios;
mod purge;
mod reconcile;
mod stage;
mod table;
