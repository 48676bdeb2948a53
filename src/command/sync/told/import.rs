//! Taking up: from the files into the ledger.

use std::path::PathBuf;

use super::{PAGE, Taking, unusable};
use crate::agi::spool::{Record, Spool, Standing, ToldCall};
use crate::call::{ColumnTime, Disposition, Fold, Identity, Origin, RawNumber};
use crate::command::now;
use crate::ledger::{Filter, Intent, Ledger, LedgerError, Listed, Recorded, RunId, State, Wires};
use crate::report::Agi;
use crate::report::exit::Exit;
use crate::target::Keying;
use crate::text::Shown;

/// What stands in the attempts of a call whose teller was killed.
const KILLED: &str = "it was told by a program that was killed before an answer was on record";

impl Taking<'_> {
    /// Brings files into the ledger, and removes them after that.
    pub(super) async fn import(
        &self,
        spool: &Spool,
        files: &[PathBuf],
        ledger: &Ledger,
        run: RunId,
        report: &mut Agi,
    ) -> Result<(), Exit> {
        let mut records: Vec<Record> = Vec::new();
        let mut intents: Vec<Intent> = Vec::new();
        let mut outcomes = Vec::new();
        for file in files {
            let record = match spool.take(file) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    let file = file.display().to_string();
                    tracing::error!(
                        "a call that was told cannot be taken up: {}: {error}",
                        Shown(&file)
                    );
                    report.unreadable += 1;
                    continue;
                }
            };
            if let Some((told, standing)) = record.told() {
                let recorded = recorded(standing.clone(), self.crm.keying());
                match known(ledger, told).await? {
                    // A run was killed after it had taken it up.
                    Some(known) if known.state == State::InFlight => {
                        outcomes.push((known.identity, recorded));
                    }
                    Some(_) => {}
                    None => {
                        let intent = intent(ledger, told, &intents).await?;
                        outcomes.push((intent.identity.clone(), recorded));
                        intents.push(intent);
                    }
                }
            }
            records.push(record);
        }
        report.taken_up += outcomes.len() as u64;
        if !intents.is_empty() {
            ledger.record_intents(run, intents).await?;
        }
        if !outcomes.is_empty() {
            ledger
                .record_outcomes(run, now().timestamp(), outcomes)
                .await?;
        }
        for record in records {
            record.remove().map_err(unusable)?;
        }
        Ok(())
    }
}

/// What the ledger holds of this channel and caller.
async fn known(ledger: &Ledger, told: &ToldCall) -> Result<Option<Listed>, LedgerError> {
    let filter = Filter {
        since: Some(ColumnTime(told.start)),
        until: Some(ColumnTime(told.start.saturating_add(1))),
        uniqueid: Some(told.uniqueid.clone()),
        ..Filter::default()
    };
    let found = ledger.list(filter, None, PAGE).await?;
    Ok(found
        .into_iter()
        .find(|known| known.identity.source.as_str() == told.source))
}

/// The intent of a call that the ledger does not know. Of several channels with one second and both numbers, each gets a
/// fold of its own.
async fn intent(
    ledger: &Ledger,
    told: &ToldCall,
    others: &[Intent],
) -> Result<Intent, LedgerError> {
    let start = ColumnTime(told.start);
    let second = start..ColumnTime(told.start.saturating_add(1));
    let entries = ledger.entries(second, Wires::Due, None, usize::MAX).await?;
    let mut identity = Identity {
        start,
        fold: Fold(0),
        source: RawNumber(told.source.clone()),
        destination: RawNumber(told.destination.clone()),
    };
    let is_taken = |identity: &Identity| {
        entries.iter().any(|entry| entry.identity == *identity)
            || others.iter().any(|intent| intent.identity == *identity)
    };
    while is_taken(&identity) && identity.fold.0 < u8::MAX {
        identity.fold.0 += 1;
    }
    Ok(Intent {
        identity,
        wire: Some(told.wire.clone()),
        instant: told.start,
        origin: Origin {
            uniqueid: Some(told.uniqueid.clone()),
            linkedid: None,
            sequence: None,
        },
        disposition: Disposition::Other(String::new()),
    })
}

/// What the ledger is told of a call that was told.
fn recorded(standing: Standing, keying: Keying) -> Recorded {
    match standing {
        Standing::Asked if keying.holds_unknown() => Recorded::Held {
            reason: KILLED.to_owned(),
        },
        Standing::Asked => Recorded::Pending {
            reason: KILLED.to_owned(),
        },
        Standing::Delivered(receipt) => Recorded::Delivered(receipt),
        Standing::Unmatched(reason) => Recorded::Unmatched { reason },
        Standing::Rejected(reason) => Recorded::Rejected { reason },
        Standing::Pending(reason) => Recorded::Pending { reason },
        Standing::Held(reason) => Recorded::Held { reason },
    }
}
