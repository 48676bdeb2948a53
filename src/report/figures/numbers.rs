//! Counting by number, in bounded memory however many numbers there are: all of them while they are few, a fair sample of
//! them, or the most frequent ones, where they are many.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::call::ColumnTime;

/// Numbers and how many calls each has. Where they become more than fit, every second number is left out, with all of its
/// calls, again and again: what is left says the same about the whole as the whole would.
#[derive(Debug)]
pub struct Sample {
    most: usize,
    /// One number in 2^this.
    halvings: u32,
    calls: HashMap<Box<str>, u64>,
}

impl Sample {
    /// At most so many numbers.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self {
            most,
            halvings: 0,
            calls: HashMap::new(),
        }
    }

    /// Counts a call of a number.
    pub fn add(&mut self, number: &str) {
        if !belongs(number, self.halvings) {
            return;
        }
        if let Some(calls) = self.calls.get_mut(number) {
            *calls += 1;
            return;
        }
        self.calls.insert(number.into(), 1);
        while self.calls.len() > self.most {
            self.halvings += 1;
            let halvings = self.halvings;
            self.calls.retain(|number, _| belongs(number, halvings));
        }
    }

    /// One number in so many was counted; 1: all.
    #[must_use]
    pub fn one_in(&self) -> u64 {
        1_u64.checked_shl(self.halvings).unwrap_or(u64::MAX)
    }

    /// The numbers with their calls, those with the most calls first.
    #[must_use]
    pub fn ranked(&self) -> Vec<(&str, u64)> {
        let mut ranked: Vec<(&str, u64)> = self
            .calls
            .iter()
            .map(|(number, calls)| (&**number, *calls))
            .collect();
        ranked.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        ranked
    }
}

/// Whether a number is in the sample of one in 2^halvings: a matter of its digits alone, not of when it was dialled.
fn belongs(number: &str, halvings: u32) -> bool {
    if halvings == 0 {
        return true;
    }
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish().trailing_zeros() >= halvings
}

/// A call by which a number is found again.
pub type CallRef = (ColumnTime, i64);

/// The numbers with the most calls. Exact while all numbers fit; where they do not, those with the fewest calls are
/// forgotten, and a count may be too low by [`Frequent::forgotten`].
#[derive(Debug)]
pub struct Frequent {
    most: usize,
    forgotten: u64,
    numbers: HashMap<Box<str>, (u64, CallRef)>,
}

impl Frequent {
    /// At most so many numbers at a time.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self {
            most,
            forgotten: 0,
            numbers: HashMap::new(),
        }
    }

    /// Counts a call of a number.
    pub fn add(&mut self, number: &str, call: CallRef) {
        if let Some((calls, last)) = self.numbers.get_mut(number) {
            *calls += 1;
            *last = (*last).max(call);
            return;
        }
        self.numbers.insert(number.into(), (1, call));
        while self.numbers.len() > self.most {
            let least = self.numbers.values().map(|(calls, _)| *calls).min();
            let least = least.unwrap_or(0);
            self.numbers.retain(|_, (calls, _)| *calls > least);
            self.forgotten += least;
        }
    }

    /// By how much a count can be too low; 0: all numbers are there, and all counts are exact.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Numbers that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether no number is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The first so many by calls, with the last call of each.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<(&str, u64, CallRef)> {
        let mut top: Vec<(&str, u64, CallRef)> = self
            .numbers
            .iter()
            .map(|(number, (calls, last))| (&**number, *calls, *last))
            .collect();
        top.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        top.truncate(most);
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_counted_one_by_one() {
        let mut sample = Sample::of(3);
        for number in ["b", "a", "b", "c", "b", "a"] {
            sample.add(number);
        }
        assert_eq!(sample.one_in(), 1);
        assert_eq!(sample.ranked(), [("b", 3), ("a", 2), ("c", 1)]);
    }

    #[test]
    fn a_sample_keeps_all_calls_of_its_numbers_and_stands_for_the_whole() {
        let mut sample = Sample::of(1_000);
        for round in 0..3 {
            for n in 0..20_000 {
                if round == 0 || n % 2 == 0 {
                    sample.add(&format!("0212555{n:05}"));
                }
            }
        }
        let ranked = sample.ranked();
        assert!(ranked.len() <= 1_000 && sample.one_in() >= 20);
        assert!(ranked.iter().all(|(_, calls)| *calls == 3 || *calls == 1));
        let numbers = ranked.len() as u64 * sample.one_in();
        assert!((17_000..23_000).contains(&numbers), "{numbers}");
    }

    #[test]
    fn the_most_frequent_numbers_survive_many_rare_ones() {
        let mut frequent = Frequent::of(100);
        for n in 0..5_000_i64 {
            frequent.add(&format!("rare {n}"), (ColumnTime(n), n));
            if n % 5 == 0 {
                frequent.add("often", (ColumnTime(n), n));
            }
        }
        let top = frequent.top(1);
        let (number, calls, last) = top[0];
        assert_eq!((number, last), ("often", (ColumnTime(4_995), 4_995)));
        assert!(
            calls <= 1_000 && calls + frequent.forgotten() >= 1_000,
            "{calls}"
        );
        assert!(frequent.len() <= 100);
    }

    #[test]
    fn equal_counts_are_ranked_by_number() {
        let mut frequent = Frequent::of(9);
        for (at, number) in ["c", "a", "b", "a"].into_iter().enumerate() {
            frequent.add(number, (ColumnTime(0), at as i64));
        }
        let ranked: Vec<(&str, u64)> = frequent.top(9).iter().map(|(n, c, _)| (*n, *c)).collect();
        assert_eq!(ranked, [("a", 2), ("b", 1), ("c", 1)]);
        assert_eq!(frequent.forgotten(), 0);
    }
}
