//! What a day comes to: the source on one side, the ledger on the other. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

use crate::call::Identity;
use crate::ledger::{Entry, Missing, State};

/// A sum over calls: two sets of calls have equal sums if they are equal, in whatever order they come. It counts: a call
/// that is there twice is not the same as one that is not there, as it would be with an exclusive or.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest(u128);

impl Digest {
    pub(super) fn add(&mut self, identity: &Identity) {
        let mut hash = Sha256::new();
        hash.update(identity.start.0.to_le_bytes());
        hash.update([identity.fold.0]);
        for text in [&identity.source, &identity.destination] {
            hash.update((text.as_str().len() as u64).to_le_bytes());
            hash.update(text.as_str().as_bytes());
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        self.0 = self.0.wrapping_add(u128::from_le_bytes(first));
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// 32 hexadecimal digits.
    pub(super) fn hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// The calls of one local day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// Rows of the source, those that were left out included.
    pub(super) rows: u64,
    /// Calls that they make, those that a rule drops left out: those in the ledger, folded, told and missing.
    pub(super) calls: u64,
    /// Calls that another one's key keeps out.
    pub(super) folded: u64,
    /// Calls that the CRM was told of while they happened.
    pub(super) told: u64,
    /// Calls that the ledger knows, by state, where the source has the row.
    pub(super) states: BTreeMap<State, u64>,
    /// Calls that the ledger does not know.
    pub(super) missing: u64,
    /// Of those, calls that were not over when the last run began.
    pub(super) newer: u64,
    /// Calls in the ledger whose row the source does not hold any more.
    pub(super) without_row: u64,
    /// Calls in the ledger whose row `[select]` leaves out.
    pub(super) left_out: u64,
    /// Calls in the ledger that today's settings or rows would send differently.
    pub(super) drift: u64,
    /// Over the calls of the source that are not kept out.
    pub(super) source: Digest,
    /// Over all calls of the ledger.
    pub(super) ledger: Digest,
}

impl Day {
    pub(super) fn of(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// A call of the source that the ledger knows.
    pub(super) fn known(&mut self, entry: &Entry, drift: bool) {
        *self.states.entry(entry.state).or_default() += 1;
        self.drift += u64::from(drift);
        self.ledger.add(&entry.identity);
        self.source.add(&entry.identity);
        self.calls += 1;
    }

    /// A call of the ledger that is none of the source's.
    pub(super) fn orphaned(&mut self, entry: &Entry, why: Missing) {
        self.ledger.add(&entry.identity);
        match why {
            Missing::Nothing => {}
            Missing::Row => self.without_row += 1,
            Missing::Selection => self.left_out += 1,
        }
    }

    /// A call of the source that the ledger does not know.
    pub(super) fn unknown(&mut self, identity: &Identity, folded: bool, newer: bool) {
        self.calls += 1;
        if folded {
            self.folded += 1;
        } else {
            self.source.add(identity);
            self.missing += 1;
            self.newer += u64::from(newer);
        }
    }

    /// A call of the source that the CRM was told of while it happened.
    pub(super) fn told(&mut self) {
        self.calls += 1;
        self.told += 1;
    }

    /// Calls that a run would still send.
    pub(super) fn due(&self) -> u64 {
        self.of(State::Pending) + self.of(State::InFlight)
    }

    /// Calls that are not settled.
    pub(super) fn gaps(&self) -> u64 {
        self.missing + self.due() + self.of(State::Held)
    }

    /// Whether there is nothing to say about it.
    pub(super) fn is_plain(&self) -> bool {
        self.gaps() == 0 && self.without_row == 0 && self.left_out == 0 && self.drift == 0
    }

    pub(super) fn plus(mut self, other: &Self) -> Self {
        self.rows += other.rows;
        self.calls += other.calls;
        self.folded += other.folded;
        self.told += other.told;
        for (state, count) in &other.states {
            *self.states.entry(*state).or_default() += count;
        }
        self.missing += other.missing;
        self.newer += other.newer;
        self.without_row += other.without_row;
        self.left_out += other.left_out;
        self.drift += other.drift;
        self.source = self.source.plus(other.source);
        self.ledger = self.ledger.plus(other.ledger);
        self
    }
}

/// The days of a window, those without anything left out.
pub(super) type Days = BTreeMap<NaiveDate, Day>;

/// All days together.
pub(super) fn total(days: &Days) -> Day {
    days.values().fold(Day::default(), Day::plus)
}

/// Stretches of days in a row, first and last, that have gaps.
pub(super) fn stretches(days: &Days) -> Vec<(NaiveDate, NaiveDate)> {
    let mut found: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    for (day, _) in days.iter().filter(|(_, figures)| figures.gaps() > 0) {
        match found.last_mut() {
            Some((_, last)) if last.succ_opt() == Some(*day) => *last = *day,
            Some(_) | None => found.push((*day, *day)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ColumnTime, Fold, RawNumber};

    fn identity(start: i64) -> Identity {
        Identity {
            start: ColumnTime(start),
            fold: Fold(0),
            source: RawNumber("7001".to_owned()),
            destination: RawNumber("95550100".to_owned()),
        }
    }

    fn sum(starts: &[i64]) -> Digest {
        let mut digest = Digest::default();
        for start in starts {
            digest.add(&identity(*start));
        }
        digest
    }

    #[test]
    fn a_digest_knows_sets_in_any_order_and_two_equal_ones_do_not_cancel_out() {
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 2, 3]), sum(&[1, 2]));
        assert_ne!(sum(&[1, 1]), sum(&[]));
        assert_ne!(sum(&[1, 1]), sum(&[2, 2]));
        let mut split = Digest::default();
        split.add(&Identity {
            source: RawNumber("70019".to_owned()),
            destination: RawNumber("5550100".to_owned()),
            ..identity(1)
        });
        assert_ne!(split, sum(&[1]));
        assert_eq!(sum(&[1, 2]), sum(&[1]).plus(sum(&[2])));
    }

    #[test]
    fn days_in_a_row_are_sent_together_and_no_other_day_with_them() {
        let day = |n| NaiveDate::from_ymd_opt(2026, 11, n).unwrap();
        let gap = Day {
            missing: 1,
            ..Day::default()
        };
        let days: Days = [
            (day(1), gap.clone()),
            (day(2), gap.clone()),
            (day(3), Day::default()),
            (day(4), gap.clone()),
            (day(9), gap),
        ]
        .into();
        assert_eq!(
            stretches(&days),
            [(day(1), day(2)), (day(4), day(4)), (day(9), day(9))]
        );
    }
}
