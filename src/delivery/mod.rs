//! The engine: keeps requests in flight, tries again where that can help, and stops in order.
//!
//! It takes calls from a channel and gives each back with what became of it. It has never heard of the source, of the
//! ledger, or of a terminal, so where its calls come from can change without it.
//!
//! [`deliver`] waits: for calls, answers, room, time and signals. `engine` decides, and never waits.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::call::WireForm;
use crate::target::{CrmTarget, Receipt};

mod chance;
mod engine;
mod flight;
pub mod latency;
pub mod pace;
pub mod patience;
pub mod suspicion;

use engine::Engine;
pub use latency::Latency;

/// How long requests in flight may take after the first signal.
pub const GRACE: Duration = Duration::from_secs(10);

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
    /// Sent to a CRM without keys, which may have acted upon it: not to be sent again by itself.
    Held(String),
    /// Reported as created under an id that two other calls of this run were reported under: of all that have it, none is
    /// to be believed. See [`suspicion::Suspicion`].
    Disbelieved {
        /// The id.
        call_id: i64,
        /// What is wrong, in a sentence.
        reason: String,
    },
    /// Nothing is known that was not known before: the run ended first, nothing is sent on purpose, or the CRM's answer
    /// is not to be believed.
    NotAttempted,
}

/// What bounds a run, and what earlier runs learned about the CRM.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most requests in flight.
    pub concurrency: usize,
    /// Most requests a second.
    pub max_rps: Option<u32>,
    /// When no new request may start any more.
    pub deadline: Option<Instant>,
    /// How long one attempt may take, whatever the target makes of it: a little more than the target's own deadline.
    pub request_deadline: Duration,
    /// The CRM took a call in an earlier run, so it understands what it is sent: see [`suspicion::Suspicion`].
    pub proven: bool,
    /// The words under which it refused calls in earlier runs. Only needed where `proven` is not set.
    pub refusals: Vec<String>,
}

/// What a target gets beyond its own deadlines before it is given up: see [`Limits::request_deadline`].
const LENIENCE: Duration = Duration::from_secs(5);

/// How long an attempt may take on a target with these two deadlines.
#[must_use]
pub fn request_deadline(timeout: Duration, connect_timeout: Duration) -> Duration {
    timeout
        .saturating_add(connect_timeout)
        .saturating_add(LENIENCE)
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
    /// The caller's record failed: no new request may leave.
    Unrecorded,
}

/// Why the engine ended. Where several reasons apply, the last in this order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every call was dealt with.
    Done,
    /// `--max-runtime` passed.
    OutOfTime,
    /// The CRM is down, slow or overloaded.
    Down(String),
    /// Nobody takes the answers any more.
    Unheard,
    /// The CRM does not speak as agreed.
    Broken(String),
    /// Asked to stop.
    Stopped(Stop),
}

impl Ending {
    /// What a person has to see first weighs most.
    fn weight(&self) -> u8 {
        match self {
            Self::Done => 0,
            Self::OutOfTime => 1,
            Self::Down(_) => 2,
            Self::Unheard => 3,
            Self::Broken(_) => 4,
            Self::Stopped(_) => 5,
        }
    }
}

/// What a run's delivery came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Why it ended.
    pub ending: Ending,
    /// Requests that may have reached the CRM, as the target counts them (see [`CrmTarget::requests`]).
    pub sent: u64,
    /// Of those, repetitions for the same call.
    pub retried: u64,
    /// Attempts that found no connection; they are no requests.
    pub unconnected: u64,
    /// How long requests took that got a verdict, as a histogram.
    pub latency: Latency,
    /// From the first request to the last answer.
    pub sending: Duration,
}

/// Delivers what comes from `incoming`, and gives every call back through `settled`, exactly once, also those that it
/// never tried and those whose answer it did not wait for; only a closed `settled` keeps it from that.
///
/// Ends when `incoming` is closed and everything is dealt with, or early as [`Ending`] says. After a stop, requests in
/// flight get ten more seconds; after any other early end, as long as [`Limits::request_deadline`]. A closed `settled` ends it at once:
/// nothing may be sent whose result nobody records.
///
/// An empty batch says that the sender waits for its answers before it sends more: refusals that are held back (see
/// [`suspicion::Suspicion`]) are then given back as soon as nothing else is under way.
pub async fn deliver<T>(
    target: &dyn CrmTarget,
    limits: Limits,
    mut incoming: mpsc::Receiver<Vec<Parcel<T>>>,
    settled: mpsc::Sender<Settled<T>>,
    mut stop: watch::Receiver<Stop>,
) -> Summary {
    let mut engine = Engine::new(target, limits);
    let mut open = true;
    let mut listening = true;
    let mut grace: Option<Instant> = None;
    loop {
        let asked = *stop.borrow_and_update();
        if asked != Stop::No {
            engine.end(Ending::Stopped(asked));
            grace.get_or_insert_with(|| Instant::now() + GRACE);
        }
        if settled.is_closed() {
            engine.end(Ending::Unheard);
            break;
        }
        engine.hand_back(&settled);
        let wake = earlier(engine.fill(), grace);
        if engine.is_over(open) || grace.is_some_and(|at| Instant::now() >= at) {
            break;
        }
        tokio::select! {
            biased;
            changed = stop.changed(), if listening => listening = changed.is_ok(),
            () = settled.closed() => {}
            permit = settled.reserve(), if !engine.outbox.is_empty() => {
                if let (Ok(permit), Some(back)) = (permit, engine.outbox.pop_front()) {
                    permit.send(back);
                }
            }
            Some(landing) = engine.in_flight.next(), if !engine.in_flight.is_empty() => {
                engine.land(landing);
                // Answers come in crowds: one look at everything else serves all that are here.
                while let Some(Some(landing)) = engine.in_flight.next().now_or_never() {
                    engine.land(landing);
                }
            }
            batch = incoming.recv(), if open && engine.is_hungry() => match batch {
                Some(batch) => engine.take(batch),
                None => open = false,
            },
            () = sleep_until(wake) => {}
        }
    }
    // What is still on its way to this room is given back too; from here on nothing more comes.
    incoming.close();
    let (back, summary) = engine.close();
    for back in back {
        if settled.send(back).await.is_err() {
            return summary;
        }
    }
    while let Some(batch) = incoming.recv().await {
        for parcel in batch {
            let back = Settled {
                parcel,
                fate: Fate::NotAttempted,
                attempts: 0,
            };
            if settled.send(back).await.is_err() {
                return summary;
            }
        }
    }
    summary
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
