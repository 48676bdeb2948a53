//! The calls that can be meant: those of the ledger, and those of rows in the source.

use std::collections::BTreeMap;
use std::ops::Range;

use super::hunt::{Hunt, start};
use super::wanted::Wanted;
use crate::call::{ColumnTime, Identity, RawNumber};
use crate::cdr::window::Window;
use crate::intake::Settings;
use crate::ledger::{Collision, Filter, Ledger, LedgerError, Listed, NumberFilter};
use crate::number::chain::{Chain, Verdict};
use crate::source::{CdrRow, SourceError, StartCell};

/// Most calls that are listed where several can be meant.
pub(super) const MOST: usize = 20;

/// How long before and after the creation of its channel the start of a call is looked for first, in seconds. Asterisk
/// starts a record with its channel; a transfer starts another one later.
const NEAR: Range<i64> = -60..600;
/// The same where nothing was found there: as far as the clock of a PBX in another zone than `source.timezone` may be off,
/// and a day of talking.
const FAR: Range<i64> = -16 * 3600..40 * 3600;

/// A page of the ledger's collisions.
const PAGE: usize = 2_000;

/// One call that can be meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// What the ledger holds.
    pub(super) listed: Option<Listed>,
    /// A row of it, as far as the search came across one.
    pub(super) row: Option<CdrRow>,
    /// The call that the ledger has it folded into.
    pub(super) owner: Option<Identity>,
}

/// Every call that can be meant, the latest [`MOST`] of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    /// By identity.
    pub(super) calls: BTreeMap<Identity, Found>,
    /// There are older ones, too.
    pub(super) more: bool,
}

impl Finding {
    fn entry(&mut self, identity: Identity) -> &mut Found {
        self.calls.entry(identity).or_default()
    }

    fn know(&mut self, call: Listed) {
        let identity = call.identity.clone();
        self.entry(identity).listed = Some(call);
    }

    fn bound(&mut self) {
        while self.calls.len() > MOST {
            self.calls.pop_first();
            self.more = true;
        }
    }

    /// What the ledger knows.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub(super) async fn in_ledger(
        &mut self,
        ledger: &Ledger,
        wanted: &Wanted,
        zone: chrono_tz::Tz,
        window: Option<Window>,
    ) -> Result<(), LedgerError> {
        let instants = window.map(|window| window.since..window.until);
        let by_id = |id: &str| Filter {
            uniqueid: Some(id.to_owned()),
            instants: instants.clone(),
            ..Filter::default()
        };
        match wanted {
            Wanted::Uniqueid { id, epoch } => {
                // Around the epoch, a small part of the calls is looked at.
                let near = Filter {
                    since: Some(ColumnTime(epoch.saturating_add(FAR.start))),
                    until: Some(ColumnTime(epoch.saturating_add(FAR.end))),
                    ..by_id(id)
                };
                self.listed(ledger, near).await?;
                if self.calls.is_empty() {
                    self.listed(ledger, by_id(id)).await?;
                }
            }
            Wanted::Number(text) => {
                // What is dialled is no id, and looking for one costs a look at every call.
                let dialled = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#');
                if !text.bytes().all(dialled) {
                    self.listed(ledger, by_id(text)).await?;
                }
                if self.calls.is_empty() {
                    let filter = Filter {
                        number: Some(NumberFilter::Exact(text.clone())),
                        instants: instants.clone(),
                        ..Filter::default()
                    };
                    self.listed(ledger, filter).await?;
                    self.folded(ledger, |folded| {
                        [folded.source.as_str(), folded.destination.as_str()]
                            .contains(&text.as_str())
                    })
                    .await?;
                }
            }
            Wanted::Key(key) => {
                for form in key.forms() {
                    for identity in ledger.by_key(form).await? {
                        if let Some(call) = ledger.call(identity).await? {
                            self.know(call);
                        }
                    }
                }
                let seconds = key.seconds(zone);
                for second in &seconds {
                    let filter = Filter {
                        since: Some(ColumnTime(*second)),
                        until: Some(ColumnTime(second.saturating_add(1))),
                        ..Filter::default()
                    };
                    for call in ledger.list(filter, None, 1_000).await? {
                        if key.is(&call) {
                            self.know(call);
                        }
                    }
                }
                self.folded(ledger, |folded| {
                    seconds.contains(&folded.start.0)
                        && key.names(folded.source.as_str(), folded.destination.as_str())
                })
                .await?;
            }
        }
        self.bound();
        Ok(())
    }

    /// The latest calls that pass a filter.
    async fn listed(&mut self, ledger: &Ledger, filter: Filter) -> Result<(), LedgerError> {
        let (calls, more) = ledger.latest(filter, MOST).await?;
        self.more |= more;
        for call in calls {
            self.know(call);
        }
        Ok(())
    }

    /// Calls that were folded into another for their key.
    async fn folded(
        &mut self,
        ledger: &Ledger,
        wanted: impl Fn(&Identity) -> bool,
    ) -> Result<(), LedgerError> {
        let mut after = None;
        loop {
            let page = ledger.collisions(after, PAGE).await?;
            let last = page.len() < PAGE;
            after = page.last().map(|collision| collision.folded.clone());
            for Collision { folded, owner } in page {
                if wanted(&folded) {
                    self.entry(folded).owner = Some(owner);
                }
            }
            self.bound();
            if last {
                return Ok(());
            }
        }
    }

    /// What the source holds.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(super) async fn in_source(
        &mut self,
        hunt: &mut Hunt,
        wanted: &Wanted,
        settings: &Settings<'_>,
        window: Window,
        given: bool,
    ) -> Result<(), SourceError> {
        match wanted {
            Wanted::Uniqueid { id, .. } if given => {
                self.backwards(hunt, window, |row| has_id(row, id)).await
            }
            Wanted::Uniqueid { id, epoch } => {
                let known = !self.calls.is_empty();
                for (reach, again) in [(NEAR, false), (FAR, true)] {
                    // One pass over everything rather than two.
                    if !again && hunt.reads_all() && !known {
                        continue;
                    }
                    let range = hunt.column(
                        epoch.saturating_add(reach.start),
                        epoch.saturating_add(reach.end),
                    );
                    let rows = hunt.rows(range, |row| has_id(row, id)).await?;
                    self.take(hunt, rows);
                    if !self.calls.is_empty() {
                        break;
                    }
                }
                Ok(())
            }
            Wanted::Key(key) => {
                let seconds = key.seconds(hunt.clock.zone());
                let wanted = |row: &CdrRow| {
                    let (source, destination) = sent(settings, &row.source, &row.destination);
                    seconds.contains(&start(row).0)
                        && (key.names(&row.source, &row.destination)
                            || key.names(&source, &destination))
                };
                if hunt.reads_all() {
                    let first = seconds.first().copied().unwrap_or_default();
                    let last = seconds.last().copied().unwrap_or_default();
                    let range = ColumnTime(first)..ColumnTime(last.saturating_add(1));
                    let rows = hunt.rows(range, wanted).await?;
                    self.take(hunt, rows);
                    return Ok(());
                }
                for second in &seconds {
                    let range = ColumnTime(*second)..ColumnTime(second.saturating_add(1));
                    let rows = hunt.rows(range, wanted).await?;
                    self.take(hunt, rows);
                }
                Ok(())
            }
            Wanted::Number(text) => {
                let wanted = |row: &CdrRow| {
                    has_id(row, text) || row.source == *text || row.destination == *text || {
                        let (source, destination) = sent(settings, &row.source, &row.destination);
                        source == *text || destination == *text
                    }
                };
                self.backwards(hunt, window, wanted).await
            }
        }
    }

    /// Searches a window from its end, in steps that double, until there are enough.
    async fn backwards(
        &mut self,
        hunt: &mut Hunt,
        window: Window,
        wanted: impl Fn(&CdrRow) -> bool,
    ) -> Result<(), SourceError> {
        let mut step = if hunt.reads_all() {
            i64::MAX
        } else {
            2 * 86_400
        };
        let mut until = window.until;
        let mut seen = 0;
        while until > window.since && !hunt.is_tired() {
            let since = window.since.max(until.saturating_sub(step));
            let range = hunt.column(since, until);
            let rows = hunt.rows(range, &wanted).await?;
            seen += rows.len();
            self.take(hunt, rows);
            if seen > MOST {
                break;
            }
            until = since;
            step = step.saturating_mul(2);
        }
        Ok(())
    }

    fn take(&mut self, hunt: &Hunt, rows: Vec<CdrRow>) {
        for row in rows {
            if let Some(identity) = identity(hunt, &row) {
                self.entry(identity).row.get_or_insert(row);
                self.bound();
            }
        }
    }
}

/// How the call of a row is known; `None` for a row without a start.
pub(super) fn identity(hunt: &Hunt, row: &CdrRow) -> Option<Identity> {
    let StartCell::At(at) = row.start else {
        return None;
    };
    let resolved = hunt.clock.resolve(at, row.origin.uniqueid.as_deref());
    Some(Identity {
        start: at,
        fold: resolved.fold,
        source: RawNumber(row.source.clone()),
        destination: RawNumber(row.destination.clone()),
    })
}

fn has_id(row: &CdrRow, id: &str) -> bool {
    row.origin.uniqueid.as_deref() == Some(id) || row.origin.linkedid.as_deref() == Some(id)
}

/// What today's rules make of both numbers; empty where they drop one.
fn sent(settings: &Settings<'_>, source: &str, destination: &str) -> (String, String) {
    let through = |chain: &Chain, raw: &str| match chain.apply(&RawNumber(raw.to_owned())) {
        Verdict::Number(number) => number.0,
        Verdict::Dropped { .. } => String::new(),
    };
    (
        through(&settings.source, source),
        through(&settings.destination, destination),
    )
}
