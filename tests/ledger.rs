//! What a run, a deletion and a listing see of the ledger: real files, no mocks.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use cdrelay::call::{
    ColumnTime, Disposition, Fold, Identity, Origin, PhoneNumber, RawNumber, WireForm,
};
use cdrelay::ledger::{
    Access, Action, Collision, DeletionPlan, Entry, Filter, Intent, Ledger, PendingReason,
    PlanContext, Purpose, Recorded, RunId, RunRecord, RunStart, Selection, Stage, State, Wires,
    plan,
};
use cdrelay::target::{Deletion, Receipt};
use chrono::NaiveDate;
use proptest::prelude::*;

const EVERYTHING: Range<ColumnTime> = ColumnTime(i64::MIN)..ColumnTime(i64::MAX);
/// 2026-11-10 00:00:00 as the column counts; instants here are the same.
const DAY_10: i64 = 1_794_268_800;
const DAY: i64 = 86_400;

fn identity(start: i64) -> Identity {
    Identity {
        start: ColumnTime(start),
        fold: Fold(0),
        source: RawNumber("+58 212 5550100".into()),
        destination: RawNumber("95550101".into()),
    }
}

fn form(start: i64, destination: &str) -> WireForm {
    let at = chrono::DateTime::from_timestamp(start, 0).unwrap();
    WireForm {
        initiated: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        source: PhoneNumber("+582125550100".into()),
        destination: PhoneNumber(destination.into()),
        duration: 61,
        url: Some("https://pbx.example.com/rec/1.wav".into()),
        form: None,
    }
}

fn intent(start: i64) -> Intent {
    Intent {
        identity: identity(start),
        wire: Some(form(start, "02125550101")),
        instant: start,
        origin: Origin {
            uniqueid: Some(format!("{start}.7")),
            linkedid: Some(format!("{start}.6")),
            sequence: Some(42),
        },
        disposition: Disposition::Answered,
    }
}

/// An intent of a call that is known.
fn again(start: i64) -> Intent {
    Intent {
        wire: None,
        ..intent(start)
    }
}

fn receipt(call_id: i64) -> Receipt {
    Receipt {
        existing: false,
        contact_id: Some(9),
        call_id: Some(call_id),
    }
}

fn delivered() -> Recorded {
    Recorded::Delivered(receipt(3241))
}

fn unmatched() -> Recorded {
    Recorded::Unmatched {
        reason: "no contact".into(),
    }
}

fn rejected() -> Recorded {
    Recorded::Rejected {
        reason: "source: too long".into(),
    }
}

fn no_verdict() -> Recorded {
    Recorded::Pending {
        reason: "connection refused".into(),
    }
}

fn incremental() -> RunStart {
    RunStart {
        mode: "incremental".into(),
        window: 0..DAY_10 + DAY,
        settings: "America/Caracas utc rules:1".into(),
        started: DAY_10,
    }
}

async fn open(path: &Path) -> (Ledger, RunId) {
    let (ledger, _) = Ledger::open(path, "cdrelay", Access::ReadWrite, DAY_10)
        .await
        .unwrap();
    let run = ledger.start_run(incremental()).await.unwrap();
    (ledger, run)
}

async fn only(ledger: &Ledger) -> Entry {
    let entries = ledger
        .entries(EVERYTHING, Wires::All, None, usize::MAX)
        .await
        .unwrap();
    assert_eq!(entries.len(), 1);
    entries[0].clone()
}

/// Sends a call once and records the answer at `at`.
async fn send(ledger: &Ledger, run: RunId, intent: Intent, at: i64, answer: Recorded) {
    let identity = intent.identity.clone();
    ledger.record_intents(run, vec![intent]).await.unwrap();
    ledger
        .record_outcomes(run, at, vec![(identity, answer)])
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_decides_the_state_and_nothing_sent_takes_the_intent_back() {
    /// State and reason after `before` and then `answer`, and the attempts that count.
    async fn check(
        before: Option<Recorded>,
        answer: Recorded,
        expected: (State, Option<PendingReason>, u32),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (ledger, run) = open(&directory.path().join("ledger.db")).await;
        let what = format!("{before:?} then {answer:?}");
        let next = if before.is_some() {
            again(1)
        } else {
            intent(1)
        };
        if let Some(before) = before {
            send(&ledger, run, intent(1), 10, before).await;
        }
        ledger.record_intents(run, vec![next]).await.unwrap();
        assert_eq!(only(&ledger).await.state, State::InFlight, "{what}");
        ledger
            .record_outcomes(run, 20, vec![(identity(1), answer)])
            .await
            .unwrap();
        let entry = only(&ledger).await;
        assert_eq!(
            (entry.state, entry.pending, entry.attempts),
            expected,
            "{what}"
        );
        assert_eq!(entry.wire, intent(1).wire, "{what}");
        assert_eq!(
            entry.content_hash,
            form(1, "02125550101").content_hash(),
            "{what}"
        );
    }
    let held = || Recorded::Held {
        reason: "no answer".into(),
    };
    let retry = Some(PendingReason::Retry);
    let new = Some(PendingReason::New);
    check(None, delivered(), (State::Delivered, None, 1)).await;
    check(None, unmatched(), (State::Unmatched, None, 1)).await;
    check(None, rejected(), (State::Rejected, None, 1)).await;
    check(None, no_verdict(), (State::Pending, retry, 1)).await;
    check(None, held(), (State::Held, None, 1)).await;
    check(None, Recorded::NotAttempted, (State::Pending, new, 0)).await;
    for (before, state, reason) in [
        (delivered(), State::Delivered, None),
        (unmatched(), State::Unmatched, None),
        (rejected(), State::Rejected, None),
        (no_verdict(), State::Pending, retry),
        (held(), State::Held, None),
    ] {
        check(
            Some(before.clone()),
            Recorded::NotAttempted,
            (state, reason, 1),
        )
        .await;
        check(
            Some(before.clone()),
            delivered(),
            (State::Delivered, None, 2),
        )
        .await;
        check(Some(before), no_verdict(), (State::Pending, retry, 2)).await;
    }
    check(
        Some(Recorded::NotAttempted),
        Recorded::NotAttempted,
        (State::Pending, new, 0),
    )
    .await;
}

#[tokio::test]
async fn the_time_and_the_receipt_of_the_last_answer_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(1), 10, delivered()).await;
    let entry = only(&ledger).await;
    assert_eq!(
        (entry.last_attempt, entry.receipt),
        (Some(10), receipt(3241))
    );
    send(&ledger, run, again(1), 20, Recorded::NotAttempted).await;
    send(&ledger, run, again(1), 30, no_verdict()).await;
    let entry = only(&ledger).await;
    assert_eq!(
        (entry.last_attempt, entry.receipt),
        (Some(30), receipt(3241))
    );
    send(&ledger, run, again(1), 40, unmatched()).await;
    assert_eq!(only(&ledger).await.receipt, Receipt::default());
}

#[tokio::test]
async fn only_attempts_worth_telling_about_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(1), 10, delivered()).await;
    assert_eq!(ledger.attempts(identity(1)).await.unwrap(), []);
    let long = "ñ".repeat(600);
    send(
        &ledger,
        run,
        intent(2),
        10,
        Recorded::Rejected { reason: long },
    )
    .await;
    send(&ledger, run, again(2), 20, Recorded::NotAttempted).await;
    let existing = Recorded::Delivered(Receipt {
        existing: true,
        ..receipt(5)
    });
    send(&ledger, run, again(2), 30, existing).await;
    let told: Vec<_> = ledger
        .attempts(identity(2))
        .await
        .unwrap()
        .into_iter()
        .map(|attempt| (attempt.at, attempt.outcome, attempt.words))
        .collect();
    let expected = [
        (10, "rejected".to_owned(), "ñ".repeat(500)),
        (30, "existing".to_owned(), String::new()),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn entries_come_in_the_order_of_identities_whatever_their_text() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    let texts = [
        "",
        "\0",
        "9",
        "10",
        "Z",
        "a",
        "ñ",
        "\u{ffff}",
        "\u{1f4de}",
        "' OR 1=1 --",
    ];
    let mut intents = Vec::new();
    for start in [-1, 0, i64::MAX, i64::MIN] {
        for (fold, source) in [(0, "x"), (1, ""), (255, "\u{1b}[31m")] {
            for destination in texts {
                let id = Identity {
                    start: ColumnTime(start),
                    fold: Fold(fold),
                    source: RawNumber(source.into()),
                    destination: RawNumber(destination.into()),
                };
                intents.push(Intent {
                    identity: id,
                    ..intent(1)
                });
            }
        }
    }
    intents.reverse();
    ledger.record_intents(run, intents.clone()).await.unwrap();
    let mut expected: Vec<_> = intents.into_iter().map(|intent| intent.identity).collect();
    expected.sort();
    let mut found: Vec<_> = ledger
        .entries(EVERYTHING, Wires::Due, None, usize::MAX)
        .await
        .unwrap();
    // The window is half open: its end is not in it.
    expected.retain(|id| id.start.0 < i64::MAX);
    assert_eq!(
        found
            .drain(..)
            .map(|entry| entry.identity)
            .collect::<Vec<_>>(),
        expected
    );

    let mut listed = Vec::new();
    loop {
        let after = listed.last().cloned();
        let page = ledger.list(Filter::default(), after, 7).await.unwrap();
        listed.extend(page.iter().map(|call| call.identity.clone()));
        if page.len() < 7 {
            break;
        }
    }
    listed.retain(|id| id.start.0 < i64::MAX);
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_wire_form_comes_back_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (ledger, run) = open(&path).await;
    let odd = WireForm {
        initiated: "2012-08-23T12:20:33-04:30".into(),
        source: PhoneNumber("a\0b\n\u{202e}&=%".into()),
        destination: PhoneNumber(String::new()),
        duration: u64::MAX,
        url: None,
        form: None,
    };
    let wire = Some(odd.clone());
    ledger
        .record_intents(run, vec![Intent { wire, ..intent(1) }])
        .await
        .unwrap();
    ledger.close().await.unwrap();
    let (ledger, _) = open(&path).await;
    assert_eq!(only(&ledger).await.wire, Some(odd));
}

#[tokio::test]
async fn settled_calls_bring_their_wire_form_only_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(1), 10, delivered()).await;
    send(&ledger, run, intent(2), 10, unmatched()).await;
    for (wires, expected) in [(Wires::Due, [false, true]), (Wires::All, [true, true])] {
        let entries = ledger
            .entries(EVERYTHING, wires, None, usize::MAX)
            .await
            .unwrap();
        let with: Vec<_> = entries.iter().map(|entry| entry.wire.is_some()).collect();
        assert_eq!(with, expected);
    }
}

#[tokio::test]
async fn a_frozen_form_is_never_replaced_and_a_wrong_block_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(1), 10, no_verdict()).await;
    let other = Intent {
        wire: Some(form(1, "5550101")),
        ..intent(1)
    };
    let error = ledger
        .record_intents(run, vec![intent(2), other])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ledger was used wrongly: an intent with other bytes than the frozen ones; please report it"
    );
    assert_eq!(only(&ledger).await.wire, intent(1).wire);
    ledger.record_intents(run, vec![intent(1)]).await.unwrap();
    let error = ledger
        .record_intents(run, vec![again(2)])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ledger was used wrongly: a first intent without a wire form; please report it"
    );
    let error = ledger
        .record_outcomes(run, 1, vec![(identity(2), delivered())])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ledger was used wrongly: an outcome without an intent; please report it"
    );
    let error = ledger
        .record_intents(RunId(99), vec![intent(3)])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ledger was used wrongly: an intent of a run that was not started; please report it"
    );
    assert_eq!(error.exit_code(), 1);
}

#[tokio::test]
async fn a_wire_key_belongs_to_its_first_call_within_a_job() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (ledger, run) = open(&path).await;
    send(&ledger, run, intent(1), 10, delivered()).await;
    let unknown = form(1, "5550101");
    // Length and link are no part of the key.
    let longer = WireForm {
        duration: 99,
        url: None,
        ..form(1, "02125550101")
    };
    let owners = ledger.owners(vec![unknown, longer.clone()]).await.unwrap();
    assert_eq!(owners.1, [None, Some(identity(1))]);
    let (other, _) = Ledger::open(&path, "other", Access::ReadOnly, 0)
        .await
        .unwrap();
    assert_eq!(other.owners(vec![longer]).await.unwrap().1, [None]);
    assert_eq!(
        other
            .entries(EVERYTHING, Wires::All, None, usize::MAX)
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn followers_of_a_number_are_found_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    for start in 0..20 {
        let number = if start % 2 == 0 { "even" } else { "odd" };
        let wire = Some(form(start, number));
        let answer = if start == 4 { delivered() } else { unmatched() };
        send(
            &ledger,
            run,
            Intent {
                wire,
                ..intent(start)
            },
            10,
            answer,
        )
        .await;
    }
    let numbers = Arc::new(HashSet::from([PhoneNumber("even".into())]));
    let range = ColumnTime(2)..ColumnTime(18);
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let after = found.last().map(|entry| entry.identity.clone());
        let numbers = Arc::clone(&numbers);
        let page = ledger
            .unmatched_followers(range.clone(), numbers, after, 3)
            .await
            .unwrap();
        found.extend(page.iter().cloned());
        if page.len() < 3 {
            break;
        }
    }
    let starts: Vec<_> = found.iter().map(|entry| entry.identity.start.0).collect();
    assert_eq!(starts, [2, 6, 8, 10, 12, 14, 16]);
    assert!(found.iter().all(|entry| entry.wire.is_some()));

    ledger
        .record_still_unmatched(77, vec![identity(2), identity(4)])
        .await
        .unwrap();
    let entries = ledger
        .entries(ColumnTime(2)..ColumnTime(5), Wires::Due, None, usize::MAX)
        .await
        .unwrap();
    let rested: Vec<_> = entries
        .iter()
        .map(|e| (e.last_attempt, e.attempts))
        .collect();
    assert_eq!(rested, [(Some(77), 1), (Some(10), 1), (Some(10), 1)]);

    for (window, limit, expected, sums) in [
        (
            i64::MIN..i64::MAX,
            10,
            &[("odd", 10, 1, 19, 19), ("even", 9, 0, 18, 18)][..],
            (2, 19),
        ),
        (i64::MIN..i64::MAX, 1, &[("odd", 10, 1, 19, 19)], (2, 19)),
        (18..19, 10, &[("even", 1, 18, 18, 18)], (1, 1)),
        (20..90, 10, &[], (0, 0)),
    ] {
        let found = ledger.unmatched_numbers(window, limit).await.unwrap();
        let ranked: Vec<_> = found
            .first
            .iter()
            .map(|n| {
                let example = n.example.identity.start.0;
                (n.number.as_str(), n.calls, n.first, n.last, example)
            })
            .collect();
        assert_eq!(ranked, expected);
        assert_eq!((found.numbers, found.calls), sums);
    }
}

#[tokio::test]
async fn counts_lists_drift_and_collisions_agree() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    for start in 0..3 {
        send(&ledger, run, intent(start), 10, delivered()).await;
    }
    send(&ledger, run, intent(3), 10, unmatched()).await;
    send(&ledger, run, intent(4), 10, rejected()).await;
    send(&ledger, run, intent(5), 10, no_verdict()).await;
    ledger.record_intents(run, vec![intent(6)]).await.unwrap();
    ledger
        .record_drift(vec![
            (identity(0), true),
            (identity(1), true),
            (identity(9), true),
        ])
        .await
        .unwrap();
    ledger
        .record_drift(vec![(identity(1), false), (identity(0), true)])
        .await
        .unwrap();
    let collision = Collision {
        folded: identity(70),
        owner: identity(3),
    };
    ledger
        .record_collisions(run, vec![collision.clone()])
        .await
        .unwrap();
    let moved = Collision {
        owner: identity(2),
        ..collision
    };
    ledger
        .record_collisions(run, vec![moved.clone(), moved.clone()])
        .await
        .unwrap();

    let counts = ledger.counts().await.unwrap();
    let expected = BTreeMap::from([
        (State::Delivered, 3),
        (State::Withdrawn, 0),
        (State::Unmatched, 1),
        (State::Rejected, 1),
        (State::Pending, 1),
        (State::InFlight, 1),
        (State::Held, 0),
    ]);
    assert_eq!(counts.by_state, expected);
    assert_eq!(
        (counts.oldest_pending, counts.drift, counts.collisions),
        (Some(5), 1, 1)
    );
    assert_eq!(ledger.collisions(None, 9).await.unwrap(), [moved]);
    for (state, count) in counts.by_state {
        let filter = Filter {
            state: Some(state),
            ..Filter::default()
        };
        let listed = ledger.list(filter, None, 99).await.unwrap();
        assert_eq!(listed.len() as u64, count, "{state:?}");
        assert!(listed.iter().all(|call| call.state == state));
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
    let filter = Filter {
        drifting: true,
        ..Filter::default()
    };
    let drifting = ledger.list(filter, None, 99).await.unwrap();
    assert_eq!(drifting.len(), 1);
    assert!(drifting[0].drift && drifting[0].identity == identity(0));
}

#[tokio::test]
async fn a_call_is_found_by_uniqueid_number_and_time_with_all_that_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    for start in 0..5 {
        send(&ledger, run, intent(start), 10, rejected()).await;
    }
    let one = Filter {
        uniqueid: Some("3.7".into()),
        ..Filter::default()
    };
    let found = ledger.list(one, None, 9).await.unwrap();
    assert_eq!(found.len(), 1);
    let call = &found[0];
    assert_eq!(
        (call.identity.clone(), call.instant, call.state),
        (identity(3), 3, State::Rejected)
    );
    assert_eq!(call.words.as_deref(), Some("source: too long"));
    assert_eq!(
        (&call.origin, &call.disposition),
        (&intent(3).origin, &Disposition::Answered)
    );
    assert_eq!(
        (&call.wire, call.settings.as_str()),
        (&intent(3).wire, "America/Caracas utc rules:1")
    );
    for number in [
        "+58 212 5550100",
        "95550101",
        "+582125550100",
        "02125550101",
    ] {
        let filter = Filter {
            number: Some(number.into()),
            since: Some(ColumnTime(1)),
            until: Some(ColumnTime(4)),
            ..Filter::default()
        };
        assert_eq!(
            ledger.list(filter, None, 9).await.unwrap().len(),
            3,
            "{number}"
        );
    }
    let filter = Filter {
        number: Some("5550101".into()),
        ..Filter::default()
    };
    assert_eq!(ledger.list(filter, None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn runs_are_on_record_and_successes_are_found_by_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (ledger, first) = open(&path).await;
    let full = RunStart {
        mode: "full".into(),
        ..incremental()
    };
    let second = ledger.start_run(full).await.unwrap();
    let third = ledger.start_run(incremental()).await.unwrap();
    let end = |exit_code| RunRecord {
        ended: DAY_10 + 60,
        exit_code,
        reason: "ok".into(),
        counts: "{}".into(),
        requests_sent: 5,
        requests_retried: 1,
    };
    ledger.finish_run(first, end(0)).await.unwrap();
    ledger.finish_run(second, end(3)).await.unwrap();
    ledger.finish_run(third, end(4)).await.unwrap();
    let fourth = ledger.start_run(incremental()).await.unwrap();
    let runs = ledger.runs(9).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| run.id).collect::<Vec<_>>(),
        [fourth, third, second, first]
    );
    assert_eq!(runs[0].end, None);
    assert_eq!(
        (&runs[3].start, &runs[3].end),
        (&incremental(), &Some(end(0)))
    );
    let id = |run: Option<cdrelay::ledger::Run>| run.map(|run| run.id);
    assert_eq!(id(ledger.last_success(None).await.unwrap()), Some(second));
    assert_eq!(
        id(ledger.last_success(Some("incremental")).await.unwrap()),
        Some(first)
    );
    assert_eq!(
        id(ledger.last_success(Some("backfill")).await.unwrap()),
        None
    );
    let (reader, _) = Ledger::open(&path, "cdrelay", Access::ReadOnly, 0)
        .await
        .unwrap();
    let dry = reader.start_run(incremental()).await.unwrap();
    assert_eq!(dry, RunId(fourth.0 + 1));
    reader.finish_run(dry, end(0)).await.unwrap();
    assert_eq!(ledger.runs(9).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_hundred_thousand_calls_go_through_in_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (ledger, run) = open(&path).await;
    let starts: Vec<i64> = (0..100_000).collect();
    for block in starts.chunks(8192) {
        ledger
            .record_intents(run, block.iter().map(|&start| intent(start)).collect())
            .await
            .unwrap();
        let outcomes = block
            .iter()
            .map(|&start| (identity(start), Recorded::Delivered(receipt(start))))
            .collect();
        ledger.record_outcomes(run, 10, outcomes).await.unwrap();
    }
    ledger.close().await.unwrap();
    let (ledger, _) = open(&path).await;
    let entries = ledger
        .entries(EVERYTHING, Wires::Due, None, usize::MAX)
        .await
        .unwrap();
    assert_eq!(entries.len(), 100_000);
    for (entry, start) in entries.iter().zip(starts) {
        assert_eq!(
            (entry.identity.start.0, entry.state),
            (start, State::Delivered)
        );
        assert_eq!(entry.receipt.call_id, Some(start));
    }
    ledger.integrity().await.unwrap();
    assert!(ledger.size().await.unwrap() > 100_000 * 100);
}

#[tokio::test]
async fn purging_leaves_nothing_of_old_calls_and_all_of_young_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (ledger, run) = open(&path).await;
    ledger
        .record_intents(run, (0..12_000).map(intent).collect())
        .await
        .unwrap();
    let outcomes = (0..12_000)
        .map(|start| (identity(start), rejected()))
        .collect();
    ledger.record_outcomes(run, 10, outcomes).await.unwrap();
    assert_eq!(
        ledger.purge(ColumnTime(11_000), DAY_10).await.unwrap(),
        11_000
    );
    let listed = ledger.list(Filter::default(), None, 9_999).await.unwrap();
    assert_eq!(listed.len(), 1_000);
    assert!(
        listed
            .iter()
            .all(|call| call.wire.is_some() && call.words.is_some())
    );
    ledger.close().await.unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    for table in ["calls", "wire_forms", "origins", "attempts"] {
        let rows: i64 = db
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(rows, 1_000, "{table}");
    }
}

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, n).unwrap()
}

/// Deleting the 10th: the days on either side are around it.
fn deletion(purpose: Purpose) -> DeletionPlan {
    let selection = |from: i64, to: i64| Selection {
        instants: std::iter::once(from..to).collect(),
        ..Selection::default()
    };
    DeletionPlan {
        days: day(10)..=day(10),
        purpose,
        main: selection(DAY_10, DAY_10 + DAY),
        around: Selection {
            wire_dates: Some(day(9)..=day(11)),
            ..selection(DAY_10 - DAY, DAY_10 + 2 * DAY)
        },
        certain: None,
        window: DAY_10 - DAY..DAY_10 + 2 * DAY,
        started: 5,
    }
}

/// One call a state on the 10th, one delivered on each day from the 8th to the 12th; of these, the one of the 12th has
/// a frozen date of the 11th.
async fn several_days(ledger: &Ledger, run: RunId) {
    for n in -2..=2 {
        send(ledger, run, intent(DAY_10 + n * DAY), 10, delivered()).await;
    }
    let late = DAY_10 + 2 * DAY + 1;
    let wire = Some(form(late - 7_200, "02125550101"));
    send(
        ledger,
        run,
        Intent {
            wire,
            ..intent(late)
        },
        10,
        delivered(),
    )
    .await;
    for (n, answer) in [unmatched(), rejected(), no_verdict()]
        .into_iter()
        .enumerate()
    {
        send(ledger, run, intent(DAY_10 + 1 + n as i64), 10, answer).await;
    }
    ledger
        .record_intents(run, vec![intent(DAY_10 + 4)])
        .await
        .unwrap();
}

async fn states(ledger: &Ledger) -> Vec<(i64, State, Option<PendingReason>)> {
    let entries = ledger
        .entries(EVERYTHING, Wires::Due, None, usize::MAX)
        .await
        .unwrap();
    entries
        .into_iter()
        .map(|e| (e.identity.start.0 - DAY_10, e.state, e.pending))
        .collect()
}

/// What a deletion makes of [`several_days`], in the order of time, with `main` for the calls of the day itself.
fn after(main: [(State, Option<PendingReason>); 5]) -> Vec<(i64, State, Option<PendingReason>)> {
    let verify = Some(PendingReason::Verify);
    let mut all = vec![
        (-2 * DAY, State::Delivered, None),
        (-DAY, State::Pending, verify),
    ];
    all.extend(
        (0..)
            .zip(main)
            .map(|(n, (state, reason))| (n, state, reason)),
    );
    all.extend([
        (DAY, State::Pending, verify),
        (2 * DAY, State::Delivered, None),
        (2 * DAY + 1, State::Pending, verify),
    ]);
    all
}

#[tokio::test]
async fn a_deletion_makes_due_what_any_reading_of_its_bounds_takes_along() {
    const RETRY: Option<PendingReason> = Some(PendingReason::Retry);
    let deleted = (State::Pending, Some(PendingReason::Deleted));
    let withdrawn = (State::Withdrawn, None);
    let rebuilt = (State::Pending, Some(PendingReason::Rebuild));
    let kept = [
        deleted,
        (State::Unmatched, None),
        (State::Rejected, None),
        (State::Pending, RETRY),
        (State::InFlight, None),
    ];
    let kept_out = [
        withdrawn,
        (State::Unmatched, None),
        (State::Rejected, None),
        withdrawn,
        withdrawn,
    ];
    for (purpose, begun, done) in [
        (Purpose::SendAgain, kept, kept),
        (Purpose::Withdraw, kept_out, kept_out),
        (Purpose::Rebuild, kept, [rebuilt; 5]),
    ] {
        let unknown = || Deletion::Unknown {
            reason: "closed early".into(),
        };
        let broken = || Deletion::Broken {
            reason: "HTML".into(),
        };
        let refused = || Deletion::Refused {
            reason: "no".into(),
        };
        let not_sent = || Deletion::NotSent {
            reason: "refused".into(),
        };
        let outcomes: [(Deletion, Option<_>); 5] = [
            (Deletion::Deleted { count: 5 }, Some(done)),
            (unknown(), Some(begun)),
            (broken(), Some(begun)),
            (refused(), None),
            (not_sent(), None),
        ];
        for (result, expected) in outcomes {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ledger.db");
            let (ledger, run) = open(&path).await;
            several_days(&ledger, run).await;
            let before = states(&ledger).await;
            let what = format!("{purpose:?} {result:?}");
            let counted = ledger.begin_deletion(deletion(purpose)).await.unwrap();
            assert_eq!((counted.main, counted.around), (1, 3), "{what}");
            assert_eq!(states(&ledger).await, after(begun), "{what}");
            // A kill here: the next run finds it.
            drop(ledger);
            let (ledger, _) = open(&path).await;
            let open = ledger.unfinished_deletions().await.unwrap();
            assert_eq!(open.len(), 1, "{what}");
            assert_eq!(
                (open[0].id, open[0].purpose, &open[0].days),
                (counted.id, purpose, &(day(10)..=day(10)))
            );
            ledger
                .finish_deletion(counted.id, 6, result.clone())
                .await
                .unwrap();
            let expected = expected.map_or(before, after);
            assert_eq!(states(&ledger).await, expected, "{what}");
            let open = ledger.unfinished_deletions().await.unwrap();
            if purpose == Purpose::Rebuild {
                // Until its calls are sent again; confirmed or not.
                let stage = match result {
                    Deletion::Deleted { .. } => Some(Stage::Sending),
                    Deletion::Unknown { .. } | Deletion::Broken { .. } => Some(Stage::Asked),
                    Deletion::Refused { .. } | Deletion::NotSent { .. } => None,
                };
                assert_eq!(open.first().map(|open| open.stage), stage, "{what}");
                ledger.close_rebuild(counted.id, 7).await.unwrap();
                let open = ledger.unfinished_deletions().await.unwrap();
                assert_eq!(open.is_empty(), stage != Some(Stage::Asked), "{what}");
                if stage == Some(Stage::Asked) {
                    continue;
                }
            } else {
                assert_eq!(open, [], "{what}");
            }
            let error = ledger
                .finish_deletion(counted.id, 7, result)
                .await
                .unwrap_err();
            assert_eq!(
                error.to_string(),
                "the ledger was used wrongly: the end of a deletion that is not open; please report it"
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_after_a_later_delivery_takes_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(DAY_10), 10, delivered()).await;
    send(&ledger, run, intent(DAY_10 + 1), 10, delivered()).await;
    let begun = ledger
        .begin_deletion(deletion(Purpose::SendAgain))
        .await
        .unwrap();
    send(&ledger, run, again(DAY_10), 20, unmatched()).await;
    let refused = Deletion::Refused {
        reason: "no".into(),
    };
    ledger.finish_deletion(begun.id, 30, refused).await.unwrap();
    let expected = [(0, State::Unmatched, None), (1, State::Delivered, None)];
    assert_eq!(states(&ledger).await, expected);
}

#[tokio::test]
async fn a_rebuilt_call_is_frozen_anew_and_a_dropped_one_stays_out() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    send(&ledger, run, intent(DAY_10), 10, delivered()).await;
    send(&ledger, run, intent(DAY_10 + 1), 10, delivered()).await;
    ledger
        .record_drift(vec![(identity(DAY_10), true)])
        .await
        .unwrap();
    let begun = ledger
        .begin_deletion(deletion(Purpose::Rebuild))
        .await
        .unwrap();
    ledger
        .finish_deletion(begun.id, 30, Deletion::Deleted { count: 2 })
        .await
        .unwrap();
    let today = form(DAY_10, "582125550101");
    let wire = Some(today.clone());
    send(
        &ledger,
        run,
        Intent {
            wire,
            ..intent(DAY_10)
        },
        40,
        delivered(),
    )
    .await;
    ledger
        .record_dropped(vec![identity(DAY_10), identity(DAY_10 + 1)])
        .await
        .unwrap();
    let entries = ledger
        .entries(EVERYTHING, Wires::All, None, usize::MAX)
        .await
        .unwrap();
    assert_eq!(
        (entries[0].state, entries[0].drift),
        (State::Delivered, false)
    );
    assert_eq!(entries[0].content_hash, today.content_hash());
    assert_eq!(entries[1].state, State::Withdrawn);
    let owners = ledger
        .owners(vec![form(DAY_10, "02125550101"), today.clone()])
        .await
        .unwrap();
    assert_eq!(owners.1, [None, Some(identity(DAY_10))]);
    assert_eq!(entries[0].wire, Some(today));
}

#[tokio::test]
async fn delivered_calls_are_counted_by_each_reading_and_paged_by_instant() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, run) = open(&directory.path().join("ledger.db")).await;
    several_days(&ledger, run).await;
    // The column's clock may be a day away from the instants.
    let apart = Intent {
        instant: DAY_10 + 50,
        ..intent(DAY_10 + DAY + 50)
    };
    send(&ledger, run, apart, 10, delivered()).await;
    let plan = deletion(Purpose::SendAgain);
    let dates = Selection {
        wire_dates: Some(day(11)..=day(11)),
        ..Selection::default()
    };
    let readings = vec![plan.main, plan.around, dates, Selection::default()];
    assert_eq!(
        ledger.count_delivered(readings).await.unwrap(),
        [2, 5, 3, 0]
    );
    let instants = DAY_10 - DAY..DAY_10 + DAY;
    let first = ledger
        .delivered_in(instants.clone(), None, 2)
        .await
        .unwrap();
    assert_eq!(
        first,
        [
            (identity(DAY_10 - DAY), DAY_10 - DAY),
            (identity(DAY_10), DAY_10)
        ]
    );
    let rest = ledger
        .delivered_in(instants, Some(identity(DAY_10)), 2)
        .await
        .unwrap();
    assert_eq!(rest, [(identity(DAY_10 + DAY + 50), DAY_10 + 50)]);
}

/// One step of a history: what happens to the two calls of it.
#[derive(Debug, Clone)]
enum Step {
    /// Today's settings change: every call would get this number, or be dropped.
    Settings(Option<u8>),
    /// A run, full or with `--resend`, with these answers, one a call.
    Run {
        full: bool,
        resend: bool,
        answers: [u8; 2],
    },
    /// A run that is killed after its intents.
    Kill,
    /// A deletion that ends like this.
    Delete { purpose: Purpose, result: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let purpose = prop_oneof![
        Just(Purpose::SendAgain),
        Just(Purpose::Withdraw),
        Just(Purpose::Rebuild)
    ];
    prop_oneof![
        2 => proptest::option::weighted(0.8, 0_u8..4).prop_map(Step::Settings),
        4 => (any::<bool>(), any::<bool>(), [0_u8..5, 0_u8..5])
            .prop_map(|(full, resend, answers)| Step::Run { full, resend, answers }),
        1 => Just(Step::Kill),
        2 => (purpose, 0_u8..3).prop_map(|(purpose, result)| Step::Delete { purpose, result }),
    ]
}

/// Plays a history on a real ledger; checks every request that would leave.
async fn play(path: &Path, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut ledger, mut run) = open(path).await;
    let calls = [DAY_10, DAY_10 + 1];
    let mut today = Some(0);
    // The bytes of the first request of a call, until a confirmed rebuild.
    let mut bytes: HashMap<i64, WireForm> = HashMap::new();
    for step in steps {
        let (full, resend, answers) = match step {
            Step::Settings(number) => {
                today = number;
                continue;
            }
            Step::Delete { purpose, result } => {
                let rebuilt = purpose == Purpose::Rebuild && result == 0;
                let begun = ledger.begin_deletion(deletion(purpose)).await.unwrap();
                let result = match result {
                    0 => Deletion::Deleted { count: 1 },
                    1 => Deletion::Refused {
                        reason: String::new(),
                    },
                    _ => Deletion::Unknown {
                        reason: String::new(),
                    },
                };
                ledger.finish_deletion(begun.id, 1, result).await.unwrap();
                if rebuilt {
                    let entries = ledger
                        .entries(EVERYTHING, Wires::Due, None, usize::MAX)
                        .await
                        .unwrap();
                    for entry in entries {
                        if entry.pending == Some(PendingReason::Rebuild) {
                            bytes.remove(&entry.identity.start.0);
                        }
                    }
                }
                continue;
            }
            Step::Run {
                full,
                resend,
                answers,
            } => (full, resend, Some(answers)),
            Step::Kill => (false, false, None),
        };
        let ctx = PlanContext {
            full,
            resend,
            recheck_before: 0,
        };
        let entries = ledger
            .entries(EVERYTHING, Wires::All, None, usize::MAX)
            .await
            .unwrap();
        let mut sent = Vec::new();
        for (n, start) in calls.into_iter().enumerate() {
            let entry = entries
                .iter()
                .find(|entry| entry.identity == identity(start));
            let now = today.map(|number| form(start, &format!("0212555010{number}")));
            let decision = plan(
                entry.map(Entry::standing),
                now.as_ref().map(WireForm::content_hash),
                &ctx,
            );
            let (intent, leaves) = match decision.action {
                Action::Send => (
                    Intent {
                        wire: now.clone(),
                        ..intent(start)
                    },
                    now,
                ),
                Action::Resend | Action::Recheck => {
                    (again(start), entry.and_then(|e| e.wire.clone()))
                }
                Action::Settled | Action::Withdrawn | Action::Held | Action::Dropped => continue,
            };
            let leaves = leaves.expect("what is sent has bytes");
            let first = bytes.entry(start).or_insert_with(|| leaves.clone());
            prop_assert_eq!(&*first, &leaves);
            sent.push((n, intent));
        }
        ledger
            .record_intents(run, sent.iter().map(|(_, intent)| intent.clone()).collect())
            .await
            .unwrap();
        if let Some(answers) = answers {
            let outcomes = sent.into_iter().map(|(n, intent)| {
                let answer = match answers[n] {
                    0 => delivered(),
                    1 => unmatched(),
                    2 => rejected(),
                    3 => no_verdict(),
                    _ => Recorded::NotAttempted,
                };
                (intent.identity, answer)
            });
            ledger
                .record_outcomes(run, 10, outcomes.collect())
                .await
                .unwrap();
        } else {
            drop(ledger);
            (ledger, run) = open(path).await;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_call_is_sent_with_the_same_bytes_whatever_happens(steps in proptest::collection::vec(step(), 1..16)) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(play(&directory.path().join("ledger.db"), steps))?;
    }
}
