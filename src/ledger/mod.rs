//! The ledger: what became of every call, one SQLite file.
//!
//! It is a record and an accelerator; the PBX's table stays the truth, and losing the ledger loses no call. Before a
//! request leaves its intent is here, durably, with the bytes that it will carry for ever; before an answer is counted
//! it is here too. One thread of its own works on the file, in blocks of thousands of rows; the methods of [`Ledger`]
//! send it work and wait without blocking. [`plan`](plan()) decides about a call and does no I/O.
//!
//! The tables are explained where they are made: `migrations/0001_ledger.sql`. The ledger never sends anything, never
//! reads the source, and holds no secret.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

mod deletion;
mod entry;
mod error;
mod figures;
mod file;
mod find;
mod folded;
mod header;
mod held;
mod integrity;
mod lateness;
mod list;
mod lock;
mod mark;
mod numbers;
mod place;
mod plan;
mod purge;
mod questions;
mod read;
mod record;
mod runs;
mod schema;
mod selection;
mod store;
mod stretches;
mod survey;
mod watch;

pub use deletion::{Begun, DeletionId, DeletionPlan, Purpose, Stage, UnfinishedDeletion};
pub use entry::{
    Collision, Entry, Intent, Missing, PendingReason, Recorded, STUCK_AFTER, Standing, State, Wires,
};
pub use error::LedgerError;
pub use figures::Totals;
pub use file::{Accepted, init_ledger};
pub use find::{Filter, Listed, NumberFilter};
pub use header::APPLICATION_ID;
pub use held::HeldDecision;
pub use lateness::Lateness;
pub use list::{Attempt, Counts};
pub use lock::{LedgerLock, LockState, lock_path};
pub use numbers::{NumberUse, Party, UnmatchedExample, UnmatchedNumber, UnmatchedNumbers};
pub use plan::{Action, Decision, PlanContext, plan};
pub use purge::Doomed;
pub use record::WORDS;
pub use runs::{Run, RunId, RunRecord, RunStart};
pub use selection::Selection;
pub use store::Access;
pub use stretches::{OnRecord, Stretch};
pub use survey::{Besides, Surveyed, SurveyedForm, Surveyor};

use chrono::NaiveDate;

use crate::call::{ColumnTime, Identity, WireForm};
use crate::target;
use store::{Door, Store};

/// A handle on an open ledger, for one job. Clones share the one thread, which ends with [`Ledger::close`] or with the
/// last of them.
///
/// Every method fails with a [`LedgerError`]: mostly [`LedgerError::Unusable`], after which nothing more may be sent.
/// A block handed in is one transaction, recorded wholly or not at all.
#[derive(Debug, Clone)]
pub struct Ledger {
    door: Door,
    path: Arc<Path>,
}

/// What opening came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// There was no ledger, and never had been one: a new one was made.
    pub created: bool,
}

impl Ledger {
    /// Opens the ledger at `path` for one `job`. For [`Access::ReadWrite`] the caller holds the [`LedgerLock`]; the very
    /// first run creates the file. `now` (Unix seconds) is noted as its date of birth.
    ///
    /// # Errors
    /// [`LedgerError::Missing`] where there was a ledger and none is left; [`LedgerError::Unusable`] where there is a
    /// file that cannot or must not be used. It is left untouched.
    pub async fn open(
        path: &Path,
        job: &str,
        access: Access,
        now: i64,
    ) -> Result<(Self, Opened), LedgerError> {
        let (door, created) = Door::open(path, job, access, now).await?;
        Ok((
            Self {
                door,
                path: path.into(),
            },
            Opened { created },
        ))
    }

    /// The ledger's file, as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the log into the file and closes it. Other handles fail from then on.
    ///
    /// # Errors
    /// [`LedgerError`], also where the file was removed since the last commit.
    pub async fn close(self) -> Result<(), LedgerError> {
        self.door.close().await
    }

    /// Records that these calls are about to be sent, and freezes the bytes of those that are new or to be rebuilt. No
    /// request may leave before this has returned.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Internal`] where an intent carries other bytes than are frozen.
    pub async fn record_intents(
        &self,
        run: RunId,
        intents: Vec<Intent>,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| record::intents(store, run, &intents))
            .await
    }

    /// Records how intents ended, at `at` (Unix seconds). Nothing may be counted or printed before this has returned.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Internal`] for an outcome without an intent.
    pub async fn record_outcomes(
        &self,
        run: RunId,
        at: i64,
        outcomes: Vec<(Identity, Recorded)>,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| record::outcomes(store, run, at, &outcomes))
            .await
    }

    /// Records that the number of these unmatched calls was asked about with another call at `at`, in vain: they rest
    /// as long as that one. No attempt is counted.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn record_still_unmatched(
        &self,
        at: i64,
        followers: Vec<Identity>,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| mark::still_unmatched(store, at, &followers))
            .await
    }

    /// Records that there is nothing to send in the place of these calls, which are pending to be rebuilt: they become
    /// withdrawn until there is something. Calls in any other state stay as they are.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn record_dropped(&self, identities: Vec<Identity>) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| mark::withdrawn(store, &identities))
            .await
    }

    /// Sets or clears the mark of calls that are due and cannot be sent. Those that have it as given already cost no
    /// write; an intent clears it.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn record_missing(&self, calls: Vec<(Identity, Missing)>) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| mark::missing(store, &calls))
            .await
    }

    /// Sets or clears the drift mark of known calls. Those that have it as given already cost no write.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn record_drift(&self, drift: Vec<(Identity, bool)>) -> Result<(), LedgerError> {
        self.door.ask(move |store| mark::drift(store, &drift)).await
    }

    /// Records identities that were folded into the owner of their wire key. Known ones cost no write.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn record_collisions(
        &self,
        run: RunId,
        collisions: Vec<Collision>,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| mark::collisions(store, run, &collisions))
            .await
    }

    /// Removes the record that these identities were folded. The intent of a call that goes out itself does so, too.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn forget_collisions(&self, folded: Vec<Identity>) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| mark::forget_collisions(store, &folded))
            .await
    }

    /// Holds every call that a killed run left in flight: on a CRM without keys nobody knows what became of it. Gives how
    /// many. No other run may be under way.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn hold_in_flight(&self, run: RunId, at: i64) -> Result<u64, LedgerError> {
        self.door
            .ask(move |store| held::hold_in_flight(store, run, at))
            .await
    }

    /// Records what a person decided about calls; those that are not held stay as they are. Gives how many were.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn settle_held(
        &self,
        at: i64,
        identities: Vec<Identity>,
        decision: HeldDecision,
    ) -> Result<u64, LedgerError> {
        self.door
            .ask(move |store| held::settle(store, at, &identities, decision))
            .await
    }

    /// Records that a run begins.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn start_run(&self, run: RunStart) -> Result<RunId, LedgerError> {
        self.door.ask(move |store| runs::start(store, &run)).await
    }

    /// Records how a run ended.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn finish_run(&self, run: RunId, record: RunRecord) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| runs::finish(store, run, &record))
            .await
    }

    /// The latest runs, the last one first.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn runs(&self, limit: usize) -> Result<Vec<Run>, LedgerError> {
        self.door.ask(move |store| runs::latest(store, limit)).await
    }

    /// The latest run that ended with 0 or 3, of one mode or of any but `rebuild`, which looks at a few days only.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn last_success(&self, mode: Option<&str>) -> Result<Option<Run>, LedgerError> {
        let mode = mode.map(str::to_owned);
        self.door
            .ask(move |store| runs::last_success(store, mode.as_deref()))
            .await
    }

    /// The last run of each mode that ended, by its number.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn last_of_each_mode(&self) -> Result<Vec<Run>, LedgerError> {
        self.door
            .ask(|store| figures::last_of_each_mode(store))
            .await
    }

    /// Runs of one mode that began at `since` (Unix seconds) or later and ended, the last one first.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn runs_begun_since(&self, mode: &str, since: i64) -> Result<Vec<Run>, LedgerError> {
        let mode = mode.to_owned();
        self.door
            .ask(move |store| figures::begun_since(store, &mode, since))
            .await
    }

    /// Since when the job could have had its first success, Unix seconds: its first run, else the birth of the ledger;
    /// `None` where there never was one.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn born(&self) -> Result<Option<i64>, LedgerError> {
        self.door.ask(|store| figures::born(store)).await
    }

    /// The requests of all runs that ever were on record, purged ones too.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn totals(&self) -> Result<Totals, LedgerError> {
        self.door.ask(|store| figures::totals(store)).await
    }

    /// How many calls are in which state.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn counts(&self) -> Result<Counts, LedgerError> {
        self.door.ask(|store| list::counts(store)).await
    }

    /// Calls that pass the filter, ordered by identity, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<Listed>, LedgerError> {
        self.door
            .ask(move |store| find::list(store, &filter, after.as_ref(), limit))
            .await
    }

    /// The attempts of one call that are on record, in order: all but a delivery at the first try.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn attempts(&self, identity: Identity) -> Result<Vec<Attempt>, LedgerError> {
        self.door
            .ask(move |store| list::attempts(store, &identity))
            .await
    }

    /// Identities folded into another one for their wire key, ordered, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn collisions(
        &self,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<Collision>, LedgerError> {
        self.door
            .ask(move |store| list::collisions(store, after.as_ref(), limit))
            .await
    }

    /// The call behind which exactly `n` calls pass the filter: where a list of the latest `n` begins. `None`: there are no
    /// more than that.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn before_last(
        &self,
        filter: Filter,
        n: usize,
    ) -> Result<Option<Identity>, LedgerError> {
        self.door
            .ask(move |store| find::before_last(store, &filter, n))
            .await
    }

    /// The latest `n` calls that pass the filter, in order, and whether there are more.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn latest(
        &self,
        filter: Filter,
        n: usize,
    ) -> Result<(Vec<Listed>, bool), LedgerError> {
        self.door
            .ask(move |store| find::latest(store, &filter, n))
            .await
    }

    /// One call, where the ledger knows it.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn call(&self, identity: Identity) -> Result<Option<Listed>, LedgerError> {
        self.door
            .ask(move |store| find::one(store, &identity))
            .await
    }

    /// The calls that were frozen with the wire key of this form, in order.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn by_key(&self, form: WireForm) -> Result<Vec<Identity>, LedgerError> {
        self.door.ask(move |store| find::by_key(store, &form)).await
    }

    /// The collisions on record in which this identity was folded, or owns the key.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn collisions_of(&self, identity: Identity) -> Result<Vec<Collision>, LedgerError> {
        self.door
            .ask(move |store| find::collisions_of(store, &identity))
            .await
    }

    /// Start of the first and of the last call on record as drifting, Unix seconds.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn drift_span(&self) -> Result<Option<(i64, i64)>, LedgerError> {
        self.door.ask(|store| find::drift_span(store)).await
    }

    /// Numbers that no contact has, of calls that start in these instants (Unix seconds): the `limit` with the most calls,
    /// those first.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn unmatched_numbers(
        &self,
        instants: Range<i64>,
        limit: usize,
    ) -> Result<UnmatchedNumbers, LedgerError> {
        self.door
            .ask(move |store| numbers::unmatched(store, &instants, limit))
            .await
    }

    /// Tells `seen` each raw number of the calls that start in these instants (Unix seconds), with each form that it was
    /// sent in, ordered by both; gives `seen` back. It works on the ledger's thread, and memory holds one number at a time.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn number_uses<T: Send + 'static>(
        &self,
        party: Party,
        instants: Range<i64>,
        mut state: T,
        seen: impl Fn(&mut T, NumberUse<'_>) + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.door
            .ask(move |store| {
                numbers::uses(store, party, &instants, |one| seen(&mut state, one))?;
                Ok(state)
            })
            .await
    }

    /// Records a deletion and makes due, or withdraws, what it may delete: one transaction. The request may leave only
    /// after this has returned.
    ///
    /// Delivered calls of `main` become pending (*deleted*) or withdrawn, those of `around` alone pending (*verify*).
    /// Unmatched and rejected ones stay; a rebuild takes them up once the deletion is confirmed. For
    /// [`Purpose::Withdraw`], calls of `main` that are pending or in flight are withdrawn too.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn begin_deletion(&self, plan: DeletionPlan) -> Result<Begun, LedgerError> {
        self.door
            .ask(move |store| deletion::begin(store, &plan))
            .await
    }

    /// As [`Self::begin_deletion`], for the calls of another `job` of this ledger; `None` where it has none of that name.
    /// Deletions of it that were interrupted are given up.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn begin_deletion_of(
        &self,
        job: String,
        plan: DeletionPlan,
    ) -> Result<Option<Begun>, LedgerError> {
        self.door
            .ask(move |store| store.as_job(&job, |store| deletion::begin_anew(store, &plan)))
            .await
    }

    /// As [`Self::finish_deletion`], for one that [`Self::begin_deletion_of`] began.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Internal`] for a deletion that is not open.
    pub async fn finish_deletion_of(
        &self,
        job: String,
        id: DeletionId,
        at: i64,
        result: target::Deletion,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| store.as_job(&job, |store| deletion::finish(store, id, at, &result)))
            .await?;
        Ok(())
    }

    /// Records that a rebuild that the CRM has not confirmed is about to be asked for again: what it may delete is made
    /// due once more, as the calls are now. The request may leave only after this has returned.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Internal`] for a deletion that is not open, or is confirmed.
    pub async fn repeat_deletion(
        &self,
        id: DeletionId,
        plan: DeletionPlan,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| deletion::repeat(store, id, &plan))
            .await
    }

    /// Records how a deletion ended, at `at` (Unix seconds). Where nothing was deleted, every call that is still as the
    /// deletion left it goes back to its former state; where nobody knows, all stays due.
    ///
    /// A rebuild stays open, but where nothing was deleted: to be asked for again where nobody knows, to be sent where it
    /// is confirmed, or refused after it may have been done. Open rebuilds whose days this deletion covers are not asked
    /// for again.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Internal`] for a deletion that is not open.
    pub async fn finish_deletion(
        &self,
        id: DeletionId,
        at: i64,
        result: target::Deletion,
    ) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| deletion::finish(store, id, at, &result))
            .await
    }

    /// Closes a rebuild whose calls were all sent again. One that the CRM has not confirmed stays open.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn close_rebuild(&self, id: DeletionId, at: i64) -> Result<(), LedgerError> {
        self.door
            .ask(move |store| deletion::close_rebuild(store, id, at))
            .await
    }

    /// Deletions whose answer was never recorded, and rebuilds that are not finished, the oldest first.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn unfinished_deletions(&self) -> Result<Vec<UnfinishedDeletion>, LedgerError> {
        self.door.ask(|store| deletion::unfinished(store)).await
    }

    /// Delivered calls that start in these instants (Unix seconds), with their instant, ordered by identity, those after
    /// `after`, at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn delivered_in(
        &self,
        instants: Range<i64>,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<(Identity, i64)>, LedgerError> {
        self.door
            .ask(move |store| selection::delivered_in(store, &instants, after.as_ref(), limit))
            .await
    }

    /// How many delivered calls each reading of a deletion's bounds holds: what the CRM's count is compared with.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn count_delivered(&self, readings: Vec<Selection>) -> Result<Vec<u64>, LedgerError> {
        self.door
            .ask(move |store| selection::count_delivered(store, &readings))
            .await
    }

    /// How many calls of the selection a deletion of these days may leave standing at the CRM, depending on where it counts
    /// its days: of those that are delivered, withdrawn, or sent without a verdict.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn count_doubtful(
        &self,
        selection: Selection,
        days: RangeInclusive<NaiveDate>,
    ) -> Result<u64, LedgerError> {
        self.door
            .ask(move |store| selection::count_doubtful(store, &selection, &days))
            .await
    }

    /// Removes calls that start before `before`, in whatever state, and gives how many; then runs and deletions that
    /// ended before the instant `runs_before`, and all but the latest hundred attempts of any call. Block by block: what was removed when it fails stays removed.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn purge(&self, before: ColumnTime, runs_before: i64) -> Result<u64, LedgerError> {
        let mut removed = 0;
        loop {
            match self
                .door
                .ask(move |store| purge::calls(store, before))
                .await?
            {
                0 => break,
                block => removed += block as u64,
            }
        }
        self.door
            .ask(move |store| purge::runs(store, runs_before))
            .await?;
        Ok(removed)
    }

    /// Looks at every page of the file, at its indices (`PRAGMA integrity_check`), and at the frozen wire forms, each of
    /// which its call's hash must vouch for: seconds on a large one.
    ///
    /// # Errors
    /// [`LedgerError::Unusable`] where anything does not hold together.
    pub async fn integrity(&self) -> Result<(), LedgerError> {
        self.door.ask(Store::integrity).await
    }

    /// Begins the look that [`Ledger::integrity`] takes, so that it goes on while the ledger is asked other things and nothing
    /// is written; with the first write it is given up. Does not wait; if it cannot be, `integrity` looks by itself.
    pub fn begin_integrity(&self) {
        self.door.tell(Store::begin_integrity);
    }

    /// Whether a run could write the ledger at `path`, where there is one, and make files beside it. To be asked before
    /// it is opened, not while; leaves nothing behind.
    ///
    /// # Errors
    /// [`LedgerError::Unusable`]
    pub fn try_writing(path: &Path) -> Result<(), LedgerError> {
        file::try_writing(path)?;
        place::try_directory(&place::resolve(path)?)
    }

    /// Bytes on disk: the file and its log.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn size(&self) -> Result<u64, LedgerError> {
        self.door
            .ask(|store| {
                let log = place::length(&place::beside(&store.path, "-wal"))?;
                Ok(place::length(&store.path)? + log)
            })
            .await
    }
}
