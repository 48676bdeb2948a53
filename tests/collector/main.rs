//! `cdrelay collect`: from the requests of each phone system to the CRM, with real sockets and processes; and what has to
//! hold when senders repeat themselves, say nothing, lie, or the collector is killed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking; the support files serve several tests"
)]

#[path = "../support/program.rs"]
mod program;
#[path = "../support/soak.rs"]
mod soak;
#[path = "../support/mod.rs"]
mod support;

mod dialects;
mod kills;
mod manners;
mod push;
mod replay;
mod stage;
mod stores;

include!("../data/astercc_calls.rs");
