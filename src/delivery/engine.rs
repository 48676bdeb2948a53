//! What to start, what an answer means for the run, when it is over: every decision of a delivery, and no waiting.
//!
//! A call is in one place at a time: `queue`, `flights`, `retries`, `held_back`, `outbox`. It leaves through the last
//! one, or through [`Engine::close`].

use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use slab::Slab;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::chance::Chance;
use super::flight::{Flight, Landing, Retry, Waiting};
use super::pace::Pace;
use super::patience::{self, Advice, MAX_ATTEMPTS, Patience};
use super::suspicion::Suspicion;
use super::{Ending, Fate, Latency, Limits, Parcel, Settled, Summary};
use crate::target::{CrmTarget, Outcome, Trouble, TroubleKind};

/// Most calls that wait for another attempt. Beyond it nothing new starts until some of them are through, so that
/// memory stays bounded and none has to be given up for want of room.
const MOST_WAITING: usize = 4096;

/// The engine's state.
pub(super) struct Engine<'a, T> {
    target: &'a dyn CrmTarget,
    limits: Limits,
    pace: Pace,
    patience: Patience,
    suspicion: Suspicion,
    chance: Chance,
    /// Calls before their first attempt.
    queue: VecDeque<Waiting<T>>,
    /// Calls between two attempts.
    retries: BinaryHeap<Retry<T>>,
    /// Calls whose answer is out, each at the place that its request carries.
    flights: Slab<Flight<T>>,
    /// The requests of `flights`.
    pub(super) in_flight: FuturesUnordered<BoxFuture<'a, Landing>>,
    /// Refused calls, until it is known whether refusals are to be believed.
    held_back: Vec<Settled<T>>,
    /// Calls on their way back. While there are any, nothing new starts: whoever records cannot keep up.
    pub(super) outbox: VecDeque<Settled<T>>,
    /// The pause between two probes of a CRM that gives no verdicts; a verdict ends it.
    rest_until: Option<Instant>,
    /// What `Retry-After` asked for; nothing ends it early.
    asked_until: Option<Instant>,
    /// A call that the CRM may have acted upon is not sent again.
    holds_unknown: bool,
    /// The sender waits for answers.
    answers_awaited: bool,
    /// The CRM does not speak as agreed: from here on it rejects nothing.
    broken: bool,
    ending: Option<Ending>,
    /// Requests that may have reached the CRM.
    sent: u64,
    /// Calls that any of these were for.
    reached: u64,
    /// Requests that found no connection.
    unconnected: u64,
    /// What the target had counted before this run.
    counted_before: Option<u64>,
    latency: Latency,
    first_request: Option<Instant>,
    last_answer: Option<Instant>,
}

impl<'a, T> Engine<'a, T> {
    pub(super) fn new(target: &'a dyn CrmTarget, mut limits: Limits) -> Self {
        Self {
            target,
            pace: Pace::new(limits.concurrency, limits.max_rps),
            patience: Patience::default(),
            suspicion: Suspicion::new(limits.proven, std::mem::take(&mut limits.refusals)),
            limits,
            chance: Chance::new(),
            queue: VecDeque::new(),
            retries: BinaryHeap::new(),
            flights: Slab::new(),
            in_flight: FuturesUnordered::new(),
            held_back: Vec::new(),
            outbox: VecDeque::new(),
            rest_until: None,
            asked_until: None,
            holds_unknown: target.keying().holds_unknown(),
            answers_awaited: false,
            broken: false,
            ending: None,
            sent: 0,
            reached: 0,
            unconnected: 0,
            counted_before: target.requests(),
            latency: Latency::default(),
            first_request: None,
            last_answer: None,
        }
    }

    /// Takes a batch of calls; an empty one says that the sender waits for answers.
    pub(super) fn take(&mut self, batch: Vec<Parcel<T>>) {
        self.answers_awaited |= batch.is_empty();
        self.queue.extend(batch.into_iter().map(Waiting::new));
    }

    /// Gives back what there is room for.
    pub(super) fn hand_back(&mut self, settled: &mpsc::Sender<Settled<T>>) {
        while let Some(back) = self.outbox.pop_front() {
            match settled.try_send(back) {
                Ok(()) => {}
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => {
                    self.outbox.push_front(back);
                    return;
                }
            }
        }
    }

    /// Room for another batch: a little before the last one runs out, so that latency never waits for reading. While the
    /// CRM gives no verdicts there is room for more, to have calls to choose from.
    pub(super) fn is_hungry(&self) -> bool {
        let enough = if self.patience.strained() {
            MOST_WAITING
        } else {
            self.limits.concurrency.max(64)
        };
        self.ending.is_none() && self.queue.len() < enough
    }

    /// Whether nothing more is to be done; `open`: more calls may come.
    pub(super) fn is_over(&self, open: bool) -> bool {
        self.in_flight.is_empty() && (self.ending.is_some() || (!open && self.nothing_waits()))
    }

    /// Notes why the run ends; of several reasons the weightiest stands.
    pub(super) fn end(&mut self, ending: Ending) {
        if matches!(ending, Ending::Broken(_)) {
            self.broken = true;
            self.disbelieve();
        }
        if self
            .ending
            .as_ref()
            .is_none_or(|known| ending.weight() > known.weight())
        {
            self.ending = Some(ending);
        }
    }

    /// Starts as many requests as may start now. Gives when to look again, where time alone holds the next one back.
    pub(super) fn fill(&mut self) -> Option<Instant> {
        if self.answers_awaited && self.nothing_waits() && self.in_flight.is_empty() {
            self.answers_awaited = false;
            self.release();
        }
        while self.ending.is_none()
            && self.outbox.is_empty()
            && self.in_flight.len() < self.window()
            && !self.nothing_waits()
        {
            let now = Instant::now();
            let deadline = self.limits.deadline;
            if deadline.is_some_and(|at| now >= at) {
                self.end(Ending::OutOfTime);
                return None;
            }
            let held_until = [self.rest_until, self.asked_until, self.pace.next_start()]
                .into_iter()
                .flatten()
                .max()
                .filter(|at| *at > now);
            if held_until.is_some() {
                return super::earlier(held_until, deadline);
            }
            match self.next(now) {
                Some(waiting) => self.start(waiting, now),
                None => {
                    let due = self.retries.peek().map(|retry| retry.due);
                    return super::earlier(due, deadline);
                }
            }
        }
        None
    }

    /// Deals with an answer.
    pub(super) fn land(&mut self, landing: Landing) {
        let now = Instant::now();
        self.last_answer = Some(now);
        let Some(Flight {
            mut waiting,
            started,
        }) = self.flights.try_remove(landing.place)
        else {
            return;
        };
        self.count(&mut waiting, &landing.outcome);
        match landing.outcome {
            Outcome::NoVerdict(trouble) => self.no_verdict(waiting, trouble, started, now),
            Outcome::Broken { reason } => {
                self.end(Ending::Broken(reason));
                self.outbox.push_back(waiting.back(Fate::NotAttempted));
            }
            Outcome::NotSent => {
                self.pace.not_sent();
                self.outbox.push_back(waiting.back(Fate::NotAttempted));
            }
            Outcome::Delivered(receipt) => {
                self.verdict(started, now);
                let wrong = if receipt.existing {
                    self.suspicion.understood();
                    None
                } else {
                    self.suspicion.created(receipt.call_id)
                };
                self.release();
                let fate = match wrong {
                    Some((call_id, reason)) => {
                        self.end(Ending::Broken(reason.clone()));
                        Fate::Disbelieved { call_id, reason }
                    }
                    None => Fate::Delivered(receipt),
                };
                self.outbox.push_back(waiting.back(fate));
            }
            Outcome::Unmatched { reason } => {
                self.verdict(started, now);
                self.suspicion.understood();
                self.release();
                self.outbox.push_back(waiting.back(Fate::Unmatched(reason)));
            }
            Outcome::Rejected { reason } => {
                self.verdict(started, now);
                let wrong = self.suspicion.refused(&reason);
                self.held_back.push(waiting.back(Fate::Rejected(reason)));
                if let Some(reason) = wrong {
                    self.end(Ending::Broken(reason));
                } else if self.broken || !self.suspicion.holds_refusals() {
                    self.release();
                }
            }
        }
    }

    /// Everything that was not given back yet, and the sums.
    pub(super) fn close(mut self) -> (Vec<Settled<T>>, Summary) {
        // Refusals stay undecided where the run ended before it had seen enough: the next one judges anew.
        if self.ending.is_none() {
            self.release();
        } else {
            self.disbelieve();
        }
        self.in_flight.clear();
        // A request that was given up may or may not have had its effect: it was tried, and there is no verdict.
        for (_, mut flight) in std::mem::take(&mut self.flights) {
            self.leave(&mut flight.waiting);
            let why = "the run was stopped before the CRM answered".to_owned();
            let fate = if self.holds_unknown {
                Fate::Held(why)
            } else {
                Fate::Pending(why)
            };
            self.outbox.push_back(flight.waiting.back(fate));
        }
        // A target that counts knows more: of a login, and of a connection that was closed while it was idle.
        let sent = match (self.counted_before, self.target.requests()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => self.sent,
        };
        let retried = (self.sent - self.reached) + sent.saturating_sub(self.sent);
        let mut back = Vec::from(self.outbox);
        back.extend(self.retries.into_vec().into_iter().map(|retry| {
            let why = retry.waiting.trouble.clone();
            retry.waiting.back(Fate::Pending(why))
        }));
        back.extend(
            self.queue
                .into_iter()
                .map(|waiting| waiting.back(Fate::NotAttempted)),
        );
        let sending = match (self.first_request, self.last_answer) {
            (Some(first), Some(last)) => last.saturating_duration_since(first),
            _ => Duration::ZERO,
        };
        let summary = Summary {
            ending: self.ending.unwrap_or(Ending::Done),
            sent,
            retried,
            unconnected: self.unconnected,
            latency: self.latency,
            sending,
        };
        (back, summary)
    }

    fn nothing_waits(&self) -> bool {
        self.queue.is_empty() && self.retries.is_empty()
    }

    fn window(&self) -> usize {
        if self.patience.strained() {
            1
        } else {
            self.pace.limit()
        }
    }

    /// The call to send next: one whose rest is over, else a new one; and while the CRM gives no verdicts, every other
    /// time one from the far end of what waits.
    fn next(&mut self, now: Instant) -> Option<Waiting<T>> {
        if self.patience.should_look_elsewhere() && !self.queue.is_empty() && self.has_room() {
            return self.queue.pop_back();
        }
        if self.retries.peek().is_some_and(|retry| retry.due <= now) {
            self.retries.pop().map(|retry| retry.waiting)
        } else if self.has_room() {
            self.queue.pop_front()
        } else {
            None
        }
    }

    fn has_room(&self) -> bool {
        self.retries.len() + self.in_flight.len() < MOST_WAITING
    }

    fn start(&mut self, mut waiting: Waiting<T>, now: Instant) {
        waiting.attempts += 1;
        if waiting.attempts == 1 {
            self.patience.first_attempt();
        }
        self.pace.started(now);
        self.first_request.get_or_insert(now);
        let (target, call) = (self.target, Arc::clone(&waiting.call));
        let (started, deadline) = (now, self.limits.request_deadline);
        let place = self.flights.insert(Flight { waiting, started });
        self.in_flight.push(Box::pin(async move {
            // A target keeps its own deadline; one that does not must not hang the run.
            let outcome = match tokio::time::timeout(deadline, target.deliver(&call)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::NoVerdict(Trouble {
                    kind: TroubleKind::Timeout,
                    reason: format!(
                        "given up after {} without an answer",
                        humantime::format_duration(deadline)
                    ),
                    retry_after: None,
                }),
            };
            Landing { place, outcome }
        }));
    }

    /// Counts a request that came to its end.
    fn count(&mut self, waiting: &mut Waiting<T>, outcome: &Outcome) {
        match outcome {
            Outcome::NotSent => {}
            Outcome::NoVerdict(Trouble {
                kind: TroubleKind::Unreachable,
                ..
            }) => self.unconnected += 1,
            Outcome::NoVerdict(_)
            | Outcome::Delivered(_)
            | Outcome::Unmatched { .. }
            | Outcome::Rejected { .. }
            | Outcome::Broken { .. } => self.leave(waiting),
        }
    }

    /// A request may have reached the CRM.
    fn leave(&mut self, waiting: &mut Waiting<T>) {
        self.sent += 1;
        self.reached += u64::from(!waiting.left);
        waiting.left = true;
    }

    fn verdict(&mut self, started: Instant, now: Instant) {
        self.pace.verdict();
        self.patience.verdict();
        self.rest_until = None;
        self.latency.add(now.saturating_duration_since(started));
    }

    /// An attempt without a verdict: pause, retry, give up the call for this run, or the CRM.
    fn no_verdict(
        &mut self,
        mut waiting: Waiting<T>,
        trouble: Trouble,
        started: Instant,
        now: Instant,
    ) {
        match trouble.kind {
            TroubleKind::Busy | TroubleKind::Timeout => self.pace.pressure(started, now),
            TroubleKind::Unreachable
            | TroubleKind::ServerError
            | TroubleKind::Garbled
            | TroubleKind::Html => {}
        }
        let chance = self.chance.next();
        match self.patience.trouble(trouble.kind, started, now, chance) {
            Advice::Pause(pause) => later(&mut self.rest_until, now + pause),
            Advice::Down => self.end(Ending::Down(trouble.reason.clone())),
            Advice::WrongAddress => self.end(Ending::Broken(format!(
                "the CRM answered with a web page instead of JSON again and again: {}; check `target.url` and whether a \
                 login page stands in front of the web service",
                trouble.reason
            ))),
        }
        if let Some(asked) = trouble.retry_after {
            let left = self
                .limits
                .deadline
                .map(|at| at.saturating_duration_since(now));
            if left.is_some_and(|left| asked > left) || !self.patience.grants(asked, now) {
                self.end(Ending::Down(format!(
                    "{}; it asks to be left alone for {}",
                    trouble.reason,
                    humantime::format_duration(Duration::from_secs(asked.as_secs()))
                )));
            } else {
                later(&mut self.asked_until, now + asked);
            }
        }
        if self.holds_unknown && trouble.kind.may_have_acted() {
            self.outbox
                .push_back(waiting.back(Fate::Held(trouble.reason)));
            return;
        }
        let again =
            self.ending.is_none() && waiting.attempts < MAX_ATTEMPTS && self.patience.spend_retry();
        if again {
            let rest = patience::backoff(waiting.attempts, trouble.retry_after, self.chance.next());
            waiting.trouble = trouble.reason;
            self.retries.push(Retry {
                due: now + rest,
                waiting,
            });
        } else {
            self.outbox
                .push_back(waiting.back(Fate::Pending(trouble.reason)));
        }
    }

    /// Gives refusals back that were held: they are to be believed, unless the CRM as a whole is not.
    fn release(&mut self) {
        if self.broken {
            self.disbelieve();
        }
        self.outbox.extend(self.held_back.drain(..));
    }

    /// Gives refusals back that were held, as if the calls had not been sent.
    fn disbelieve(&mut self) {
        self.outbox
            .extend(self.held_back.drain(..).map(|back| Settled {
                fate: Fate::NotAttempted,
                ..back
            }));
    }
}

fn later(until: &mut Option<Instant>, at: Instant) {
    *until = Some(until.map_or(at, |known| known.max(at)));
}
