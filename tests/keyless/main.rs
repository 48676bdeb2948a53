//! A CRM without keys: BGCRM, where each call runs a class and a second request would run it twice.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../support/closed_port.rs"]
mod closed_port;
#[path = "../support/program.rs"]
mod program;

mod agi;
mod agi_line;
mod crm;
mod filters;
mod held;
mod stage;
mod sync;
mod unknown;
