//! Looks at every call, form and run of the window once, and keeps counts: what a report needs of a million calls is some
//! megabytes, whatever the calls.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use chrono::{Datelike as _, NaiveDate, Timelike as _};
use chrono_tz::Tz;

use super::coverage::{self, coverage};
use super::history::{Around, Log};
use super::ids::Ids;
use super::numbers::{CallRef, Frequent, Sample};
use super::spread::Spread;
use super::timeline::{Grain, Timeline};
use super::{
    CLASSES, Calls, Class, Durations, EXAMPLES, Example, Figures, Found, LeftOut, Lengths, Look,
    OverTime, Rules, STEPS, StateStep, Stretch, TOP, Unmatched, UnmatchedNumber, place,
};
use crate::call::{ColumnTime, Fold, Identity, RawNumber, TimeKind};
use crate::cdr::clock::Clock;
use crate::cdr::window::Window;
use crate::config::RuleConfig;
use crate::ledger::{Besides, Missing, Run, State, Surveyed, SurveyedForm, Surveyor};
use crate::number::chain::Chain;
use crate::text::mask::Privacy;

/// Numbers without a contact that are told apart at a time.
const NUMBERS: usize = 65_536;

/// The kinds of call that a person should look at; their order is that of [`Gather`]'s finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Look::rejected`]
    Rejected,
    /// [`Look::held`]
    Held,
    /// [`Look::stuck`]
    Stuck,
    /// [`Look::drift`]
    Drift,
    /// [`Look::row_gone`]
    RowGone,
    /// [`Look::row_left_out`]
    RowLeftOut,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Rejected,
        Self::Held,
        Self::Stuck,
        Self::Drift,
        Self::RowGone,
        Self::RowLeftOut,
    ];
}

/// How many, and the last few.
#[derive(Debug, Default)]
struct Finds {
    calls: u64,
    latest: VecDeque<(Identity, i64)>,
}

/// What is kept while the ledger is looked at.
pub struct Gather {
    window: Window,
    /// Shows instants in the zone; what the column's own clock is does not matter here.
    clock: Clock,
    besides: Besides,
    states: [u64; 7],
    first: Option<i64>,
    last: Option<i64>,
    over_time: Timeline<7>,
    by_hour: [[u64; 24]; 7],
    destinations: Sample,
    sources: Option<Sample>,
    all: Ids,
    unmatched: Ids,
    unmatched_numbers: Frequent,
    durations: Spread,
    arrival: Spread,
    finds: [Finds; 6],
    log: Log,
}

/// What the figures need beside what was gathered.
#[derive(Debug)]
pub struct Known<'a> {
    /// The replication's name.
    pub job: &'a str,
    /// Unix seconds.
    pub now: i64,
    /// How numbers are shown.
    pub privacy: Privacy,
    /// The configuration's rules, and the chains built from them.
    pub rules: &'a [RuleConfig],
    /// For numbers called.
    pub destination: &'a Chain,
    /// For callers.
    pub source: &'a Chain,
    /// When the last success of all ended.
    pub last_success: Option<i64>,
    /// What the last full run that succeeded left out.
    pub left_out: Option<LeftOut>,
    /// Instants of [`Gather::last_calls`], in that order.
    pub last_instants: Vec<Option<i64>>,
    /// What was said about [`Gather::examples`], in that order.
    pub words: Vec<Option<String>>,
}

impl Gather {
    /// Looks at a window; at callers too where a rule is for them.
    #[must_use]
    pub fn new(window: Window, zone: Tz, callers: bool) -> Self {
        Self {
            window,
            clock: Clock::new(TimeKind::Instant, zone),
            besides: Besides::default(),
            states: [0; 7],
            first: None,
            last: None,
            over_time: Timeline::default(),
            by_hour: [[0; 24]; 7],
            destinations: Sample::of(coverage::MOST),
            sources: callers.then(|| Sample::of(coverage::MOST)),
            all: Ids::default(),
            unmatched: Ids::default(),
            unmatched_numbers: Frequent::of(NUMBERS),
            durations: Spread::default(),
            arrival: Spread::default(),
            finds: Default::default(),
            log: Log::default(),
        }
    }

    /// The last call of each number at the top of those without a contact.
    #[must_use]
    pub fn last_calls(&self) -> Vec<CallRef> {
        let top = self.unmatched_numbers.top(TOP);
        top.into_iter().map(|(_, _, last)| last).collect()
    }

    /// The calls that are shown as examples.
    #[must_use]
    pub fn examples(&self) -> Vec<Identity> {
        let latest = self.finds.iter().flat_map(|finds| &finds.latest);
        latest.map(|(identity, _)| identity.clone()).collect()
    }

    /// What everything came to, but for the headline.
    #[must_use]
    pub fn figures(self, known: Known<'_>) -> Figures {
        let privacy = known.privacy;
        let unmatched_numbers = self.top(&known);
        let look = look(self.finds, &known.words, self.besides.collisions, privacy);
        let zone = self.clock.zone();
        let clock = self.clock;
        let history = self.log.history(
            &Around {
                zone,
                end: self.window.until.min(known.now),
                success_before: self.besides.success_before,
                last_success: known.last_success,
                privacy,
            },
            |at| local(&clock, at).0,
        );
        let (grain, steps) = match self.over_time.span() {
            Some((first, last)) => self.over_time.cut(first, last, STEPS),
            None => (Grain::Day, Vec::new()),
        };
        Figures {
            job: known.job.to_owned(),
            generated: known.now,
            timezone: zone.name().to_owned(),
            window: Stretch {
                since: self.window.since,
                until: self.window.until,
            },
            headline: String::new(),
            masked: privacy == Privacy::Masked,
            calls: Calls {
                total: self.states.iter().sum(),
                states: self.states,
                first: self.first,
                last: self.last,
                due_before: self.besides.due_before,
            },
            over_time: OverTime {
                step: grain.word(),
                steps: steps
                    .into_iter()
                    .map(|(from, states)| StateStep { from, states })
                    .collect(),
            },
            by_hour: self.by_hour,
            unmatched_numbers,
            durations: Durations {
                lengths: lengths(&self.durations),
                classes: classes(&self.durations),
            },
            arrival: lengths(&self.arrival),
            runs: history,
            rules: Rules {
                destination: coverage(known.destination, known.rules, &self.destinations, privacy),
                source: self
                    .sources
                    .map(|sample| coverage(known.source, known.rules, &sample, privacy)),
            },
            look,
            left_out: known.left_out,
        }
    }

    fn top(&self, known: &Known<'_>) -> Unmatched {
        let instants = known
            .last_instants
            .iter()
            .copied()
            .chain(std::iter::repeat(None));
        Unmatched {
            numbers: self.unmatched_numbers.len() as u64,
            count_may_lack: self.unmatched_numbers.forgotten(),
            top: self
                .unmatched_numbers
                .top(TOP)
                .into_iter()
                .zip(instants)
                .map(|((number, calls, _), last)| UnmatchedNumber {
                    number: known.privacy.number(number).into_owned(),
                    calls,
                    last,
                })
                .collect(),
        }
    }

    fn find(&mut self, kind: Kind, call: &Surveyed<'_>) {
        let finds = &mut self.finds[kind as usize];
        finds.calls += 1;
        let identity = Identity {
            start: call.start,
            fold: Fold(call.fold),
            source: RawNumber(call.source.to_owned()),
            destination: RawNumber(call.destination.to_owned()),
        };
        finds.latest.push_back((identity, call.instant));
        if finds.latest.len() > EXAMPLES {
            finds.latest.pop_front();
        }
    }
}

impl Surveyor for Gather {
    fn begin(&mut self, besides: &Besides) {
        self.besides = *besides;
    }

    fn call(&mut self, call: &Surveyed<'_>) {
        if !self.window.contains(call.instant) {
            return;
        }
        self.states[place(call.state)] += 1;
        self.first = Some(self.first.map_or(call.instant, |at| at.min(call.instant)));
        self.last = Some(self.last.map_or(call.instant, |at| at.max(call.instant)));
        let (day, hour) = local(&self.clock, call.instant);
        self.over_time.add(day, place(call.state));
        self.by_hour[day.weekday().num_days_from_monday() as usize][hour] += 1;
        self.destinations.add(call.destination);
        if let Some(sources) = &mut self.sources {
            sources.add(call.source);
        }
        self.all.insert(call.id);
        match call.state {
            State::Unmatched => self.unmatched.insert(call.id),
            State::Rejected => self.find(Kind::Rejected, call),
            State::Held => self.find(Kind::Held, call),
            State::Delivered => {
                // What was there before there was a run, or had to be sent twice, says nothing about the way of a call.
                if call.attempts == 1
                    && self
                        .besides
                        .first_run
                        .is_some_and(|first| call.instant >= first)
                    && let Some(last) = call.last_attempt
                {
                    self.arrival
                        .add(u64::try_from(last.saturating_sub(call.instant)).unwrap_or(0));
                }
            }
            State::Withdrawn | State::Pending | State::InFlight => {}
        }
        if call.stuck {
            self.find(Kind::Stuck, call);
        }
        if call.drift {
            self.find(Kind::Drift, call);
        }
        match call.missing {
            Missing::Nothing => {}
            Missing::Row => self.find(Kind::RowGone, call),
            Missing::Selection => self.find(Kind::RowLeftOut, call),
        }
    }

    fn forms(&self) -> Option<RangeInclusive<i64>> {
        self.all.span().map(|(first, last)| first..=last)
    }

    fn form(&mut self, form: &SurveyedForm<'_>) {
        if !self.all.contains(form.call) {
            return;
        }
        self.durations.add(form.duration);
        if self.unmatched.contains(form.call) {
            let call: (ColumnTime, i64) = (form.start, form.call);
            self.unmatched_numbers.add(form.destination, call);
        }
    }

    fn run(&mut self, run: &Run) {
        self.log.add(run);
    }
}

/// The local day and hour of an instant.
fn local(clock: &Clock, instant: i64) -> (NaiveDate, usize) {
    let local = clock.local(ColumnTime(instant), instant);
    (local.date(), local.hour() as usize)
}

fn lengths(spread: &Spread) -> Lengths {
    Lengths {
        calls: spread.total(),
        p50_s: spread.percentile(50),
        p90_s: spread.percentile(90),
        p95_s: spread.percentile(95),
        p99_s: spread.percentile(99),
        longest_s: spread.largest(),
    }
}

fn classes(spread: &Spread) -> Vec<Class> {
    let ends = CLASSES.iter().skip(1).map(|end| Some(*end)).chain([None]);
    CLASSES
        .iter()
        .zip(ends)
        .map(|(from, until)| Class {
            from_s: *from,
            until_s: until,
            calls: spread.between(*from, until),
        })
        .collect()
}

fn look(finds: [Finds; 6], words: &[Option<String>], same_key: u64, privacy: Privacy) -> Look {
    let mut words = words.iter();
    let mut found = finds.map(|finds| Found {
        calls: finds.calls,
        examples: finds
            .latest
            .into_iter()
            .map(|(identity, instant)| Example {
                start: instant,
                source: privacy.number(identity.source.as_str()).into_owned(),
                destination: privacy.number(identity.destination.as_str()).into_owned(),
                words: words
                    .next()
                    .and_then(Option::as_deref)
                    .filter(|words| !words.is_empty())
                    .map(|words| privacy.text(words).into_owned()),
            })
            .collect(),
    });
    let [rejected, held, stuck, drift, row_gone, row_left_out] =
        Kind::ALL.map(|kind| std::mem::take(&mut found[kind as usize]));
    Look {
        rejected,
        held,
        stuck,
        drift,
        row_gone,
        row_left_out,
        same_key,
    }
}
