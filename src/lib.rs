//! cdrelay copies the calls of a phone system into a CRM: completely, once, under the right number.
//!
//! # The way of a call
//!
//! ```text
//! source ── CdrRow ──► cdr ── Call ──► number ── WireForm ──► ledger::plan ── Action ──► delivery ── Outcome ──► ledger ──► report
//!  slice by slice        zone, legs       rule chain            pure                    in flight ≤ n           commit
//! ```
//!
//! One *slice* of the `cdr` table (a half-open interval of start times, some thousands of rows) is read into memory and
//! its statement closed before anything is sent. Rows of one identity fold into one [`call::Call`]; the rules turn its
//! numbers into the form the CRM gets, the [`call::WireForm`]. The plan compares the slice with the ledger; what is due
//! is recorded there as an intent, durably, before its request leaves, and its answer is recorded before it is counted.
//!
//! # What is guaranteed
//!
//! Delivery is at least once, with the same bytes every time: a call's wire form is frozen with its first intent. On a
//! CRM that keys calls by start, source and destination, as NiMbox does, that is exactly once. The source is never
//! written to; losing the ledger loses no call.
//!
//! # Reading order
//!
//! [`call`] has the nouns. Then along the way of a call: [`source`], [`cdr`], [`number`], [`intake`] (which joins the
//! three), [`ledger`], [`target`], [`delivery`], [`report`], [`monitor`]. [`agi`] is for calls that are told while they
//! happen, [`collector`] is the other way in: events of phone systems that have no `cdr` table become rows of one.
//! [`config`] says what a user can set, [`discovery`] what a machine says about its phone system, [`command`] ties the rooms
//! together, one verb a file.

pub mod agi;
pub mod call;
pub mod cdr;
pub mod cli;
pub mod collector;
pub mod command;
pub mod config;
pub mod delivery;
pub mod discovery;
mod fault;
pub mod intake;
pub mod ledger;
pub mod monitor;
pub mod number;
pub mod progress;
pub mod report;
pub mod sandbox;
pub mod source;
pub mod target;
pub mod text;
