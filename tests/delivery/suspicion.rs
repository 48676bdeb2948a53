//! Answers that are well-formed one by one, and taken together are not to be believed.

use cdrelay::delivery::{Ending, Fate, Limits, Parcel, Settled, Stop, deliver};
use cdrelay::target::{Outcome, Receipt, TroubleKind};
use tokio::sync::{mpsc, watch};

use crate::crm::{Crm, created, limits, ms, parcels, rejected, run, run_until, secs, trouble};

fn under(id: i64, existing: bool) -> Outcome {
    Outcome::Delivered(Receipt {
        existing,
        contact_id: None,
        call_id: Some(id),
    })
}

#[tokio::test(start_paused = true)]
async fn one_id_for_three_calls_ends_the_run() {
    let crm = Crm::new(|_| (ms(10), under(7, false)));
    let run = run(&crm, limits(), 100).await;
    let Ending::Broken(why) = &run.summary.ending else {
        panic!("{:?}", run.summary.ending);
    };
    assert!(why.contains("phonecallId 7"), "{why}");
    assert_eq!(run.delivered(), 2);
    // The third; whoever recorded the first two is told by the id.
    let disbelieved =
        run.count(|fate| matches!(fate, Fate::Disbelieved { call_id: 7, reason } if reason.contains("phonecallId 7")));
    assert_eq!(disbelieved, 1);
    assert_eq!(run.not_attempted(), run.fates.len() - 3);
    // One, then two abreast, whose answers are there together: nothing leaves between them.
    assert_eq!(crm.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_id_for_calls_that_were_there_before_and_no_id_at_all_are_nothing_to_wonder_about() {
    for outcome in [
        under(7, true),
        under(0, false),
        Outcome::Delivered(Receipt::default()),
    ] {
        let crm = Crm::new(move |_| (ms(10), outcome.clone()));
        let run = run(&crm, limits(), 100).await;
        assert_eq!(run.summary.ending, Ending::Done);
        assert_eq!(run.delivered(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_equal_refusals_from_the_start_end_the_run_and_reject_nothing() {
    let crm = Crm::new(|_| (ms(10), rejected("source: formato")));
    let run = run(&crm, limits(), 1000).await;
    let Ending::Broken(why) = &run.summary.ending else {
        panic!("{:?}", run.summary.ending);
    };
    assert!(why.contains("source: formato"), "{why}");
    assert_eq!(run.not_attempted(), run.fates.len());
    assert!(crm.requests().len() < 32, "{}", crm.requests().len());
}

#[tokio::test(start_paused = true)]
async fn fewer_than_ten_equal_refusals_are_believed_in_the_end() {
    let crm = Crm::new(|_| (ms(10), rejected("no")));
    let run = run(&crm, limits(), 9).await;
    assert_eq!(run.summary.ending, Ending::Done);
    assert_eq!(run.rejected(), 9);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_believed_once_the_crm_has_shown_that_it_understands() {
    let unmatched = Outcome::Unmatched {
        reason: "no contact".into(),
    };
    for other in [
        rejected("another word"),
        under(1, true),
        under(1, false),
        unmatched,
    ] {
        let crm = Crm::new(move |q| match q.number() {
            8 => (ms(10), other.clone()),
            _ => (ms(10), rejected("no")),
        });
        let run = run(&crm, limits(), 100).await;
        assert_eq!(run.summary.ending, Ending::Done);
        assert!(run.rejected() >= 99);
    }
    let crm = Crm::new(|_| (ms(10), rejected("no")));
    let limits = Limits {
        proven: true,
        ..limits()
    };
    let run = run(&crm, limits, 100).await;
    assert_eq!(run.rejected(), 100);
}

#[tokio::test(start_paused = true)]
async fn words_that_rejected_a_call_before_are_believed_and_others_are_not() {
    for (known, rejected_now) in [("no", 100), ("another word", 0)] {
        let crm = Crm::new(|_| (ms(10), rejected("no")));
        let limits = Limits {
            refusals: vec![known.into()],
            ..limits()
        };
        let run = run(&crm, limits, 100).await;
        assert_eq!(run.rejected(), rejected_now, "{known}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_stay_undecided_where_the_run_ends_before_it_had_seen_enough() {
    let crm = Crm::new(|q| match q.request {
        1..=5 => (ms(10), rejected("no")),
        _ => (ms(10), trouble(TroubleKind::Unreachable)),
    });
    let run = run(&crm, limits(), 1000).await;
    assert!(matches!(run.summary.ending, Ending::Down(_)));
    assert_eq!(run.rejected(), 0);
    assert_eq!(run.not_attempted() + run.pending(), run.fates.len());
}

#[tokio::test(start_paused = true)]
async fn a_broken_crm_rejects_nothing_any_more_even_if_a_signal_comes_in_between() {
    let crm = Crm::new(|q| match q.number() {
        0..=6 => (ms(100), created(q)),
        // In one window: first the token is refused, then a signal comes, then the rest is refused.
        7 => (
            ms(100),
            Outcome::Broken {
                reason: "the token was refused".into(),
            },
        ),
        _ => (ms(500), rejected(&format!("no {}", q.number()))),
    });
    let (sender, stop) = watch::channel(Stop::No);
    let signal = async {
        tokio::time::sleep(ms(600)).await;
        sender.send_replace(Stop::Terminate);
    };
    let (run, ()) = tokio::join!(run_until(&crm, limits(), 500, stop), signal);
    assert_eq!(run.summary.ending, Ending::Stopped(Stop::Terminate));
    assert_eq!((run.delivered(), run.rejected(), run.pending()), (7, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_its_answers_gets_refusals_too() {
    let crm = Crm::new(|_| (ms(10), rejected("no")));
    let (sender, incoming) = mpsc::channel(1);
    let (settled, mut answers) = mpsc::channel::<Settled<usize>>(64);
    let (_stop, stop) = watch::channel(Stop::No);
    let conversation = async move {
        sender.send(parcels(0..5)).await.unwrap();
        sender.send(Vec::<Parcel<usize>>::new()).await.unwrap();
        for _ in 0..5 {
            let back = answers.recv().await.unwrap();
            assert_eq!(back.fate, Fate::Rejected("no".into()));
        }
        drop(sender);
        assert!(answers.recv().await.is_none());
    };
    let all = async {
        tokio::join!(
            deliver(&crm, limits(), incoming, settled, stop),
            conversation
        )
    };
    let (summary, ()) = tokio::time::timeout(secs(1000), all).await.unwrap();
    assert_eq!(summary.ending, Ending::Done);
}
