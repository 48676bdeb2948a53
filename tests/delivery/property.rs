//! Whatever the CRM answers, and whenever whoever stops: no call is lost, doubled, or told another fate than its own.

use std::collections::{HashMap, HashSet};

use cdrelay::delivery::{Ending, Fate, Limits, Settled, Stop, Summary, deliver};
use cdrelay::target::{Outcome, Receipt, Trouble, TroubleKind};
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::crm::{Crm, Request, by_ticket, call, ms, number, parcels, secs};

/// One run.
#[derive(Debug, Clone)]
struct Plan {
    /// For each call, its answers by attempt: after how many milliseconds, what.
    scripts: Vec<[(u64, Outcome); 3]>,
    batch: usize,
    /// Milliseconds between batches.
    gap: u64,
    concurrency: usize,
    max_rps: Option<u32>,
    proven: bool,
    /// Milliseconds from the start.
    deadline: Option<u64>,
    stop: Option<(u64, Stop)>,
    /// The recorder: room, milliseconds for each answer, and after how many answers it fails.
    room: usize,
    pause: u64,
    fails_after: Option<usize>,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = prop_oneof![
        Just(TroubleKind::Unreachable),
        Just(TroubleKind::Timeout),
        Just(TroubleKind::Busy),
        Just(TroubleKind::ServerError),
        Just(TroubleKind::Garbled),
        Just(TroubleKind::Html),
    ];
    let retry_after = prop_oneof![
        4 => Just(None),
        1 => (0u64..60).prop_map(|n| Some(secs(n))),
        1 => (0u64..400).prop_map(|n| Some(secs(n))),
    ];
    prop_oneof![
        60 => (any::<bool>(), proptest::option::of(0i64..5000)).prop_map(|(existing, call_id)| {
            Outcome::Delivered(Receipt { existing, contact_id: None, call_id })
        }),
        8 => Just(Outcome::Unmatched { reason: "no contact".into() }),
        8 => (0u8..3).prop_map(|n| Outcome::Rejected { reason: format!("no {n}") }),
        22 => (kind, retry_after).prop_map(|(kind, retry_after)| {
            Outcome::NoVerdict(Trouble { kind, reason: "trouble".into(), retry_after })
        }),
        1 => Just(Outcome::Broken { reason: "broken".into() }),
        1 => Just(Outcome::NotSent),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let delay = prop_oneof![3 => 0u64..200, 1 => 0u64..40_000];
    let answer = || (delay.clone(), outcome());
    let answers = (answer(), answer(), answer())
        .prop_map(|(a, b, c)| [a, b, c])
        .boxed();
    // Some CRMs are of one mind.
    let one_mind = (answers.clone(), 0usize..60).prop_map(|(answers, n)| vec![answers; n]);
    let scripts = prop_oneof![3 => proptest::collection::vec(answers, 0..80), 1 => one_mind];
    let stop = prop_oneof![
        Just(Stop::Interrupt),
        Just(Stop::Terminate),
        Just(Stop::Unrecorded)
    ];
    let sender = (1usize..30, prop_oneof![2 => Just(0), 1 => 0u64..5_000]);
    let pace = (
        1usize..20,
        proptest::option::weighted(0.2, 1u32..200),
        any::<bool>(),
    );
    let ends = (
        proptest::option::weighted(0.3, 0u64..120_000),
        proptest::option::weighted(0.3, (0u64..60_000, stop)),
    );
    let recorder = (
        1usize..40,
        prop_oneof![3 => Just(0), 1 => 0u64..2_000],
        proptest::option::weighted(0.15, 0usize..60),
    );
    (scripts, sender, pace, ends, recorder).prop_map(
        |(
            scripts,
            (batch, gap),
            (concurrency, max_rps, proven),
            (deadline, stop),
            (room, pause, fails_after),
        )| Plan {
            scripts,
            batch,
            gap,
            concurrency,
            max_rps,
            proven,
            deadline,
            stop,
            room,
            pause,
            fails_after,
        },
    )
}

/// What a run came to.
struct Played {
    begun: Instant,
    summary: Summary,
    requests: Vec<Request>,
    back: Vec<Settled<usize>>,
    /// Calls that the sender could not hand over.
    unsent: usize,
    /// When the recorder failed.
    failed: Option<Instant>,
}

async fn play(plan: &Plan) -> Played {
    let begun = Instant::now();
    let scripts = plan.scripts.clone();
    let crm = Crm::new(move |q| {
        let (delay, outcome) = scripts[q.number()][q.attempt - 1].clone();
        (ms(delay), outcome)
    });
    let limits = Limits {
        concurrency: plan.concurrency,
        max_rps: plan.max_rps,
        deadline: plan.deadline.map(|at| begun + ms(at)),
        request_deadline: secs(60),
        proven: plan.proven,
        refusals: Vec::new(),
    };
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel(plan.room);
    let (stopper, stop) = watch::channel(Stop::No);
    let calls = plan.scripts.len();
    let producer = async move {
        let mut unsent = 0;
        for first in (0..calls).step_by(plan.batch) {
            let batch = parcels(first..calls.min(first + plan.batch));
            if let Err(mpsc::error::SendError(batch)) = sender.send(batch).await {
                unsent += batch.len();
            }
            tokio::time::sleep(ms(plan.gap)).await;
        }
        unsent
    };
    let recorder = async move {
        let mut back = Vec::new();
        while plan.fails_after.is_none_or(|n| back.len() < n) {
            let Some(one) = answers.recv().await else {
                return (back, None);
            };
            back.push(one);
            tokio::time::sleep(ms(plan.pause)).await;
        }
        (back, Some(Instant::now()))
    };
    let signal = async {
        if let Some((at, stop)) = plan.stop {
            tokio::time::sleep(ms(at)).await;
            stopper.send_replace(stop);
        }
    };
    let delivery = deliver(&crm, limits, incoming, settled, stop);
    let all = async { tokio::join!(producer, delivery, recorder, signal) };
    let (unsent, summary, (back, failed), ()) = tokio::time::timeout(secs(30 * 24 * 3600), all)
        .await
        .expect("the delivery hangs");
    Played {
        begun,
        summary,
        requests: crm.requests(),
        back,
        unsent,
        failed,
    }
}

fn is_verdict(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::NoVerdict(_))
}

/// The fates that a call may have whose last request was answered so.
fn possible(outcome: &Outcome, fate: &Fate) -> bool {
    match (outcome, fate) {
        (Outcome::Delivered(a), Fate::Delivered(b)) => a == b,
        (Outcome::Unmatched { reason: a }, Fate::Unmatched(b))
        | (Outcome::Rejected { reason: a }, Fate::Rejected(b)) => a == b,
        (Outcome::NoVerdict(trouble), Fate::Pending(reason)) => &trouble.reason == reason,
        (Outcome::Delivered(said), Fate::Disbelieved { call_id, .. }) => {
            !said.existing && said.call_id == Some(*call_id)
        }
        // Not to be believed, or nothing at all.
        (
            Outcome::Rejected { .. } | Outcome::Broken { .. } | Outcome::NotSent,
            Fate::NotAttempted,
        ) => true,
        (_, _) => false,
    }
}

fn check(plan: &Plan, played: Played) -> Result<(), TestCaseError> {
    let Played {
        begun,
        summary,
        requests,
        back,
        unsent,
        failed,
    } = played;
    let calls = plan.scripts.len();

    // Once, and with its own call.
    let attempts: HashMap<usize, u32> =
        back.iter().map(|b| (b.parcel.ticket, b.attempts)).collect();
    let returned = back.len();
    let fates = by_ticket(back);
    prop_assert_eq!(fates.len(), returned, "a call came back twice");
    if failed.is_none() {
        prop_assert_eq!(returned + unsent, calls, "a call was lost");
    }

    // Requests of one call: one after the other, alike, three at most, none after a verdict.
    let mut by_call: HashMap<usize, Vec<&Request>> = HashMap::new();
    for request in &requests {
        by_call
            .entry(number(&request.call))
            .or_default()
            .push(request);
    }
    for (n, of_call) in &by_call {
        let script = &plan.scripts[*n];
        prop_assert!(of_call.len() <= 3);
        prop_assert!(of_call.iter().all(|r| r.call == call(*n)), "other bytes");
        for (i, pair) in of_call.windows(2).enumerate() {
            prop_assert!(pair[0].ended.is_some_and(|at| at <= pair[1].started));
            prop_assert!(pair[0].answered && !is_verdict(&script[i].1));
        }
    }
    for (n, fate) in &fates {
        let of_call = by_call.get(n).map(Vec::as_slice).unwrap_or_default();
        prop_assert_eq!(attempts[n] as usize, of_call.len());
        match of_call.last() {
            None => prop_assert_eq!(fate, &Fate::NotAttempted),
            Some(last) if last.answered => {
                let outcome = &plan.scripts[*n][of_call.len() - 1].1;
                prop_assert!(possible(outcome, fate), "{:?} for {:?}", fate, outcome);
            }
            Some(_) => prop_assert!(matches!(fate, Fate::Pending(_)), "{:?}", fate),
        }
    }

    // Limits, deadline, signals, a recorder that failed.
    let deadline = plan.deadline.map(|at| begun + ms(at));
    let stop = plan.stop.map(|(at, _)| begun + ms(at));
    for request in &requests {
        prop_assert!(request.abreast <= plan.concurrency);
        prop_assert!(deadline.is_none_or(|at| request.started < at));
        prop_assert!(stop.is_none_or(|at| request.started <= at));
        prop_assert!(failed.is_none_or(|at| request.started <= at));
        let ended = request.ended.expect("every request ends before the run");
        prop_assert!(stop.is_none_or(|at| ended <= at + secs(10)));
    }

    // The sums: what found no connection is no request, and what was not sent on purpose neither.
    let answer = |r: &Request| {
        let n = number(&r.call);
        let attempt = by_call[&n]
            .iter()
            .position(|of| of.started == r.started)
            .unwrap_or_default();
        r.answered.then(|| &plan.scripts[n][attempt].1)
    };
    let unconnected = |r: &Request| {
        matches!(
            answer(r),
            Some(Outcome::NoVerdict(Trouble {
                kind: TroubleKind::Unreachable,
                ..
            }))
        )
    };
    let not_sent = requests
        .iter()
        .filter(|r| answer(r) == Some(&Outcome::NotSent))
        .count();
    let sent: Vec<&Request> = requests
        .iter()
        .filter(|r| !unconnected(r) && answer(r) != Some(&Outcome::NotSent))
        .collect();
    let reached: HashSet<usize> = sent.iter().map(|r| number(&r.call)).collect();
    if failed.is_none() {
        prop_assert_eq!(summary.sent as usize, sent.len());
        prop_assert_eq!(summary.retried as usize, sent.len() - reached.len());
        let refused = requests.iter().filter(|r| unconnected(r)).count();
        prop_assert_eq!(summary.unconnected as usize, refused);
    }
    match &summary.ending {
        Ending::Done => {
            let left = fates.values().filter(|f| **f == Fate::NotAttempted);
            prop_assert_eq!(left.count(), not_sent, "done, and calls are left");
        }
        Ending::OutOfTime => prop_assert!(deadline.is_some()),
        Ending::Stopped(asked) => prop_assert_eq!(plan.stop.map(|(_, stop)| stop), Some(*asked)),
        Ending::Unheard => prop_assert!(failed.is_some()),
        Ending::Broken(_) => {}
        Ending::Down(_) => {
            let without = |r: &Request| {
                let script = &plan.scripts[number(&r.call)];
                script.iter().any(|(_, outcome)| !is_verdict(outcome))
            };
            prop_assert!(requests.iter().any(without));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_back_exactly_once_whatever_happens(plan in plan()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let played = runtime.block_on(play(&plan));
        check(&plan, played)?;
    }
}
