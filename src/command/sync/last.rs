//! Calls that go last: those that got no verdict in several runs must not keep the others waiting.

use tokio::sync::watch;

use super::pipeline::{Pipeline, Way};
use super::slice::Due;
use crate::ledger::LedgerError;

/// Most calls that are put aside: some megabytes. Those beyond are sent in their turn, and none is left out.
const MOST_ASIDE: usize = 5_000;

/// What a run has put aside.
#[derive(Default)]
pub(super) struct Last(Vec<Due>);

impl Last {
    /// Puts stuck calls aside and gives the others.
    pub(super) fn put_aside(&mut self, due: Vec<Due>) -> Vec<Due> {
        let mut now = Vec::with_capacity(due.len());
        for due in due {
            if due.is_stuck() && self.0.len() < MOST_ASIDE {
                self.0.push(due);
            } else {
                now.push(due);
            }
        }
        now
    }

    /// What was put aside, those first that were not tried for longest: a run may not come to the end of them.
    fn in_turn(self) -> Vec<Due> {
        let mut due = self.0;
        due.sort_by_key(Due::last_attempt);
        due
    }
}

impl Pipeline<'_> {
    /// Sends what was put aside, once every other call is back.
    pub(super) async fn send_last(
        &self,
        way: &Way<'_>,
        recorded: &mut watch::Receiver<u64>,
        last: Last,
    ) -> Result<(), LedgerError> {
        if last.0.is_empty() || !self.all_back(way, recorded).await {
            return Ok(());
        }
        self.dispatch(way, recorded, last.in_turn()).await
    }

    /// Waits until every call that is under way is back and on record; `false` where sending ended first.
    pub(super) async fn all_back(
        &self,
        way: &Way<'_>,
        recorded: &mut watch::Receiver<u64>,
    ) -> bool {
        let are_out = || {
            let figures = self.board.figures();
            figures.back < figures.under_way
        };
        if are_out() {
            // Nothing more comes before the answers do: without this word, a refusal might be held back for ever.
            let _ = way.parcels.send(Vec::new()).await;
        }
        while are_out() {
            tokio::select! {
                changed = recorded.changed() => if changed.is_err() { return false },
                () = way.parcels.closed() => return false,
            }
        }
        !way.parcels.is_closed()
    }
}
