//! The questions, one file each.

use super::lab::Lab;
use super::table::Row;

mod collect;
mod crm;
mod curve;
mod first;
mod latency;
mod lists;
mod server;
mod settled;
mod start;

/// One question and how it is answered.
pub(crate) struct Part {
    /// For `--only`.
    pub(crate) name: &'static str,
    /// For `--list`.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&mut Lab) -> anyhow::Result<Vec<Row>>,
}

/// All of them, in the order in which they run. Those that share the long-settled ledger stand together, and the one
/// that changes it last.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "crm",
        about: "creates a second that the practice CRM answers: more than anything that is measured on it",
        run: crm::run,
    },
    Part {
        name: "first",
        about: "a first run, beside wrk, bare clients, and one request at a time",
        run: first::run,
    },
    Part {
        name: "latency",
        about: "a CRM that takes 20 ms, beside wrk with as many connections",
        run: latency::run,
    },
    Part {
        name: "start",
        about: "from the start to the first request",
        run: start::run,
    },
    Part {
        name: "pbx",
        about: "what a run costs the phone system's database, beside MariaDB's own client",
        run: server::run,
    },
    Part {
        name: "curve",
        about: "first run and second run over more and more rows",
        run: curve::run,
    },
    Part {
        name: "again",
        about: "a run over 1,000,000 settled calls, beside MariaDB's own client",
        run: settled::again,
    },
    Part {
        name: "hourly",
        about: "an hourly run with nothing new on a ledger of 1,000,000 calls",
        run: settled::hourly,
    },
    Part {
        name: "lists",
        about: "what a person asks a ledger of 1,000,000 calls",
        run: lists::run,
    },
    Part {
        name: "collect",
        about: "call events a second that the collector keeps, in each kind of store",
        run: collect::run,
    },
];
