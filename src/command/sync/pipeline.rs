//! Reading, sending and recording, side by side on one thread.
//!
//! ```text
//! read: slice -> plan -> intents on record ──parcels──► deliver ──settled──► record: answers on record -> counted
//! ```
//!
//! The next slice is read while the last one is sent; a slice's statement is closed before its first call leaves, its
//! intents are durable before that, and nothing is counted before it is on record. Two slices are in memory at most.
//!
//! Each of the three ends on its own account, and none waits for one that has ended: closed channels say so.

use std::collections::HashMap;
use std::convert::Infallible;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::{Board, resting};
use crate::call::{Call, ColumnTime, Disposition, Fold, Identity, Origin, RawNumber, WireForm};
use crate::delivery::{self, Ending, Fate, Limits, Parcel, Settled, Stop, Summary};
use crate::intake::{Batch, Candidate, Intake, Today, preferred};
use crate::ledger::{
    Action, Collision, Entry, Intent, Ledger, LedgerError, PlanContext, Recorded, RunId, State,
    Wires, plan,
};
use crate::report::exit::Exit;
use crate::source::{SLICE_ROWS, SourceError};
use crate::target::{CrmTarget, Receipt};

/// Answers that one transaction records at most.
const COMMIT: usize = 1024;

/// Parcels on their way between reading and sending beside the slice that is being sent.
const SLICES_AHEAD: usize = 1;

/// What the recorder has to know about a call on its way.
#[derive(Debug)]
struct Ticket {
    identity: Identity,
    /// Its state before this run; `None` for a new call.
    before: Option<State>,
    /// The CRM's id from an earlier delivery.
    known_id: Option<i64>,
    /// It was sent ahead of other unmatched calls with its number.
    scout: bool,
}

/// A run's parts.
pub(super) struct Pipeline<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) board: &'a Board,
    pub(super) run: RunId,
    pub(super) plan: PlanContext,
    pub(super) stop: watch::Receiver<Stop>,
    /// When reading ends, done or not; `None`: when it is done.
    pub(super) read_until: Option<Instant>,
}

/// How far the reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Through the whole window.
    Whole,
    /// As far as time allowed.
    OutOfTime,
    /// Until somebody asked to stop.
    Stopped(Stop),
}

/// The reading side's two ways to the sending side.
struct Way<'a> {
    parcels: mpsc::Sender<Vec<Parcel<Ticket>>>,
    /// Keeps requests from leaving once the ledger has failed.
    brake: &'a watch::Sender<Stop>,
}

/// What ends the reading early.
enum Halt {
    Source(SourceError),
    Ledger(LedgerError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<LedgerError> for Halt {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Halt> for Exit {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Source(error) => error.into(),
            Halt::Ledger(error) => error.into(),
        }
    }
}

impl Pipeline<'_> {
    /// Runs the window through. Gives how sending ended, and what went wrong with source or ledger.
    pub(super) async fn go(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        crm: &dyn CrmTarget,
        limits: Limits,
    ) -> (Summary, Option<Exit>) {
        let (parcels, incoming) = mpsc::channel(SLICES_AHEAD);
        let (settled, answers) = mpsc::channel(COMMIT);
        let (scouts, scouts_back) = watch::channel(0);
        let (brake, braked) = watch::channel(Stop::No);
        let way = Way {
            parcels,
            brake: &brake,
        };
        let (read, mut summary, recorded) = tokio::select! {
            biased;
            never = pass_on(self.stop.clone(), &brake) => match never {},
            ended = async {
                tokio::join!(
                    self.read(intake, undated, way, scouts_back),
                    delivery::deliver(crm, limits, incoming, settled, braked),
                    self.record(answers, scouts),
                )
            } => ended,
        };
        let tally = intake.tally();
        let mut figures = self.board.figures();
        figures.rows = tally.rows;
        figures.read = tally.read;
        let failure = match (recorded, read) {
            (Err(error), _) => Some(Exit::from(error)),
            (Ok(()), Err(halt)) => Some(Exit::from(halt)),
            (Ok(()), Ok(Extent::Whole)) => None,
            // Sending may have been through with all it got; the run is not.
            (Ok(()), Ok(Extent::OutOfTime)) => {
                if summary.ending == Ending::Done {
                    summary.ending = Ending::OutOfTime;
                }
                None
            }
            (Ok(()), Ok(Extent::Stopped(asked))) => {
                summary.ending = Ending::Stopped(asked);
                None
            }
        };
        (summary, failure)
    }

    /// The reading side.
    async fn read(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        way: Way<'_>,
        scouts_back: watch::Receiver<u64>,
    ) -> Result<Extent, Halt> {
        let done = self.read_window(intake, undated, &way, scouts_back).await;
        if matches!(done, Err(Halt::Ledger(_))) {
            // What is recorded no longer lasts, perhaps: what is in flight may land, and nothing follows.
            way.brake.send_replace(Stop::Unrecorded);
        }
        done
    }

    async fn read_window(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        way: &Way<'_>,
        mut scouts_back: watch::Receiver<u64>,
    ) -> Result<Extent, Halt> {
        if undated {
            match self.in_time(intake.count_undated()).await {
                Ok(counted) => counted?,
                Err(extent) => return Ok(extent),
            }
        }
        loop {
            let batch = match self.in_time(intake.next()).await {
                Ok(Ok(Some(batch))) => batch,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(error.into()),
                Err(extent) => return Ok(extent),
            };
            let rows = batch.rows;
            // When sending has ended, the rest is still planned and counted, so that the report says what is missing.
            let sending = !way.parcels.is_closed();
            let due = self.plan(intake, batch, sending).await?;
            self.board.rows_done(rows);
            self.send(way, due).await?;
        }
        self.follow_up(way, &mut scouts_back).await?;
        Ok(Extent::Whole)
    }

    /// Waits for the source, but not beyond a signal or the end of the run: a statement that hangs must not keep it.
    /// The source is not used any more after that.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Extent> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            asked = asked(&mut stop) => Err(Extent::Stopped(asked)),
            () = past(self.read_until) => Err(Extent::OutOfTime),
            done = work => Ok(done),
        }
    }

    /// Hands parcels over to the sending side; takes their intents back where that has ended.
    async fn send(&self, way: &Way<'_>, due: Vec<Parcel<Ticket>>) -> Result<(), LedgerError> {
        if due.is_empty() {
            return Ok(());
        }
        if let Err(mpsc::error::SendError(unsent)) = way.parcels.send(due).await {
            let records = unsent
                .into_iter()
                .map(|parcel| (parcel.ticket.identity, Recorded::NotAttempted))
                .collect();
            self.ledger
                .record_outcomes(self.run, super::now().timestamp(), records)
                .await?;
        }
        Ok(())
    }

    /// Plans one slice: gives what is due, its intents on record.
    async fn plan(
        &self,
        intake: &Intake<'_>,
        batch: Batch,
        sending: bool,
    ) -> Result<Vec<Parcel<Ticket>>, LedgerError> {
        let wires = if self.plan.resend {
            Wires::All
        } else {
            Wires::Due
        };
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
            new,
        } = plans;
        let new = self.fold_collisions(intake, new).await?;
        if !drifts.is_empty() {
            self.ledger.record_drift(drifts).await?;
        }
        if !dropped.is_empty() {
            self.ledger.record_dropped(dropped).await?;
        }
        due.extend(new.into_iter().map(|(call, wire)| Due {
            ticket: Ticket {
                identity: call.identity.clone(),
                before: None,
                known_id: None,
                scout: false,
            },
            intent: intent(call, Some(wire.clone())),
            wire,
        }));
        due.sort_by(|a, b| a.intent.identity.cmp(&b.intent.identity));
        self.board.figures().handed += due.len() as u64;
        if sending {
            self.hand_over(due).await
        } else {
            Ok(Vec::new())
        }
    }

    /// Puts the intents on record, and gives the parcels.
    async fn hand_over(&self, due: Vec<Due>) -> Result<Vec<Parcel<Ticket>>, LedgerError> {
        let mut intents = Vec::with_capacity(due.len());
        let mut parcels = Vec::with_capacity(due.len());
        for Due {
            ticket,
            intent,
            wire,
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
            (Action::Send, None, Today::Wire(wire)) => plans.new.push((call, wire)),
            (Action::Send, Some(entry), Today::Wire(wire)) => {
                plans.due.push(Due::again(call, &entry, wire, true));
            }
            (Action::Resend, Some(mut entry), _) => match entry.wire.take() {
                Some(wire) => plans.due.push(Due::again(call, &entry, wire, false)),
                None => resting(&mut figures, entry.state),
            },
            (Action::Recheck, Some(mut entry), _) => {
                let Some(wire) = entry.wire.clone() else {
                    resting(&mut figures, entry.state);
                    return;
                };
                if figures.numbers.is_scout(wire.destination.as_str(), &entry) {
                    entry.wire = None;
                    let mut scout = Due::again(call, &entry, wire, false);
                    scout.ticket.scout = true;
                    plans.due.push(scout);
                } else {
                    resting(&mut figures, entry.state);
                }
            }
            (Action::Settled | Action::Withdrawn | Action::Held, Some(entry), _) => {
                resting(&mut figures, entry.state);
            }
            (Action::Dropped, known, _) => {
                // A call that waited to be rebuilt, and that today's rules drop, waits no longer.
                plans
                    .dropped
                    .extend(known.is_some().then(|| call.identity.clone()));
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

    /// Of new calls with one wire key, and of new calls whose key an older call has, keeps one; the CRM would as well.
    async fn fold_collisions(
        &self,
        intake: &Intake<'_>,
        new: Vec<(Call, WireForm)>,
    ) -> Result<Vec<(Call, WireForm)>, LedgerError> {
        if new.is_empty() {
            return Ok(new);
        }
        let mut kept: Vec<(Call, WireForm)> = Vec::with_capacity(new.len());
        let mut folded: Vec<(Call, usize)> = Vec::new();
        let mut by_key: HashMap<i64, Vec<usize>> = HashMap::with_capacity(new.len());
        for (call, wire) in new {
            let places = by_key.entry(wire.key_hash()).or_default();
            let twin = places
                .iter()
                .copied()
                .find(|place| kept[*place].1.same_key(&wire));
            match twin {
                Some(place) if preferred(&call, &kept[place].0) => {
                    let (loser, _) = std::mem::replace(&mut kept[place], (call, wire));
                    folded.push((loser, place));
                }
                Some(place) => folded.push((call, place)),
                None => {
                    places.push(kept.len());
                    kept.push((call, wire));
                }
            }
        }
        let keys: Vec<WireForm> = kept.iter().map(|(_, wire)| wire.clone()).collect();
        let mut owners = self.ledger.owners(keys).await?;
        self.keep_folded(&kept, &mut owners).await?;
        let mut collisions: Vec<Collision> = Vec::new();
        for (loser, place) in folded {
            let owner = owners[place]
                .clone()
                .unwrap_or_else(|| kept[place].0.identity.clone());
            collisions.push(Collision {
                folded: loser.identity,
                owner,
            });
        }
        let mut result = Vec::with_capacity(kept.len());
        for ((call, wire), owner) in kept.into_iter().zip(owners) {
            match owner {
                Some(owner) if owner != call.identity => {
                    collisions.push(Collision {
                        folded: call.identity,
                        owner,
                    });
                }
                Some(_) | None => result.push((call, wire)),
            }
        }
        if !collisions.is_empty() {
            for collision in &collisions {
                tracing::info!(
                    "{} has the key of {}: the CRM keeps one",
                    crate::intake::describe(&collision.folded, intake.clock().kind()),
                    crate::intake::describe(&collision.owner, intake.clock().kind())
                );
            }
            self.board.figures().collisions += collisions.len() as u64;
            self.ledger.record_collisions(self.run, collisions).await?;
        }
        Ok(result)
    }

    /// A call that was folded into another stays folded while the ledger has that one: its key went out frozen, so what
    /// other rules or another zone make of this one today must not go out beside it.
    async fn keep_folded(
        &self,
        kept: &[(Call, WireForm)],
        owners: &mut [Option<Identity>],
    ) -> Result<(), LedgerError> {
        let unowned = || {
            kept.iter()
                .zip(owners.iter())
                .filter(|(_, owner)| owner.is_none())
                .map(|((call, _), _)| call.identity.start)
        };
        let (Some(first), Some(last)) = (unowned().min(), unowned().max()) else {
            return Ok(());
        };
        // Behind every identity of the second before the first.
        let mut after = Some(Identity {
            start: ColumnTime(first.0.saturating_sub(1)),
            fold: Fold(u8::MAX),
            source: RawNumber(String::new()),
            destination: RawNumber(String::new()),
        });
        let mut recorded = HashMap::new();
        loop {
            let page = self.ledger.collisions(after, COMMIT).await?;
            let more = page.len() == COMMIT;
            after = page.last().map(|collision| collision.folded.clone());
            recorded.extend(
                page.into_iter()
                    .take_while(|collision| collision.folded.start <= last)
                    .map(|Collision { folded, owner }| (folded, owner)),
            );
            if !more || after.as_ref().is_none_or(|folded| folded.start > last) {
                break;
            }
        }
        for ((call, _), place) in kept.iter().zip(owners) {
            let Some(owner) = recorded.remove(&call.identity).filter(|_| place.is_none()) else {
                continue;
            };
            let second = owner.start..ColumnTime(owner.start.0.saturating_add(1));
            let entries = self
                .ledger
                .entries(second, Wires::Due, None, usize::MAX)
                .await?;
            if entries.iter().any(|entry| entry.identity == owner) {
                *place = Some(owner);
            }
        }
        Ok(())
    }

    /// When every call that was sent ahead for its number is answered: sends the others of the numbers that matched,
    /// and notes for those of the numbers that did not that they were asked about.
    async fn follow_up(
        &self,
        way: &Way<'_>,
        scouts_back: &mut watch::Receiver<u64>,
    ) -> Result<(), LedgerError> {
        if self.board.figures().numbers.scouts_out > 0 {
            // Nothing more comes before the answers do: without this word, a refusal might be held back for ever.
            let _ = way.parcels.send(Vec::new()).await;
        }
        while self.board.figures().numbers.scouts_out > 0 {
            tokio::select! {
                changed = scouts_back.changed() => if changed.is_err() { return Ok(()) },
                () = way.parcels.closed() => return Ok(()),
            }
        }
        let (matched, in_vain) = self.board.figures().numbers.take();
        if !in_vain.is_empty() {
            let identities = in_vain.into_iter().map(|entry| entry.identity).collect();
            self.ledger
                .record_still_unmatched(super::now().timestamp(), identities)
                .await?;
        }
        if way.parcels.is_closed() {
            return Ok(());
        }
        let due: Vec<Due> = matched.into_iter().filter_map(Due::follower).collect();
        {
            let mut figures = self.board.figures();
            let n = due.len() as u64;
            figures.calls.unchanged -= n;
            figures.resting_unmatched -= n;
            figures.handed += n;
        }
        let due = self.hand_over(due).await?;
        self.send(way, due).await
    }

    /// The recording side: answers in batches, each one transaction; counted when it is on record.
    async fn record(
        &self,
        mut answers: mpsc::Receiver<Settled<Ticket>>,
        scouts: watch::Sender<u64>,
    ) -> Result<(), LedgerError> {
        let mut block = Vec::with_capacity(COMMIT);
        while answers.recv_many(&mut block, COMMIT).await > 0 {
            let records = block
                .iter()
                .map(|settled| (settled.parcel.ticket.identity.clone(), recorded(settled)))
                .collect();
            self.ledger
                .record_outcomes(self.run, super::now().timestamp(), records)
                .await?;
            let answered = self.count(&block);
            self.board.answers_done(answered);
            scouts.send_modify(|n| *n += 1);
            block.clear();
        }
        Ok(())
    }

    fn count(&self, block: &[Settled<Ticket>]) -> u64 {
        let mut figures = self.board.figures();
        let before = figures.answered;
        for settled in block {
            let ticket = &settled.parcel.ticket;
            let number = settled.parcel.call.destination.as_str();
            if ticket.scout {
                figures.numbers.scouts_out = figures.numbers.scouts_out.saturating_sub(1);
            }
            match &settled.fate {
                Fate::Delivered(_) => {
                    figures.answered += 1;
                    figures.numbers.matched(number);
                    if receipt(settled).is_some_and(|receipt| receipt.existing) {
                        figures.calls.existing += 1;
                    } else {
                        figures.calls.created += 1;
                    }
                }
                Fate::Unmatched(_) => {
                    figures.answered += 1;
                    figures.numbers.unmatched(number);
                    figures.calls.unmatched += 1;
                }
                Fate::Rejected(_) => {
                    figures.answered += 1;
                    figures.calls.rejected += 1;
                    figures.newly_rejected += u64::from(ticket.before != Some(State::Rejected));
                }
                Fate::Pending(why) => figures.last_trouble = Some(why.clone()),
                Fate::NotAttempted => {}
            }
        }
        figures.answered - before
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
    /// Calls that the ledger does not know.
    new: Vec<(Call, WireForm)>,
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
struct Due {
    ticket: Ticket,
    intent: Intent,
    wire: WireForm,
}

impl Due {
    /// A known call; `refreeze` where its wire form replaces the frozen one.
    fn again(call: Call, entry: &Entry, wire: WireForm, refreeze: bool) -> Self {
        let freeze = refreeze.then(|| wire.clone());
        Self {
            ticket: Ticket::of(entry),
            intent: intent(call, freeze),
            wire,
        }
    }

    /// A call that waited for the verdict about its number.
    fn follower(mut entry: Entry) -> Option<Self> {
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
        }
    }
}

/// Passes a signal on to the sending side.
async fn pass_on(mut stop: watch::Receiver<Stop>, brake: &watch::Sender<Stop>) -> Infallible {
    let asked = asked(&mut stop).await;
    brake.send_replace(asked);
    std::future::pending().await
}

/// Waits until somebody asks to stop.
pub(super) async fn asked(stop: &mut watch::Receiver<Stop>) -> Stop {
    match stop.wait_for(|asked| *asked != Stop::No).await {
        Ok(asked) => *asked,
        // Nobody is left who could ask.
        Err(_) => std::future::pending().await,
    }
}

pub(super) async fn past(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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

/// The receipt of a delivered call. One that comes with the id the ledger has for this very call was there before,
/// whatever words the CRM found for it.
fn receipt(settled: &Settled<Ticket>) -> Option<Receipt> {
    match &settled.fate {
        Fate::Delivered(receipt) => {
            let known = settled.parcel.ticket.known_id;
            let mut receipt = receipt.clone();
            receipt.existing |= known.is_some() && known == receipt.call_id;
            Some(receipt)
        }
        Fate::Unmatched(_) | Fate::Rejected(_) | Fate::Pending(_) | Fate::NotAttempted => None,
    }
}

fn recorded(settled: &Settled<Ticket>) -> Recorded {
    match &settled.fate {
        Fate::Delivered(plain) => {
            Recorded::Delivered(receipt(settled).unwrap_or_else(|| plain.clone()))
        }
        Fate::Unmatched(reason) => Recorded::Unmatched {
            reason: reason.clone(),
        },
        Fate::Rejected(reason) => Recorded::Rejected {
            reason: reason.clone(),
        },
        Fate::Pending(reason) => Recorded::Pending {
            reason: reason.clone(),
        },
        Fate::NotAttempted => Recorded::NotAttempted,
    }
}

impl Summary {
    /// Nothing was sent.
    #[must_use]
    pub(super) fn nothing(ending: Ending) -> Self {
        Self {
            ending,
            sent: 0,
            retried: 0,
            latency: delivery::Latency::default(),
            sending: std::time::Duration::ZERO,
        }
    }
}
