//! A CRM without keys, at every point: nothing is opened twice, and whatever is in doubt is held for a person.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program;
use super::soak;
use super::stage::{Ended, Passage, disturb};

#[path = "../keyless/crm.rs"]
mod crm;
#[path = "../keyless/stage.rs"]
mod stage;

use crm::Crm;
use stage::{CONSTANTS, Row, Stage, missed, now};

/// Programs that one test runs at the same time.
const WORKERS: usize = 4;

/// Requests that a run has out at a time.
const IN_FLIGHT: usize = 2;

/// Callers of the runs here.
const CALLERS: usize = 6;

fn number(n: usize) -> String {
    format!("0212555010{n}")
}

fn rows() -> Vec<Row> {
    let ago = |n: usize| 600 - i64::try_from(n).unwrap();
    (0..CALLERS).map(|n| missed(&number(n), ago(n))).collect()
}

/// A table with some calls, and a CRM that does what it is asked for.
fn scene() -> (Crm, Stage) {
    let crm = Crm::good();
    let stage = Stage::new(&rows());
    // Many programs at a time may make one of them wait, which is no fault here.
    let more = format!("concurrency = {IN_FLIGHT}\n{CONSTANTS}");
    stage.point_patiently_at(&crm.url(), &more);
    (crm, stage)
}

/// What a killed run leaves: some delivered, some in flight, some not sent.
fn killed() -> (Crm, Stage) {
    let (crm, stage) = scene();
    let ended = disturb(&stage.program, &["sync"], "ledger.outcomes.before#2:kill");
    assert_eq!(ended.signal, Some(9), "{ended:?}");
    (crm, stage)
}

/// A kill at every point that an undisturbed run passes from `first` on, and where it can fail, one kind of failure.
fn faults(passages: &[Passage], first: &str) -> Vec<String> {
    let kinds: &[&str] = if soak::long() {
        &["error", "full"]
    } else {
        &["error"]
    };
    let mut found: Vec<String> = Vec::new();
    for passage in passages.iter().skip_while(|passage| passage.point != first) {
        let failures = if passage.can_fail { kinds } else { &[] };
        for kind in failures.iter().chain(&["kill"]) {
            let fault = format!("{}#1:{kind}", passage.point);
            if !found.contains(&fault) {
                found.push(fault);
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// Tries each fault, several at a time: mostly they wait for a disk.
fn each(faults: &[String], attempt: impl Fn(&str) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    attempt(fault);
                }
            });
        }
    });
    println!("{} faults", faults.len());
}

/// Undisturbed runs, a person who looks into the CRM, and a run after that: everybody was asked for exactly once. At most
/// `doubtful` calls are held.
#[track_caller]
fn settle(crm: &Crm, stage: &Stage, numbers: &[String], doubtful: usize) {
    for _ in 0..2 {
        let ran = stage.run(&["sync"]);
        assert!(matches!(ran.code, 0 | 3), "{ran:?}");
    }
    let asked = asked(crm);
    let mut held = 0;
    for (number, state) in states(stage) {
        let requests = asked.get(&number).copied().unwrap_or(0);
        match state.as_str() {
            "delivered" => assert_eq!(requests, 1, "{number}"),
            "held" => {
                held += 1;
                let decision = ["--resend", "--delivered"][requests];
                let ran = stage.run(&["held", &number, decision]);
                assert_eq!(ran.code, 0, "{ran:?}");
            }
            other => panic!("{number} is {other}"),
        }
    }
    assert!(held <= doubtful, "{held} held, {doubtful} were in flight");
    assert_eq!(stage.run(&["sync"]).code, 0);
    let asked = self::asked(crm);
    let expected = numbers.iter().map(|number| (number.clone(), 1)).collect();
    assert_eq!(asked, expected);
    assert_eq!(states(stage).len(), numbers.len());
}

/// How many requests the CRM got for each number.
fn asked(crm: &Crm) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for number in crm.numbers() {
        *asked.entry(number).or_insert(0) += 1;
    }
    asked
}

/// Each caller's state in the ledger.
fn states(stage: &Stage) -> Vec<(String, String)> {
    let ran = stage.run(&["calls", "--output", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = |call: &serde_json::Value, key: &str| call[key].as_str().unwrap().to_owned();
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|call| (text(&call, "source"), text(&call, "state")))
        .collect()
}

/// Disturbs a run at each of its points, on a scene of its own each time.
fn sweep(scene: impl Fn() -> (Crm, Stage) + Sync, doubtful: usize) {
    let walk = {
        let (_crm, stage) = scene();
        disturb(&stage.program, &["sync"], "")
    };
    let numbers: Vec<String> = (0..CALLERS).map(number).collect();
    each(
        &faults(&walk.passages, "ledger.run_start.before"),
        |fault| {
            let (crm, stage) = scene();
            let ended = disturb(&stage.program, &["sync"], fault);
            println!("{fault}: {:?}", ended.ran);
            settle(&crm, &stage, &numbers, doubtful);
        },
    );
}

#[test]
fn a_first_run_opens_nothing_twice_whatever_stops_it() {
    sweep(scene, IN_FLIGHT);
}

#[test]
fn the_run_after_a_killed_one_holds_what_was_in_doubt_whatever_stops_it() {
    // Two runs are stopped, one after the other.
    sweep(killed, 2 * IN_FLIGHT);
}

#[test]
fn what_a_person_says_of_a_held_call_is_recorded_once_whatever_stops_it() {
    let held = || {
        let (crm, stage) = killed();
        assert_eq!(stage.run(&["sync"]).code, 3);
        let number = in_state(&stage, "held").remove(0);
        (crm, stage, number)
    };
    let walk = {
        let (_crm, stage, number) = held();
        disturb(&stage.program, &["held", &number, "--delivered"], "")
    };
    let numbers: Vec<String> = (0..CALLERS).map(number).collect();
    each(
        &faults(&walk.passages, "ledger.lock.before_open"),
        |fault| {
            let (crm, stage, number) = held();
            let requests = asked(&crm).get(&number).copied().unwrap_or(0);
            let decision = ["--resend", "--delivered"][requests];
            let ended = disturb(&stage.program, &["held", &number, decision], fault);
            println!("{fault}: {:?}", ended.ran);
            settle(&crm, &stage, &numbers, IN_FLIGHT);
        },
    );
}

fn in_state(stage: &Stage, wanted: &str) -> Vec<String> {
    let found = states(stage);
    let of_it = found.into_iter().filter(|(_, state)| state == wanted);
    of_it.map(|(number, _)| number).collect()
}

/// A call through `agi`, disturbed; what Asterisk was told.
fn told(stage: &Stage, uniqueid: &str, fault: &str) -> (Ended, String) {
    let log = stage.program.path("passages");
    let _ = std::fs::remove_file(&log);
    let mut child = stage
        .program
        .command(&["agi"])
        .env("CDRELAY_FAULT", fault)
        .env("CDRELAY_FAULT_LOG", &log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = format!(
        "agi_uniqueid: {uniqueid}\nagi_callerid: {}\nagi_extension: 1\n\n",
        number(0)
    );
    stdin.write_all(text.as_bytes()).unwrap();
    let mut status = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(word) = line.strip_prefix("SET VARIABLE CDRELAY_STATUS ") {
            word.trim_matches('"').clone_into(&mut status);
        }
        let _ = stdin.write_all(b"200 result=1\n");
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let list = std::fs::read_to_string(&log).unwrap_or_default();
    let ended = Ended {
        signal: output.status.signal(),
        ran: program::Ran::of(output),
        passages: list.lines().map(Passage::read).collect(),
    };
    (ended, status)
}

fn nobody_yet() -> (Crm, Stage) {
    let crm = Crm::good();
    let stage = Stage::new(&[]);
    stage.point_at(&crm.url(), CONSTANTS);
    // A ledger that is there, as after a night.
    assert_eq!(stage.run(&["sync"]).code, 0);
    (crm, stage)
}

/// After a call that was told came to this, undisturbed runs and a person bring it to exactly one request; or to none,
/// where nothing is on record and Asterisk was not told that anything was.
#[track_caller]
fn settle_told(crm: &Crm, stage: &Stage, status: &str) {
    for _ in 0..2 {
        let ran = stage.run(&["sync"]);
        assert!(matches!(ran.code, 0 | 3), "{ran:?}");
    }
    let requests = crm.requests().len();
    assert!(requests <= 1, "{requests} requests");
    let states = states(stage);
    if states.is_empty() {
        assert_eq!(requests, 0);
        assert!(matches!(status, "" | "FAILED"), "{status}");
        return;
    }
    settle(crm, stage, &[number(0)], 1);
}

#[test]
fn a_call_that_is_told_is_opened_once_or_held_whatever_stops_the_program() {
    let (_crm, stage) = nobody_yet();
    let id = format!("{}.1", now() - 30);
    let (walk, status) = told(&stage, &id, "");
    assert_eq!(status, "DELIVERED", "{walk:?}");
    for point in [
        "agi.before_ask",
        "agi.asked",
        "agi.before_conclusion",
        "agi.concluded",
    ] {
        assert!(
            walk.passages.iter().any(|p| p.point == point),
            "{point}: {walk:?}"
        );
    }
    each(&faults(&walk.passages, &walk.passages[0].point), |fault| {
        let (crm, stage) = nobody_yet();
        let (ended, status) = told(&stage, &id, fault);
        println!("{fault}: {status}, {:?}", ended.ran);
        // Pressed again: whatever is known by then, nothing is opened twice.
        let (_, again) = told(&stage, &id, "");
        assert!(!again.is_empty());
        let last = if again == "FAILED" { status } else { again };
        settle_told(&crm, &stage, &last);
    });
}

#[test]
fn a_run_that_takes_up_what_was_told_takes_it_up_once_whatever_stops_it() {
    let id = format!("{}.1", now() - 30);
    // Delivered, and in doubt.
    for before in ["agi.concluded#1:kill", "agi.asked#1:kill"] {
        let taken = || {
            let (crm, stage) = nobody_yet();
            told(&stage, &id, before);
            (crm, stage)
        };
        let walk = {
            let (_crm, stage) = taken();
            disturb(&stage.program, &["sync"], "")
        };
        assert!(
            walk.passages
                .iter()
                .any(|p| p.point == "agi.before_removal"),
            "{walk:?}"
        );
        each(
            &faults(&walk.passages, "ledger.run_start.before"),
            |fault| {
                let (crm, stage) = taken();
                let ended = disturb(&stage.program, &["sync"], fault);
                println!("{before}, {fault}: {:?}", ended.ran);
                settle_told(&crm, &stage, "");
            },
        );
    }
}
