//! What a store does, as statements for a database server.

use std::collections::BTreeSet;

use super::super::sqlite::received;
use super::super::{Due, FORGET_AT_ONCE, Settled, Store, StoreError, Written, columns, marks};
use super::ServerStore;
use super::link::{Kind, Link, as_text, first, fitting, mark};
use crate::collector::event::{CallKey, Received};
use crate::collector::row::{COLUMNS, Cell};

/// Rows of one statement.
const ROWS: usize = 200;

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
        self.transact("looking for calls that are due", async |link, kind| {
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
                let sql = format!(
                    "SELECT call_key, dialect, CAST(received AS {text}), body FROM collector_events WHERE call_key IN ({})",
                    marks(chunk.len())
                );
                let keys: Vec<Cell> = chunk
                    .iter()
                    .map(|due| Cell::Text(due.call.as_str().to_owned()))
                    .collect();
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
        self.transact("looking for calls that are due", async |link, kind| {
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
            for Settled { call, due, row } in settled {
                let key = Cell::Text(call.as_str().to_owned());
                if let Some(row) = row {
                    let known = link
                        .rows(
                            "SELECT call_key FROM collector_calls WHERE call_key = ? AND written = 1",
                            std::slice::from_ref(&key),
                            1,
                        )
                        .await?;
                    let mut cells = fitting(row.cells(), &widths);
                    let again = if known.is_empty() {
                        0
                    } else {
                        let assignments = COLUMNS
                            .map(|(name, _)| format!("{name} = {}", mark(name, kind)))
                            .join(", ");
                        cells.push(Cell::Text(row.uniqueid.clone()));
                        let sql = format!("UPDATE cdr SET {assignments} WHERE uniqueid = ?");
                        let changed = link.execute(&sql, &cells).await?;
                        cells.pop();
                        changed
                    };
                    if again > 0 {
                        written.again += 1;
                    } else {
                        let marks = COLUMNS.map(|(name, _)| mark(name, kind)).join(", ");
                        let sql = format!("INSERT INTO cdr ({}) VALUES ({marks})", columns());
                        link.execute(&sql, &cells).await?;
                        written.new += 1;
                    }
                    link.execute(
                        "UPDATE collector_calls SET written = 1 WHERE call_key = ?",
                        std::slice::from_ref(&key),
                    )
                    .await?;
                }
                match due {
                    Some(due) => {
                        link.execute(
                            "UPDATE collector_calls SET due = ? WHERE call_key = ?",
                            &[Cell::Number(*due), key],
                        )
                        .await?
                    }
                    None => {
                        link.execute(
                            "UPDATE collector_calls SET due = NULL WHERE call_key = ?",
                            &[key],
                        )
                        .await?
                    }
                };
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
                let marks = marks(chunk.len());
                link.execute(
                    &format!("DELETE FROM collector_events WHERE call_key IN ({marks})"),
                    chunk,
                )
                .await?;
                link.execute(
                    &format!("UPDATE collector_calls SET forgotten = 1 WHERE call_key IN ({marks})"),
                    chunk,
                )
                .await?;
            }
            Ok(calls.len() as u64)
        })
    }

    fn recall(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.transact("reading a position", async |link, _kind| {
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

/// Keeps a chunk of events. What is there is asked for first: there is no other writer, and each database has words of its
/// own for "unless it is there".
async fn append(link: &mut Link, kind: Kind, events: &[Received], due: i64) -> anyhow::Result<u64> {
    let fingerprints: Vec<String> = events.iter().map(|one| one.event.fingerprint()).collect();
    let calls: BTreeSet<&str> = events.iter().map(|one| one.event.call.as_str()).collect();
    let keys: Vec<Cell> = calls
        .iter()
        .map(|call| Cell::Text((*call).to_owned()))
        .collect();
    let pairs: Vec<Cell> = events
        .iter()
        .zip(&fingerprints)
        .flat_map(|(one, fingerprint)| {
            [
                Cell::Text(one.event.call.as_str().to_owned()),
                Cell::Text(fingerprint.clone()),
            ]
        })
        .collect();
    let wanted = vec!["(?, ?)"; events.len()].join(", ");
    let sql = format!(
        "SELECT call_key, fingerprint FROM collector_events WHERE (call_key, fingerprint) IN ({wanted})"
    );
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for row in link.rows(&sql, &pairs, 2).await? {
        if let [Some(call), Some(fingerprint)] = &row[..] {
            known.insert((call.clone(), fingerprint.clone()));
        }
    }
    let sql = format!(
        "SELECT call_key FROM collector_calls WHERE forgotten = 1 AND call_key IN ({})",
        marks(keys.len())
    );
    let forgotten: BTreeSet<String> = link
        .rows(&sql, &keys, 1)
        .await?
        .into_iter()
        .filter_map(|row| row.into_iter().next().flatten())
        .collect();
    let mut cells = Vec::new();
    let mut notes: Vec<(&str, i64)> = Vec::new();
    for (one, fingerprint) in events.iter().zip(fingerprints) {
        let call = one.event.call.as_str();
        if forgotten.contains(call) || !known.insert((call.to_owned(), fingerprint.clone())) {
            continue;
        }
        cells.extend([
            Cell::Text(call.to_owned()),
            Cell::Text(fingerprint),
            Cell::Text(one.event.dialect.as_str().to_owned()),
            Cell::Number(one.at),
            Cell::Text(one.event.body()),
        ]);
        match notes.iter_mut().find(|(known, _)| *known == call) {
            Some((_, last)) => *last = (*last).max(one.at),
            None => notes.push((call, one.at)),
        }
    }
    let new = cells.len() / 5;
    if new == 0 {
        return Ok(0);
    }
    let rows = vec!["(?, ?, ?, ?, ?)"; new].join(", ");
    let sql = format!(
        "INSERT INTO collector_events (call_key, fingerprint, dialect, received, body) VALUES {rows}"
    );
    link.execute(&sql, &cells).await?;
    let rows = vec!["(?, ?, ?, 0, 0)"; notes.len()].join(", ");
    let upsert = match kind {
        Kind::Mysql => {
            "ON DUPLICATE KEY UPDATE last_event = GREATEST(last_event, VALUES(last_event)), due = VALUES(due)"
        }
        Kind::Postgres => {
            "ON CONFLICT (call_key) DO UPDATE SET last_event = GREATEST(collector_calls.last_event, excluded.last_event), due = excluded.due"
        }
    };
    let cells: Vec<Cell> = notes
        .into_iter()
        .flat_map(|(call, last)| {
            [
                Cell::Text(call.to_owned()),
                Cell::Number(last),
                Cell::Number(due),
            ]
        })
        .collect();
    let sql = format!(
        "INSERT INTO collector_calls (call_key, last_event, due, written, forgotten) VALUES {rows} {upsert}"
    );
    link.execute(&sql, &cells).await?;
    Ok(new as u64)
}
