//! Those who watch: the textfile, the ping, log lines, silence and its end, the choice of the run that is due, and the
//! dashboards and alerts that use the figures.
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

mod auto;
mod dashboards;
mod exposition;
mod logs;
mod overdue;
mod ping;
mod ping_tls;
mod purged;
mod textfile;
