//! Everything about one call, gathered: rows, filters, clock, rules, the form of today, and what is on record.

use super::find::identity;
use super::hunt::{Hunt, start};
use crate::call::{Call, ColumnTime, Identity, TimeKind};
use crate::cdr::Assembly;
use crate::cdr::clock::{Clock, Resolved};
use crate::cdr::filters::{Filtered, examine};
use crate::cdr::select::is_withheld;
use crate::cdr::window::Window;
use crate::config::{Config, TargetKind};
use crate::intake::{Settings, Today, preferred};
use crate::ledger::{Attempt, Collision, Ledger, LedgerError, Listed, Run};
use crate::number::trace::Trace;
use crate::source::{CdrRow, SourceError};

/// Runs that are looked at for the one that could have read a call.
const RUNS: usize = 50;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// How it is known.
    pub(super) identity: Identity,
    /// What the ledger holds; `None`: it does not know the call, or could not be read.
    pub(super) listed: Option<Listed>,
    /// Attempts on record.
    pub(super) attempts: Vec<Attempt>,
    /// The call that has its key and keeps it out: on record, or by today's settings.
    pub(super) owner: Option<Identity>,
    /// Calls on record that it keeps out itself.
    pub(super) keeps_out: Vec<Identity>,
    /// Its rows, those that stand for it first; `None` where the source could not be read.
    pub(super) legs: Option<Vec<Leg>>,
    /// How today's settings read it.
    pub(super) today: Reading,
    /// The latest runs, the last one first.
    pub(super) runs: Vec<Run>,
}

/// One row of a call.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// The row.
    pub(super) row: CdrRow,
    /// What each filter says.
    pub(super) filters: Vec<Filtered>,
    /// Whether it stands for the call.
    pub(super) stands: bool,
}

/// What today's settings make of a call.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// How the start is read, and what the column holds; `None` where that is not known, without the source.
    pub(super) clock: Option<(Resolved, TimeKind)>,
    /// The caller's way through the rules; `None`: the number is withheld.
    pub(super) source: Option<Trace>,
    /// The way of the number called.
    pub(super) destination: Trace,
    /// What would be sent; `None` where no row passes the filters, or there is none.
    pub(super) form: Option<Today>,
}

/// Where a case is gathered from.
pub(super) struct Files<'a> {
    pub(super) config: &'a Config,
    pub(super) settings: &'a Settings<'a>,
    pub(super) ledger: Option<&'a Ledger>,
}

impl Files<'_> {
    /// What the ledger knows about a call, and how its numbers are read today.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub(super) async fn case(
        &self,
        identity: Identity,
        listed: Option<Listed>,
    ) -> Result<Case, LedgerError> {
        let settings = self.settings;
        let withheld = is_withheld(identity.source.as_str(), &self.config.select);
        let mut case = Case {
            today: Reading {
                clock: None,
                source: (!withheld).then(|| settings.source.trace(&identity.source)),
                destination: settings.destination.trace(&identity.destination),
                form: None,
            },
            identity: identity.clone(),
            listed,
            attempts: Vec::new(),
            owner: None,
            keeps_out: Vec::new(),
            legs: None,
            runs: Vec::new(),
        };
        if let Some(ledger) = self.ledger {
            if case.listed.is_none() {
                case.listed = ledger.call(identity.clone()).await?;
            }
            case.attempts = ledger.attempts(identity.clone()).await?;
            for Collision { folded, owner } in ledger.collisions_of(identity.clone()).await? {
                if folded == identity {
                    case.owner = Some(owner);
                } else {
                    case.keeps_out.push(folded);
                }
            }
            case.runs = ledger.runs(RUNS).await?;
        }
        Ok(case)
    }

    /// Adds what the source holds of a call.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(super) async fn add_rows(
        &self,
        case: &mut Case,
        hunt: &mut Hunt,
    ) -> Result<(), SourceError> {
        let second = case.identity.start.0;
        let range = ColumnTime(second)..ColumnTime(second.saturating_add(1));
        let rows = hunt.rows(range, |row| start(row).0 == second).await?;
        let select = &self.config.select;
        let empty_source = self.config.target.empty_source.as_deref();
        let assembled = Assembly {
            clock: &hunt.clock,
            window: Window {
                since: i64::MIN,
                until: i64::MAX,
            },
            select,
            empty_source,
            extra_roles: &hunt.profile.extra,
        }
        .assemble(rows.clone());
        let today =
            |call: &Call, clock: &Clock| self.settings.today(call, clock, &hunt.profile.extra);
        let call = assembled
            .calls
            .iter()
            .find(|call| call.identity == case.identity);
        let mut legs: Vec<Leg> = rows
            .into_iter()
            .filter(|row| identity(hunt, row).as_ref() == Some(&case.identity))
            .map(|row| Leg {
                filters: examine(&row, select, empty_source, &hunt.profile.extra),
                stands: false,
                row,
            })
            .collect();
        if let Some(call) = call {
            let first = legs.iter_mut().find(|leg| {
                leg.row.origin == call.origin
                    && leg.row.disposition == call.disposition
                    && leg.filters.iter().all(|filter| filter.passes)
            });
            if let Some(first) = first {
                first.stands = true;
            }
            let form = today(call, &hunt.clock);
            // A CRM without keys takes both.
            let keyed = matches!(self.config.target.kind, TargetKind::Nimbox(_));
            if let Today::Wire(mine) = &form
                && case.owner.is_none()
                && keyed
            {
                case.owner = assembled
                    .calls
                    .iter()
                    .filter(|other| other.identity != case.identity && preferred(other, call))
                    .find(|other| {
                        matches!(today(other, &hunt.clock), Today::Wire(theirs) if theirs.same_key(mine))
                    })
                    .map(|other| other.identity.clone());
            }
            case.today.form = Some(form);
        }
        legs.sort_by_key(|leg| !leg.stands);
        let uniqueid = legs
            .first()
            .and_then(|leg| leg.row.origin.uniqueid.as_deref());
        let known = case
            .listed
            .as_ref()
            .and_then(|listed| listed.origin.uniqueid.as_deref());
        let resolved = hunt.clock.resolve(case.identity.start, uniqueid.or(known));
        case.today.clock = Some((resolved, hunt.kind()));
        case.legs = Some(legs);
        Ok(())
    }
}

impl Case {
    /// The start as an instant, as it was taken when the form was frozen, or as it is read today.
    pub(super) fn instant(&self) -> Option<i64> {
        self.listed
            .as_ref()
            .map(|listed| listed.instant)
            .or_else(|| self.today.clock.map(|(resolved, _)| resolved.instant))
    }

    /// The row that stands for it, or the first one.
    pub(super) fn row(&self) -> Option<&CdrRow> {
        self.legs
            .as_ref()
            .and_then(|legs| legs.first())
            .map(|leg| &leg.row)
    }

    /// The first filter that leaves out the row of a call that no row stands for.
    pub(super) fn left_out(&self) -> Option<&Filtered> {
        let leg = self.legs.as_ref()?.first()?;
        if leg.stands {
            return None;
        }
        leg.filters.iter().find(|filter| !filter.passes)
    }
}
