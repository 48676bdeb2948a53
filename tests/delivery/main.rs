//! The delivery engine against a CRM that plays scripts, in paused time: no test waits, whatever it waits for.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod crm;
mod endings;
mod flaky;
mod pace;
mod property;
#[path = "../support/soak.rs"]
mod soak;
mod suspicion;
mod trouble;
