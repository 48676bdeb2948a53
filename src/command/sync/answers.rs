//! The recording side: answers go on record, and are counted after that.

use tokio::sync::{mpsc, watch};

use super::pipeline::Pipeline;
use super::slice::Ticket;
use crate::delivery::{Fate, Settled};
use crate::fault;
use crate::ledger::{LedgerError, Recorded, State};
use crate::target::Receipt;

/// Answers that one transaction records at most.
pub(super) const COMMIT: usize = 1024;

impl Pipeline<'_> {
    /// Records answers in batches, each one transaction, and counts them.
    pub(super) async fn record(
        &self,
        mut answers: mpsc::Receiver<Settled<Ticket>>,
        scouts: watch::Sender<u64>,
    ) -> Result<(), LedgerError> {
        let mut block = Vec::with_capacity(COMMIT);
        while answers.recv_many(&mut block, COMMIT).await > 0 {
            fault::moment!("sync.answered");
            let records = block
                .iter()
                .map(|settled| (settled.parcel.ticket.identity.clone(), recorded(settled)))
                .collect();
            self.ledger
                .record_outcomes(self.run, super::now().timestamp(), records)
                .await?;
            fault::moment!("sync.before_count");
            let answered = self.count(&block);
            fault::moment!("sync.counted");
            self.board.answers_done(answered);
            scouts.send_modify(|n| *n += 1);
            block.clear();
        }
        Ok(())
    }

    fn count(&self, block: &[Settled<Ticket>]) -> u64 {
        let mut figures = self.board.figures();
        let before = figures.answered;
        for settled in block {
            let ticket = &settled.parcel.ticket;
            let number = settled.parcel.call.destination.as_str();
            if ticket.scout {
                figures.numbers.scouts_out = figures.numbers.scouts_out.saturating_sub(1);
            }
            match &settled.fate {
                Fate::Delivered(_) => {
                    figures.answered += 1;
                    figures.numbers.matched(number);
                    if receipt(settled).is_some_and(|receipt| receipt.existing) {
                        figures.calls.existing += 1;
                    } else {
                        figures.calls.created += 1;
                    }
                }
                Fate::Unmatched(_) => {
                    figures.answered += 1;
                    figures.numbers.unmatched(number);
                    figures.calls.unmatched += 1;
                }
                Fate::Rejected(_) => {
                    figures.answered += 1;
                    figures.calls.rejected += 1;
                    figures.newly_rejected += u64::from(ticket.before != Some(State::Rejected));
                }
                Fate::Pending(why) => figures.last_trouble = Some(why.clone()),
                Fate::NotAttempted => {}
            }
        }
        figures.answered - before
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
        Fate::Unmatched(_) | Fate::Rejected(_) | Fate::Pending(_) | Fate::NotAttempted => None,
    }
}

fn recorded(settled: &Settled<Ticket>) -> Recorded {
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
        Fate::NotAttempted => Recorded::NotAttempted,
    }
}
