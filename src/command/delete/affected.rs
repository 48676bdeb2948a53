//! Which calls a deletion may take along, whatever its bounds mean to the CRM; how many of them the source no longer
//! holds; and what the CRM's count says about its reading.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use chrono::{Days, NaiveDate, NaiveTime};

use crate::call::{Identity, TimeKind};
use crate::cdr::when::day_bounds;
use crate::cdr::window::Window;
use crate::command::sync;
use crate::config::Config;
use crate::intake::{Intake, Settings};
use crate::ledger::{DeletionPlan, Ledger, Purpose, Selection};
use crate::report::exit::Exit;

/// Calls that are read from the ledger at a time.
const PAGE: usize = 4_096;

/// Largest offset from UTC in use, in seconds (Pacific/Kiritimati). Where a CRM so far east counts days by its own clock,
/// and takes the day named first along, the days it deletes begin that much before the same days in UTC. In the west
/// they end later, within the day after the last one.
const EASTERNMOST: i64 = 14 * 3600;

/// How much earlier or later than today's zone says a call may start by the zone that its form was frozen under.
const ANOTHER_ZONE: i64 = 2 * 86_400;

/// The days, as sets of calls. Whether the CRM's days are local, UTC or those of its own place, and whether its bounds
/// leave the two dates on the wire alone or only the midnights that begin them, is not known; every call that any reading
/// takes along is looked after.
pub(in crate::command) struct Affected {
    /// The days that the request is about: those that were named, for a rebuild a day more on either side.
    pub(in crate::command) asked: RangeInclusive<NaiveDate>,
    days: RangeInclusive<NaiveDate>,
    purpose: Purpose,
    /// The named days, local.
    main: Selection,
    /// Everything that any reading takes along.
    around: Selection,
    readings: Vec<Selection>,
    all: Range<i64>,
}

impl Affected {
    /// What a deletion of the days `from..=to` affects.
    pub(in crate::command) fn new(
        days: RangeInclusive<NaiveDate>,
        purpose: Purpose,
        config: &Config,
    ) -> Self {
        let (from, to) = days.clone().into_inner();
        if purpose != Purpose::Rebuild {
            return Self::of(days, purpose, config);
        }
        // A call of the named days may get another key, and must not survive with the old one: with a day more on either
        // side it goes whatever the CRM takes for a day.
        let asked = before(from)..=after(to);
        let zone = config.source.timezone;
        let mut affected = Self::of(asked, purpose, config);
        let named = day_bounds(from, zone).start..day_bounds(to, zone).end;
        affected.main.instants = vec![named];
        affected.readings[0] = affected.main.clone();
        affected.days = days;
        affected
    }

    fn of(asked: RangeInclusive<NaiveDate>, purpose: Purpose, config: &Config) -> Self {
        let (from, to) = asked.clone().into_inner();
        Self {
            days: asked.clone(),
            asked,
            purpose,
            ..Self::around(from, to, config)
        }
    }

    fn around(from: NaiveDate, to: NaiveDate, config: &Config) -> Self {
        let zone = config.source.timezone;
        let (before, after) = (before(from), after(to));
        let local = |first: NaiveDate, last: NaiveDate| {
            day_bounds(first, zone).start..day_bounds(last, zone).end
        };
        let utc = |first: NaiveDate, last: NaiveDate| midnight(first)..midnight(self::after(last));
        let set = |range: Range<i64>| Selection {
            instants: vec![range],
            ..Selection::default()
        };
        let main = set(local(from, to));
        let eastern = |range: Range<i64>| range.start - EASTERNMOST..range.end;
        let around = Selection {
            instants: vec![eastern(local(before, after)), eastern(utc(before, after))],
            wire_dates: Some(before..=after),
            ..Selection::default()
        };
        // Between two midnights, both excluded: the first date goes, the second stays.
        let midnights = |first: Range<i64>, last: Range<i64>| first.start + 1..last.start;
        let readings = vec![
            main.clone(),
            around.clone(),
            set(utc(from, to)),
            set(midnights(local(before, before), local(after, after))),
            set(midnights(utc(before, before), utc(after, after))),
        ];
        // A wire date can lie a day off its instant's local and UTC dates.
        let wide = local(before, after);
        let wide_utc = utc(before, after);
        let all = wide.start.min(wide_utc.start) - 86_400..wide.end.max(wide_utc.end) + 86_400;
        Self {
            asked: from..=to,
            days: from..=to,
            purpose: Purpose::SendAgain,
            main,
            around,
            readings,
            all,
        }
    }

    /// Named days and everything affected, then the other readings of the bounds.
    pub(super) fn readings(&self, kind: TimeKind) -> Vec<Selection> {
        let mut readings = self.readings.clone();
        readings[0] = self.named(kind);
        readings
    }

    /// The deletion for the ledger. `kind` is the time column's: for local time a rebuild takes the calls by the day that
    /// the column names, whatever zone their forms were frozen under.
    pub(in crate::command) fn plan(&self, kind: TimeKind, started: i64) -> DeletionPlan {
        let rebuild = self.purpose == Purpose::Rebuild;
        DeletionPlan {
            days: self.days.clone(),
            purpose: self.purpose,
            main: self.named(kind),
            around: self.around.clone(),
            certain: rebuild.then(|| self.asked.clone()),
            window: self.window(),
            started,
        }
    }

    /// The same for calls that were told while they happened. They have no row by which they could be rebuilt: what a
    /// rebuild deletes of them is sent again as it was told.
    pub(in crate::command) fn plan_of_told(&self, started: i64) -> DeletionPlan {
        DeletionPlan {
            days: self.days.clone(),
            purpose: match self.purpose {
                Purpose::Rebuild | Purpose::SendAgain => Purpose::SendAgain,
                Purpose::Withdraw => Purpose::Withdraw,
            },
            main: self.main.clone(),
            around: self.around.clone(),
            certain: None,
            window: self.window(),
            started,
        }
    }

    /// Instants that no call of these days lies outside of.
    pub(in crate::command) fn window(&self) -> Range<i64> {
        self.all.start - ANOTHER_ZONE..self.all.end + ANOTHER_ZONE
    }

    /// The calls of the named days: for a rebuild, those that the column names, too.
    pub(super) fn named(&self, kind: TimeKind) -> Selection {
        let (first, last) = self.days.clone().into_inner();
        let starts = match (kind, self.purpose) {
            (TimeKind::Wall, Purpose::Rebuild) => Some(midnight(first)..midnight(after(last))),
            (TimeKind::Wall | TimeKind::Instant, _) => None,
        };
        Selection {
            starts,
            ..self.main.clone()
        }
    }
}

fn before(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(1)).unwrap_or(day)
}

fn after(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// How many delivered calls of the affected days the source no longer holds, and what its time column holds. For
/// [`Purpose::Withdraw`] those of the named days are meant to go.
pub(super) async fn lost(
    config: &Config,
    settings: &Settings<'_>,
    ledger: &Ledger,
    days: &Affected,
) -> Result<(u64, TimeKind), Exit> {
    // What was frozen under another zone is another instant today.
    let window = Window {
        since: days.all.start - ANOTHER_ZONE,
        until: days.all.end + ANOTHER_ZONE,
    };
    let (source, profile) = sync::connect_source(config).await?;
    let kind = profile.time;
    let mut intake = Intake::open(settings, source, profile, window).await?;
    let mut after: Option<Identity> = None;
    let mut delivered = Vec::new();
    let mut more = true;
    let mut lost = 0;
    let mut held: BTreeSet<Identity> = BTreeSet::new();
    // Both sides come in the order of identities: slice by slice of the source, page by page of the ledger.
    loop {
        let batch = intake.next().await?;
        let until = batch.as_ref().map(|batch| batch.until);
        if let Some(batch) = batch {
            held.extend(
                batch
                    .calls
                    .into_iter()
                    .map(|candidate| candidate.call.identity),
            );
        }
        loop {
            while more && delivered.len() < PAGE {
                let page = ledger
                    .delivered_in(days.all.clone(), after.clone(), PAGE)
                    .await?;
                more = page.len() == PAGE;
                if let Some((identity, _)) = page.last() {
                    after = Some(identity.clone());
                }
                delivered.extend(page);
            }
            let ready = delivered
                .iter()
                .take_while(|(identity, _)| until.is_none_or(|until| identity.start < until))
                .count();
            for (identity, instant) in delivered.drain(..ready) {
                let ours = affected(days, instant);
                let meant =
                    days.purpose == Purpose::Withdraw && days.main.instants[0].contains(&instant);
                if ours && !meant && !held.contains(&identity) {
                    lost += 1;
                }
            }
            if !delivered.is_empty() || !more {
                break;
            }
        }
        let Some(until) = until else {
            return Ok((lost, kind));
        };
        held.retain(|identity| identity.start >= until);
    }
}

/// Whether any reading by instants takes the call along.
fn affected(days: &Affected, instant: i64) -> bool {
    days.around
        .instants
        .iter()
        .any(|range| range.contains(&instant))
}

/// What the CRM's count says about its reading of the bounds, where the readings differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The days between the two dates, local.
    LocalDays,
    /// The days between the two dates, UTC.
    UtcDays,
    /// From the midnight that begins the first date to the one that begins the second, local.
    LocalMidnights,
    /// The same in UTC.
    UtcMidnights,
}

impl Reading {
    /// The one reading that holds as many calls as were deleted, by the counts of [`Affected::readings`].
    pub(super) fn of(deleted: u64, counts: &[u64]) -> Option<Self> {
        let [local, _, utc, local_midnights, utc_midnights] = counts else {
            return None;
        };
        let readings = [
            (*local, Self::LocalDays),
            (*utc, Self::UtcDays),
            (*local_midnights, Self::LocalMidnights),
            (*utc_midnights, Self::UtcMidnights),
        ];
        let mut fitting = readings.iter().filter(|(n, _)| *n == deleted);
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first.1)
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::LocalDays => "the two dates on the wire are left alone, and days are local",
            Self::UtcDays => "the two dates on the wire are left alone, and days are UTC",
            Self::LocalMidnights => {
                "only the midnights that begin the two dates on the wire are left alone, and days are local"
            }
            Self::UtcMidnights => {
                "only the midnights that begin the two dates on the wire are left alone, and days are UTC"
            }
        }
    }
}
