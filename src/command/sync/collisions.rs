//! Calls that a CRM cannot tell apart: one wire key, several identities, of which one is sent.

use std::collections::HashMap;
use std::ops::Range;

use super::pipeline::Pipeline;
use crate::call::{Call, ColumnTime, Fold, Identity, RawNumber, TimeKind, WireForm};
use crate::intake::preferred;
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

impl AsRef<WireForm> for Fresh {
    fn as_ref(&self) -> &WireForm {
        &self.wire
    }
}

impl Pipeline<'_> {
    /// Of calls with one wire key, and of calls whose key an older call holds, keeps one; the CRM would as well. `recorded`:
    /// who was folded into whom before, among the calls of this slice.
    pub(super) async fn fold_collisions(
        &self,
        kind: TimeKind,
        fresh: Vec<Fresh>,
        recorded: HashMap<Identity, Identity>,
    ) -> Result<Vec<Fresh>, LedgerError> {
        if fresh.is_empty() {
            return Ok(fresh);
        }
        let (kept, folded) = one_a_key(fresh);
        let (kept, mut owners) = self.ledger.owners(kept).await?;
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
            self.record_losers(kind, losers).await?;
        }
        Ok(result)
    }

    /// Puts on record who was folded into whom. One that waited to be rebuilt waits no longer.
    async fn record_losers(
        &self,
        kind: TimeKind,
        losers: Vec<(Fresh, Identity)>,
    ) -> Result<(), LedgerError> {
        let mut collisions: Vec<Collision> = Vec::with_capacity(losers.len());
        let mut withdrawn = Vec::new();
        for (loser, owner) in losers {
            tracing::info!(
                "{} has the key of {}: the CRM keeps one",
                crate::intake::describe(&loser.call.identity, kind),
                crate::intake::describe(&owner, kind)
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

/// Of calls with one wire key keeps one: gives those that stay, and the others, each with the place of the one that stays.
fn one_a_key(fresh: Vec<Fresh>) -> (Vec<Fresh>, Vec<(Fresh, usize)>) {
    // Calls come in the order of time and forms mostly do as well, so that this has little to move.
    let mut fresh = fresh;
    fresh.sort_by(|a, b| key(&a.wire).cmp(&key(&b.wire)));
    let mut kept: Vec<Fresh> = Vec::with_capacity(fresh.len());
    let mut folded = Vec::new();
    for one in fresh {
        let place = kept.len().saturating_sub(1);
        match kept.last_mut() {
            Some(last) if last.wire.same_key(&one.wire) => {
                let loser = if preferred(&one.call, &last.call) {
                    std::mem::replace(last, one)
                } else {
                    one
                };
                folded.push((loser, place));
            }
            Some(_) | None => kept.push(one),
        }
    }
    (kept, folded)
}

fn key(wire: &WireForm) -> (&str, &str, &str) {
    (
        &wire.initiated,
        wire.source.as_str(),
        wire.destination.as_str(),
    )
}
