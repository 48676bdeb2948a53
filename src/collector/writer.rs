//! The one thread that works on the store: it keeps what waits, many events in one transaction, acknowledges it, and looks
//! at the calls that are due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::assemble::{Assembly, Settings, UNFINISHED, assemble};
use super::counts::{Counts, count};
use super::event::{Event, Received};
use super::store::{BATCH, Due, Settled, Store, StoreError, Written};
use crate::text::Shown;

/// Tells the time: milliseconds since 1970, UTC.
pub type Now = fn() -> i64;

/// Most events that wait to be kept. More are turned away until there is room: each has a sender that waits.
const WAITING: usize = 8192;

/// Most calls that are looked at between two transactions of events.
const DUE: usize = 256;

/// Longest pause between two looks at the calls that are due.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the store is left alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// How long a row that cannot be written is put off, in milliseconds.
const PUT_OFF: i64 = 60_000;

/// How often old events are dropped, in milliseconds.
const FORGET_EVERY: i64 = 60_000;

/// How the writer works.
#[derive(Debug, Clone)]
pub struct Habits {
    /// How rows are made.
    pub settings: Settings,
    /// How long the events of a settled call are kept, in milliseconds.
    pub retention: i64,
    /// The clock.
    pub now: Now,
}

/// What is asked of the writer.
enum Order {
    Keep(Event, oneshot::Sender<bool>),
    Recall(&'static str, oneshot::Sender<Option<String>>),
    Position(&'static str, String, oneshot::Sender<bool>),
}

/// The way to the writer. Clones lead to the same one.
#[derive(Clone)]
pub struct Door {
    orders: SyncSender<Order>,
}

/// Why an event was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkept {
    /// Too many wait already.
    Busy,
    /// The store failed.
    Failed,
}

/// A writer at work. It ends when every [`Door`] is gone, with everything kept that came through them.
pub struct Writer {
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        store: Box<dyn Store>,
        habits: Habits,
        counts: Arc<Counts>,
    ) -> std::io::Result<(Self, Door)> {
        let (orders, received) = sync_channel(WAITING);
        let work = Work {
            store,
            habits,
            counts,
            next_due: None,
            next_forget: 0,
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work.run(&received))?;
        Ok((Self { thread }, Door { orders }))
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    pub fn join(self) {
        // A panic of the thread was reported there.
        let _ = self.thread.join();
    }
}

impl Door {
    /// Keeps an event. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// [`Unkept`]; the event may be sent again.
    pub async fn keep(&self, event: Event) -> Result<(), Unkept> {
        let (done, kept) = oneshot::channel();
        match self.orders.try_send(Order::Keep(event, done)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Unkept::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(Unkept::Failed),
        }
        match kept.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Unkept::Failed),
        }
    }

    /// What was kept under `key`.
    pub(super) async fn recall(&self, key: &'static str) -> Option<String> {
        let (done, answer) = oneshot::channel();
        self.orders.try_send(Order::Recall(key, done)).ok()?;
        answer.await.ok().flatten()
    }

    /// Keeps a value under `key`; gives whether it is durable.
    pub(super) async fn position(&self, key: &'static str, value: String) -> bool {
        let (done, kept) = oneshot::channel();
        let sent = self.orders.try_send(Order::Position(key, value, done));
        sent.is_ok() && kept.await.unwrap_or(false)
    }
}

struct Work {
    store: Box<dyn Store>,
    habits: Habits,
    counts: Arc<Counts>,
    /// As far as known; `None`: nothing is due before the next event.
    next_due: Option<i64>,
    next_forget: i64,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) {
        // What a killed collector left behind is due, too.
        self.look_ahead();
        loop {
            let first = match orders.recv_timeout(self.pause()) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            // Whoever waits by now shares the transaction: the busier it is, the fewer commits an event costs.
            let orders: Vec<Order> = first
                .into_iter()
                .chain(orders.try_iter().take(BATCH - 1))
                .collect();
            self.carry_out(orders);
            self.settle_some();
            self.forget_some();
        }
        self.settle_some();
    }

    fn now(&self) -> i64 {
        (self.habits.now)()
    }

    fn pause(&self) -> Duration {
        if self.counts.store_down.load(Ordering::Relaxed) {
            return AFTER_FAILURE;
        }
        let until = self.next_due.map(|due| due.saturating_sub(self.now()));
        match until {
            None => PAUSE,
            Some(until) => {
                Duration::from_millis(u64::try_from(until.max(0)).unwrap_or(0)).min(PAUSE)
            }
        }
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        let now = self.now();
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        for order in orders {
            match order {
                Order::Keep(event, done) => {
                    events.push(Received { event, at: now });
                    waiting.push(done);
                }
                Order::Recall(key, done) => {
                    let answer = self.store.recall(key);
                    let _ = done.send(self.noted(answer).flatten());
                }
                Order::Position(key, value, done) => {
                    let answer = self.store.keep(key, &value);
                    let _ = done.send(self.noted(answer).is_some());
                }
            }
        }
        if events.is_empty() {
            return;
        }
        let due = now.saturating_add(self.habits.settings.settle);
        let answer = self.store.append(&events, due);
        let kept = self.noted(answer);
        if kept.is_some() {
            count(&self.counts.commits);
            self.counts.last_event.store(now / 1000, Ordering::Relaxed);
            self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        }
        for done in waiting {
            // A sender that hung up meanwhile will send again, and finds it kept.
            let _ = done.send(kept.is_some());
        }
    }

    /// Looks at some of the calls that are due, and writes what became of them.
    fn settle_some(&mut self) {
        let now = self.now();
        if self.next_due.is_none_or(|due| due > now) {
            return;
        }
        let answer = self.store.due(now, DUE);
        let Some(due) = self.noted(answer) else {
            return;
        };
        let settled: Vec<Settled> = due.into_iter().map(|due| self.settled(due, now)).collect();
        if !settled.is_empty() {
            let written = match self.store.settle(&settled) {
                Ok(written) => Ok(written),
                // One row that the table does not take must not keep the others out.
                Err(error) => self.one_by_one(&settled, now).ok_or(error),
            };
            let Some(written) = self.noted(written) else {
                return;
            };
            self.counts
                .rows_new
                .fetch_add(written.new, Ordering::Relaxed);
            self.counts
                .rows_again
                .fetch_add(written.again, Ordering::Relaxed);
        }
        self.look_ahead();
    }

    /// Writes each call by itself, and puts off those that cannot be written; `None` where the store does not even take
    /// that.
    fn one_by_one(&mut self, settled: &[Settled], now: i64) -> Option<Written> {
        let mut written = Written::default();
        for one in settled {
            match self.store.settle(std::slice::from_ref(one)) {
                Ok(wrote) => {
                    written.new += wrote.new;
                    written.again += wrote.again;
                }
                Err(error) => {
                    let later = Settled {
                        call: one.call.clone(),
                        due: Some(now.saturating_add(PUT_OFF)),
                        row: None,
                    };
                    self.store.settle(&[later]).ok()?;
                    let (call, error) = (Shown(one.call.as_str()), anyhow::Error::new(error));
                    tracing::error!(
                        "the row of call {call} could not be written, and is tried again: {error:#}"
                    );
                }
            }
        }
        Some(written)
    }

    fn settled(&self, due: Due, now: i64) -> Settled {
        let (call, events) = (due.call, due.events);
        match assemble(&events, &self.habits.settings, now) {
            Assembly::Wait(until) => Settled {
                call,
                due: Some(until),
                row: None,
            },
            Assembly::Row(row) => {
                if row.userfield.starts_with(UNFINISHED) {
                    count(&self.counts.unfinished);
                }
                Settled {
                    call,
                    due: None,
                    row: Some(*row),
                }
            }
            Assembly::Nothing => {
                count(&self.counts.no_row);
                Settled {
                    call,
                    due: None,
                    row: None,
                }
            }
        }
    }

    fn look_ahead(&mut self) {
        let answer = self.store.next_due();
        match self.noted(answer) {
            Some(next) => self.next_due = next,
            // Whatever it is, it is looked for again.
            None => self.next_due = Some(self.now()),
        }
    }

    fn forget_some(&mut self) {
        let now = self.now();
        if now < self.next_forget {
            return;
        }
        self.next_forget = now.saturating_add(FORGET_EVERY);
        let answer = self.store.forget(now.saturating_sub(self.habits.retention));
        if self.noted(answer).is_some_and(|calls| calls > 0) {
            // There may be more.
            self.next_forget = now;
        }
    }

    /// What a step gave; `None` where it failed, which is told once and not with every event.
    fn noted<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(value) => {
                if self.counts.store_down.swap(false, Ordering::Relaxed) {
                    tracing::warn!("the collector's store works again");
                }
                Some(value)
            }
            Err(error) => {
                count(&self.counts.store_failures);
                if !self.counts.store_down.swap(true, Ordering::Relaxed) {
                    let error = anyhow::Error::new(error);
                    tracing::error!(
                        "{error:#}; events are refused with 503 until it works again, and senders that repeat lose none"
                    );
                }
                None
            }
        }
    }
}
