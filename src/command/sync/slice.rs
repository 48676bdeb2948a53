//! What a slice comes to: which calls are due, which are folded or dropped, and their intents on record.

use super::board::{Figures, Turn, resting};
use super::collisions::Fresh;
use super::known::Known;
use super::last::Last;
use super::pipeline::Pipeline;
use super::told;
use crate::agi::channels::Moment;
use crate::call::{Call, Disposition, Identity, Origin, TimeKind, WireForm};
use crate::delivery::Parcel;
use crate::intake::{Batch, Candidate, Today};
use crate::ledger::{
    Action, Entry, Intent, LedgerError, STUCK_AFTER, Standing, State, Wires, plan,
};

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
    /// Plans one slice: gives what is due, and what the slice comes to where it need not be read again. What goes last is
    /// put aside.
    pub(super) async fn plan(
        &self,
        kind: TimeKind,
        batch: Batch,
        sending: bool,
        first: bool,
        last: &mut Last,
    ) -> Result<(Vec<Due>, Option<Known>), LedgerError> {
        let mut known = Known::of(&batch, first);
        let dropped_before = self.board.dropped();
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
        if !recorded.is_empty() {
            known = None;
        }
        let mut plans = Plans {
            known,
            ..Plans::default()
        };
        // After the rows were read, not before.
        let told = self.told.now().map_err(told::unusable)?;
        let (candidates, standings) = self.ledger.standings(batch.calls).await?;
        for (candidate, standing) in candidates.into_iter().zip(standings) {
            self.decide(candidate, standing, &told, &mut plans);
            tokio::task::consume_budget().await;
        }
        self.look_up(&mut plans).await?;
        let Plans {
            drifts,
            dropped,
            open: _,
            due,
            fresh,
            mut known,
        } = plans;
        let unfolded = fresh.len();
        let fresh = if self.keyed {
            self.fold_collisions(kind, fresh, recorded).await?
        } else {
            fresh
        };
        if fresh.len() < unfolded {
            known = None;
        }
        if !drifts.is_empty() {
            self.ledger.record_drift(drifts).await?;
        }
        if !dropped.is_empty() {
            self.ledger.record_dropped(dropped).await?;
        }
        if let Some(known) = &mut known {
            known.counts.dropped = self.board.dropped() - dropped_before;
        }
        let fresh = fresh.into_iter().map(Due::fresh);
        let due = due.into_iter().chain(fresh).collect();
        Ok((self.hand_on(due, sending, last), known))
    }

    /// Counts calls as handed to delivery, and gives those that are sent now, in order.
    pub(super) fn hand_on(&self, mut due: Vec<Due>, sending: bool, last: &mut Last) -> Vec<Due> {
        due.sort_by(|a, b| a.intent.identity.cmp(&b.intent.identity));
        let mut figures = self.board.figures();
        figures.handed += due.len() as u64;
        figures.stuck += due.iter().filter(|due| due.is_stuck()).count() as u64;
        if sending {
            last.put_aside(due)
        } else {
            Vec::new()
        }
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

    /// Decides about one call by where it stands, and counts it where nothing is sent.
    fn decide(
        &self,
        candidate: Candidate,
        standing: Option<Standing>,
        told: &Moment<'_>,
        plans: &mut Plans,
    ) {
        let Candidate { call, today } = candidate;
        let today_hash = match (&today, &standing) {
            (Today::Wire(wire), Some(_)) => Some(wire.content_hash()),
            (Today::Wire(wire), None) if plans.known.is_some() => Some(wire.content_hash()),
            // Of a call that is not known, it only matters whether there is a form.
            (Today::Wire(_), None) => Some(0),
            (Today::Dropped, _) => None,
        };
        if let (Some(known), Some(hash)) = (&mut plans.known, today_hash) {
            known.add(hash);
        }
        let decision = plan(standing, today_hash, &self.plan);
        let mut figures = self.board.figures();
        if let Some(standing) = &standing {
            figures.drift += u64::from(decision.drift);
            if standing.drift != decision.drift {
                plans.drifts.push((call.identity.clone(), decision.drift));
            }
        }
        match (decision.action, standing, today) {
            // The CRM knows it from another place than its row.
            (Action::Send, None, Today::Wire(_)) if told.has(&call) => {
                plans.known = None;
                resting(&mut figures, State::Delivered);
            }
            (Action::Send, None, Today::Wire(wire)) => {
                let entry = None;
                plans.fresh.push(Fresh { call, wire, entry });
            }
            (Action::Settled | Action::Withdrawn | Action::Held, Some(standing), _) => {
                resting(&mut figures, standing.state);
            }
            (action @ (Action::Send | Action::Resend | Action::Recheck), Some(_), today) => {
                plans.open.push(Open {
                    call,
                    today,
                    action,
                });
            }
            (Action::Dropped, known, _) => {
                // A call that waited to be rebuilt, and that today's rules drop, waits no longer.
                let waits = known.is_some_and(|standing| standing.state == State::Pending);
                plans.dropped.extend(waits.then(|| call.identity.clone()));
                figures.drop_call(&call);
            }
            (
                Action::Send
                | Action::Resend
                | Action::Recheck
                | Action::Settled
                | Action::Withdrawn
                | Action::Held,
                None,
                _,
            ) => figures.drop_call(&call),
        }
    }

    /// Looks up what is known about the calls that are to be sent again: only they cost it.
    async fn look_up(&self, plans: &mut Plans) -> Result<(), LedgerError> {
        if plans.open.is_empty() {
            return Ok(());
        }
        let wires = if self.plan.resend {
            Wires::All
        } else {
            Wires::Due
        };
        let open = std::mem::take(&mut plans.open);
        let wanted = open.iter().map(|open| open.call.identity.clone()).collect();
        let entries = self.ledger.entries_of(wanted, wires).await?;
        for (open, entry) in open.into_iter().zip(entries) {
            self.take_up(open, entry, plans);
        }
        Ok(())
    }

    /// A call that is to be sent again, with what is known about it.
    fn take_up(&self, open: Open, entry: Option<Entry>, plans: &mut Plans) {
        let Open {
            call,
            today,
            action,
        } = open;
        let mut figures = self.board.figures();
        let Some(entry) = entry else {
            // Nobody else writes the ledger: what stood there a moment ago is there.
            figures.drop_call(&call);
            return;
        };
        match (action, today) {
            (Action::Send, Today::Wire(wire)) => {
                let entry = Some(entry);
                plans.fresh.push(Fresh { call, wire, entry });
            }
            (Action::Resend, _) => plans.due.extend(resend(&mut figures, entry)),
            (Action::Recheck, _) => plans.due.extend(recheck(&mut figures, entry)),
            (
                Action::Send | Action::Settled | Action::Withdrawn | Action::Held | Action::Dropped,
                _,
            ) => figures.drop_call(&call),
        }
    }
}

/// A known call that is due, by its frozen form.
pub(super) fn resend(figures: &mut Figures, entry: Entry) -> Option<Due> {
    let state = entry.state;
    let due = Due::again(entry);
    if due.is_none() {
        resting(figures, state);
    }
    due
}

/// An unmatched call whose number is to be asked about: it goes now, or waits for the verdict about another one's.
pub(super) fn recheck(figures: &mut Figures, entry: Entry) -> Option<Due> {
    let turn = match &entry.wire {
        Some(wire) => figures.numbers.turn(wire.destination.as_str(), &entry),
        None => Turn::Later,
    };
    match turn {
        Turn::Ahead | Turn::Alone => {
            let mut due = Due::again(entry)?;
            due.ticket.scout = turn == Turn::Ahead;
            Some(due)
        }
        Turn::Later => {
            resting(figures, entry.state);
            None
        }
    }
}

/// A known call that is to be sent again.
struct Open {
    call: Call,
    today: Today,
    action: Action,
}

/// What a slice comes to.
#[derive(Default)]
struct Plans {
    /// Drift marks to set or to clear.
    drifts: Vec<(Identity, bool)>,
    /// Known calls that today's rules drop.
    dropped: Vec<Identity>,
    /// Known calls to send, before their entries are looked up.
    open: Vec<Open>,
    /// Known calls to send.
    due: Vec<Due>,
    /// Calls that the ledger does not know, or that are to be rebuilt.
    fresh: Vec<Fresh>,
    /// What the calls come to, as long as nothing speaks against knowing them by it.
    known: Option<Known>,
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
            intent: Intent {
                identity: call.identity,
                wire: Some(wire.clone()),
                instant: call.instant,
                origin: call.origin,
                disposition: call.disposition,
            },
            wire,
            last_attempt: None,
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

    /// A known call, by its frozen form; `None` where it was not read along.
    pub(super) fn again(mut entry: Entry) -> Option<Self> {
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
