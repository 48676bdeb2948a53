//! Which calls a deletion may take along, whatever its bounds mean to the CRM; how many of them the source no longer
//! holds; and what the CRM's count says about its reading.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::{Days, NaiveDate, NaiveTime};

use crate::call::Identity;
use crate::cdr::when::day_bounds;
use crate::cdr::window::Window;
use crate::command::sync;
use crate::config::Config;
use crate::intake::{Intake, Settings};
use crate::ledger::{Ledger, Selection};
use crate::report::exit::Exit;

/// Calls that are read from the ledger at a time.
const PAGE: usize = 4_096;

/// Largest offset from UTC in use, in seconds (Pacific/Kiritimati). Where a CRM so far east counts days by its own clock,
/// and takes the day named first along, the days it deletes begin that much before the same days in UTC. In the west
/// they end later, within the day after the last one.
const EASTERNMOST: i64 = 14 * 3600;

/// The days, as sets of calls. Whether the CRM's days are local, UTC or those of its own place, and whether its bounds
/// leave the two dates on the wire alone or only the midnights that begin them, is not known; every call that any reading
/// takes along is looked after.
pub(super) struct Affected {
    /// The named days, local.
    pub(super) main: Selection,
    /// Everything that any reading takes along.
    pub(super) around: Selection,
    readings: Vec<Selection>,
    all: Range<i64>,
}

impl Affected {
    pub(super) fn new(from: NaiveDate, to: NaiveDate, config: &Config) -> Self {
        let zone = config.source.timezone;
        let before = from.checked_sub_days(Days::new(1)).unwrap_or(from);
        let after = to.checked_add_days(Days::new(1)).unwrap_or(to);
        let local = |first: NaiveDate, last: NaiveDate| {
            day_bounds(first, zone).start..day_bounds(last, zone).end
        };
        let utc = |first: NaiveDate, last: NaiveDate| {
            let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp();
            midnight(first)..midnight(last.checked_add_days(Days::new(1)).unwrap_or(last))
        };
        let set = |range: Range<i64>| Selection {
            instants: vec![range],
            wire_dates: None,
        };
        let main = set(local(from, to));
        let eastern = |range: Range<i64>| range.start - EASTERNMOST..range.end;
        let around = Selection {
            instants: vec![eastern(local(before, after)), eastern(utc(before, after))],
            wire_dates: Some(before..=after),
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
            main,
            around,
            readings,
            all,
        }
    }

    /// Named days and everything affected, then the other readings of the bounds.
    pub(super) fn readings(&self) -> Vec<Selection> {
        self.readings.clone()
    }
}

/// How many delivered calls of the affected days the source no longer holds. With `for_good` those of the named days
/// are meant to go.
pub(super) async fn lost(
    config: &Config,
    settings: &Settings<'_>,
    ledger: &Ledger,
    days: &Affected,
    for_good: bool,
) -> Result<u64, Exit> {
    let window = Window {
        since: days.all.start,
        until: days.all.end,
    };
    let (source, profile) = sync::connect_source(config).await?;
    let (mut intake, _) = Intake::open(settings, source, profile, window).await?;
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
                let meant = for_good && days.main.instants[0].contains(&instant);
                if ours && !meant && !held.contains(&identity) {
                    lost += 1;
                }
            }
            if !delivered.is_empty() || !more {
                break;
            }
        }
        let Some(until) = until else { return Ok(lost) };
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
pub(super) fn reading(deleted: u64, counts: &[u64]) -> Option<&'static str> {
    let [local, _, utc, local_midnights, utc_midnights] = counts else {
        return None;
    };
    let names = [
        (
            *local,
            "the two dates on the wire are left alone, and days are local",
        ),
        (
            *utc,
            "the two dates on the wire are left alone, and days are UTC",
        ),
        (
            *local_midnights,
            "only the midnights that begin the two dates on the wire are left alone, and days are local",
        ),
        (
            *utc_midnights,
            "only the midnights that begin the two dates on the wire are left alone, and days are UTC",
        ),
    ];
    let mut fitting = names.iter().filter(|(n, _)| *n == deleted);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.1)
}
