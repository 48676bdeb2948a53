//! A believable `cdr` table for the demonstration: some weeks of an office's telephony in FreePBX's columns.
//!
//! Everything follows from a seed, the PBX's clock and a number of days, so two demonstrations with equal arguments
//! show equal figures. Every number comes from a range set aside for fiction, see [`numbers`]; nobody real is meant.
//! Nothing here knows the rules that a configuration would hold: [`Dialled`] states beside each dialled number what the
//! CRM calls it, so that a demonstration can compare.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;

mod calls;
pub mod numbers;
mod office_hours;
mod planner;
mod random;
mod rows;
mod stations;
mod table;

use calls::Call;
use planner::Planner;
use random::Random;

/// The PBX's zone: `calldate` is its wall clock, the epoch inside `uniqueid` the instant that goes with it.
pub const ZONE: Tz = chrono_tz::America::Caracas;

/// Six weeks: longer than the incremental look-back of 200 hours, so that a full run finds more than an incremental one.
pub const DEFAULT_DAYS: u32 = 42;

/// What kind of call a row belongs to, by who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// Extension to extension.
    Internal,
    /// From outside, straight to an extension.
    InboundExtension,
    /// From outside to the queue.
    InboundQueue,
    /// From outside to the ring group: one row for each extension that rang.
    InboundRingGroup,
    /// From outside, given up in the menu: `dst` is `s`.
    InboundMenu,
    /// Outside line and seven digits.
    OutboundLocal,
    /// Outside line, area or mobile code, seven digits.
    OutboundNational,
    /// Outside line, `00`, country.
    OutboundInternational,
    /// Outside line and a toll-free number.
    OutboundTollFree,
    /// `*72`, alone or with the number to forward to.
    FeatureCode,
}

impl CallKind {
    /// Every kind, in the order a summary lists them.
    pub const ALL: [Self; 10] = [
        Self::Internal,
        Self::InboundExtension,
        Self::InboundQueue,
        Self::InboundRingGroup,
        Self::InboundMenu,
        Self::OutboundLocal,
        Self::OutboundNational,
        Self::OutboundInternational,
        Self::OutboundTollFree,
        Self::FeatureCode,
    ];

    /// Whether the call went out to somebody whom a CRM may know.
    #[must_use]
    pub fn is_outbound(self) -> bool {
        match self {
            Self::OutboundLocal
            | Self::OutboundNational
            | Self::OutboundInternational
            | Self::OutboundTollFree => true,
            Self::Internal
            | Self::InboundExtension
            | Self::InboundQueue
            | Self::InboundRingGroup
            | Self::InboundMenu
            | Self::FeatureCode => false,
        }
    }
}

/// A number that was dialled over the outside line, before and after the rules a site like this one has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dialled {
    /// As the `dst` column holds it, such as `95550142`.
    pub raw: String,
    /// As the CRM knows it, such as `02125550142`.
    pub crm: String,
    /// Calls to `raw` that show their caller.
    pub calls: u64,
}

/// What [`generate`] wrote. A *call* here is an identity: rows of equal start, `src` and `dst` are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The database.
    pub path: PathBuf,
    /// Rows in its table `cdr`.
    pub rows: u64,
    /// Calls by kind; every kind has an entry.
    pub calls_per_kind: BTreeMap<CallKind, u64>,
    /// Calls of several rows that share start, `src` and `dst`: ring groups, and numbers tried over two trunks.
    pub forked: u64,
    /// Calls that repeat a call which found the number busy.
    pub redialled: u64,
    /// Calls from outside whose caller withheld the number: `src` is empty.
    pub withheld: u64,
    /// Outbound calls of a fax adapter that sends no number of its own: `src` is empty.
    pub without_source: u64,
    /// Extra rows for `h`, of duration 0, that follow a call on the same channel.
    pub hangup_rows: u64,
    /// Every number dialled over the outside line, in order.
    pub dialled: Vec<Dialled>,
    /// Start of the oldest and of the newest row, on the PBX's clock; `None` where there is no row.
    pub span: Option<(NaiveDateTime, NaiveDateTime)>,
}

/// Writes a new SQLite database with a table `cdr` at `path`.
///
/// `now` is the wall clock of the PBX in [`ZONE`]; the rows cover the `days` days before today and today so far, and
/// every call has ended by then, because Asterisk writes a row at hangup.
///
/// # Errors
/// `days` is 0 or over ten years, the days reach back behind 2017 or beyond 9999, `path` exists already (it is left
/// untouched), or the database cannot be written (then nothing is left behind).
pub fn generate(path: &Path, seed: u64, now: NaiveDateTime, days: u32) -> anyhow::Result<Summary> {
    ensure!(
        (1..=3660).contains(&days),
        "a demonstration covers 1 to 3660 days, not {days}"
    );
    // Venezuela's last change of zone was in May 2016: from 2017 on, every wall time is one instant.
    let first = now.date().checked_sub_days(Days::new(days.into()));
    let Some(first) = first.filter(|first| first.year() >= 2017) else {
        bail!(
            "the clock says {now}, and {days} days before that it was not yet 2017, which is where a demonstration \
             can start; please set the clock or ask for fewer days"
        );
    };
    ensure!(
        now.year() <= 9999,
        "the clock says {now}; a demonstration ends in the year 9999, please set the clock"
    );
    let calls = plan(seed, first, now);
    let rows = rows::number(&calls);
    table::write(path, &rows)?;
    Ok(summarize(path, &calls, rows.len() as u64))
}

/// The numbers that the practice CRM has contacts for, in the form the CRM uses, in order and without repetition.
///
/// Most of those that were dialled: enough for at least 90 % of the outbound calls, and, once there are some dozens of
/// calls, no more than 94 %, so that a few stay unknown.
#[must_use]
pub fn contacts(summary: &Summary, seed: u64) -> Vec<String> {
    let mut calls_to: BTreeMap<&str, u64> = BTreeMap::new();
    for number in &summary.dialled {
        *calls_to.entry(&number.crm).or_default() += number.calls;
    }
    let total: u64 = calls_to.values().sum();
    let mut numbers: Vec<&str> = calls_to.keys().copied().collect();
    Random::new(seed ^ 0x0063_6F6E_7461_6374).shuffle(&mut numbers);
    let mut unknown: HashSet<&str> = HashSet::new();
    let mut unknown_calls = 0;
    for number in numbers {
        let calls = calls_to[number];
        if (unknown_calls + calls) * 10 <= total {
            unknown_calls += calls;
            unknown.insert(number);
        }
        if unknown_calls * 100 >= total * 6 {
            break;
        }
    }
    calls_to
        .into_keys()
        .filter(|number| !unknown.contains(number))
        .map(str::to_owned)
        .collect()
}

fn plan(seed: u64, first: NaiveDate, now: NaiveDateTime) -> Vec<Call> {
    let mut planner = Planner::new(seed);
    for day in first.iter_days().take_while(|day| *day <= now.date()) {
        planner.plan_day(day);
    }
    let mut calls = planner.into_calls();
    calls.retain(|call| call.end() <= now);
    calls.sort_by(|a, b| (a.start, &a.caller).cmp(&(b.start, &b.caller)));
    calls
}

fn summarize(path: &Path, calls: &[Call], rows: u64) -> Summary {
    let count =
        |keep: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| keep(call)).count() as u64;
    let mut dialled: BTreeMap<(String, String), u64> = BTreeMap::new();
    for call in calls {
        if let Some(crm) = &call.crm_number {
            let shown = u64::from(!call.caller.is_empty());
            *dialled.entry((call.dst.clone(), crm.clone())).or_default() += shown;
        }
    }
    Summary {
        path: path.to_owned(),
        rows,
        calls_per_kind: CallKind::ALL
            .into_iter()
            .map(|kind| (kind, count(&|call| call.kind == kind)))
            .collect(),
        forked: count(&Call::is_forked),
        redialled: count(&|call| call.redial),
        withheld: count(&|call| call.caller.is_empty() && !call.kind.is_outbound()),
        without_source: count(&|call| call.caller.is_empty() && call.kind.is_outbound()),
        hangup_rows: count(&Call::has_hangup_row),
        dialled: dialled
            .into_iter()
            .filter(|(_, calls)| *calls > 0)
            .map(|((raw, crm), calls)| Dialled { raw, crm, calls })
            .collect(),
        span: calls
            .first()
            .zip(calls.last())
            .map(|(first, last)| (first.start, last.start)),
    }
}

#[cfg(test)]
mod tests;
