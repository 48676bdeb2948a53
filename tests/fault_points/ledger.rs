//! The ledger's file as another program sees it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::crm::Key;
use super::golden::Golden;

/// What a ledger holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Each call's key and state.
    pub(crate) calls: BTreeMap<Key, &'static str>,
    /// Duration and link of delivered ones, as frozen.
    pub(crate) delivered: Golden,
    /// Deletions without an end.
    pub(crate) open_deletions: u16,
    /// Exit codes of runs that ended, in order.
    pub(crate) ended: Vec<u8>,
}

impl Held {
    /// Reads a copy, log included: looking changes nothing of what a killed run left.
    pub(crate) fn read(ledger: &Path) -> Self {
        let aside = tempfile::tempdir().expect("a temporary directory");
        let copy = aside.path().join("ledger.db");
        for suffix in ["", "-wal"] {
            let mut from = ledger.as_os_str().to_owned();
            from.push(suffix);
            let mut to = copy.as_os_str().to_owned();
            to.push(suffix);
            if Path::new(&from).exists() {
                std::fs::copy(from, to).expect("copied");
            }
        }
        if !copy.exists() {
            return Self::default();
        }
        Self::of(&Connection::open(&copy).expect("a ledger"))
    }

    /// Looks at a ledger that a run is writing.
    pub(crate) fn beside_a_run(ledger: &Path) -> Self {
        let db = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("a ledger");
        db.busy_timeout(std::time::Duration::from_secs(30))
            .expect("a pragma");
        Self::of(&db)
    }

    fn of(db: &Connection) -> Self {
        let mut held = Self::default();
        let mut calls = db
            .prepare(
                "SELECT w.initiated, w.source, w.destination, c.state, w.duration, w.url \
                 FROM calls c JOIN wire_forms w ON w.call = c.id",
            )
            .expect("the tables are there");
        let mut rows = calls.query([]).expect("a query");
        while let Some(row) = rows.next().expect("a row") {
            let text = |at: usize| row.get::<_, String>(at).expect("text");
            let key = (text(0), text(1), text(2));
            let state = [
                "delivered",
                "withdrawn",
                "unmatched",
                "rejected",
                "pending",
                "in_flight",
                "held",
            ][usize::from(row.get::<_, u16>(3).expect("a state"))];
            if state == "delivered" {
                let duration: i64 = row.get(4).expect("a duration");
                let url = row.get(5).expect("a link or none");
                held.delivered
                    .insert(key.clone(), (duration.unsigned_abs(), url));
            }
            let doubled = held.calls.insert(key, state);
            assert_eq!(doubled, None, "two entries with one key");
        }
        held.open_deletions = db
            .query_row(
                "SELECT count(*) FROM deletions WHERE ended IS NULL",
                [],
                |row| row.get(0),
            )
            .expect("a count");
        let mut runs = db
            .prepare("SELECT exit_code FROM runs WHERE ended IS NOT NULL ORDER BY id")
            .expect("the table is there");
        held.ended = runs
            .query_map([], |row| row.get(0))
            .expect("a query")
            .collect::<Result<_, _>>()
            .expect("codes");
        held
    }

    /// How many calls are in a state.
    pub(crate) fn count(&self, states: &[&str]) -> u64 {
        let of_state = self.calls.values().filter(|state| states.contains(state));
        of_state.count() as u64
    }
}
