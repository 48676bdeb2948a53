//! The figures of a run while it goes on. A call is counted when its answer is on record, never before.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::{AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::ledger::{Entry, State};
use crate::progress::Progress;
use crate::report::{Calls, Missing, Rows, RunReport};

/// Most unmatched calls that are kept in memory until the verdict about their number is known; the rest is asked about
/// by a later run.
const MOST_FOLLOWERS: usize = 20_000;

/// Most numbers whose fate is kept in memory. Unmatched calls to numbers beyond these are asked about one by one, as if
/// each had a number of its own: more requests, and no call is passed over.
const MOST_NUMBERS: usize = 200_000;

/// Counts, shared by the reading, the sending and the recording side, which all run on one thread.
#[derive(Debug)]
pub(super) struct Board {
    figures: RefCell<Figures>,
}

/// The figures.
#[derive(Debug)]
pub(super) struct Figures {
    /// Calls, by what became of them; `total` and `pending` are derived in the end.
    pub(super) calls: Calls,
    /// Rows, as the intake counted them.
    pub(super) rows: Rows,
    /// What rules drop.
    pub(super) dropped: Dropped,
    /// Identities folded into another.
    pub(super) collisions: u64,
    /// Known calls that would look different today.
    pub(super) drift: u64,
    /// Due calls that the source does not give any more.
    pub(super) missing: Missing,
    /// Calls handed to delivery.
    pub(super) handed: u64,
    /// Of those, calls that were sent on their way, and those of them that came back, whatever became of them.
    pub(super) under_way: u64,
    /// See `under_way`.
    pub(super) back: u64,
    /// Calls whose answer is on record.
    pub(super) answered: u64,
    /// Calls of the window that got no verdict in several runs, this one included.
    pub(super) stuck: u64,
    /// Rejected now, and not before.
    pub(super) newly_rejected: u64,
    /// Settled as unmatched, and not asked about now.
    pub(super) resting_unmatched: u64,
    /// Settled as rejected, and not asked about now.
    pub(super) resting_rejected: u64,
    /// What the last attempt without a verdict ran into.
    pub(super) last_trouble: Option<String>,
    /// Time spent waiting for the source.
    pub(super) read: Duration,
    /// Numbers that unmatched calls are asked about again for.
    pub(super) numbers: Numbers,
    progress: Progress,
}

/// Rows of calls that a rule drops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dropped {
    /// All of them.
    pub(super) rows: u64,
    /// Of those, rows that the intake had counted as merged.
    pub(super) merged: u64,
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.merged += more.merged;
    }
}

impl Sub for Dropped {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            rows: self.rows - before.rows,
            merged: self.merged - before.merged,
        }
    }
}

/// What is known in this run about numbers of unmatched calls, by the hash of the number.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    fates: HashMap<u64, NumberFate>,
    hasher: RandomState,
    followers: Vec<(u64, Entry)>,
    /// Calls that were sent ahead for their number and have no answer on record yet.
    pub(super) scouts_out: usize,
}

/// When an unmatched call is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now, ahead of the others with its number.
    Ahead,
    /// Now, for itself: too many numbers are known already to remember this one.
    Alone,
    /// Once the verdict about its number is known, if at all.
    Later,
}

/// What is known about one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberFate {
    /// One call was sent ahead.
    Asked,
    /// No contact has the number, still.
    InVain,
    /// A contact has the number now.
    Matched,
}

impl Numbers {
    /// Whether this unmatched call is sent now; if not, it is kept until the verdict about its number is known.
    pub(super) fn turn(&mut self, number: &str, entry: &Entry) -> Turn {
        let key = self.hasher.hash_one(number);
        match self.fates.get(&key) {
            None if self.fates.len() < MOST_NUMBERS => {
                self.fates.insert(key, NumberFate::Asked);
                self.scouts_out += 1;
                Turn::Ahead
            }
            None => Turn::Alone,
            Some(NumberFate::Asked | NumberFate::InVain | NumberFate::Matched) => {
                if self.followers.len() < MOST_FOLLOWERS {
                    self.followers.push((key, entry.clone()));
                }
                Turn::Later
            }
        }
    }

    /// A contact has this number.
    pub(super) fn matched(&mut self, number: &str) {
        if let Some(fate) = self.fate(number) {
            *fate = NumberFate::Matched;
        }
    }

    /// No contact has this number.
    pub(super) fn unmatched(&mut self, number: &str) {
        if let Some(fate) = self.fate(number)
            && *fate == NumberFate::Asked
        {
            *fate = NumberFate::InVain;
        }
    }

    fn fate(&mut self, number: &str) -> Option<&mut NumberFate> {
        if self.fates.is_empty() {
            return None;
        }
        self.fates.get_mut(&self.hasher.hash_one(number))
    }

    /// Takes the calls that waited: those whose number matched, and those whose number was asked about in vain. Those
    /// of a number without a verdict are left as they are: the next run asks again.
    pub(super) fn take(&mut self) -> (Vec<Entry>, Vec<Entry>) {
        let mut matched = Vec::new();
        let mut in_vain = Vec::new();
        for (key, entry) in std::mem::take(&mut self.followers) {
            match self.fates.get(&key) {
                Some(NumberFate::Matched) => matched.push(entry),
                Some(NumberFate::InVain) => in_vain.push(entry),
                Some(NumberFate::Asked) | None => {}
            }
        }
        matched.sort_by(|a, b| a.identity.cmp(&b.identity));
        in_vain.sort_by(|a, b| a.identity.cmp(&b.identity));
        (matched, in_vain)
    }
}

impl Figures {
    /// A rule drops this call: its rows count as skipped, those that the intake had counted as merged too.
    pub(super) fn drop_call(&mut self, call: &Call) {
        self.dropped.rows += u64::from(call.rows);
        self.dropped.merged += u64::from(call.rows.saturating_sub(1));
    }
}

impl Board {
    pub(super) fn new(progress: Progress) -> Self {
        Self {
            figures: RefCell::new(Figures {
                calls: Calls::default(),
                rows: Rows::default(),
                dropped: Dropped::default(),
                collisions: 0,
                drift: 0,
                missing: Missing::default(),
                handed: 0,
                under_way: 0,
                back: 0,
                answered: 0,
                stuck: 0,
                newly_rejected: 0,
                resting_unmatched: 0,
                resting_rejected: 0,
                last_trouble: None,
                read: Duration::ZERO,
                numbers: Numbers::default(),
                progress,
            }),
        }
    }

    /// The figures, to change them; never held across an await.
    pub(super) fn figures(&self) -> RefMut<'_, Figures> {
        self.figures.borrow_mut()
    }

    pub(super) fn progress(&self) -> Ref<'_, Progress> {
        Ref::map(self.figures.borrow(), |figures| &figures.progress)
    }

    /// What rules have dropped so far.
    pub(super) fn dropped(&self) -> Dropped {
        self.figures.borrow().dropped
    }

    /// Rows went by.
    pub(super) fn rows_done(&self, rows: u64) {
        self.progress().rows(rows);
    }

    /// Answers are on record.
    pub(super) fn answers_done(&self, calls: u64) {
        self.figures.borrow_mut().progress.calls(calls);
    }

    pub(super) fn newly_rejected(&self) -> u64 {
        self.figures.borrow().newly_rejected
    }

    pub(super) fn rejected_in_window(&self) -> u64 {
        let figures = self.figures.borrow();
        figures.calls.rejected + figures.resting_rejected
    }

    pub(super) fn unmatched_in_window(&self) -> u64 {
        let figures = self.figures.borrow();
        figures.calls.unmatched + figures.resting_unmatched
    }

    pub(super) fn last_trouble(&self) -> Option<String> {
        self.figures.borrow().last_trouble.clone()
    }

    pub(super) fn answered(&self) -> u64 {
        self.figures.borrow().answered
    }

    pub(super) fn read_time(&self) -> Duration {
        self.figures.borrow().read
    }

    /// Fills the numbers into a report. Calls without an answer on record are pending, whatever became of them.
    pub(super) fn report(&self, mut report: RunReport) -> RunReport {
        let figures = self.figures.borrow();
        report.rows = figures.rows;
        report.rows.skipped.dropped_by_rule += figures.dropped.rows;
        // A folded call takes one place among the merged rows; its own legs have theirs already.
        report.rows.merged = report.rows.merged - figures.dropped.merged + figures.collisions;
        report.calls = figures.calls;
        report.calls.pending += figures.handed - figures.answered;
        report.calls.total = report.calls.sum();
        report.collisions = figures.collisions;
        report.drift = figures.drift;
        report.stuck = figures.stuck;
        report.missing = figures.missing;
        report
    }
}

/// The state of an entry as the report's `calls` counts it where nothing is sent.
pub(super) fn resting(figures: &mut Figures, state: State) {
    all_resting(figures, state, 1);
}

/// As [`resting`], for so many of one state.
pub(super) fn all_resting(figures: &mut Figures, state: State, many: u64) {
    match state {
        State::Delivered => figures.calls.unchanged += many,
        State::Rejected => {
            figures.calls.unchanged += many;
            figures.resting_rejected += many;
        }
        State::Unmatched => {
            figures.calls.unchanged += many;
            figures.resting_unmatched += many;
        }
        State::Withdrawn => figures.calls.withdrawn += many,
        State::Held => figures.calls.held += many,
        State::Pending | State::InFlight => figures.calls.pending += many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ColumnTime, Disposition, Fold, Identity, Origin, RawNumber};
    use crate::report::exit::{Code, Exit};
    use crate::report::{Mode, Requests, Timings, WindowText};
    use crate::target::Receipt;

    fn identity(start: i64) -> Identity {
        Identity {
            start: ColumnTime(start),
            fold: Fold(0),
            source: RawNumber("100".into()),
            destination: RawNumber("95550101".into()),
        }
    }

    fn unmatched(start: i64) -> Entry {
        Entry {
            identity: identity(start),
            state: State::Unmatched,
            pending: None,
            attempts: 1,
            unanswered: 0,
            last_attempt: Some(0),
            content_hash: 0,
            drift: false,
            missing: crate::ledger::Missing::Nothing,
            receipt: Receipt::default(),
            wire: None,
        }
    }

    #[test]
    fn one_call_goes_ahead_for_each_number_and_the_others_follow_its_verdict() {
        let mut numbers = Numbers::default();
        let calls = [("1", 1), ("1", 2), ("2", 3), ("2", 4), ("3", 5), ("3", 6)];
        let turns: Vec<Turn> = calls
            .iter()
            .map(|(number, start)| numbers.turn(number, &unmatched(*start)))
            .collect();
        assert_eq!(turns, [Turn::Ahead, Turn::Later].repeat(3));
        assert_eq!(numbers.scouts_out, 3);
        numbers.matched("1");
        numbers.unmatched("2");
        // Nothing is known about 3: its scout got no verdict. And a match outweighs what another call was told.
        numbers.unmatched("1");
        let (matched, in_vain) = numbers.take();
        assert_eq!(matched, [unmatched(2)]);
        assert_eq!(in_vain, [unmatched(4)]);
    }

    #[test]
    fn calls_to_more_numbers_than_are_remembered_are_asked_about_one_by_one() {
        let mut numbers = Numbers::default();
        for number in 0..MOST_NUMBERS {
            assert_eq!(
                numbers.turn(&number.to_string(), &unmatched(0)),
                Turn::Ahead
            );
        }
        for _ in 0..2 {
            assert_eq!(numbers.turn("one more", &unmatched(1)), Turn::Alone);
        }
        assert_eq!(numbers.turn("0", &unmatched(2)), Turn::Later);
        assert_eq!(numbers.scouts_out, MOST_NUMBERS);
        // Nobody waits for the verdict about a number that is not remembered.
        numbers.unmatched("one more");
        numbers.unmatched("0");
        assert_eq!(numbers.take(), (Vec::new(), vec![unmatched(2)]));
    }

    #[test]
    fn every_row_is_counted_once_whatever_became_of_its_call() {
        let board = Board::new(Progress::new(false));
        {
            let mut figures = board.figures();
            // Nine rows: a dropped call of three legs, a collision of two legs with a call of one, a call of three legs
            // that is settled. The intake folds legs, and knows nothing of the rest.
            figures.rows.read = 9;
            figures.rows.merged = 2 + 1 + 2;
            figures.drop_call(&Call {
                identity: identity(1),
                instant: 1,
                duration: 0,
                disposition: Disposition::Answered,
                origin: Origin::default(),
                extra: Vec::new(),
                rows: 3,
            });
            figures.collisions = 1;
            figures.handed = 1;
            resting(&mut figures, State::Delivered);
        }
        let report = board.report(RunReport {
            job: String::new(),
            run_id: 1,
            mode: Mode::Full,
            dry_run: false,
            window: WindowText {
                since: String::new(),
                until: String::new(),
            },
            rows: Rows::default(),
            calls: Calls::default(),
            collisions: 0,
            drift: 0,
            stuck: 0,
            requests: Requests::default(),
            timings: Timings::default(),
            missing: Missing::default(),
            agi: None,
            exit: Exit::new(Code::Settled, ""),
            rebuilds: Vec::new(),
        });
        assert_eq!(report.rows.skipped.dropped_by_rule, 3);
        assert_eq!(report.calls.total, 2);
        assert_eq!(
            report.rows.read,
            report.rows.skipped.dropped_by_rule + report.rows.merged + report.calls.total
        );
    }
}
