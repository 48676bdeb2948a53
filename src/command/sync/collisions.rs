//! Calls that a CRM cannot tell apart: one wire key, several identities, of which one is sent.

use std::collections::HashMap;
use std::ops::Range;

use super::pipeline::Pipeline;
use crate::call::{Call, ColumnTime, Fold, Identity, RawNumber, WireForm};
use crate::intake::{Intake, preferred};
use crate::ledger::{Collision, Entry, LedgerError, State, Wires};

/// Recorded collisions that are read at once.
const PAGE: usize = 1024;

/// A call that goes out by today's form.
pub(super) struct Fresh {
    pub(super) call: Call,
    pub(super) wire: WireForm,
    /// What the ledger holds about it, where it is to be rebuilt; `None`: it is new.
    pub(super) entry: Option<Entry>,
}

impl Pipeline<'_> {
    /// Of calls with one wire key, and of calls whose key an older call holds, keeps one; the CRM would as well. `recorded`:
    /// who was folded into whom before, among the calls of this slice.
    pub(super) async fn fold_collisions(
        &self,
        intake: &Intake<'_>,
        fresh: Vec<Fresh>,
        recorded: HashMap<Identity, Identity>,
    ) -> Result<Vec<Fresh>, LedgerError> {
        if fresh.is_empty() {
            return Ok(fresh);
        }
        let mut kept: Vec<Fresh> = Vec::with_capacity(fresh.len());
        let mut folded: Vec<(Fresh, usize)> = Vec::new();
        let mut by_key: HashMap<i64, Vec<usize>> = HashMap::with_capacity(fresh.len());
        for one in fresh {
            let places = by_key.entry(one.wire.key_hash()).or_default();
            let twin = places
                .iter()
                .copied()
                .find(|place| kept[*place].wire.same_key(&one.wire));
            match twin {
                Some(place) if preferred(&one.call, &kept[place].call) => {
                    let loser = std::mem::replace(&mut kept[place], one);
                    folded.push((loser, place));
                }
                Some(place) => folded.push((one, place)),
                None => {
                    places.push(kept.len());
                    kept.push(one);
                }
            }
        }
        let keys: Vec<WireForm> = kept.iter().map(|one| one.wire.clone()).collect();
        let mut owners = self.ledger.owners(keys).await?;
        self.keep_folded(&kept, &mut owners, recorded).await?;
        let mut losers: Vec<(Fresh, Identity)> = Vec::new();
        for (loser, place) in folded {
            let owner = owners[place]
                .clone()
                .unwrap_or_else(|| kept[place].call.identity.clone());
            losers.push((loser, owner));
        }
        let mut result = Vec::with_capacity(kept.len());
        for (one, owner) in kept.into_iter().zip(owners) {
            match owner {
                Some(owner) if owner != one.call.identity => losers.push((one, owner)),
                Some(_) | None => result.push(one),
            }
        }
        if !losers.is_empty() {
            self.record_losers(intake, losers).await?;
        }
        Ok(result)
    }

    /// Puts on record who was folded into whom. One that waited to be rebuilt waits no longer.
    async fn record_losers(
        &self,
        intake: &Intake<'_>,
        losers: Vec<(Fresh, Identity)>,
    ) -> Result<(), LedgerError> {
        let mut collisions: Vec<Collision> = Vec::with_capacity(losers.len());
        let mut withdrawn = Vec::new();
        for (loser, owner) in losers {
            tracing::info!(
                "{} has the key of {}: the CRM keeps one",
                crate::intake::describe(&loser.call.identity, intake.clock().kind()),
                crate::intake::describe(&owner, intake.clock().kind())
            );
            if loser
                .entry
                .is_some_and(|entry| entry.state == State::Pending)
            {
                withdrawn.push(loser.call.identity.clone());
            }
            collisions.push(Collision {
                folded: loser.call.identity,
                owner,
            });
        }
        self.board.figures().collisions += collisions.len() as u64;
        self.ledger.record_collisions(self.run, collisions).await?;
        if !withdrawn.is_empty() {
            self.ledger.record_dropped(withdrawn).await?;
        }
        Ok(())
    }

    /// Who was folded into whom before, among the calls that start in `range`.
    pub(super) async fn recorded_collisions(
        &self,
        range: Range<ColumnTime>,
    ) -> Result<HashMap<Identity, Identity>, LedgerError> {
        // Behind every identity of the second before the first.
        let mut after = Some(Identity {
            start: ColumnTime(range.start.0.saturating_sub(1)),
            fold: Fold(u8::MAX),
            source: RawNumber(String::new()),
            destination: RawNumber(String::new()),
        });
        let mut recorded = HashMap::new();
        loop {
            let page = self.ledger.collisions(after, PAGE).await?;
            let more = page.len() == PAGE;
            after = page.last().map(|collision| collision.folded.clone());
            recorded.extend(
                page.into_iter()
                    .take_while(|collision| collision.folded.start < range.end)
                    .map(|Collision { folded, owner }| (folded, owner)),
            );
            if !more
                || after
                    .as_ref()
                    .is_none_or(|folded| folded.start >= range.end)
            {
                return Ok(recorded);
            }
        }
    }

    /// A call that was folded into another stays folded while that one holds its key: it went out frozen, so what other
    /// rules or another zone make of this one today must not go out beside it.
    async fn keep_folded(
        &self,
        kept: &[Fresh],
        owners: &mut [Option<Identity>],
        mut recorded: HashMap<Identity, Identity>,
    ) -> Result<(), LedgerError> {
        for (one, place) in kept.iter().zip(owners) {
            let Some(owner) = recorded
                .remove(&one.call.identity)
                .filter(|_| place.is_none())
            else {
                continue;
            };
            let second = owner.start..ColumnTime(owner.start.0.saturating_add(1));
            let entries = self
                .ledger
                .entries(second, Wires::Due, None, usize::MAX)
                .await?;
            if entries
                .iter()
                .any(|entry| entry.identity == owner && entry.holds_its_key())
            {
                *place = Some(owner);
            }
        }
        Ok(())
    }
}
