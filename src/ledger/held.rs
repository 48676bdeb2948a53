//! Calls whose outcome nobody knows, on a CRM without keys: put aside, and settled by a person.

use super::error::Fault;
use super::runs::RunId;
use super::store::Store;
use crate::call::Identity;
use crate::fault;

/// What a person found out about a held call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldDecision {
    /// The CRM has not acted upon it: due again, with the same bytes.
    Resend,
    /// The CRM has acted upon it.
    Delivered,
}

/// What stands in the attempts of a call that a killed run left behind.
const KILLED: &str = "the run was killed before an answer was on record";

pub(super) fn hold_in_flight(store: &mut Store, run: RunId, at: i64) -> Result<u64, Fault> {
    store.write(fault::step!("ledger.outcomes"), 0, |tx, job| {
        tx.prepare_cached(
            "INSERT INTO attempts (call, run, at, outcome, words) \
             SELECT id, ?2, ?3, 'no_verdict', ?4 FROM calls INDEXED BY calls_unsettled \
             WHERE job = ?1 AND state NOT IN (0, 1) AND state = 5",
        )?
        .execute((job, run.0, at, KILLED))?;
        let held = tx
            .prepare_cached(
                "UPDATE calls INDEXED BY calls_unsettled \
                 SET state = 6, prior_state = NULL, prior_reason = NULL, last_attempt = ?2 \
                 WHERE job = ?1 AND state NOT IN (0, 1) AND state = 5",
            )?
            .execute((job, at))?;
        Ok(held as u64)
    })
}

pub(super) fn settle(
    store: &mut Store,
    at: i64,
    identities: &[Identity],
    decision: HeldDecision,
) -> Result<u64, Fault> {
    // Due again as *new*: what was tried before is no reason to send it last.
    let (state, reason, outcome, words) = match decision {
        HeldDecision::Resend => (4, Some(0), "no_verdict", "a person had it sent again"),
        HeldDecision::Delivered => (0, None, "existing", "a person found it at the CRM"),
    };
    store.write(fault::step!("ledger.outcomes"), 0, |tx, job| {
        let mut changed = 0;
        for id in identities {
            let key = (
                id.start.0,
                id.fold.0,
                id.source.as_str(),
                id.destination.as_str(),
            );
            // Run 0: no run did it.
            let told = tx
                .prepare_cached(
                    "INSERT INTO attempts (call, run, at, outcome, words) SELECT id, 0, ?6, ?7, ?8 FROM calls \
                     WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5 AND state = 6",
                )?
                .execute((job, key.0, key.1, key.2, key.3, at, outcome, words))?;
            if told == 0 {
                continue;
            }
            tx.prepare_cached(
                "UPDATE calls SET state = ?6, reason = ?7, existing = (?6 = 0) \
                 WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5 AND state = 6",
            )?
            .execute((job, key.0, key.1, key.2, key.3, state, reason))?;
            changed += 1;
        }
        Ok(changed)
    })
}
