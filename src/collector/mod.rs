//! For phone systems without a `cdr` table: call events come in over HTTP and go out as finished rows of one.
//!
//! # The way of an event
//!
//! ```text
//! sender ── request ──► dialect ── Event ──► writer ── store, durably ──► 2xx
//!                                              └── once a call has been quiet: assemble ── Row ──► table `cdr`
//! ```
//!
//! # What is guaranteed
//!
//! A 2xx is sent once the event is committed, never before. A row is a pure function of the *set* of a call's events, so
//! that repeated, late and out-of-order events, and a kill at any instant, come to the same row. It appears once the
//! conversation has ended and no event has come for the settle time; a later event corrects it; a call that never ends is
//! closed after a set time and marked.
//!
//! # Reading order
//!
//! [`event`] and [`row`] are the two ends; [`assemble()`] and the dialects, [`astercc`], [`cti_bridge`] and
//! [`freeswitch`], lead from one to the other and do no I/O. [`store`] keeps both, [`writer`] drives it in blocks,
//! [`desk`] and [`server`] are the HTTP side. This room has never heard of the ledger or the CRM.

pub mod assemble;
pub mod astercc;
pub mod counts;
pub mod cti_bridge;
pub mod desk;
pub mod event;
pub mod freeswitch;
pub mod gate;
pub mod moment;
pub mod pairs;
pub mod parts;
pub mod replay;
pub mod row;
pub mod server;
pub mod store;
pub mod subscribe;
pub mod writer;

pub use assemble::{Assembly, Settings, assemble};
