//! What has to hold however often it is tried: kills and signals at random instants, random tables and settings, and
//! memory over windows of any size. `CDRELAY_SOAK=long` asks for the large counts: see `contrib/soak`.
#![allow(
    clippy::print_stdout,
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

mod chance;
mod crm;
mod kills;
mod memory;
mod model;
mod random;
mod signals;
mod tables;
mod trace;
