//! Recorded asterCC messages, a line each, taken as if they had just come.

use std::io::{BufRead as _, BufReader, Read};

use serde::Serialize;

use super::assemble::{Assembly, assemble};
use super::astercc;
use super::event::{Event, Received};
use super::store::{BATCH, Settled, Store, StoreError};
use super::writer::Habits;
use crate::source::columns::decode;
use crate::text::{Shown, count};

/// Longest line, in bytes; a longer one is refused as one.
const LONGEST_LINE: u64 = 1024 * 1024;

/// Most lines that are quoted as refused.
const COMPLAINTS: usize = 5;

/// What came of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Told {
    /// Messages that were read.
    pub messages: u64,
    /// Of them, those that were not known yet.
    pub new: u64,
    /// Lines, or messages in them, that are none.
    pub refused: u64,
    /// Rows written for the first time.
    pub rows: u64,
    /// Rows written again.
    pub corrected: u64,
    /// Calls that have not ended; a collector closes them later.
    pub open: u64,
    /// Where the first refused lines stand, and why.
    pub complaints: Vec<String>,
}

impl Told {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} read, {} of them new; {} written, {} corrected, {} not ended\n",
            count(self.messages, "message"),
            self.new,
            count(self.rows, "row"),
            self.corrected,
            count(self.open, "call"),
        );
        for complaint in &self.complaints {
            text.push_str(&format!("  {complaint}\n"));
        }
        text
    }
}

/// Why a recording could not be taken to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read further.
    #[error("the recording cannot be read")]
    Input(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the messages of a recording, and writes the rows of the calls that are over: in a recording no further event is
/// waited for.
///
/// # Errors
/// [`ReplayError`]; what was taken until then is kept, and taking it again changes nothing.
pub fn replay(
    store: &mut dyn Store,
    habits: &Habits,
    input: impl Read,
) -> Result<Told, ReplayError> {
    let mut told = Told::default();
    let mut batch: Vec<Received> = Vec::new();
    let mut input = BufReader::new(input);
    let mut number = 0_u64;
    loop {
        let mut line = Vec::new();
        let read = input
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(ReplayError::Input)?;
        if read == 0 {
            break;
        }
        number += 1;
        for message in astercc::message::in_line(&decode(&line)) {
            match read_message(message) {
                Ok(event) => {
                    told.messages += 1;
                    batch.push(Received {
                        event,
                        at: (habits.now)(),
                    });
                }
                Err(why) => {
                    told.refused += 1;
                    if told.complaints.len() < COMPLAINTS {
                        told.complaints
                            .push(format!("line {number}: {}", Shown(&why)));
                    }
                }
            }
            if batch.len() == BATCH {
                keep(store, habits, &mut batch, &mut told)?;
            }
        }
    }
    keep(store, habits, &mut batch, &mut told)?;
    settle(store, habits, &mut told)?;
    Ok(told)
}

fn read_message(message: &str) -> Result<Event, String> {
    astercc::message::read(message.as_bytes())
        .and_then(astercc::event)
        .map_err(|why| why.to_string())
}

fn keep(
    store: &mut dyn Store,
    habits: &Habits,
    batch: &mut Vec<Received>,
    told: &mut Told,
) -> Result<(), StoreError> {
    if !batch.is_empty() {
        let due = (habits.now)().saturating_add(habits.settings.settle);
        told.new += store.append(batch, due)?;
        batch.clear();
    }
    Ok(())
}

fn settle(store: &mut dyn Store, habits: &Habits, told: &mut Told) -> Result<(), StoreError> {
    // Everything that came until now is due by then.
    let settled_by = (habits.now)().saturating_add(habits.settings.settle);
    loop {
        let due = store.due(settled_by, BATCH)?;
        if due.is_empty() {
            return Ok(());
        }
        let settled: Vec<Settled> = due
            .into_iter()
            .map(|due| {
                let (next, row) = match assemble(&due.events, &habits.settings, settled_by) {
                    Assembly::Wait(until) => (Some(until.max(settled_by.saturating_add(1))), None),
                    Assembly::Row(row) => (None, Some(*row)),
                    Assembly::Nothing => (None, None),
                };
                told.open += u64::from(next.is_some());
                Settled {
                    call: due.call,
                    due: next,
                    row,
                }
            })
            .collect();
        let written = store.settle(&settled)?;
        told.rows += written.new;
        told.corrected += written.again;
    }
}
