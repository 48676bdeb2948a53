//! What a killed or sleeping program left to look at, without touching it.

use std::collections::HashMap;
use std::process::Child;
use std::time::Duration;

use super::crm::{Crm, Key};
use super::program::Program;

/// A call in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Start on the column's clock, raw source, raw destination.
    pub identity: (i64, String, String),
    /// The state's code: 5 is in flight.
    pub state: i64,
    /// The frozen key.
    pub key: Key,
}

/// The code of a call in flight.
pub const IN_FLIGHT: i64 = 5;

/// So many looks, ten milliseconds apart, must find the program asleep: a thread of the CRM that waits for a processor
/// has taken a request and not counted it yet.
const QUIET: usize = 20;

/// What the ledger holds, read from a copy: opening the file itself would put its log in order, and the next run is to
/// find everything as the kill left it. Empty where there is no ledger yet.
pub fn entries(program: &Program) -> Vec<Entry> {
    let copy = tempfile::tempdir().expect("a directory");
    let ledger = copy.path().join("ledger.db");
    if !program.path("ledger.db").exists() {
        return Vec::new();
    }
    std::fs::copy(program.path("ledger.db"), &ledger).expect("a copy");
    let log = program.path("ledger.db-wal");
    if log.exists() {
        std::fs::copy(log, copy.path().join("ledger.db-wal")).expect("a copy");
    }
    let db = rusqlite::Connection::open(ledger).expect("a ledger");
    let mut statement = db
        .prepare(
            "SELECT c.start, c.source, c.destination, c.state, w.initiated, w.source, w.destination \
             FROM calls c JOIN wire_forms w ON w.call = c.id",
        )
        .expect("the ledger's tables");
    let rows = statement
        .query_map([], |row| {
            Ok(Entry {
                identity: (row.get(0)?, row.get(1)?, row.get(2)?),
                state: row.get(3)?,
                key: (row.get(4)?, row.get(5)?, row.get(6)?),
            })
        })
        .expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// Keys that are in flight, by the ledger.
pub fn in_flight(entries: &[Entry]) -> HashMap<Key, i64> {
    entries
        .iter()
        .filter(|entry| entry.state == IN_FLIGHT)
        .map(|entry| (entry.key.clone(), entry.state))
        .collect()
}

/// Waits until the program has dealt with everything that has reached it, signals too, and sleeps: its main thread is in
/// state S (proc(5)) and no signal is pending, many times in a row, while the CRM has taken all that was sent and counts
/// no new request. False where it ended.
pub fn sleeps(child: &mut Child, crm: &Crm) -> bool {
    let id = child.id();
    let steady = || crm.requests();
    let mut before = steady();
    let mut quiet = 0;
    for _ in 0..3000 {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
        let now = steady();
        quiet = if now == before && is_idle(id) && !crm.has_unread() {
            quiet + 1
        } else {
            0
        };
        before = now;
        if quiet == QUIET {
            return true;
        }
    }
    panic!("it never came to rest");
}

fn is_idle(id: u32) -> bool {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{id}/{name}"));
    let (Ok(stat), Ok(status)) = (read(&format!("task/{id}/stat")), read("status")) else {
        return false;
    };
    let sleeping = stat
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('S'));
    let pending = |field: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .is_some_and(|mask| mask.trim().chars().any(|digit| digit != '0'))
    };
    sleeping && !pending("SigPnd:") && !pending("ShdPnd:")
}
