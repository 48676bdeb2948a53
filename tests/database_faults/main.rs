//! The database under faults: connections cut at any byte, killed, mute, refused; servers restarted, locked, changed; and
//! the phone system beside it, which is never kept waiting. After every fault an undisturbed run brings the CRM to hold
//! every call exactly once.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking; what was measured is shown; the support files serve \
              several tests"
)]

#[path = "../support/cutting_proxy.rs"]
mod cutting_proxy;
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

mod asterisk;
mod cut;
mod disturbed;
mod files;
mod memory;
mod mute;
mod protected;
mod settled;
mod stage;
