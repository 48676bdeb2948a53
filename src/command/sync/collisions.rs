//! Calls that a CRM cannot tell apart: one wire key, several identities, of which one is sent.

use std::collections::HashMap;

use super::pipeline::Pipeline;
use crate::call::{Call, ColumnTime, Fold, Identity, RawNumber, WireForm};
use crate::intake::{Intake, preferred};
use crate::ledger::{Collision, LedgerError, Wires};

/// Recorded collisions that are read at once.
const PAGE: usize = 1024;

impl Pipeline<'_> {
    /// Of new calls with one wire key, and of new calls whose key an older call has, keeps one; the CRM would as well.
    pub(super) async fn fold_collisions(
        &self,
        intake: &Intake<'_>,
        new: Vec<(Call, WireForm)>,
    ) -> Result<Vec<(Call, WireForm)>, LedgerError> {
        if new.is_empty() {
            return Ok(new);
        }
        let mut kept: Vec<(Call, WireForm)> = Vec::with_capacity(new.len());
        let mut folded: Vec<(Call, usize)> = Vec::new();
        let mut by_key: HashMap<i64, Vec<usize>> = HashMap::with_capacity(new.len());
        for (call, wire) in new {
            let places = by_key.entry(wire.key_hash()).or_default();
            let twin = places
                .iter()
                .copied()
                .find(|place| kept[*place].1.same_key(&wire));
            match twin {
                Some(place) if preferred(&call, &kept[place].0) => {
                    let (loser, _) = std::mem::replace(&mut kept[place], (call, wire));
                    folded.push((loser, place));
                }
                Some(place) => folded.push((call, place)),
                None => {
                    places.push(kept.len());
                    kept.push((call, wire));
                }
            }
        }
        let keys: Vec<WireForm> = kept.iter().map(|(_, wire)| wire.clone()).collect();
        let mut owners = self.ledger.owners(keys).await?;
        self.keep_folded(&kept, &mut owners).await?;
        let mut collisions: Vec<Collision> = Vec::new();
        for (loser, place) in folded {
            let owner = owners[place]
                .clone()
                .unwrap_or_else(|| kept[place].0.identity.clone());
            collisions.push(Collision {
                folded: loser.identity,
                owner,
            });
        }
        let mut result = Vec::with_capacity(kept.len());
        for ((call, wire), owner) in kept.into_iter().zip(owners) {
            match owner {
                Some(owner) if owner != call.identity => {
                    collisions.push(Collision {
                        folded: call.identity,
                        owner,
                    });
                }
                Some(_) | None => result.push((call, wire)),
            }
        }
        if !collisions.is_empty() {
            for collision in &collisions {
                tracing::info!(
                    "{} has the key of {}: the CRM keeps one",
                    crate::intake::describe(&collision.folded, intake.clock().kind()),
                    crate::intake::describe(&collision.owner, intake.clock().kind())
                );
            }
            self.board.figures().collisions += collisions.len() as u64;
            self.ledger.record_collisions(self.run, collisions).await?;
        }
        Ok(result)
    }

    /// A call that was folded into another stays folded while the ledger has that one: its key went out frozen, so what
    /// other rules or another zone make of this one today must not go out beside it.
    async fn keep_folded(
        &self,
        kept: &[(Call, WireForm)],
        owners: &mut [Option<Identity>],
    ) -> Result<(), LedgerError> {
        let unowned = || {
            kept.iter()
                .zip(owners.iter())
                .filter(|(_, owner)| owner.is_none())
                .map(|((call, _), _)| call.identity.start)
        };
        let (Some(first), Some(last)) = (unowned().min(), unowned().max()) else {
            return Ok(());
        };
        // Behind every identity of the second before the first.
        let mut after = Some(Identity {
            start: ColumnTime(first.0.saturating_sub(1)),
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
                    .take_while(|collision| collision.folded.start <= last)
                    .map(|Collision { folded, owner }| (folded, owner)),
            );
            if !more || after.as_ref().is_none_or(|folded| folded.start > last) {
                break;
            }
        }
        for ((call, _), place) in kept.iter().zip(owners) {
            let Some(owner) = recorded.remove(&call.identity).filter(|_| place.is_none()) else {
                continue;
            };
            let second = owner.start..ColumnTime(owner.start.0.saturating_add(1));
            let entries = self
                .ledger
                .entries(second, Wires::Due, None, usize::MAX)
                .await?;
            if entries.iter().any(|entry| entry.identity == owner) {
                *place = Some(owner);
            }
        }
        Ok(())
    }
}
