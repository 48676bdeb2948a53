//! `report`: its figures against an independent count, its page in a real browser, and the pictures in README.

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
#[path = "../support/shown.rs"]
mod shown;
#[path = "../support/mod.rs"]
mod support;

mod browser;
mod chromium;
mod figures;
mod headline;
mod output;
mod pictures;
mod stage;
