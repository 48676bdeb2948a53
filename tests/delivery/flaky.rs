//! A CRM that is there, and fails some requests: by chance, in turn, or always the same.

use std::collections::BTreeSet;

use cdrelay::delivery::{Ending, Fate, Limits, Parcel, Settled, Stop, Summary, deliver};
use cdrelay::target::TroubleKind;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::crm::{Crm, Question, by_ticket, call, created, limits, ms, run, secs, trouble};
use crate::soak;

/// One run over these calls, in this order; gives those that were not delivered.
async fn attempt(crm: &Crm, due: &[usize]) -> (Summary, BTreeSet<usize>) {
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel::<Settled<usize>>(64);
    let (_stopper, stop) = watch::channel(Stop::No);
    let parcels: Vec<Parcel<usize>> = due
        .iter()
        .map(|n| Parcel {
            ticket: *n,
            call: call(*n),
        })
        .collect();
    sender.send(parcels).await.unwrap();
    drop(sender);
    let recorder = async {
        let mut back = Vec::new();
        while let Some(one) = answers.recv().await {
            back.push(one);
        }
        back
    };
    let all = async { tokio::join!(deliver(crm, limits(), incoming, settled, stop), recorder) };
    let (summary, back) = tokio::time::timeout(secs(7 * 24 * 3600), all)
        .await
        .expect("the delivery hangs");
    let left = by_ticket(back)
        .into_iter()
        .filter(|(_, fate)| {
            assert!(!matches!(fate, Fate::Rejected(_)));
            !matches!(fate, Fate::Delivered(_))
        })
        .map(|(ticket, _)| ticket)
        .collect();
    (summary, left)
}

/// How many runs it takes until everything is delivered, and how many of them gave the CRM up.
async fn until_all_is_there(crm: &Crm, calls: usize) -> (u32, u32) {
    let mut left: BTreeSet<usize> = (0..calls).collect();
    let (mut runs, mut given_up) = (0, 0);
    while !left.is_empty() {
        runs += 1;
        assert!(runs <= 12, "{} calls left after twelve runs", left.len());
        let due: Vec<usize> = left.iter().copied().collect();
        let (summary, still) = attempt(crm, &due).await;
        given_up += u32::from(matches!(summary.ending, Ending::Down(_)));
        left = still;
    }
    (runs, given_up)
}

/// A CRM that fails every second request so, after this time: in turn for seed 0, else by chance.
fn every_second(kind: TroubleKind, after: u64, seed: u64) -> Crm {
    Crm::new(move |q: &Question<'_>| {
        let mut dice = (q.request as u64)
            .wrapping_add(seed << 40)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let fails = match seed {
            0 => q.request.is_multiple_of(2),
            _ => dice >> 63 == 1,
        };
        if fails {
            (ms(after), trouble(kind))
        } else {
            (ms(40), created(q))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_fails_every_second_request_gets_everything_over_the_following_runs() {
    for (kind, after) in [
        (TroubleKind::ServerError, 30),
        (TroubleKind::Busy, 30),
        (TroubleKind::Garbled, 30),
        (TroubleKind::Unreachable, 1),
        (TroubleKind::Html, 30),
        (TroubleKind::Timeout, 2_000),
    ] {
        let seeds = soak::count(60, 2_000) as u64;
        let mut given_up = 0;
        for seed in 0..=seeds {
            let crm = every_second(kind, after, seed);
            let (_, ended_early) = until_all_is_there(&crm, 400).await;
            given_up += ended_early;
            if seed == 0 {
                assert_eq!(ended_early, 0, "{kind:?} in turn");
            }
        }
        // Only a run that begins with a dozen failures knows no better: one in four thousand.
        assert!(
            u64::from(given_up) <= 1 + seeds / 100,
            "{kind:?}: {given_up} runs ended early"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_on_every_second_request_costs_time_and_no_call() {
    for seed in 0..=soak::count(10, 200) as u64 {
        let crm = every_second(TroubleKind::Timeout, 30_000, seed);
        until_all_is_there(&crm, 60).await;
    }
}

/// Calls that fail whatever is done about them, in front of the others.
fn poison(kind: TroubleKind, first: usize) -> Crm {
    Crm::new(move |q| {
        if q.number() < first {
            (ms(30), trouble(kind))
        } else {
            (ms(40), created(q))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_that_never_get_a_verdict_do_not_keep_the_others_waiting() {
    for kind in [
        TroubleKind::ServerError,
        TroubleKind::Garbled,
        TroubleKind::Timeout,
        TroubleKind::Unreachable,
    ] {
        for calls in [60, 400, 5_000] {
            let crm = poison(kind, 50);
            let due: Vec<usize> = (0..calls).collect();
            let (summary, left) = attempt(&crm, &due).await;
            assert_eq!(
                left,
                (0..50).collect(),
                "{kind:?}, {calls} calls: {:?}",
                summary.ending
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_later_slices_are_tried_while_those_of_the_first_one_fail() {
    // `run` sends a hundred at a time: the whole first batch is poisoned.
    let crm = poison(TroubleKind::ServerError, 100);
    let run = run(&crm, limits(), 2_000).await;
    assert_eq!(run.delivered(), 1_900, "{:?}", run.summary.ending);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_ignores_its_deadline_is_given_up_by_the_engine() {
    let crm = Crm::new(|q| match q.number() {
        3 if q.attempt == 1 => (secs(1_000_000), created(q)),
        _ => (ms(40), created(q)),
    });
    let limits = Limits {
        request_deadline: secs(40),
        ..limits()
    };
    let run = run(&crm, limits, 100).await;
    assert_eq!(run.summary.ending, Ending::Done);
    assert_eq!(run.delivered(), 100, "it was tried again");
    let hung = crm.requests();
    let hung = hung.iter().find(|r| !r.answered).unwrap();
    assert_eq!(hung.ended.unwrap() - hung.started, secs(40));
    assert_eq!(run.summary.sent, 101);
}

#[tokio::test(start_paused = true)]
async fn no_run_outlives_its_time_by_more_than_one_request() {
    for deadline in [1, 10, 100, 1_000] {
        let begun = Instant::now();
        let crm = Crm::new(|q| match q.number() % 3 {
            0 => (secs(1_000_000), created(q)),
            _ => (secs(1), created(q)),
        });
        let limits = Limits {
            deadline: Some(begun + secs(deadline)),
            request_deadline: secs(40),
            ..limits()
        };
        let run = run(&crm, limits, 10_000).await;
        assert!(run.took <= secs(deadline + 40), "{:?}", run.took);
        assert_eq!(run.rejected(), 0);
        let why = "given up after 40s without an answer";
        let given_up = run.count(|fate| matches!(fate, Fate::Pending(reason) if reason == why));
        assert!(given_up > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn overload_and_timeouts_halve_the_window_and_other_trouble_does_not() {
    for (kind, halves) in [
        (TroubleKind::Busy, true),
        (TroubleKind::Timeout, true),
        (TroubleKind::ServerError, false),
        (TroubleKind::Garbled, false),
        (TroubleKind::Unreachable, false),
    ] {
        // The window of sixteen is open after 31 requests.
        let crm = Crm::new(move |q| match q.request {
            40 => (ms(100), trouble(kind)),
            _ => (ms(100), created(q)),
        });
        let run = run(&crm, limits(), 200).await;
        assert_eq!(run.delivered(), 200);
        let requests = crm.requests();
        let failed = requests[39].ended.unwrap();
        let after = requests
            .iter()
            .filter(|r| r.started > failed && r.started <= failed + ms(250))
            .map(|r| r.abreast)
            .max();
        let expected = if halves { 8..=10 } else { 16..=16 };
        assert!(
            after.is_some_and(|widest| expected.contains(&widest)),
            "{kind:?}: {after:?}"
        );
    }
}
