//! What a store does, as statements for a database server.

use std::collections::{BTreeMap, BTreeSet};

use super::super::sqlite::received;
use super::super::{Due, FORGET_AT_ONCE, Settled, Store, StoreError, Written, columns, marks};
use super::ServerStore;
use super::link::{Kind, Link, as_text, first, fitting, mark};
use crate::collector::event::{CallKey, Received};
use crate::collector::row::{COLUMNS, Cell, Row};

/// Most rows of one statement that keeps or asks for something.
const ROWS: usize = 256;

/// Most rows of one statement that writes rows of `cdr`, which have seventeen columns.
const WIDE_ROWS: usize = 64;

impl Store for ServerStore {
    fn append(&mut self, events: &[Received], due: i64) -> Result<u64, StoreError> {
        self.transact("keeping events", async |link, kind| {
            let mut new = 0;
            for chunk in events.chunks(ROWS) {
                new += append(link, kind, chunk, due).await?;
            }
            Ok(new)
        })
    }

    fn due(&mut self, now: i64, most: usize) -> Result<Vec<Due>, StoreError> {
        self.read("looking for calls that are due", async |link, kind| {
            let sql = format!("SELECT call_key FROM collector_calls WHERE due <= ? ORDER BY due LIMIT {most}");
            let calls = link.rows(&sql, &[Cell::Number(now)], 1).await?;
            let mut due: Vec<Due> = calls
                .into_iter()
                .filter_map(|row| row.into_iter().next().flatten())
                .map(|call| Due {
                    call: CallKey::stored(call),
                    events: Vec::new(),
                })
                .collect();
            let text = as_text(kind);
            for chunk in due.chunks_mut(ROWS) {
                let keys = padded(chunk.iter().map(|due| [text_of(&due.call)]).collect());
                let sql = format!(
                    "SELECT call_key, dialect, CAST(received AS {text}), body FROM collector_events WHERE call_key IN ({})",
                    marks(keys.len())
                );
                for row in link.rows(&sql, &keys, 4).await? {
                    let mut cells = row.into_iter().map(Option::unwrap_or_default);
                    let [Some(call), Some(dialect), Some(at), Some(body)] =
                        [cells.next(), cells.next(), cells.next(), cells.next()]
                    else {
                        continue;
                    };
                    let Some(due) = chunk.iter_mut().find(|due| due.call.as_str() == call) else {
                        continue;
                    };
                    let at = at.parse().unwrap_or(now);
                    due.events.extend(received(&due.call, &dialect, at, &body));
                }
            }
            Ok(due)
        })
    }

    fn next_due(&mut self) -> Result<Option<i64>, StoreError> {
        self.read("looking for calls that are due", async |link, kind| {
            let sql = format!(
                "SELECT CAST(min(due) AS {}) FROM collector_calls",
                as_text(kind)
            );
            let answer = link.rows(&sql, &[], 1).await?;
            Ok(first(&answer).and_then(|due| due.parse().ok()))
        })
    }

    fn settle(&mut self, settled: &[Settled]) -> Result<Written, StoreError> {
        let widths = self.widths.clone();
        self.transact("writing rows", async |link, kind| {
            let mut written = Written::default();
            for chunk in settled.chunks(ROWS) {
                let wrote = settle(link, kind, chunk, &widths).await?;
                written.new += wrote.new;
                written.again += wrote.again;
            }
            Ok(written)
        })
    }

    fn forget(&mut self, before: i64) -> Result<u64, StoreError> {
        self.transact("dropping old events", async |link, _kind| {
            let sql = format!(
                "SELECT call_key FROM collector_calls WHERE due IS NULL AND forgotten = 0 AND last_event < ? LIMIT {FORGET_AT_ONCE}"
            );
            let calls: Vec<Cell> = link
                .rows(&sql, &[Cell::Number(before)], 1)
                .await?
                .into_iter()
                .filter_map(|row| row.into_iter().next().flatten())
                .map(Cell::Text)
                .collect();
            for chunk in calls.chunks(ROWS) {
                let keys = padded(chunk.iter().map(|call| [call.clone()]).collect());
                let marks = marks(keys.len());
                link.execute(
                    &format!("DELETE FROM collector_events WHERE call_key IN ({marks})"),
                    &keys,
                )
                .await?;
                link.execute(
                    &format!("UPDATE collector_calls SET forgotten = 1 WHERE call_key IN ({marks})"),
                    &keys,
                )
                .await?;
            }
            Ok(calls.len() as u64)
        })
    }

    fn recall(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.read("reading a position", async |link, _kind| {
            let key = [Cell::Text(key.to_owned())];
            let sql = "SELECT setting FROM collector_meta WHERE name = ?";
            let answer = link.rows(sql, &key, 1).await?;
            Ok(first(&answer).map(str::to_owned))
        })
    }

    fn keep(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.transact("keeping a position", async |link, _kind| {
            let [key, value] = [key, value].map(|text| Cell::Text(text.to_owned()));
            link.execute(
                "DELETE FROM collector_meta WHERE name = ?",
                std::slice::from_ref(&key),
            )
            .await?;
            link.execute(
                "INSERT INTO collector_meta (name, setting) VALUES (?, ?)",
                &[key, value],
            )
            .await?;
            Ok(())
        })
    }
}

fn text_of(call: &CallKey) -> Cell {
    Cell::Text(call.as_str().to_owned())
}

/// The cells of some rows, the last row repeated up to a power of two. A server prepares each text of a statement once;
/// with every number of rows a text of its own, it would do little else.
fn padded<const WIDTH: usize>(mut rows: Vec<[Cell; WIDTH]>) -> Vec<Cell> {
    if let Some(last) = rows.last().cloned() {
        rows.resize(rows.len().next_power_of_two(), last);
    }
    rows.into_iter().flatten().collect()
}

/// `(?, ?, …), (?, ?, …), …` for so many cells.
fn groups(cells: &[Cell], width: usize) -> String {
    vec![format!("({})", marks(width)); cells.len() / width].join(", ")
}

/// Keeps a chunk of events. What is there is asked for first, because what repeats itself must not make a call due; there
/// is no other writer.
async fn append(link: &mut Link, kind: Kind, events: &[Received], due: i64) -> anyhow::Result<u64> {
    let calls: BTreeSet<&CallKey> = events.iter().map(|one| &one.event.call).collect();
    let keys = padded(calls.into_iter().map(|call| [text_of(call)]).collect());
    let among = marks(keys.len());
    let sql = format!(
        "SELECT call_key, fingerprint FROM collector_events WHERE call_key IN ({among}) UNION ALL \
         SELECT call_key, CAST(NULL AS {}) FROM collector_calls WHERE forgotten = 1 AND call_key IN ({among})",
        as_text(kind)
    );
    let mut forgotten: BTreeSet<String> = BTreeSet::new();
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for row in link.rows(&sql, &[&keys[..], &keys].concat(), 2).await? {
        let mut cells = row.into_iter();
        match (cells.next().flatten(), cells.next().flatten()) {
            (Some(call), Some(fingerprint)) => {
                known.insert((call, fingerprint));
            }
            (Some(call), None) => {
                forgotten.insert(call);
            }
            (None, _) => {}
        }
    }
    let mut kept = Vec::new();
    let mut notes: BTreeMap<&CallKey, i64> = BTreeMap::new();
    for Received { event, at } in events {
        let key = event.call.as_str();
        let fingerprint = event.fingerprint();
        // Of a call whose events are gone, one alone would make another row.
        if forgotten.contains(key) || !known.insert((key.to_owned(), fingerprint.clone())) {
            continue;
        }
        kept.push([
            text_of(&event.call),
            Cell::Text(fingerprint),
            Cell::Text(event.dialect.as_str().to_owned()),
            Cell::Number(*at),
            Cell::Text(event.body()),
        ]);
        let last = notes.entry(&event.call).or_insert(*at);
        *last = (*last).max(*at);
    }
    let new = kept.len() as u64;
    if new == 0 {
        return Ok(0);
    }
    let cells = padded(kept);
    // For the rows that only fill a statement up.
    let unless_there = match kind {
        Kind::Mysql => "ON DUPLICATE KEY UPDATE received = received",
        Kind::Postgres => "ON CONFLICT DO NOTHING",
    };
    let sql = format!(
        "INSERT INTO collector_events (call_key, fingerprint, dialect, received, body) VALUES {} {unless_there}",
        groups(&cells, 5)
    );
    link.execute(&sql, &cells).await?;
    let notes = notes.into_iter().map(|(call, last)| (call, last, due));
    note(link, kind, notes).await?;
    Ok(new)
}

/// Notes of calls when the last event came, unless a later one did, and when they are due; makes those that are not known.
async fn note<'c>(
    link: &mut Link,
    kind: Kind,
    notes: impl Iterator<Item = (&'c CallKey, i64, i64)>,
) -> anyhow::Result<()> {
    let row = |(call, last, due)| [text_of(call), Cell::Number(last), Cell::Number(due)];
    let cells = padded(notes.map(row).collect());
    if cells.is_empty() {
        return Ok(());
    }
    let groups = groups(&cells, 3);
    let sql = match kind {
        Kind::Mysql => format!(
            "INSERT INTO collector_calls (call_key, last_event, due) VALUES {groups} \
             ON DUPLICATE KEY UPDATE last_event = GREATEST(last_event, VALUES(last_event)), due = VALUES(due)"
        ),
        // It does not touch a row twice in one statement.
        Kind::Postgres => format!(
            "INSERT INTO collector_calls (call_key, last_event, due) \
             SELECT DISTINCT call_key, last_event, due FROM (VALUES {groups}) AS notes (call_key, last_event, due) \
             ON CONFLICT (call_key) DO UPDATE SET \
             last_event = GREATEST(collector_calls.last_event, excluded.last_event), due = excluded.due"
        ),
    };
    link.execute(&sql, &cells).await?;
    Ok(())
}

/// Writes what became of a chunk of calls.
async fn settle(
    link: &mut Link,
    kind: Kind,
    settled: &[Settled],
    widths: &[usize],
) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let with_row = settled.iter().filter(|one| one.row.is_some());
    let keys = padded(with_row.map(|one| [text_of(&one.call)]).collect());
    if !keys.is_empty() {
        let among = marks(keys.len());
        let sql = format!(
            "SELECT call_key FROM collector_calls WHERE written = 1 AND call_key IN ({among})"
        );
        let rows = link.rows(&sql, &keys, 1).await?;
        let known: BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
        let mut new = Vec::new();
        for Settled { call, row, .. } in settled {
            let Some(row) = row else { continue };
            let cells = fitting(row.cells(), widths);
            if known.contains(call.as_str()) && update(link, kind, row, &cells).await? > 0 {
                written.again += 1;
            } else {
                written.new += 1;
                new.push(cells);
            }
        }
        insert(link, kind, &new).await?;
        let sql = format!("UPDATE collector_calls SET written = 1 WHERE call_key IN ({among})");
        link.execute(&sql, &keys).await?;
    }
    let over = settled.iter().filter(|one| one.due.is_none());
    let keys = padded(over.map(|one| [text_of(&one.call)]).collect());
    if !keys.is_empty() {
        let sql = format!(
            "UPDATE collector_calls SET due = NULL WHERE call_key IN ({})",
            marks(keys.len())
        );
        link.execute(&sql, &keys).await?;
    }
    // Each is known, with the time of its last event, which is later than this.
    let open = settled
        .iter()
        .filter_map(|one| Some((&one.call, 0, one.due?)));
    note(link, kind, open).await?;
    Ok(written)
}

async fn update(link: &mut Link, kind: Kind, row: &Row, cells: &[Cell]) -> anyhow::Result<u64> {
    let assignments = COLUMNS
        .map(|(name, _)| format!("{name} = {}", mark(name, kind)))
        .join(", ");
    let mut cells = cells.to_vec();
    cells.push(Cell::Text(row.uniqueid.clone()));
    let sql = format!("UPDATE cdr SET {assignments} WHERE uniqueid = ?");
    link.execute(&sql, &cells).await
}

/// Writes rows, in statements of a power of two each: a row of `cdr` has no key, so that none may be repeated.
async fn insert(link: &mut Link, kind: Kind, mut rows: &[Vec<Cell>]) -> anyhow::Result<()> {
    let group = format!("({})", COLUMNS.map(|(name, _)| mark(name, kind)).join(", "));
    while !rows.is_empty() {
        let most = rows.len().min(WIDE_ROWS);
        let (chunk, rest) = rows.split_at(1 << most.ilog2());
        let groups = vec![group.as_str(); chunk.len()].join(", ");
        let sql = format!("INSERT INTO cdr ({}) VALUES {groups}", columns());
        link.execute(&sql, &chunk.concat()).await?;
        rows = rest;
    }
    Ok(())
}
