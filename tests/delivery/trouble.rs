//! What the engine does about a CRM that gives no verdict.

use std::collections::BTreeSet;

use cdrelay::delivery::{Ending, Fate, Limits, Settled, deliver};
use cdrelay::target::TroubleKind;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::crm::{
    Crm, Question, busy_for, by_ticket, call, created, limits, ms, run, secs, trouble,
};

/// Fails so many of a hundred requests, for a reason that depends on nothing but the call, the attempt and the seed.
fn flaky(percent: u64, seed: u64) -> Crm {
    Crm::new(move |q: &Question<'_>| {
        let mut dice = seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add((q.number() * 8 + q.attempt) as u64);
        for _ in 0..3 {
            dice = (dice ^ (dice >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        let dice = dice >> 16;
        let kinds = [
            TroubleKind::Busy,
            TroubleKind::ServerError,
            TroubleKind::Garbled,
        ];
        if dice % 100 < percent {
            (ms(20 + dice % 50), trouble(kinds[(dice % 3) as usize]))
        } else {
            (ms(20 + dice % 50), created(q))
        }
    })
}

/// The bound of P8: at most `factor` hundredths of a request a call, and fifty.
#[track_caller]
fn within(requests: u64, calls: usize, factor: u64) {
    let most = calls as u64 * factor / 100 + 50;
    assert!(
        requests <= most,
        "{requests} requests for {calls} calls, at most {most}"
    );
}

#[tokio::test(start_paused = true)]
async fn errors_cost_no_more_requests_than_promised_and_reject_nothing() {
    // Beyond one half, the budget of one half holds.
    for (percent, factor) in [(0, 100), (10, 115), (50, 180), (70, 180), (100, 0)] {
        for seed in 0..5 {
            for calls in [0, 1, 7, 60, 1500] {
                let crm = flaky(percent, seed);
                let run = run(&crm, limits(), calls).await;
                within(run.summary.sent, calls, factor);
                assert_eq!(run.summary.sent, crm.requests().len() as u64);
                assert_eq!(
                    run.summary.retried,
                    run.summary.sent - crm.distinct() as u64
                );
                assert_eq!(run.rejected(), 0);
                if percent == 100 {
                    assert_eq!(run.delivered(), 0);
                } else if percent <= 50 {
                    assert_eq!(run.delivered() + run.pending(), calls, "{percent} %");
                    assert_eq!(
                        run.summary.ending,
                        Ending::Done,
                        "{percent} %, {calls} calls"
                    );
                }
                if percent == 0 {
                    assert_eq!(run.summary.sent, calls as u64);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_answers_no_request_is_given_up() {
    let run = run(&flaky(100, 1), limits(), 1500).await;
    assert!(
        matches!(run.summary.ending, Ending::Down(_)),
        "{:?}",
        run.summary.ending
    );
    assert!(run.took < secs(180), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_delivered_by_the_following_runs() {
    let mut left: BTreeSet<usize> = (0..1500).collect();
    let mut runs = 0;
    while !left.is_empty() {
        runs += 1;
        assert!(runs <= 8, "{} calls left after eight runs", left.len());
        let crm = flaky(50, 100 + runs);
        let (sender, incoming) = mpsc::channel(1);
        let (settled, mut answers) = mpsc::channel::<Settled<usize>>(64);
        let (_stop, stop) = watch::channel(cdrelay::delivery::Stop::No);
        let due = left
            .iter()
            .map(|n| cdrelay::delivery::Parcel {
                ticket: *n,
                call: call(*n),
            })
            .collect();
        let recorder = async {
            let mut back = Vec::new();
            while let Some(one) = answers.recv().await {
                back.push(one);
            }
            back
        };
        sender.send(due).await.unwrap();
        drop(sender);
        let (_, back) = tokio::join!(deliver(&crm, limits(), incoming, settled, stop), recorder);
        let delivered = by_ticket(back)
            .into_iter()
            .filter(|(_, fate)| matches!(fate, Fate::Delivered(_)));
        for (ticket, _) in delivered {
            assert!(left.remove(&ticket), "{ticket} was delivered twice");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_cannot_be_reached_is_given_up_soon() {
    for latency in [0, 1, 5_000] {
        for calls in [1, 2, 5, 10_000] {
            let crm = Crm::new(move |_| (ms(latency), trouble(TroubleKind::Unreachable)));
            let run = run(&crm, limits(), calls).await;
            assert!(
                crm.requests().len() <= 20,
                "{} attempts",
                crm.requests().len()
            );
            assert!(run.took < secs(60), "{:?} for {calls} calls", run.took);
            assert_eq!(run.rejected() + run.delivered(), 0);
            assert!(run.pending() > 0);
            assert_eq!(
                (run.summary.sent, run.summary.retried),
                (0, 0),
                "what finds no connection is no request"
            );
            assert_eq!(run.summary.unconnected, crm.requests().len() as u64);
            if calls > 12 {
                assert_eq!(run.summary.ending, Ending::Down("Unreachable".into()));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_falls_silent_in_the_middle_costs_one_window_and_a_few_probes() {
    let crm = Crm::new(|q| match q.request {
        1..=200 => (ms(50), created(q)),
        _ => (secs(30), trouble(TroubleKind::Timeout)),
    });
    let run = run(&crm, limits(), 1000).await;
    assert_eq!(run.summary.ending, Ending::Down("Timeout".into()));
    assert_eq!(run.delivered(), 200);
    let lost = crm.requests().len() - 200;
    assert!((8..=16 + 8).contains(&lost), "{lost} requests into silence");
    assert!(run.took < secs(5 * 60), "{:?}", run.took);
    let abreast: Vec<usize> = crm
        .requests()
        .iter()
        .rev()
        .take(5)
        .map(|r| r.abreast)
        .collect();
    assert_eq!(abreast, [1; 5], "the probes go alone");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_a_pause_for_every_request_whatever_else_comes_back() {
    let crm = Crm::new(|q| match q.request {
        // The others of its window come back with verdicts, before it and after it.
        20 => (ms(150), busy_for(secs(20))),
        16..=31 => (ms(100 + 10 * (q.request % 10) as u64), created(q)),
        _ => (ms(100), created(q)),
    });
    let run = run(&crm, limits(), 100).await;
    assert_eq!(run.delivered(), 100);
    let requests = crm.requests();
    let asked = requests[19].ended.unwrap();
    let next = requests
        .iter()
        .map(|r| r.started)
        .filter(|at| *at > asked)
        .min();
    assert_eq!(next, Some(asked + secs(20)));
    assert!(
        requests
            .iter()
            .any(|r| r.started < asked && r.ended > Some(asked))
    );
    let again = requests.iter().filter(|r| r.call == requests[19].call);
    assert_eq!(again.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_five_minutes_or_the_deadline_ends_the_run() {
    for (asked, deadline, goes_on) in [
        (300, None, true),
        (301, None, false),
        (86_400, None, false),
        (20, Some(30), true),
        (31, Some(30), false),
    ] {
        let crm = Crm::new(move |q| match q.request {
            1 => (ms(100), busy_for(secs(asked))),
            _ => (ms(100), created(q)),
        });
        let limits = Limits {
            deadline: deadline.map(|at| Instant::now() + secs(at)),
            ..limits()
        };
        let run = run(&crm, limits, 3).await;
        if goes_on {
            assert_eq!(run.delivered(), 3);
            assert!(run.took >= secs(asked));
        } else {
            let Ending::Down(why) = &run.summary.ending else {
                panic!("{:?}", run.summary.ending);
            };
            assert!(
                why.starts_with("429; it asks to be left alone for "),
                "{why}"
            );
            assert_eq!((run.pending(), run.not_attempted()), (1, 2));
            assert_eq!(run.took, ms(100));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_asks_for_time_for_ever_does_not_get_it() {
    let crm = Crm::new(|_| (ms(100), busy_for(secs(60))));
    let run = run(&crm, limits(), 1000).await;
    assert!(matches!(run.summary.ending, Ending::Down(_)));
    assert!(run.took <= secs(301), "{:?}", run.took);
    assert!(crm.requests().len() <= 6);
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_three_attempts_and_keeps_the_last_reason() {
    let crm = Crm::new(|q| match (q.number(), q.attempt) {
        (1, 3) => (ms(10), trouble(TroubleKind::Garbled)),
        (1, _) => (ms(10), trouble(TroubleKind::ServerError)),
        _ => (ms(10), created(q)),
    });
    let run = run(&crm, limits(), 20).await;
    assert_eq!(run.fates[&1], Fate::Pending("Garbled".into()));
    assert_eq!(run.delivered(), 19);
    let requests = crm.requests();
    let times: Vec<Instant> = requests
        .iter()
        .filter(|r| r.call == call(1))
        .map(|r| r.started)
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times[1] - times[0] >= secs(1) && times[1] - times[0] <= ms(4_020));
    assert!(times[2] - times[1] >= secs(1) && times[2] - times[1] <= ms(16_020));
    assert_eq!(run.summary.ending, Ending::Done);
}

#[tokio::test(start_paused = true)]
async fn html_again_and_again_is_a_wrong_address() {
    let crm = Crm::new(|_| (ms(10), trouble(TroubleKind::Html)));
    let run = run(&crm, limits(), 100).await;
    let Ending::Broken(why) = &run.summary.ending else {
        panic!("{:?}", run.summary.ending);
    };
    assert!(why.contains("`target.url`"), "{why}");
    assert_eq!(crm.requests().len(), 5);
    assert_eq!(run.pending() + run.not_attempted(), 100);
}

#[tokio::test(start_paused = true)]
async fn html_now_and_then_is_ordinary_trouble() {
    let crm = Crm::new(|q| {
        if q.request.is_multiple_of(3) {
            (ms(10), trouble(TroubleKind::Html))
        } else {
            (ms(10), created(q))
        }
    });
    let run = run(&crm, limits(), 300).await;
    assert_eq!(run.summary.ending, Ending::Done);
    assert_eq!(run.delivered() + run.pending(), 300);
}
