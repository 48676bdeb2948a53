//! Counts along the calendar, in steps that grow with the stretch, so that no stretch needs more memory or more room on
//! a page than another.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Days, Months, NaiveDate};

/// Steps that are kept before they are made longer: eleven years of days.
const MOST: usize = 4_096;

/// The length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// Local days.
    Day,
    /// From Monday.
    Week,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
    /// Ten years.
    Decade,
    /// A thousand years: nobody's calls, but whatever a column holds has its place.
    Millennium,
}

impl Grain {
    /// Every grain, the finest first.
    pub const ALL: [Self; 6] = [
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
        Self::Decade,
        Self::Millennium,
    ];

    /// The word for one step.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Decade => "decade",
            Self::Millennium => "millennium",
        }
    }

    /// The finest grain that takes at most `most` steps from the first day to the last.
    #[must_use]
    pub fn fitting(first: NaiveDate, last: NaiveDate, most: usize) -> Self {
        Self::ALL
            .into_iter()
            .find(|grain| grain.steps(first, last, most + 1).len() <= most)
            .unwrap_or(Self::Millennium)
    }

    /// First day of the step that holds a day.
    #[must_use]
    pub fn begin(self, day: NaiveDate) -> NaiveDate {
        let years = |n: i32| {
            NaiveDate::from_ymd_opt(day.year() - day.year().rem_euclid(n), 1, 1).unwrap_or(day)
        };
        match self {
            Self::Day => day,
            Self::Week => day
                .checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))
                .unwrap_or(day),
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Year => years(1),
            Self::Decade => years(10),
            Self::Millennium => years(1_000),
        }
    }

    /// First day of the step after the one that begins on a day; the same day at the end of the calendar.
    #[must_use]
    pub fn next(self, begin: NaiveDate) -> NaiveDate {
        let months = |n: u32| begin.checked_add_months(Months::new(n));
        match self {
            Self::Day => begin.succ_opt(),
            Self::Week => begin.checked_add_days(Days::new(7)),
            Self::Month => months(1),
            Self::Year => months(12),
            Self::Decade => months(120),
            Self::Millennium => months(12_000),
        }
        .unwrap_or(begin)
    }

    /// First days of all steps from the first day to the last, at most `most`.
    #[must_use]
    pub fn steps(self, first: NaiveDate, last: NaiveDate, most: usize) -> Vec<NaiveDate> {
        let mut steps = Vec::new();
        let mut begin = self.begin(first);
        while begin <= last && steps.len() < most {
            steps.push(begin);
            let next = self.next(begin);
            if next <= begin {
                break;
            }
            begin = next;
        }
        steps
    }
}

/// Counts of `N` kinds by local day, or by longer steps where the days are many.
#[derive(Debug, Clone)]
pub struct Timeline<const N: usize> {
    grain: Grain,
    steps: BTreeMap<NaiveDate, [u64; N]>,
    /// Most calls come in the order of time: the step of the last one, not yet in `steps`.
    open: Option<(NaiveDate, [u64; N])>,
    first: Option<NaiveDate>,
    last: Option<NaiveDate>,
}

impl<const N: usize> Default for Timeline<N> {
    fn default() -> Self {
        Self {
            grain: Grain::Day,
            steps: BTreeMap::new(),
            open: None,
            first: None,
            last: None,
        }
    }
}

impl<const N: usize> Timeline<N> {
    /// Counts one of a kind.
    pub fn add(&mut self, day: NaiveDate, kind: usize) {
        let begin = self.grain.begin(day);
        self.first = Some(self.first.map_or(day, |first| first.min(day)));
        self.last = Some(self.last.map_or(day, |last| last.max(day)));
        match &mut self.open {
            Some((step, counts)) if *step == begin => counts[kind] += 1,
            Some(_) | None => {
                self.flush();
                let mut counts = [0; N];
                counts[kind] = 1;
                self.open = Some((self.grain.begin(day), counts));
            }
        }
    }

    /// First and last day with anything.
    #[must_use]
    pub fn span(&self) -> Option<(NaiveDate, NaiveDate)> {
        Some((self.first?, self.last?))
    }

    /// The counts of every step between two days, empty ones too, in a grain that makes at most `most` of them.
    #[must_use]
    pub fn cut(
        mut self,
        first: NaiveDate,
        last: NaiveDate,
        most: usize,
    ) -> (Grain, Vec<(NaiveDate, [u64; N])>) {
        self.flush();
        let grain = Grain::fitting(first, last, most).max(self.grain);
        self.coarsen(grain);
        let steps = grain
            .steps(first, last, most)
            .into_iter()
            .map(|begin| (begin, self.steps.get(&begin).copied().unwrap_or([0; N])))
            .collect();
        (grain, steps)
    }

    fn flush(&mut self) {
        if let Some((begin, counts)) = self.open.take() {
            sum(self.steps.entry(begin).or_insert([0; N]), &counts);
            while self.steps.len() > MOST {
                // A week can reach over the end of a month, so that none could be told from it afterwards.
                let longer = Grain::ALL
                    .into_iter()
                    .find(|grain| *grain > self.grain && *grain != Grain::Week);
                match longer {
                    Some(longer) => self.coarsen(longer),
                    None => return,
                }
            }
        }
    }

    fn coarsen(&mut self, grain: Grain) {
        if grain == self.grain {
            return;
        }
        self.grain = grain;
        for (begin, counts) in std::mem::take(&mut self.steps) {
            sum(
                self.steps.entry(grain.begin(begin)).or_insert([0; N]),
                &counts,
            );
        }
    }
}

fn sum<const N: usize>(into: &mut [u64; N], counts: &[u64; N]) {
    for (into, n) in into.iter_mut().zip(counts) {
        *into += n;
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a day that does not exist fails the test"
    )]

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[track_caller]
    fn fits(first: &str, last: &str, grain: Grain, steps: usize) {
        let (first, last) = (day(first), day(last));
        assert_eq!(Grain::fitting(first, last, 100), grain);
        assert_eq!(grain.steps(first, last, 100).len(), steps);
    }

    #[test]
    fn steps_grow_with_the_stretch() {
        fits("2026-11-20", "2026-11-20", Grain::Day, 1);
        fits("2026-08-20", "2026-11-20", Grain::Day, 93);
        fits("2025-11-25", "2026-11-20", Grain::Week, 52);
        fits("2019-01-31", "2026-11-20", Grain::Month, 95);
        fits("2016-11-20", "2026-11-20", Grain::Year, 11);
        fits("1926-11-20", "2026-11-20", Grain::Decade, 11);
        fits("-9000-01-01", "+11000-01-01", Grain::Millennium, 21);
    }

    #[test]
    fn the_last_day_of_the_calendar_ends_every_walk() {
        for grain in Grain::ALL {
            let steps = grain.steps(NaiveDate::MAX, NaiveDate::MAX, 100);
            assert_eq!(steps.len(), 1, "{grain:?}");
            let _ = grain.steps(NaiveDate::MIN, NaiveDate::MIN, 100);
        }
    }

    #[test]
    fn nothing_is_lost_where_days_are_many_or_out_of_order() {
        let mut timeline = Timeline::<2>::default();
        let first = day("1000-01-01");
        for n in 0..20_000_u64 {
            // Each day twice, the second time much later.
            let day = first + Days::new((n % 10_000) * 30);
            timeline.add(day, usize::from(n >= 10_000));
            assert!(timeline.steps.len() <= MOST + 1);
        }
        let (from, to) = timeline.span().unwrap();
        let (grain, steps) = timeline.cut(from, to, 100);
        assert_eq!(grain, Grain::Decade);
        assert_eq!(steps.len(), 83);
        let sum: u64 = steps.iter().map(|(_, [_, second])| second).sum();
        assert_eq!(sum, 10_000);
        assert!(steps.iter().all(|(_, [a, b])| a == b));
    }

    #[test]
    fn days_without_calls_are_there_with_nothing() {
        let mut timeline = Timeline::<1>::default();
        timeline.add(day("2026-11-03"), 0);
        timeline.add(day("2026-11-01"), 0);
        timeline.add(day("2026-11-03"), 0);
        let (grain, steps) = timeline.cut(day("2026-10-31"), day("2026-11-03"), 10);
        assert_eq!(grain, Grain::Day);
        let counts: Vec<u64> = steps.iter().map(|(_, [n])| *n).collect();
        assert_eq!(counts, [0, 1, 0, 2]);
    }
}
