//! A CRM that misbehaves in every way that a server can, and the real program against it: what becomes of the calls, how
//! the run ends, what it says, how often it asks. Every case ends with an undisturbed run that brings a CRM to golden.
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
#[path = "../support/soak.rs"]
mod soak;
#[path = "../support/unruly.rs"]
mod unruly;

mod answers;
mod canary;
mod connections;
mod deadlines;
mod echoes;
mod framing;
mod histories;
mod logins;
mod memory;
mod proxies;
mod redirects;
mod replies;
mod stage;
mod statuses;
mod strict;
mod suspicions;
mod table;
mod tls;
mod tricks;
