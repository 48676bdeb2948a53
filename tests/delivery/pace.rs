//! How many requests, how fast.

use cdrelay::delivery::{Ending, Fate, Limits, Settled};
use cdrelay::target::{Outcome, TroubleKind};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::crm::{Crm, created, limits, ms, parcels, run, secs, trouble};

#[tokio::test(start_paused = true)]
async fn the_first_request_goes_alone_and_every_round_trip_doubles_the_window_up_to_its_limit() {
    let crm = Crm::new(|q| (ms(100), created(q)));
    let begun = Instant::now();
    let run = run(&crm, limits(), 95).await;
    assert_eq!(run.delivered(), 95);
    let starts = crm.starts(begun);
    let rounds: Vec<usize> = (0..8)
        .map(|round| {
            starts
                .iter()
                .filter(|at| at.as_millis() / 100 == round)
                .count()
        })
        .collect();
    assert_eq!(rounds, [1, 2, 4, 8, 16, 16, 16, 16]);
    assert_eq!(run.summary.sent, 95);
    assert_eq!(run.summary.retried, 0);
    assert_eq!(run.summary.sending, ms(900));
    let p50 = run.summary.latency.percentile(0.5);
    assert!((95.0..=105.0).contains(&p50), "{p50}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_request_is_followed_by_one_more_and_not_by_a_wave() {
    let crm = Crm::new(|q| match q.request {
        1..=3 => (ms(100), trouble(TroubleKind::ServerError)),
        _ => (ms(100), created(q)),
    });
    let run = run(&crm, limits(), 50).await;
    assert_eq!(run.delivered(), 50);
    let abreast: Vec<usize> = crm.requests()[..4].iter().map(|r| r.abreast).collect();
    assert_eq!(abreast, [1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn twenty_busy_answers_to_one_overload_halve_the_window_once() {
    let crm = Crm::new(|q| {
        // The whole window of 64 is open after 127 requests; of the next 64, twenty are too many.
        if (128..148).contains(&q.request) {
            (ms(100), trouble(TroubleKind::Busy))
        } else {
            (ms(100), created(q))
        }
    });
    let begun = Instant::now();
    let limits = Limits {
        concurrency: 64,
        ..limits()
    };
    let run = run(&crm, limits, 1000).await;
    assert_eq!(run.delivered(), 1000);
    assert_eq!(run.summary.retried, 20);
    let widest = |round: u128| {
        crm.requests()
            .iter()
            .filter(|r| (r.started - begun).as_millis() / 100 == round)
            .map(|r| r.abreast)
            .max()
    };
    assert_eq!(widest(7), Some(64), "the round that overloads it");
    // Of that round 44 verdicts came, after the halving: one more.
    assert_eq!(widest(8), Some(33), "half, and not less");
    assert_eq!(widest(9), Some(34), "then one more with each round trip");
}

#[tokio::test(start_paused = true)]
async fn ten_a_second_are_never_eleven() {
    let crm = Crm::new(|q| (ms(7), created(q)));
    let begun = Instant::now();
    let limits = Limits {
        max_rps: Some(10),
        ..limits()
    };
    let run = run(&crm, limits, 205).await;
    assert_eq!(run.delivered(), 205);
    let starts = crm.starts(begun);
    for (span, most) in [(secs(1), 10), (secs(10), 100)] {
        for from in &starts {
            let within = starts
                .iter()
                .filter(|at| (*from..*from + span).contains(*at));
            assert!(within.count() <= most, "{span:?} from {from:?}");
        }
    }
    assert!(
        run.took >= ms(20_400) && run.took < ms(21_000),
        "{:?}",
        run.took
    );
}

#[tokio::test(start_paused = true)]
async fn a_high_rate_is_kept_to_and_reached() {
    let crm = Crm::new(|q| (ms(13), created(q)));
    let begun = Instant::now();
    let limits = Limits {
        max_rps: Some(700),
        concurrency: 64,
        ..limits()
    };
    run(&crm, limits, 8_000).await;
    let starts = crm.starts(begun);
    let within = starts.iter().filter(|at| **at < secs(10)).count();
    assert!((6_650..=7_008).contains(&within), "{within} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_sends_nothing_and_no_rate_slows_it_down() {
    let crm = Crm::new(|_| (ms(0), Outcome::NotSent));
    let limits = Limits {
        max_rps: Some(1),
        ..limits()
    };
    let run = run(&crm, limits, 500).await;
    assert_eq!(run.not_attempted(), 500);
    assert_eq!((run.summary.sent, run.summary.retried), (0, 0));
    assert_eq!(run.summary.ending, Ending::Done);
    assert_eq!(run.took, ms(0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_recorder_slows_sending_down_and_stops_nothing() {
    let crm = Crm::new(|q| (ms(10), created(q)));
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel::<Settled<usize>>(1);
    let (_stop, stop) = watch::channel(cdrelay::delivery::Stop::No);
    let producer = async move { sender.send(parcels(0..200)).await.unwrap() };
    let recorder = async {
        let mut recorded = 0;
        let mut ahead = 0;
        while let Some(back) = answers.recv().await {
            assert!(matches!(back.fate, Fate::Delivered(_)));
            recorded += 1;
            tokio::time::sleep(secs(1)).await;
            ahead = ahead.max(crm.requests().len() - recorded);
        }
        (recorded, ahead)
    };
    let delivery = cdrelay::delivery::deliver(&crm, limits(), incoming, settled, stop);
    let all = async { tokio::join!(producer, delivery, recorder) };
    let ((), summary, (recorded, ahead)) = tokio::time::timeout(secs(1000), all).await.unwrap();
    assert_eq!(summary.ending, Ending::Done);
    assert_eq!(recorded, 200);
    assert!(ahead <= 16 + 2, "{ahead} requests ahead of the record");
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_neither_stalls_nor_ends_the_run() {
    let crm = Crm::new(|q| match q.attempt {
        1 if q.number().is_multiple_of(2) => (ms(10), trouble(TroubleKind::Garbled)),
        _ => (ms(10), created(q)),
    });
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel::<Settled<usize>>(64);
    let (stopper, stop) = watch::channel(cdrelay::delivery::Stop::No);
    // Nobody can ask to stop any more: that is no reason to spin, nor to end.
    drop(stopper);
    let producer = async move {
        for n in 0..10 {
            sender.send(parcels(n * 3..n * 3 + 3)).await.unwrap();
            tokio::time::sleep(secs(600)).await;
        }
    };
    let recorder = async {
        let mut recorded = 0;
        while let Some(back) = answers.recv().await {
            assert!(matches!(back.fate, Fate::Delivered(_)));
            recorded += 1;
        }
        recorded
    };
    let delivery = cdrelay::delivery::deliver(&crm, limits(), incoming, settled, stop);
    let all = async { tokio::join!(producer, delivery, recorder) };
    let ((), summary, recorded) = tokio::time::timeout(secs(10_000), all).await.unwrap();
    assert_eq!(summary.ending, Ending::Done);
    assert_eq!(recorded, 30);
    assert_eq!(summary.retried, 15);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_another_attempt_are_bounded_and_none_is_given_up_for_it() {
    // Every second call fails at first, at once: without a bound ten thousand would wait at the same time.
    let crm = Crm::new(|q| match q.attempt {
        1 if q.number() % 2 == 1 => (ms(0), trouble(TroubleKind::ServerError)),
        _ => (ms(0), created(q)),
    });
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel::<Settled<usize>>(64);
    let (_stop, stop) = watch::channel(cdrelay::delivery::Stop::No);
    let producer = async move {
        for n in 0..20 {
            sender.send(parcels(n * 500..(n + 1) * 500)).await.unwrap();
        }
    };
    let recorder = async {
        let (mut recorded, mut open) = (0, 0usize);
        while let Some(back) = answers.recv().await {
            assert!(matches!(back.fate, Fate::Delivered(_)));
            recorded += 1;
            open = open.max(crm.distinct() - recorded);
        }
        (recorded, open)
    };
    let delivery = cdrelay::delivery::deliver(&crm, limits(), incoming, settled, stop);
    let all = async { tokio::join!(producer, delivery, recorder) };
    let ((), summary, (recorded, open)) = tokio::time::timeout(secs(10_000), all).await.unwrap();
    assert_eq!(recorded, 10_000);
    assert_eq!(summary.ending, Ending::Done);
    assert!(
        (2_000..=4_096 + 64 + 2).contains(&open),
        "{open} calls under way"
    );
}
