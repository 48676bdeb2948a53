//! AGI, the Asterisk Gateway Interface: what Asterisk says about a call while it happens, and what it is told.
//!
//! [`environment`] reads what it says, [`number`] finds the caller in it, [`variable`] writes what it is told: all pure. A
//! call that was told is kept in the [`spool`], a file a call, durably and before its request leaves; the next `sync` takes
//! it from there into the ledger, under a job of its own ([`job`]). Nothing here talks to Asterisk or to the CRM.
//!
//! A call that is told has no row yet, and may never get one that looks like it: so it is known by its channel
//! (`uniqueid`), not by what the row will hold. `sync` passes over rows of the [`channels`] that were told.

pub mod channels;
pub mod environment;
pub mod number;
pub mod spool;
pub mod variable;

/// The job under which the ledger holds the calls of `job` that were told while they happened. No configuration can name
/// one so: its blank is no letter of a job.
#[must_use]
pub fn job(job: &str) -> String {
    format!("{job} agi")
}
