//! A CRM that answers by script and remembers every request, and the sender and recorder beside it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdrelay::call::{PhoneNumber, WireForm};
use cdrelay::delivery::{Fate, Limits, Parcel, Settled, Stop, Summary, deliver};
use cdrelay::target::{
    CrmTarget, DeleteBounds, Deletion, Outcome, Probe, Receipt, Trouble, TroubleKind,
};
use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A request as the CRM saw it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) call: WireForm,
    pub(crate) started: Instant,
    /// When it was answered, or given up.
    pub(crate) ended: Option<Instant>,
    /// Whether it was answered.
    pub(crate) answered: bool,
    /// Requests in flight with it at its start.
    pub(crate) abreast: usize,
}

/// What a script is asked about.
pub(crate) struct Question<'a> {
    pub(crate) call: &'a WireForm,
    /// Which request for this call, from 1.
    pub(crate) attempt: usize,
    /// Which request of all, from 1.
    pub(crate) request: usize,
}

impl Question<'_> {
    /// The number that [`call`] made the call of.
    pub(crate) fn number(&self) -> usize {
        number(self.call)
    }
}

type Script = dyn Fn(&Question<'_>) -> (Duration, Outcome) + Send + Sync;

/// The CRM.
pub(crate) struct Crm {
    script: Box<Script>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    /// Requests for each call.
    attempts: HashMap<usize, usize>,
    in_flight: usize,
}

impl Crm {
    /// Answers as the script says, each after the time that it says.
    pub(crate) fn new(
        script: impl Fn(&Question<'_>) -> (Duration, Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Box::new(script),
            log: Arc::default(),
        }
    }

    /// Every request so far, in the order of their starts.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().requests.clone()
    }

    /// How many different calls it was asked about so far.
    pub(crate) fn distinct(&self) -> usize {
        self.log.lock().unwrap().attempts.len()
    }

    /// When requests started, counted from `since`.
    pub(crate) fn starts(&self, since: Instant) -> Vec<Duration> {
        let requests = self.requests();
        requests.iter().map(|r| r.started - since).collect()
    }
}

/// Notes the end of a request, however it comes.
struct InFlight {
    log: Arc<Mutex<Log>>,
    place: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut log = self.log.lock().unwrap();
        log.requests[self.place].ended = Some(Instant::now());
        log.in_flight -= 1;
    }
}

impl CrmTarget for Crm {
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        async move {
            let (place, delay, outcome) = {
                let mut log = self.log.lock().unwrap();
                let attempt = log.attempts.entry(number(call)).or_default();
                *attempt += 1;
                let question = Question {
                    call,
                    attempt: *attempt,
                    request: 1 + log.requests.len(),
                };
                let (delay, outcome) = (self.script)(&question);
                log.in_flight += 1;
                let abreast = log.in_flight;
                log.requests.push(Request {
                    call: call.clone(),
                    started: Instant::now(),
                    ended: None,
                    answered: false,
                    abreast,
                });
                (log.requests.len() - 1, delay, outcome)
            };
            let in_flight = InFlight {
                log: Arc::clone(&self.log),
                place,
            };
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            self.log.lock().unwrap().requests[place].answered = true;
            drop(in_flight);
            outcome
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        async { Probe::Ready("scripted".into()) }.boxed()
    }

    fn delete_bounds(&self, _from: NaiveDate, _to: NaiveDate) -> Option<DeleteBounds> {
        None
    }

    fn delete(&self, _bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        async { Deletion::Deleted { count: 0 } }.boxed()
    }
}

/// The `n`-th call.
pub(crate) fn call(n: usize) -> WireForm {
    WireForm {
        initiated: format!("2026-11-10T00:00:{:02}Z", n % 60),
        source: PhoneNumber("100".into()),
        destination: PhoneNumber(format!("0212{n:07}")),
        duration: n as u64,
        url: n
            .is_multiple_of(2)
            .then(|| format!("https://pbx.example.com/rec/{n}.wav")),
        form: None,
    }
}

/// Which call it is.
pub(crate) fn number(call: &WireForm) -> usize {
    call.destination.as_str()[4..].parse().unwrap()
}

/// A batch of calls, with their number as ticket.
pub(crate) fn parcels(numbers: Range<usize>) -> Vec<Parcel<usize>> {
    numbers
        .map(|n| Parcel {
            ticket: n,
            call: call(n),
        })
        .collect()
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Created, under an id of its own.
pub(crate) fn created(question: &Question<'_>) -> Outcome {
    Outcome::Delivered(Receipt {
        existing: false,
        contact_id: Some(9),
        call_id: i64::try_from(question.number() + 1).ok(),
    })
}

pub(crate) fn trouble(kind: TroubleKind) -> Outcome {
    Outcome::NoVerdict(Trouble {
        kind,
        reason: format!("{kind:?}"),
        retry_after: None,
    })
}

pub(crate) fn busy_for(wait: Duration) -> Outcome {
    Outcome::NoVerdict(Trouble {
        kind: TroubleKind::Busy,
        reason: "429".into(),
        retry_after: Some(wait),
    })
}

pub(crate) fn rejected(words: &str) -> Outcome {
    Outcome::Rejected {
        reason: words.into(),
    }
}

/// Sixteen in flight, nothing else.
pub(crate) fn limits() -> Limits {
    Limits {
        concurrency: 16,
        max_rps: None,
        deadline: None,
        request_deadline: secs(3600),
        proven: false,
        refusals: Vec::new(),
    }
}

/// What a delivery came to.
pub(crate) struct Run {
    pub(crate) summary: Summary,
    /// What came back, by ticket.
    pub(crate) fates: HashMap<usize, Fate>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Run {
    /// How many came back like this.
    pub(crate) fn count(&self, like: impl Fn(&Fate) -> bool) -> usize {
        self.fates.values().filter(|fate| like(fate)).count()
    }

    pub(crate) fn delivered(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Delivered(_)))
    }

    pub(crate) fn pending(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Pending(_)))
    }

    pub(crate) fn rejected(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Rejected(_)))
    }

    pub(crate) fn not_attempted(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::NotAttempted))
    }
}

/// Sends the calls in batches of a hundred and takes everything back; asserts that each comes back once.
pub(crate) async fn run(crm: &Crm, limits: Limits, calls: usize) -> Run {
    let (_sender, stop) = watch::channel(Stop::No);
    run_until(crm, limits, calls, stop).await
}

/// The same, under a signal.
pub(crate) async fn run_until(
    crm: &Crm,
    limits: Limits,
    calls: usize,
    stop: watch::Receiver<Stop>,
) -> Run {
    let begun = Instant::now();
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel(64);
    let producer = async move {
        let mut unsent = 0;
        for first in (0..calls).step_by(100) {
            let batch = parcels(first..calls.min(first + 100));
            if let Err(mpsc::error::SendError(batch)) = sender.send(batch).await {
                unsent += batch.len();
            }
        }
        unsent
    };
    let recorder = async {
        let mut back = Vec::new();
        while let Some(settled) = answers.recv().await {
            back.push(settled);
        }
        back
    };
    let all = async {
        tokio::join!(
            producer,
            deliver(crm, limits, incoming, settled, stop),
            recorder
        )
    };
    let (unsent, summary, back) = tokio::time::timeout(secs(7 * 24 * 3600), all)
        .await
        .expect("the delivery hangs");
    assert_eq!(back.len() + unsent, calls);
    let fates = by_ticket(back);
    assert_eq!(fates.len() + unsent, calls, "a call came back twice");
    Run {
        summary,
        fates,
        took: begun.elapsed(),
    }
}

/// Sorts what came back; asserts that every parcel holds the call that it was sent with.
pub(crate) fn by_ticket(back: Vec<Settled<usize>>) -> HashMap<usize, Fate> {
    back.into_iter()
        .map(|back| {
            assert_eq!(back.parcel.call, call(back.parcel.ticket));
            (back.parcel.ticket, back.fate)
        })
        .collect()
}
