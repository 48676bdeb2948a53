//! How a run ends before everything is dealt with.

use cdrelay::delivery::{Ending, Fate, Limits, Stop, deliver};
use cdrelay::target::{Outcome, TroubleKind};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::crm::{Crm, created, limits, ms, parcels, run, run_until, secs, trouble};

#[tokio::test(start_paused = true)]
async fn nothing_starts_after_the_deadline_and_what_is_in_flight_is_awaited() {
    let crm = Crm::new(|q| (secs(3), created(q)));
    let deadline = Instant::now() + secs(10);
    let limits = Limits {
        deadline: Some(deadline),
        ..limits()
    };
    let run = run(&crm, limits, 500).await;
    assert_eq!(run.summary.ending, Ending::OutOfTime);
    assert!(
        crm.requests()
            .iter()
            .all(|r| r.started < deadline && r.answered)
    );
    // Windows of one, two, four and eight, the last of them at nine seconds.
    assert_eq!((run.delivered(), run.pending()), (15, 0));
    assert_eq!(run.took, secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_only_waits_for_retries_ends_at_its_deadline() {
    let crm = Crm::new(|q| match q.attempt {
        1 => (ms(1), trouble(TroubleKind::ServerError)),
        _ => (ms(1), created(q)),
    });
    let limits = Limits {
        deadline: Some(Instant::now() + ms(900)),
        ..limits()
    };
    let run = run(&crm, limits, 1).await;
    assert_eq!(run.summary.ending, Ending::OutOfTime);
    assert_eq!(run.fates[&0], Fate::Pending("ServerError".into()));
    assert_eq!(run.took, ms(900));
    assert_eq!(
        run.summary.retried, 0,
        "a retry that was never sent is none"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_after_the_last_call_is_no_loss() {
    let crm = Crm::new(|q| (secs(3), created(q)));
    let limits = Limits {
        deadline: Some(Instant::now() + secs(1)),
        ..limits()
    };
    let run = run(&crm, limits, 1).await;
    assert_eq!(run.summary.ending, Ending::Done);
    assert_eq!(run.delivered(), 1);
}

/// Stops a run of requests that take `latency` after ten and a half seconds.
async fn stopped(latency: u64, stop: Stop) -> (Crm, crate::crm::Run) {
    let crm = Crm::new(move |q| (ms(latency), created(q)));
    let (sender, receiver) = watch::channel(Stop::No);
    let begun = Instant::now();
    let signal = async {
        tokio::time::sleep(ms(10_500)).await;
        sender.send_replace(stop);
    };
    let (run, ()) = tokio::join!(run_until(&crm, limits(), 1000, receiver), signal);
    assert_eq!(run.summary.ending, Ending::Stopped(stop));
    let late = crm.starts(begun).iter().any(|at| *at > ms(10_500));
    assert!(!late, "a request left after the signal");
    (crm, run)
}

#[tokio::test(start_paused = true)]
async fn a_signal_lets_requests_in_flight_finish() {
    for stop in [Stop::Interrupt, Stop::Terminate, Stop::Unrecorded] {
        let (crm, run) = stopped(5_000, stop).await;
        assert_eq!((run.delivered(), run.pending()), (7, 0));
        assert!(crm.requests().iter().all(|r| r.answered));
        assert_eq!(run.took, secs(15));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_after_a_signal_requests_in_flight_are_given_up_and_come_back_as_pending() {
    let (crm, run) = stopped(30_000, Stop::Terminate).await;
    assert_eq!((run.delivered(), run.pending()), (0, 1));
    assert!(crm.requests().iter().all(|r| !r.answered));
    assert_eq!(run.took, ms(20_500));
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_first_call_sends_nothing() {
    let crm = Crm::new(|q| (ms(1), created(q)));
    let (_sender, stop) = watch::channel(Stop::Interrupt);
    let run = run_until(&crm, limits(), 300, stop).await;
    assert_eq!(run.summary.ending, Ending::Stopped(Stop::Interrupt));
    assert_eq!(crm.requests().len(), 0);
    assert_eq!(run.not_attempted(), run.fates.len());
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_a_long_pause_at_once() {
    let crm = Crm::new(|_| (ms(1), crate::crm::busy_for(secs(250))));
    let (sender, stop) = watch::channel(Stop::No);
    let signal = async {
        tokio::time::sleep(secs(10)).await;
        sender.send_replace(Stop::Terminate);
    };
    let (run, ()) = tokio::join!(run_until(&crm, limits(), 10, stop), signal);
    assert_eq!(run.took, secs(10));
    assert_eq!((run.pending(), run.not_attempted()), (1, 9));
    assert_eq!(run.fates[&0], Fate::Pending("429".into()));
}

#[tokio::test(start_paused = true)]
async fn a_broken_crm_gets_no_further_request_and_decides_nothing_about_a_call() {
    let crm = Crm::new(|_| {
        let reason = "the token was refused".to_owned();
        (ms(10), Outcome::Broken { reason })
    });
    let run = run(&crm, limits(), 100).await;
    assert_eq!(
        run.summary.ending,
        Ending::Broken("the token was refused".into())
    );
    assert_eq!(crm.requests().len(), 1);
    assert_eq!(run.not_attempted(), run.fates.len());
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_person_outranks_what_heals() {
    // The window of sixteen is open; it times out, and the last of it finds the token refused.
    let crm = Crm::new(|q| match q.request {
        1..=31 => (ms(10), created(q)),
        40 => {
            let reason = "the token was refused".to_owned();
            (secs(2), Outcome::Broken { reason })
        }
        _ => (secs(1), crate::crm::busy_for(secs(3600))),
    });
    let run = run(&crm, limits(), 100).await;
    assert_eq!(
        run.summary.ending,
        Ending::Broken("the token was refused".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_fails_ends_sending_at_once() {
    let crm = Crm::new(|q| (ms(100), created(q)));
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel(1);
    let (_stop, stop) = watch::channel(Stop::No);
    let recorder = async move {
        for _ in 0..20 {
            answers.recv().await.unwrap();
        }
        Instant::now()
    };
    let producer = async move {
        sender.send(parcels(0..1000)).await.unwrap();
        // It has more to say, and never gets to say it.
        sender.closed().await;
    };
    let all = async {
        tokio::join!(
            deliver(&crm, limits(), incoming, settled, stop),
            recorder,
            producer
        )
    };
    let (summary, failed, ()) = tokio::time::timeout(secs(1000), all).await.unwrap();
    assert_eq!(summary.ending, Ending::Unheard);
    assert!(crm.requests().iter().all(|r| r.started <= failed));
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_fails_while_nothing_is_under_way_is_noticed() {
    let crm = Crm::new(|q| (ms(100), created(q)));
    let (sender, incoming) = mpsc::channel(1);
    let (settled, answers) = mpsc::channel(1);
    let (_stop, stop) = watch::channel(Stop::No);
    let failure = async move {
        tokio::time::sleep(secs(5)).await;
        drop(answers);
        sender.closed().await;
        sender.send(parcels(0..1)).await.unwrap_err();
    };
    let all = async { tokio::join!(deliver(&crm, limits(), incoming, settled, stop), failure) };
    let (summary, ()) = tokio::time::timeout(secs(1000), all).await.unwrap();
    assert_eq!(summary.ending, Ending::Unheard);
    assert_eq!(crm.requests().len(), 0);
}
