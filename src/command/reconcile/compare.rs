//! Source against ledger, slice by slice: two streams in one order, and what stands on one side only.

use std::ops::Range;

use super::days::Days;
use crate::agi::channels::{Channels, Moment};
use crate::call::{ColumnTime, Identity};
use crate::cdr::clock::Clock;
use crate::cdr::window::Window;
use crate::command::sync::{self, connect_source};
use crate::config::Config;
use crate::intake::{Batch, Candidate, Intake, Settings, Today};
use crate::ledger::{Entry, Ledger, LedgerError, Missing, PlanContext, Wires, plan};
use crate::report::exit::{Code, Exit};

/// Entries that are read at a time.
const PAGE: usize = 4_096;

/// What a comparison found.
pub(super) struct Compared {
    pub(super) days: Days,
    /// Rows without a start, which belong to no day.
    pub(super) undated: u64,
}

/// Compares a window. `told`: channels that were told while they happened. `undated`: rows without a start are counted along.
///
/// # Errors
/// The exit, where source or ledger cannot be read.
pub(super) async fn compare(
    config: &Config,
    settings: &Settings<'_>,
    ledger: &Ledger,
    told: &Channels,
    window: Window,
    undated: bool,
) -> Result<Compared, Exit> {
    let last_run = ledger.runs(1).await?.first().map(|run| run.start.started);
    let (source, profile) = connect_source(config).await?;
    let mut intake = Intake::open(settings, source, profile, window).await?;
    let mut days = Days::new();
    while let Some(batch) = intake.next().await? {
        let side = Side {
            ledger,
            told: told.now().map_err(sync::told_unusable)?,
            clock: intake.clock(),
            window,
            last_run,
        };
        side.slice(&batch, &mut days).await?;
    }
    if let Some(why) = intake.unread() {
        return Err(Exit::new(Code::Source, why));
    }
    let mut rows = 0;
    if undated {
        let before = intake.tally().rows.skipped.invalid;
        intake.count_undated().await?;
        rows = intake.tally().rows.skipped.invalid - before;
    }
    Ok(Compared {
        days,
        undated: rows,
    })
}

/// What a slice is compared by.
struct Side<'a> {
    ledger: &'a Ledger,
    told: Moment<'a>,
    clock: &'a Clock,
    window: Window,
    /// When the last run began.
    last_run: Option<i64>,
}

impl Side<'_> {
    async fn slice(&self, batch: &Batch, days: &mut Days) -> Result<(), LedgerError> {
        let range = batch.from..batch.until;
        let folded = self.ledger.folded_in(range.clone()).await?;
        for other in batch.others.iter().filter(|other| !other.beyond) {
            let instant = self.clock.resolve(other.start, None).instant;
            self.day(days, other.start, instant).rows += 1;
        }
        let mut calls = batch.calls.iter().peekable();
        let mut entries = Entries::new(self.ledger, range);
        loop {
            let entry = entries.peek().await?;
            let order = match (calls.peek(), entry) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(candidate), Some(entry)) => candidate.call.identity.cmp(&entry.identity),
            };
            match order {
                std::cmp::Ordering::Less => {
                    if let Some(candidate) = calls.next() {
                        self.only_source(candidate, &folded, days);
                    }
                }
                std::cmp::Ordering::Equal => {
                    if let (Some(candidate), Some(entry)) = (calls.next(), entries.take()) {
                        self.both(candidate, &entry, days);
                    }
                }
                std::cmp::Ordering::Greater => {
                    if let Some(entry) = entries.take() {
                        self.only_ledger(&entry, batch, days);
                    }
                }
            }
        }
    }

    fn only_source(&self, candidate: &Candidate, folded: &[Identity], days: &mut Days) {
        let call = &candidate.call;
        let day = self.day(days, call.identity.start, call.instant);
        day.rows += u64::from(call.rows);
        match candidate.today {
            Today::Dropped => {}
            Today::Wire(_) if self.told.has(call) => day.told(),
            Today::Wire(_) => {
                let over = call
                    .instant
                    .saturating_add(i64::try_from(call.duration).unwrap_or(i64::MAX));
                let newer = self.last_run.is_some_and(|began| over >= began);
                let is_folded = folded.binary_search(&call.identity).is_ok();
                day.unknown(&call.identity, is_folded, newer);
            }
        }
    }

    fn both(&self, candidate: &Candidate, entry: &Entry, days: &mut Days) {
        let call = &candidate.call;
        let today = match &candidate.today {
            Today::Wire(wire) => Some(wire.content_hash()),
            Today::Dropped => None,
        };
        let context = PlanContext {
            full: false,
            resend: false,
            recheck_before: 0,
        };
        let drift = plan(Some(entry.standing()), today, &context).drift;
        let day = self.day(days, call.identity.start, call.instant);
        day.rows += u64::from(call.rows);
        day.known(entry, drift);
    }

    fn only_ledger(&self, entry: &Entry, batch: &Batch, days: &mut Days) {
        let why = match batch.other(&entry.identity) {
            // It belongs to another window.
            Some(other) if other.beyond => return,
            Some(_) => Missing::Selection,
            None => Missing::Row,
        };
        let start = entry.identity.start;
        let instant = self.clock.resolve(start, None).instant;
        if self.window.contains(instant) {
            self.day(days, start, instant).orphaned(entry, why);
        }
    }

    /// The local day that a call started on.
    fn day<'d>(
        &self,
        days: &'d mut Days,
        start: ColumnTime,
        instant: i64,
    ) -> &'d mut super::days::Day {
        days.entry(self.clock.local(start, instant).date())
            .or_default()
    }
}

/// The ledger's entries of a slice, in the order of identities, a page at a time.
struct Entries<'a> {
    ledger: &'a Ledger,
    range: Range<ColumnTime>,
    page: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    after: Option<Identity>,
    more: bool,
}

impl<'a> Entries<'a> {
    fn new(ledger: &'a Ledger, range: Range<ColumnTime>) -> Self {
        Self {
            ledger,
            range,
            page: Vec::new().into_iter().peekable(),
            after: None,
            more: true,
        }
    }

    async fn peek(&mut self) -> Result<Option<&Entry>, LedgerError> {
        if self.page.peek().is_none() && self.more {
            let page = self
                .ledger
                .entries(self.range.clone(), Wires::Due, self.after.take(), PAGE)
                .await?;
            self.more = page.len() == PAGE;
            self.after = page.last().map(|entry| entry.identity.clone());
            self.page = page.into_iter().peekable();
        }
        Ok(self.page.peek())
    }

    fn take(&mut self) -> Option<Entry> {
        self.page.next()
    }
}
