//! What a deletion means to calls that were told while they happened: a job of their own in the ledger, and no rows.

use super::Affected;
use crate::agi;
use crate::command::now;
use crate::ledger::{DeletionId, Ledger, LedgerError};
use crate::target::Deletion;

/// Their part of a deletion that is about to be asked for.
pub(in crate::command) struct ToldDeletion {
    job: String,
    /// `None`: no call was ever told.
    id: Option<DeletionId>,
}

impl ToldDeletion {
    /// Makes due, or withdraws, what the deletion may take along of them; `job` is the replication's. The request may leave
    /// only after this has returned.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub(in crate::command) async fn begin(
        ledger: &Ledger,
        job: &str,
        affected: &Affected,
        at: i64,
    ) -> Result<Self, LedgerError> {
        let job = agi::job(job);
        let begun = ledger
            .begin_deletion_of(job.clone(), affected.plan_of_told(at))
            .await?;
        Ok(Self {
            job,
            id: begun.map(|begun| begun.id),
        })
    }

    /// Records how it ended.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub(in crate::command) async fn finish(
        self,
        ledger: &Ledger,
        deletion: &Deletion,
    ) -> Result<(), LedgerError> {
        let Some(id) = self.id else { return Ok(()) };
        let at = now().timestamp();
        ledger
            .finish_deletion_of(self.job, id, at, deletion.clone())
            .await
    }
}
