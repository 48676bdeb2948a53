//! Calls that are due and that the source does not give any more: never sent, and never passed over in silence.

use std::ops::Range;

use super::pipeline::Pipeline;
use crate::call::{ColumnTime, Identity};
use crate::intake::Batch;
use crate::ledger::{LedgerError, Missing, PendingReason};

/// Calls that are read from the ledger at a time.
const PAGE: usize = 4_096;

impl Pipeline<'_> {
    /// Looks for them among the starts of `range`; `batch` is all that the source holds there.
    ///
    /// A call whose row is gone or left out is marked. One that waits for today's form, and of which nothing is at the CRM,
    /// is withdrawn until there is something to send.
    pub(super) async fn note_missing(
        &self,
        range: Range<ColumnTime>,
        batch: Option<&Batch>,
    ) -> Result<(), LedgerError> {
        let mut after: Option<Identity> = None;
        loop {
            let page = self.ledger.due(range.clone(), after, PAGE).await?;
            let more = page.len() == PAGE;
            after = page.last().map(|entry| entry.identity.clone());
            let mut marks = Vec::new();
            let mut withdrawn = Vec::new();
            for entry in page {
                let Some(missing) = missing(&entry.identity, batch) else {
                    continue;
                };
                let mut figures = self.board.figures();
                if entry.pending == Some(PendingReason::Rebuild) {
                    figures.missing.withdrawn += 1;
                    withdrawn.push(entry.identity);
                    continue;
                }
                match missing {
                    Missing::Nothing => {}
                    Missing::Row => figures.missing.gone += 1,
                    Missing::Selection => figures.missing.left_out += 1,
                }
                if entry.missing != missing {
                    marks.push((entry.identity, missing));
                }
            }
            if !marks.is_empty() {
                self.ledger.record_missing(marks).await?;
            }
            if !withdrawn.is_empty() {
                self.ledger.record_dropped(withdrawn).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Why a due call is not among those of its slice; `None` where it is, or belongs to another window.
fn missing(identity: &Identity, batch: Option<&Batch>) -> Option<Missing> {
    let Some(batch) = batch else {
        return Some(Missing::Row);
    };
    if batch.holds(identity) {
        return None;
    }
    match batch.other(identity) {
        None => Some(Missing::Row),
        Some(other) if other.beyond => None,
        Some(_) => Some(Missing::Selection),
    }
}
