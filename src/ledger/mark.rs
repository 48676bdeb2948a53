//! Marks on calls that are known: what a run finds out about them without an answer.

use rusqlite::Transaction;

use super::entry::{Collision, Missing};
use super::error::Fault;
use super::runs::RunId;
use super::store::Store;
use crate::call::Identity;
use crate::fault;

pub(super) fn still_unmatched(
    store: &mut Store,
    at: i64,
    identities: &[Identity],
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.still_unmatched"), (), |tx, job| {
        let mut statement = tx.prepare_cached(
            "UPDATE calls SET last_attempt = ?6 WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 \
             AND destination = ?5 AND state = 2",
        )?;
        for id in identities {
            statement.execute((job, id.start.0, id.fold.0, id.source.as_str(), id.destination.as_str(), at))?;
        }
        Ok(())
    })
}

pub(super) fn withdrawn(store: &mut Store, identities: &[Identity]) -> Result<(), Fault> {
    store.write(fault::step!("ledger.dropped"), (), |tx, job| {
        let mut statement = tx.prepare_cached(
            "UPDATE calls SET state = 1, reason = NULL, prior_state = 4, prior_reason = 4, drift = 0, missing = 0 \
             WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5 AND state = 4 AND reason = 4",
        )?;
        for id in identities {
            statement.execute((job, id.start.0, id.fold.0, id.source.as_str(), id.destination.as_str()))?;
        }
        Ok(())
    })
}

pub(super) fn drift(store: &mut Store, drift: &[(Identity, bool)]) -> Result<(), Fault> {
    store.write(fault::step!("ledger.drift"), (), |tx, job| {
        let mut statement = tx.prepare_cached(
            "UPDATE calls SET drift = ?6 WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 \
             AND destination = ?5 AND drift <> ?6",
        )?;
        for (id, drifts) in drift {
            statement.execute((job, id.start.0, id.fold.0, id.source.as_str(), id.destination.as_str(), drifts))?;
        }
        Ok(())
    })
}

pub(super) fn missing(store: &mut Store, calls: &[(Identity, Missing)]) -> Result<(), Fault> {
    store.write(fault::step!("ledger.missing"), (), |tx, job| {
        let mut statement = tx.prepare_cached(
            "UPDATE calls SET missing = ?6 WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 \
             AND destination = ?5 AND state IN (4, 5) AND missing <> ?6",
        )?;
        for (id, missing) in calls {
            statement.execute((
                job,
                id.start.0,
                id.fold.0,
                id.source.as_str(),
                id.destination.as_str(),
                missing.code(),
            ))?;
        }
        Ok(())
    })
}

pub(super) fn forget_collisions(store: &mut Store, folded: &[Identity]) -> Result<(), Fault> {
    store.write(fault::step!("ledger.forget_collisions"), (), |tx, job| {
        folded.iter().try_for_each(|id| unfold(tx, job, id))
    })
}

/// A call that goes to the CRM itself is not kept out any more.
pub(super) fn unfold(tx: &Transaction<'_>, job: i64, id: &Identity) -> Result<(), Fault> {
    tx.prepare_cached(
        "DELETE FROM collisions WHERE job = ?1 AND start = ?2 AND fold = ?3 AND source = ?4 AND destination = ?5",
    )?
    .execute((
        job,
        id.start.0,
        id.fold.0,
        id.source.as_str(),
        id.destination.as_str(),
    ))?;
    Ok(())
}

pub(super) fn collisions(
    store: &mut Store,
    run: RunId,
    collisions: &[Collision],
) -> Result<(), Fault> {
    store.write(fault::step!("ledger.collisions"), (), |tx, job| {
        let mut statement = tx.prepare_cached(
            "INSERT INTO collisions (job, start, fold, source, destination, owner_start, owner_fold, owner_source, \
             owner_destination, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT DO UPDATE SET owner_start = ?6, owner_fold = ?7, owner_source = ?8, owner_destination = ?9 \
             WHERE (owner_start, owner_fold, owner_source, owner_destination) <> (?6, ?7, ?8, ?9)",
        )?;
        for Collision { folded, owner } in collisions {
            statement.execute((
                job,
                folded.start.0,
                folded.fold.0,
                folded.source.as_str(),
                folded.destination.as_str(),
                owner.start.0,
                owner.fold.0,
                owner.source.as_str(),
                owner.destination.as_str(),
                run.0,
            ))?;
        }
        Ok(())
    })
}
