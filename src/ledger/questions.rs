//! The way to what a run asks the ledger: where calls stand, who owns a key, what waits for a number.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::entry::{Entry, Standing, Wires};
use super::error::LedgerError;
use super::{Ledger, read};
use crate::call::{ColumnTime, Identity, PhoneNumber, WireForm};

impl Ledger {
    /// The entries whose start lies in `range`, ordered by identity, those after `after`, at most `limit`. Fewer than
    /// `limit`: there are no more.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn entries(
        &self,
        range: Range<ColumnTime>,
        wires: Wires,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.door
            .ask(move |store| read::entries(store, &range, wires, after.as_ref(), limit))
            .await
    }

    /// Where each of these calls stands, which must come in the order of identities; `None` for those that are not
    /// known. The calls are handed back as they came.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn standings<C: AsRef<Identity> + Send + 'static>(
        &self,
        calls: Vec<C>,
    ) -> Result<(Vec<C>, Vec<Option<Standing>>), LedgerError> {
        self.door
            .ask(move |store| {
                let found = read::standings(store, &calls)?;
                Ok((calls, found))
            })
            .await
    }

    /// The entries of these calls, in their order; `None` for those that are not known.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn entries_of(
        &self,
        calls: Vec<Identity>,
        wires: Wires,
    ) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.door
            .ask(move |store| read::entries_of(store, &calls, wires))
            .await
    }

    /// The calls that start in `range` and are pending or in flight, ordered by identity, those after `after`, at most
    /// `limit`, without their wire forms. Fewer than `limit`: there are no more.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn due(
        &self,
        range: Range<ColumnTime>,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.door
            .ask(move |store| read::due(store, &range, after.as_ref(), limit))
            .await
    }

    /// Who owns the wire key of each form, among the calls of this job: the first that was frozen with it and
    /// [holds its key](Entry::holds_its_key). The forms are handed back as they came.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn owners<F: AsRef<WireForm> + Send + 'static>(
        &self,
        forms: Vec<F>,
    ) -> Result<(Vec<F>, Vec<Option<Identity>>), LedgerError> {
        self.door
            .ask(move |store| {
                let found = read::owners(store, &forms)?;
                Ok((forms, found))
            })
            .await
    }

    /// Whether any call is delivered.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn any_delivered(&self) -> Result<bool, LedgerError> {
        self.door.ask(|store| read::any_delivered(store)).await
    }

    /// The words under which calls are rejected at present, each once, at most `limit`.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn refusals(&self, limit: usize) -> Result<Vec<String>, LedgerError> {
        self.door
            .ask(move |store| read::refusals(store, limit))
            .await
    }

    /// Unmatched calls that start in `range` and go to one of these numbers (as sent), ordered by identity, those after
    /// `after`, at most `limit`, with their wire forms. Fewer than `limit`: there are no more.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn unmatched_followers(
        &self,
        range: Range<ColumnTime>,
        destinations: Arc<HashSet<PhoneNumber>>,
        after: Option<Identity>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.door
            .ask(move |store| {
                read::unmatched_followers(store, &range, &destinations, after.as_ref(), limit)
            })
            .await
    }
}
