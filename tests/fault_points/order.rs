//! What is on record, and when: intents before their requests, results before they are printed or counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::crm::{Book, Crm};
use super::golden::Row;
use super::ledger::Held;
use super::scene::Scene;
use super::stage::disturb;

/// Calls of one slice, many more than are ever in flight.
const CALLS: usize = 300;

/// Those of the first slice, which is a small one.
const FIRST: usize = 64;

/// A scene whose calls all have keys of their own.
fn scene() -> Scene {
    let now = super::scene::now();
    let rows = (0..CALLS).map(|n| {
        let instant = now - 90_000 + 60 * i64::try_from(n).unwrap();
        Row {
            wall: instant - 4 * 3600,
            src: "7001".to_owned(),
            dst: format!("9285{n:04}"),
            duration: 30,
            disposition: "ANSWERED",
            uniqueid: format!("{instant}.{n}"),
            sequence: n as u64,
            recordingfile: String::new(),
        }
    });
    Scene::of(rows.collect())
}

#[test]
fn every_request_finds_its_intent_on_record_and_with_it_those_of_its_whole_slice() {
    let scene = scene();
    let ledger = scene.program.path("ledger.db");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let crm = Crm::watched(Book::default(), {
        let seen = Arc::clone(&seen);
        let numbers = AtomicUsize::new(0);
        move |key| {
            let number = numbers.fetch_add(1, Ordering::SeqCst);
            let held = Held::beside_a_run(&ledger);
            let state = held.calls.get(key).copied();
            seen.lock().unwrap().push((number, state, held.calls.len()));
        }
    });
    scene.point_at(&crm.url());
    let report = scene.program.sync(&[], 0);
    assert_eq!(report["calls"]["created"], CALLS);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), CALLS);
    for (n, state, held) in seen.iter() {
        assert_eq!(*state, Some("in_flight"), "request {n}");
        // While calls of the first slice leave, the second one goes on record.
        let wholly = *held == CALLS || (*held == FIRST && *n < FIRST);
        assert!(wholly, "request {n}: {held} calls are on record");
    }
}

#[test]
fn a_slices_intents_are_recorded_wholly_or_not_at_all() {
    for (fault, recorded) in [
        ("ledger.intents.row#1:kill", &[0][..]),
        ("ledger.intents.row#63:kill", &[0]),
        ("ledger.intents.before_commit#1:kill", &[0]),
        ("ledger.intents.after_commit#1:kill", &[FIRST]),
        ("target.before_request#1:kill", &[FIRST, CALLS]),
    ] {
        let (held, crm, stdout) = after(fault);
        let calls = held.calls.len();
        assert!(recorded.contains(&calls), "{fault}: {calls}");
        assert_eq!(held.count(&["in_flight"]), calls as u64, "{fault}");
        assert_eq!(crm.book().requests, 0, "{fault}: nothing left before it");
        assert_eq!(stdout, "", "{fault}");
    }
}

#[test]
fn results_are_on_record_before_they_are_counted() {
    // The first answer comes alone: the engine waits for it before it sends more.
    let (held, crm, _) = after("ledger.outcomes.before_commit#1:kill");
    assert_eq!(held.count(&["delivered"]), 0);
    assert!(crm.book().requests >= 1);
    for n in [1, 2, 5] {
        let (held, crm, stdout) = after(&format!("sync.before_count#{n}:kill"));
        assert!(held.count(&["delivered"]) >= n, "batch {n}");
        let book = crm.book();
        assert!(held.delivered.keys().all(|key| book.held.contains_key(key)));
        assert_eq!(stdout, "");
    }
}

#[test]
fn a_report_is_printed_when_everything_in_it_is_on_record() {
    let (held, crm, stdout) = after("stdout.before_write#1:kill");
    assert_eq!(stdout, "");
    assert_eq!(held.ended, [0]);
    assert_eq!(held.count(&["delivered"]), CALLS as u64);
    assert_eq!(crm.book().held.len(), CALLS);
}

#[test]
fn a_run_whose_results_cannot_be_recorded_sends_nothing_more_and_reports_nothing() {
    for what in ["error", "full"] {
        let (held, crm, stdout) = after(&format!("ledger.outcomes.before_commit#1+:{what}"));
        assert_eq!(stdout, "");
        assert_eq!(held.count(&["in_flight"]), CALLS as u64);
        // What was in flight when the first result could not be recorded may land; the slice is many times that.
        let requests = crm.book().requests;
        assert!((1..=64).contains(&requests), "{requests} requests");
    }
}

/// What a run with this fault leaves: the ledger, the CRM, and what it printed.
fn after(fault: &str) -> (Held, Crm, String) {
    let scene = scene();
    // Longer than answers are gathered for a commit: so each round of answers is one of its own.
    let crm = Crm::watched(Book::default(), |_| {
        std::thread::sleep(Duration::from_millis(25));
    });
    scene.point_at(&crm.url());
    let ended = disturb(&scene.program, &["sync", "--output", "json"], fault);
    let killed = fault.ends_with(":kill");
    assert_eq!(ended.signal.is_some(), killed, "{fault}: {ended:?}");
    if !killed {
        assert_eq!(ended.ran.code, 12, "{fault}: {ended:?}");
    }
    let held = Held::read(&scene.program.path("ledger.db"));
    (held, crm, ended.ran.stdout)
}
