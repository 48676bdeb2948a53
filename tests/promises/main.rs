//! What cdrelay promises about bytes, keys, and what it leaves alone, with the real program from end to end.
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

mod drift;
mod dry_run;
mod listed;
mod reference_keys;
mod standing;
mod unmatched;
mod withheld;
