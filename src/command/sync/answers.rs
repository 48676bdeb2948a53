//! The recording side: answers go on record, and are counted after that.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::board::Figures;
use super::pipeline::Pipeline;
use super::slice::Ticket;
use crate::call::Identity;
use crate::delivery::suspicion::IDS_KEPT;
use crate::delivery::{Fate, Settled};
use crate::fault;
use crate::ledger::{LedgerError, Recorded, STUCK_AFTER, State};
use crate::target::Receipt;

/// Answers that one transaction records at most.
pub(super) const COMMIT: usize = 4096;

/// How long the first answer of a block waits for others: a commit costs as much for a thousand as for one. What a kill
/// in that time takes with it was in flight, as far as the ledger knows.
const GATHER: Duration = Duration::from_millis(10);

/// The calls that this run was told are created, the latest ones, by the CRM's id: as many as the engine judges by.
#[derive(Debug, Default)]
struct Created(VecDeque<(i64, Identity, Counted)>);

/// Under which figure a delivery was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Created,
    Existing,
}

impl Created {
    fn note(&mut self, settled: &Settled<Ticket>) {
        let Fate::Delivered(said) = &settled.fate else {
            return;
        };
        if let Some(id) = said.call_id.filter(|_| !said.existing) {
            if self.0.len() == IDS_KEPT {
                self.0.pop_front();
            }
            let counted = counted(settled);
            let identity = settled.parcel.ticket.identity.clone();
            self.0.push_back((id, identity, counted));
        }
    }

    /// Takes out the calls that have this id.
    fn take(&mut self, wanted: i64) -> Vec<(Identity, Counted)> {
        let (taken, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(id, _, _)| *id == wanted);
        self.0 = kept;
        let taken: VecDeque<_> = taken;
        taken
            .into_iter()
            .map(|(_, identity, counted)| (identity, counted))
            .collect()
    }
}

impl Pipeline<'_> {
    /// Records answers in batches, each one transaction, and counts them.
    pub(super) async fn record(
        &self,
        mut answers: mpsc::Receiver<Settled<Ticket>>,
        recorded: watch::Sender<u64>,
    ) -> Result<(), LedgerError> {
        let mut block = Vec::with_capacity(COMMIT);
        let mut created = Created::default();
        while gather(&mut answers, &mut block).await > 0 {
            fault::moment!("sync.answered");
            let mut records = Vec::with_capacity(block.len());
            let mut doubted = Vec::new();
            for settled in &block {
                records.push((settled.parcel.ticket.identity.clone(), record(settled)));
                created.note(settled);
                if let Fate::Disbelieved { call_id, reason } = &settled.fate {
                    for (identity, counted) in created.take(*call_id) {
                        let reason = reason.clone();
                        records.push((identity, Recorded::Doubted { reason }));
                        doubted.push(counted);
                    }
                }
            }
            self.ledger
                .record_outcomes(self.run, super::now().timestamp(), records)
                .await?;
            fault::moment!("sync.before_count");
            let answered = self.count(&block, &doubted);
            fault::moment!("sync.counted");
            self.board.answers_done(answered);
            recorded.send_modify(|n| *n += 1);
            block.clear();
        }
        Ok(())
    }

    /// Gives by how many calls more have an answer than before.
    fn count(&self, block: &[Settled<Ticket>], doubted: &[Counted]) -> u64 {
        let mut figures = self.board.figures();
        let before = figures.answered;
        for settled in block {
            figures.count(settled);
        }
        for counted in doubted {
            figures.answered -= 1;
            match counted {
                Counted::Created => figures.calls.created -= 1,
                Counted::Existing => figures.calls.existing -= 1,
            }
        }
        figures.answered.saturating_sub(before)
    }
}

/// Fills a block: as many answers as come within [`GATHER`] of the first one, at most [`COMMIT`]. Gives how many; 0 where
/// none will come any more.
async fn gather(
    answers: &mut mpsc::Receiver<Settled<Ticket>>,
    block: &mut Vec<Settled<Ticket>>,
) -> usize {
    if answers.recv_many(block, COMMIT).await == 0 {
        return 0;
    }
    let until = Instant::now() + GATHER;
    while block.len() < COMMIT {
        let room = COMMIT - block.len();
        match timeout_at(until, answers.recv_many(block, room)).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    block.len()
}

impl Figures {
    /// Counts one call that came back.
    fn count(&mut self, settled: &Settled<Ticket>) {
        let ticket = &settled.parcel.ticket;
        let number = settled.parcel.call.destination.as_str();
        self.back += 1;
        if ticket.scout {
            self.numbers.scouts_out = self.numbers.scouts_out.saturating_sub(1);
        }
        let was_stuck = ticket.unanswered >= STUCK_AFTER;
        let mut is_stuck = false;
        match &settled.fate {
            Fate::Delivered(_) => {
                self.answered += 1;
                self.numbers.matched(number);
                match counted(settled) {
                    Counted::Created => self.calls.created += 1,
                    Counted::Existing => self.calls.existing += 1,
                }
            }
            Fate::Unmatched(_) => {
                self.answered += 1;
                self.numbers.unmatched(number);
                self.calls.unmatched += 1;
            }
            Fate::Rejected(_) => {
                self.answered += 1;
                self.calls.rejected += 1;
                self.newly_rejected += u64::from(ticket.before != Some(State::Rejected));
            }
            Fate::Pending(why) => {
                self.last_trouble = Some(why.clone());
                is_stuck = ticket.unanswered + 1 >= STUCK_AFTER;
            }
            Fate::Held(why) => {
                self.answered += 1;
                self.calls.held += 1;
                self.last_trouble = Some(why.clone());
            }
            Fate::Disbelieved { reason, .. } => self.last_trouble = Some(reason.clone()),
            Fate::NotAttempted => is_stuck = was_stuck,
        }
        self.stuck += u64::from(is_stuck);
        self.stuck -= u64::from(was_stuck);
    }
}

fn counted(settled: &Settled<Ticket>) -> Counted {
    if receipt(settled).is_some_and(|receipt| receipt.existing) {
        Counted::Existing
    } else {
        Counted::Created
    }
}

/// The receipt of a delivered call. One that comes with the id the ledger has for this very call was there before,
/// whatever words the CRM found for it.
fn receipt(settled: &Settled<Ticket>) -> Option<Receipt> {
    match &settled.fate {
        Fate::Delivered(receipt) => {
            let known = settled.parcel.ticket.known_id;
            let mut receipt = receipt.clone();
            receipt.existing |= known.is_some() && known == receipt.call_id;
            Some(receipt)
        }
        Fate::Unmatched(_)
        | Fate::Rejected(_)
        | Fate::Pending(_)
        | Fate::Held(_)
        | Fate::Disbelieved { .. }
        | Fate::NotAttempted => None,
    }
}

fn record(settled: &Settled<Ticket>) -> Recorded {
    match &settled.fate {
        Fate::Delivered(plain) => {
            Recorded::Delivered(receipt(settled).unwrap_or_else(|| plain.clone()))
        }
        Fate::Unmatched(reason) => Recorded::Unmatched {
            reason: reason.clone(),
        },
        Fate::Rejected(reason) => Recorded::Rejected {
            reason: reason.clone(),
        },
        Fate::Pending(reason) => Recorded::Pending {
            reason: reason.clone(),
        },
        Fate::Held(reason) => Recorded::Held {
            reason: reason.clone(),
        },
        Fate::Disbelieved { reason, .. } => Recorded::Doubted {
            reason: reason.clone(),
        },
        Fate::NotAttempted => Recorded::NotAttempted,
    }
}
