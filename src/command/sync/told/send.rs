//! Sending what was told and is still due, without a row.

use tokio::sync::mpsc;

use super::{PAGE, Taking};
use crate::call::{ColumnTime, Disposition, Identity, Origin};
use crate::command::now;
use crate::command::sync::pass::{bounds, plan_context};
use crate::delivery::{self, Ending, Fate, Parcel, Settled};
use crate::ledger::{Action, Entry, Intent, Ledger, Recorded, RunId, Wires, plan};
use crate::report::Agi;
use crate::report::exit::Exit;
use crate::target::Keying;

impl Taking<'_> {
    /// Sends what is due, some at a time, each of them on record before. Gives how it ended, and what the last attempt without
    /// a verdict ran into.
    pub(super) async fn send(
        &self,
        ledger: &Ledger,
        run: RunId,
        begun: i64,
        report: &mut Agi,
    ) -> Result<(Ending, Option<String>), Exit> {
        let context = plan_context(self.config, self.full, false, begun);
        let page = match self.crm.keying() {
            Keying::Keyed => PAGE,
            Keying::Keyless { .. } => self.config.target.concurrency,
        };
        let mut trouble = None;
        let mut after: Option<Identity> = None;
        loop {
            let range = ColumnTime(0)..ColumnTime(i64::MAX);
            let entries = ledger.entries(range, Wires::Due, after, PAGE).await?;
            let last = entries.len() < PAGE;
            after = entries.last().map(|entry| entry.identity.clone());
            let due: Vec<Entry> = entries
                .into_iter()
                .filter(|entry| {
                    let today = Some(entry.content_hash);
                    let action = plan(Some(entry.standing()), today, &context).action;
                    matches!(action, Action::Resend | Action::Recheck)
                })
                .collect();
            for some in due.chunks(page) {
                match self
                    .deliver(ledger, run, some, report, &mut trouble)
                    .await?
                {
                    Ending::Done => {}
                    ended => return Ok((ended, trouble)),
                }
            }
            if last {
                return Ok((Ending::Done, trouble));
            }
        }
    }

    async fn deliver(
        &self,
        ledger: &Ledger,
        run: RunId,
        due: &[Entry],
        report: &mut Agi,
        trouble: &mut Option<String>,
    ) -> Result<Ending, Exit> {
        let mut intents = Vec::new();
        let mut parcels = Vec::new();
        for entry in due {
            let Some(wire) = &entry.wire else { continue };
            intents.push(Intent {
                identity: entry.identity.clone(),
                wire: None,
                instant: entry.identity.start.0,
                origin: Origin::default(),
                disposition: Disposition::Other(String::new()),
            });
            parcels.push(Parcel {
                ticket: entry.identity.clone(),
                call: wire.clone(),
            });
        }
        ledger.record_intents(run, intents).await?;
        let proven = ledger.any_delivered().await?;
        let limits = bounds(self.config, self.deadline, proven, Vec::new());
        let (sender, incoming) = mpsc::channel(1);
        let (settled, mut answers) = mpsc::channel(PAGE);
        let hand_over = async move {
            // Whoever does not take it gives nothing back.
            let _ = sender.send(parcels).await;
        };
        let record = async {
            let mut outcomes = Vec::new();
            while let Some(back) = answers.recv().await {
                outcomes.push(back);
            }
            outcomes
        };
        let (summary, (), back) = tokio::join!(
            delivery::deliver(
                self.crm,
                limits,
                incoming,
                settled,
                self.context.stop.clone()
            ),
            hand_over,
            record
        );
        for settled in &back {
            if let Fate::Pending(why) | Fate::Held(why) = &settled.fate {
                *trouble = Some(why.clone());
            }
        }
        let outcomes = back.into_iter().map(|back| settle(back, report)).collect();
        ledger
            .record_outcomes(run, now().timestamp(), outcomes)
            .await?;
        report.sent += summary.sent;
        Ok(summary.ending)
    }
}

/// Counts an answer, and gives what goes on record.
fn settle(back: Settled<Identity>, report: &mut Agi) -> (Identity, Recorded) {
    let recorded = match back.fate {
        Fate::Delivered(receipt) => {
            report.delivered += 1;
            Recorded::Delivered(receipt)
        }
        Fate::Unmatched(reason) => {
            report.unmatched += 1;
            Recorded::Unmatched { reason }
        }
        Fate::Rejected(reason) => {
            report.rejected += 1;
            Recorded::Rejected { reason }
        }
        Fate::Pending(reason) => Recorded::Pending { reason },
        Fate::Held(reason) => Recorded::Held { reason },
        Fate::Disbelieved { reason, .. } => Recorded::Pending { reason },
        Fate::NotAttempted => Recorded::NotAttempted,
    };
    (back.parcel.ticket, recorded)
}
