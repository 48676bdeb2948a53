//! The engine: keeps requests in flight, tries again where that can help, and stops in order.
//!
//! It takes calls from a channel and gives each back with what became of it. It has never heard of the source, of the
//! ledger, or of a terminal, so where its calls come from can change without it.

use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};

use crate::call::WireForm;
use crate::target::{CrmTarget, Outcome, Receipt, Trouble};

pub mod pace;
pub mod patience;
pub mod suspicion;

use pace::Pace;
use patience::{Advice, LONGEST_WAIT, MAX_ATTEMPTS, Patience};
use suspicion::Suspicion;

/// How long requests in flight may take after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Most calls that wait for another attempt; more are left to the next run at once, so that memory stays bounded.
const MOST_WAITING: usize = 4096;

/// A call on its way, with whatever its sender needs to recognise it.
#[derive(Debug)]
pub struct Parcel<T> {
    /// The sender's own mark.
    pub ticket: T,
    /// What goes over the wire.
    pub call: WireForm,
}

/// A call back from its way.
#[derive(Debug)]
pub struct Settled<T> {
    /// The parcel.
    pub parcel: Parcel<T>,
    /// What became of it.
    pub fate: Fate,
    /// Requests made for it in this run.
    pub attempts: u32,
}

/// What became of a call in this run.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// The CRM holds it.
    Delivered(Receipt),
    /// No contact has the number.
    Unmatched(String),
    /// Refused for good.
    Rejected(String),
    /// Tried, without a verdict.
    Pending(String),
    /// Not tried: the run ended first, or nothing is sent on purpose.
    NotAttempted,
}

/// What a user can set about the engine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most requests in flight.
    pub concurrency: usize,
    /// Most requests a second.
    pub max_rps: Option<u32>,
    /// When no new request may start any more.
    pub deadline: Option<Instant>,
    /// The ledger holds deliveries or rejections already: see [`Suspicion`].
    pub proven: bool,
}

/// Who asked to stop, if anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Nobody.
    #[default]
    No,
    /// A first SIGINT: finish what is in flight.
    Interrupt,
    /// A first SIGTERM: finish what is in flight.
    Terminate,
}

/// Why the engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every call was dealt with.
    Done,
    /// The CRM is down, slow or overloaded.
    Down(String),
    /// `--max-runtime` passed.
    OutOfTime,
    /// The CRM does not speak as agreed.
    Broken(String),
    /// Asked to stop.
    Stopped(Stop),
}

/// What a run's delivery came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Why it ended.
    pub ending: Ending,
    /// Requests sent.
    pub sent: u64,
    /// Of those, repetitions for the same call.
    pub retried: u64,
    /// How long requests took that got a verdict, in milliseconds, as a histogram.
    pub latency: Latency,
    /// From the first request to the last answer.
    pub sending: Duration,
}

/// A histogram of latencies: buckets grow by a tenth, so that a percentile is right within five per cent at any size of
/// run, in bounded memory.
#[derive(Debug, Clone)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: vec![0; 200],
            count: 0,
        }
    }
}

impl Latency {
    const SMALLEST_MS: f64 = 0.01;
    const GROWTH: f64 = 1.1;

    fn add(&mut self, took: Duration) {
        let ms = (took.as_secs_f64() * 1000.0).max(Self::SMALLEST_MS);
        let bucket = (ms / Self::SMALLEST_MS).ln() / Self::GROWTH.ln();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the table"
        )]
        let bucket = (bucket.round() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// The given percentile (0..1) in milliseconds; 0 without any answer.
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((self.count as f64) * share).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if *n > 0 && seen >= rank {
                let i = i32::try_from(i).unwrap_or(i32::MAX);
                return Self::SMALLEST_MS * Self::GROWTH.powi(i);
            }
        }
        0.0
    }
}

/// Delivers what comes from `incoming`, and gives every call back through `settled`, at most once.
///
/// Ends when `incoming` is closed and everything is dealt with, or early as [`Ending`] says; calls it still holds then,
/// and those it still can take from `incoming`, come back as [`Fate::NotAttempted`]. Only a call whose answer was still
/// out when the run was told to stop does not come back: nobody knows, so its intent stays as it is on record.
pub async fn deliver<T: Send + 'static>(
    target: &dyn CrmTarget,
    limits: Limits,
    mut incoming: mpsc::Receiver<Vec<Parcel<T>>>,
    settled: mpsc::Sender<Settled<T>>,
    mut stop: watch::Receiver<Stop>,
) -> Summary {
    let mut engine = Engine::new(target, limits, settled);
    let mut open = true;
    let mut listening = true;
    let mut grace: Option<Instant> = None;
    loop {
        if listening {
            let asked = *stop.borrow_and_update();
            match asked {
                Stop::No => {}
                Stop::Interrupt | Stop::Terminate => {
                    engine.end(Ending::Stopped(asked));
                    grace.get_or_insert_with(|| Instant::now() + GRACE);
                }
            }
        }
        engine.fill().await;
        if engine.in_flight.is_empty() && (engine.ending.is_some() || (!open && engine.idle())) {
            break;
        }
        let wake = engine.wake(grace);
        tokio::select! {
            biased;
            changed = stop.changed(), if listening => listening = changed.is_ok(),
            Some(landed) = engine.in_flight.next(), if !engine.in_flight.is_empty() => engine.land(landed).await,
            batch = incoming.recv(), if open && engine.hungry() => match batch {
                Some(batch) => engine.queue.extend(batch.into_iter().map(Waiting::new)),
                None => open = false,
            },
            () = sleep_until(wake), if wake.is_some() => {
                if grace.is_some_and(|at| Instant::now() >= at) {
                    break;
                }
            }
        }
    }
    engine.close(incoming).await
}

/// A call between two attempts, or before the first.
struct Waiting<T> {
    parcel: Parcel<T>,
    attempts: u32,
    due: Option<Instant>,
}

impl<T> Waiting<T> {
    fn new(parcel: Parcel<T>) -> Self {
        Self {
            parcel,
            attempts: 0,
            due: None,
        }
    }
}

/// The earliest due comes first out of a [`BinaryHeap`].
impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due.cmp(&self.due)
    }
}
impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl<T> Eq for Waiting<T> {}

/// An attempt that came to its end.
struct Landed<T> {
    waiting: Waiting<T>,
    outcome: Outcome,
    started: Instant,
}

struct Engine<'a, T> {
    target: &'a dyn CrmTarget,
    limits: Limits,
    settled: mpsc::Sender<Settled<T>>,
    pace: Pace,
    patience: Patience,
    suspicion: Suspicion,
    chance: Chance,
    queue: VecDeque<Waiting<T>>,
    retries: BinaryHeap<Waiting<T>>,
    in_flight: FuturesUnordered<BoxFuture<'a, Landed<T>>>,
    held_back: Vec<Settled<T>>,
    paused_until: Option<Instant>,
    ending: Option<Ending>,
    sent: u64,
    latency: Latency,
    first_request: Option<Instant>,
    last_answer: Option<Instant>,
}

impl<'a, T: Send + 'static> Engine<'a, T> {
    fn new(target: &'a dyn CrmTarget, limits: Limits, settled: mpsc::Sender<Settled<T>>) -> Self {
        Self {
            target,
            limits,
            settled,
            pace: Pace::new(limits.concurrency, limits.max_rps),
            patience: Patience::default(),
            suspicion: Suspicion::new(limits.proven),
            chance: Chance::new(),
            queue: VecDeque::new(),
            retries: BinaryHeap::new(),
            in_flight: FuturesUnordered::new(),
            held_back: Vec::new(),
            paused_until: None,
            ending: None,
            sent: 0,
            latency: Latency::default(),
            first_request: None,
            last_answer: None,
        }
    }

    /// Nothing waits and nothing is in flight.
    fn idle(&self) -> bool {
        self.queue.is_empty() && self.retries.is_empty() && self.in_flight.is_empty()
    }

    /// Room for another batch: a little before the last one runs out, so that latency never waits for reading.
    fn hungry(&self) -> bool {
        self.ending.is_none() && self.queue.len() < self.limits.concurrency.max(64)
    }

    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    fn window(&self) -> usize {
        if self.patience.strained() {
            1
        } else {
            self.pace.limit()
        }
    }

    /// Starts as many requests as may start now.
    async fn fill(&mut self) {
        while self.ending.is_none() && self.in_flight.len() < self.window() {
            let now = Instant::now();
            if self.limits.deadline.is_some_and(|at| now >= at) {
                if !(self.queue.is_empty() && self.retries.is_empty()) {
                    self.end(Ending::OutOfTime);
                }
                return;
            }
            if self.paused_until.is_some_and(|at| now < at) || !self.pace.wait(now).is_zero() {
                return;
            }
            let retry = self
                .retries
                .peek()
                .is_some_and(|waiting| waiting.due.is_none_or(|due| due <= now));
            let next = if retry {
                self.retries.pop()
            } else {
                self.queue.pop_front()
            };
            let Some(mut waiting) = next else { return };
            waiting.attempts += 1;
            if waiting.attempts == 1 {
                self.patience.first_attempt();
            }
            self.pace.started(now);
            self.sent += 1;
            self.first_request.get_or_insert(now);
            let target = self.target;
            self.in_flight.push(Box::pin(async move {
                let outcome = target.deliver(&waiting.parcel.call).await;
                Landed {
                    waiting,
                    outcome,
                    started: now,
                }
            }));
        }
    }

    /// When to look again, if nothing else happens before.
    fn wake(&self, grace: Option<Instant>) -> Option<Instant> {
        if self.ending.is_some() {
            return grace;
        }
        let now = Instant::now();
        let mut wake = grace;
        let mut consider = |at: Option<Instant>| {
            if let Some(at) = at {
                wake = Some(wake.map_or(at, |w| w.min(at)));
            }
        };
        let something_waits = !(self.queue.is_empty() && self.retries.is_empty());
        if something_waits && self.in_flight.len() < self.window() {
            consider(self.limits.deadline);
            consider(self.paused_until.filter(|at| *at > now));
            let gap = self.pace.wait(now);
            consider((!gap.is_zero()).then(|| now + gap));
            if self.queue.is_empty() {
                consider(self.retries.peek().and_then(|w| w.due));
            }
        }
        wake
    }

    /// Deals with an answer.
    async fn land(&mut self, landed: Landed<T>) {
        let now = Instant::now();
        self.last_answer = Some(now);
        let Landed {
            waiting,
            outcome,
            started,
        } = landed;
        match outcome {
            Outcome::NoVerdict(trouble) => self.no_verdict(waiting, trouble, started, now).await,
            Outcome::Broken { reason } => {
                self.end(Ending::Broken(reason));
                self.settle(waiting, Fate::NotAttempted).await;
            }
            Outcome::NotSent => {
                self.sent -= 1;
                self.pace.verdict();
                self.settle(waiting, Fate::NotAttempted).await;
            }
            Outcome::Delivered(receipt) => {
                self.good(started, now);
                let wrong = if receipt.existing {
                    self.suspicion.understood();
                    None
                } else {
                    self.suspicion.created(receipt.call_id)
                };
                self.release().await;
                if let Some(reason) = wrong {
                    self.end(Ending::Broken(reason));
                    self.settle(waiting, Fate::NotAttempted).await;
                } else {
                    self.settle(waiting, Fate::Delivered(receipt)).await;
                }
            }
            Outcome::Unmatched { reason } => {
                self.good(started, now);
                self.suspicion.understood();
                self.release().await;
                self.settle(waiting, Fate::Unmatched(reason)).await;
            }
            Outcome::Rejected { reason } => {
                self.good(started, now);
                let wrong = self.suspicion.refused(&reason);
                let fate = Fate::Rejected(reason);
                let back = Settled {
                    attempts: waiting.attempts,
                    parcel: waiting.parcel,
                    fate,
                };
                self.held_back.push(back);
                if let Some(reason) = wrong {
                    self.end(Ending::Broken(reason));
                } else if !self.suspicion.holds_refusals() {
                    self.release().await;
                }
            }
        }
    }

    fn good(&mut self, started: Instant, now: Instant) {
        self.pace.verdict();
        self.patience.verdict();
        self.paused_until = None;
        self.latency.add(now.saturating_duration_since(started));
    }

    /// An attempt without a verdict: pause, retry, give up the call for this run, or the CRM.
    async fn no_verdict(
        &mut self,
        mut waiting: Waiting<T>,
        trouble: Trouble,
        started: Instant,
        now: Instant,
    ) {
        use crate::target::TroubleKind;
        match trouble.kind {
            TroubleKind::Busy | TroubleKind::Timeout => self.pace.pressure(started, now),
            TroubleKind::Unreachable
            | TroubleKind::ServerError
            | TroubleKind::Garbled
            | TroubleKind::Html => {}
        }
        let chance = self.chance.next();
        match self.patience.trouble(trouble.kind, started, now, chance) {
            Advice::Pause(pause) => self.pause(now + pause),
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
            if asked > LONGEST_WAIT || left.is_some_and(|left| asked > left) {
                self.end(Ending::Down(format!(
                    "{}; it asks to be left alone for {}",
                    trouble.reason,
                    humantime::format_duration(Duration::from_secs(asked.as_secs()))
                )));
            } else {
                self.pause(now + asked);
            }
        }
        let again = self.ending.is_none()
            && waiting.attempts < MAX_ATTEMPTS
            && self.retries.len() < MOST_WAITING
            && self.patience.spend_retry();
        if again {
            let rest = patience::backoff(waiting.attempts, trouble.retry_after, self.chance.next());
            waiting.due = Some(now + rest);
            self.retries.push(waiting);
        } else {
            self.settle(waiting, Fate::Pending(trouble.reason)).await;
        }
    }

    fn pause(&mut self, until: Instant) {
        self.paused_until = Some(self.paused_until.map_or(until, |at| at.max(until)));
    }

    async fn settle(&mut self, waiting: Waiting<T>, fate: Fate) {
        self.give_back(Settled {
            attempts: waiting.attempts,
            parcel: waiting.parcel,
            fate,
        })
        .await;
    }

    /// Gives held-back refusals back.
    async fn release(&mut self) {
        for back in std::mem::take(&mut self.held_back) {
            self.give_back(back).await;
        }
    }

    async fn give_back(&mut self, back: Settled<T>) {
        if self.settled.send(back).await.is_err() {
            // Nobody records any more (the ledger failed): sending more would be sending blindly.
            self.end(Ending::Done);
        }
    }

    /// Gives back what was not dealt with, and adds up.
    async fn close(mut self, mut incoming: mpsc::Receiver<Vec<Parcel<T>>>) -> Summary {
        incoming.close();
        if matches!(self.ending, Some(Ending::Broken(_))) {
            for back in &mut self.held_back {
                back.fate = Fate::NotAttempted;
            }
        }
        self.release().await;
        // An abandoned request may or may not have had its effect; its intent is on record, and the next run sends the
        // same bytes again. Its parcel goes down with its future, so the ledger keeps it as in flight.
        self.in_flight.clear();
        let retries = std::mem::take(&mut self.retries).into_vec();
        for waiting in retries {
            self.settle(
                waiting,
                Fate::Pending("the run ended before another attempt".to_owned()),
            )
            .await;
        }
        for waiting in std::mem::take(&mut self.queue) {
            self.settle(waiting, Fate::NotAttempted).await;
        }
        while let Some(batch) = incoming.recv().await {
            for parcel in batch {
                self.settle(Waiting::new(parcel), Fate::NotAttempted).await;
            }
        }
        let sending = match (self.first_request, self.last_answer) {
            (Some(first), Some(last)) => last.saturating_duration_since(first),
            _ => Duration::ZERO,
        };
        Summary {
            ending: self.ending.unwrap_or(Ending::Done),
            sent: self.sent,
            retried: self.patience.retries().min(self.sent),
            latency: self.latency,
            sending,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Chance for jitter: SplitMix64 over a seed of the process. Not for secrets.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self(
            std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish(),
        )
    }

    /// Uniform in 0..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (z >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }
}
