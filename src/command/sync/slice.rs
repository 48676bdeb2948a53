//! What a slice comes to: which calls are due, which are folded or dropped, and their intents on record.

use super::board::{Turn, resting};
use super::collisions::Fresh;
use super::last::Last;
use super::pipeline::Pipeline;
use crate::call::{Call, ColumnTime, Disposition, Identity, Origin, WireForm};
use crate::delivery::Parcel;
use crate::intake::{Batch, Candidate, Intake, Today};
use crate::ledger::{Action, Entry, Intent, Ledger, LedgerError, STUCK_AFTER, State, Wires, plan};
use crate::source::SLICE_ROWS;

/// What the recorder has to know about a call on its way.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) identity: Identity,
    /// Its state before this run; `None` for a new call.
    pub(super) before: Option<State>,
    /// The CRM's id from an earlier delivery.
    pub(super) known_id: Option<i64>,
    /// It was sent ahead of other unmatched calls with its number.
    pub(super) scout: bool,
    /// Runs in a row before this one in which it got no verdict.
    pub(super) unanswered: u32,
}

impl Pipeline<'_> {
    /// Plans one slice: gives what is due. What goes last is put aside.
    pub(super) async fn plan(
        &self,
        intake: &Intake<'_>,
        batch: Batch,
        sending: bool,
        last: &mut Last,
    ) -> Result<Vec<Due>, LedgerError> {
        let wires = if self.plan.resend {
            Wires::All
        } else {
            Wires::Due
        };
        let recorded = self.recorded_collisions(batch.from..batch.until).await?;
        // Who was folded and has no row any more is not kept out by anybody.
        let stale: Vec<Identity> = recorded
            .keys()
            .filter(|folded| !batch.holds(folded) && batch.other(folded).is_none())
            .cloned()
            .collect();
        if !stale.is_empty() {
            self.ledger.forget_collisions(stale).await?;
        }
        let mut plans = Plans::default();
        let mut known = Known::new(self.ledger, batch.until, wires);
        for candidate in batch.calls {
            let entry = known.find(&candidate.call.identity).await?;
            self.decide(candidate, entry, &mut plans);
        }
        let Plans {
            drifts,
            dropped,
            mut due,
            fresh,
        } = plans;
        let fresh = if self.keyed {
            self.fold_collisions(intake, fresh, recorded).await?
        } else {
            fresh
        };
        if !drifts.is_empty() {
            self.ledger.record_drift(drifts).await?;
        }
        if !dropped.is_empty() {
            self.ledger.record_dropped(dropped).await?;
        }
        due.extend(fresh.into_iter().map(Due::fresh));
        due.sort_by(|a, b| a.intent.identity.cmp(&b.intent.identity));
        {
            let mut figures = self.board.figures();
            figures.handed += due.len() as u64;
            figures.stuck += due.iter().filter(|due| due.is_stuck()).count() as u64;
        }
        Ok(if sending {
            last.put_aside(due)
        } else {
            Vec::new()
        })
    }

    /// Puts the intents on record, and gives the parcels; see [`Pipeline::dispatch`].
    pub(super) async fn hand_over(
        &self,
        due: Vec<Due>,
    ) -> Result<Vec<Parcel<Ticket>>, LedgerError> {
        let mut intents = Vec::with_capacity(due.len());
        let mut parcels = Vec::with_capacity(due.len());
        for Due {
            ticket,
            intent,
            wire,
            last_attempt: _,
        } in due
        {
            intents.push(intent);
            parcels.push(Parcel { ticket, call: wire });
        }
        if !intents.is_empty() {
            self.ledger.record_intents(self.run, intents).await?;
        }
        Ok(parcels)
    }

    /// Decides about one call, and counts it where nothing is sent.
    fn decide(&self, candidate: Candidate, entry: Option<Entry>, plans: &mut Plans) {
        let Candidate { call, today } = candidate;
        let today_hash = match &today {
            Today::Wire(wire) => Some(wire.content_hash()),
            Today::Dropped => None,
        };
        let decision = plan(entry.as_ref(), today_hash, &self.plan);
        let mut figures = self.board.figures();
        if let Some(entry) = &entry {
            figures.drift += u64::from(decision.drift);
            if entry.drift != decision.drift {
                plans.drifts.push((call.identity.clone(), decision.drift));
            }
        }
        match (decision.action, entry, today) {
            (Action::Send, entry, Today::Wire(wire)) => {
                plans.fresh.push(Fresh { call, wire, entry });
            }
            (Action::Resend, Some(mut entry), _) => match entry.wire.take() {
                Some(wire) => plans.due.push(Due::again(call, &entry, wire)),
                None => resting(&mut figures, entry.state),
            },
            (Action::Recheck, Some(mut entry), _) => {
                let Some(wire) = entry.wire.clone() else {
                    resting(&mut figures, entry.state);
                    return;
                };
                let turn = figures.numbers.turn(wire.destination.as_str(), &entry);
                match turn {
                    Turn::Ahead | Turn::Alone => {
                        entry.wire = None;
                        let mut due = Due::again(call, &entry, wire);
                        due.ticket.scout = turn == Turn::Ahead;
                        plans.due.push(due);
                    }
                    Turn::Later => resting(&mut figures, entry.state),
                }
            }
            (Action::Settled | Action::Withdrawn | Action::Held, Some(entry), _) => {
                resting(&mut figures, entry.state);
            }
            (Action::Dropped, known, _) => {
                // A call that waited to be rebuilt, and that today's rules drop, waits no longer.
                let waits = known.is_some_and(|entry| entry.state == State::Pending);
                plans.dropped.extend(waits.then(|| call.identity.clone()));
                figures.drop_call(&call);
            }
            (Action::Send, _, Today::Dropped)
            | (
                Action::Resend
                | Action::Recheck
                | Action::Settled
                | Action::Withdrawn
                | Action::Held,
                None,
                _,
            ) => figures.drop_call(&call),
        }
    }
}

/// What a slice comes to.
#[derive(Default)]
struct Plans {
    /// Drift marks to set or to clear.
    drifts: Vec<(Identity, bool)>,
    /// Known calls that today's rules drop.
    dropped: Vec<Identity>,
    /// Known calls to send.
    due: Vec<Due>,
    /// Calls that the ledger does not know, or that are to be rebuilt.
    fresh: Vec<Fresh>,
}

/// The ledger's entries of a slice, asked for in the order of identities, a page at a time: the ledger may hold far more
/// calls than the source still has rows.
struct Known<'a> {
    ledger: &'a Ledger,
    until: ColumnTime,
    wires: Wires,
    page: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    /// Everything before this identity was looked at; `None` before the first page.
    seen: Option<Identity>,
    more: bool,
}

impl<'a> Known<'a> {
    fn new(ledger: &'a Ledger, until: ColumnTime, wires: Wires) -> Self {
        Self {
            ledger,
            until,
            wires,
            page: Vec::new().into_iter().peekable(),
            seen: None,
            more: true,
        }
    }

    /// The entry of this identity. Identities are asked for in ascending order.
    async fn find(&mut self, identity: &Identity) -> Result<Option<Entry>, LedgerError> {
        loop {
            while self
                .page
                .next_if(|entry| entry.identity < *identity)
                .is_some()
            {}
            if self.page.peek().is_some() || !self.more {
                return Ok(self.page.next_if(|entry| entry.identity == *identity));
            }
            let page = self
                .ledger
                .entries(
                    identity.start..self.until,
                    self.wires,
                    self.seen.take(),
                    SLICE_ROWS,
                )
                .await?;
            self.more = page.len() == SLICE_ROWS;
            self.seen = page.last().map(|entry| entry.identity.clone());
            self.page = page.into_iter().peekable();
        }
    }
}

/// A call that is to be sent: its intent for the ledger, its form for the CRM.
pub(super) struct Due {
    ticket: Ticket,
    intent: Intent,
    wire: WireForm,
    last_attempt: Option<i64>,
}

impl Due {
    /// A call that goes out by today's form, which is frozen now.
    fn fresh(Fresh { call, wire, entry }: Fresh) -> Self {
        let ticket = entry.as_ref().map_or_else(
            || Ticket {
                identity: call.identity.clone(),
                before: None,
                known_id: None,
                scout: false,
                unanswered: 0,
            },
            Ticket::of,
        );
        Self {
            // What the CRM called it before the deletion says nothing about what it is now.
            ticket: Ticket {
                known_id: None,
                ..ticket
            },
            intent: intent(call, Some(wire.clone())),
            wire,
            last_attempt: None,
        }
    }

    /// A known call, by its frozen form.
    fn again(call: Call, entry: &Entry, wire: WireForm) -> Self {
        Self {
            ticket: Ticket::of(entry),
            intent: intent(call, None),
            wire,
            last_attempt: entry.last_attempt,
        }
    }

    /// Whether it got no verdict in several runs.
    pub(super) fn is_stuck(&self) -> bool {
        self.ticket.unanswered >= STUCK_AFTER
    }

    /// When its last attempt ended, Unix seconds.
    pub(super) fn last_attempt(&self) -> Option<i64> {
        self.last_attempt
    }

    /// A call that waited for the verdict about its number.
    pub(super) fn follower(mut entry: Entry) -> Option<Self> {
        let wire = entry.wire.take()?;
        Some(Self {
            ticket: Ticket::of(&entry),
            // The origin and the outcome are on record since the first intent; an intent for a known call repeats them.
            intent: Intent {
                identity: entry.identity,
                wire: None,
                instant: 0,
                origin: Origin::default(),
                disposition: Disposition::Other(String::new()),
            },
            wire,
            last_attempt: entry.last_attempt,
        })
    }
}

impl Ticket {
    fn of(entry: &Entry) -> Self {
        Self {
            identity: entry.identity.clone(),
            before: Some(entry.state),
            known_id: entry.receipt.call_id,
            scout: false,
            unanswered: entry.unanswered,
        }
    }
}

fn intent(call: Call, wire: Option<WireForm>) -> Intent {
    Intent {
        identity: call.identity,
        wire,
        instant: call.instant,
        origin: call.origin,
        disposition: call.disposition,
    }
}
