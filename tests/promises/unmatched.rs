//! Numbers that no contact has: one call per number is asked about first, the rest follow only if it matched.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use cdrelay::sandbox::{Contacts, RunningSandbox, Sandbox, SandboxOptions};

use super::golden::Row;
use super::scene::{Scene, held, now, until, with};

/// Ten calls to each of three numbers, in turns.
const NUMBERS: [&str; 3] = ["904145550001", "904145550002", "904145550003"];

fn scene() -> Scene {
    let begun = now() - 86_400;
    Scene::of(
        (0..30)
            .map(|i| Row {
                wall: begun + i * 60 - 4 * 3600,
                src: format!("70{:02}", i % 7),
                dst: NUMBERS[i as usize % 3].to_owned(),
                duration: 10 + i as u64,
                disposition: "ANSWERED",
                uniqueid: format!("{}.{i}", begun + i * 60),
                sequence: i as u64,
                recordingfile: String::new(),
            })
            .collect(),
    )
}

/// A CRM with contacts for some of the numbers, at an address of before.
fn crm(known: &[&str], listen: Option<SocketAddr>) -> RunningSandbox {
    let numbers: HashSet<String> = known.iter().map(|number| number[1..].to_owned()).collect();
    let options = || SandboxOptions {
        contacts: Contacts::Numbers(numbers.clone()),
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        ..SandboxOptions::default()
    };
    // Where another test starts a program in this moment, that one's process still has a copy of the listener of before.
    let mut started = Sandbox::start(options());
    until("the address is free", || {
        if started.is_err() {
            started = Sandbox::start(options());
        }
        started.is_ok()
    });
    started.expect("a sandbox")
}

/// How many calls the CRM holds for each number.
fn by_number(crm: &RunningSandbox) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (key, _) in held(crm) {
        *counts.entry(key.2).or_insert(0) += 1;
    }
    counts
}

/// A first run with contacts for one number, then two recheck runs: one with the same contacts, one with another added.
#[track_caller]
fn rechecked(args: &[&str], edit: fn(&str) -> String, rest: fn()) {
    let scene = scene();
    let first = crm(&NUMBERS[..1], None);
    let addr = first.addr;
    let edit = |config: &str| edit(config);
    scene.point_at_with(first.url.as_str(), edit);
    let report = scene.program.sync(args, 0);
    assert_eq!(report["calls"]["created"], 10, "{report}");
    assert_eq!(report["calls"]["unmatched"], 20, "{report}");
    assert_eq!(report["requests"]["sent"], 30, "{report}");
    rest();
    // Nobody was added: one call per number asks.
    let report = scene.program.sync(args, 0);
    assert_eq!(report["requests"]["sent"], 2, "{report}");
    assert_eq!(report["calls"]["unmatched"], 2, "{report}");
    assert_eq!(report["calls"]["unchanged"], 28, "{report}");
    assert_eq!(first.stats().unmatched, 22);
    first.stop();
    rest();
    // A contact with the second number was added: its calls follow the one that went first.
    let second = crm(&NUMBERS[1..2], Some(addr));
    let report = scene.program.sync(args, 0);
    assert_eq!(report["requests"]["sent"], 11, "{report}");
    assert_eq!(report["calls"]["created"], 10, "{report}");
    assert_eq!(report["calls"]["unmatched"], 1, "{report}");
    assert_eq!(report["calls"]["unchanged"], 19, "{report}");
    assert_eq!(
        by_number(&second),
        BTreeMap::from([(NUMBERS[1][1..].to_owned(), 10)])
    );
    let stats = second.stats();
    assert_eq!((stats.created, stats.unmatched), (10, 1), "{stats:?}");
    second.stop();
    rest();
    let third = crm(&NUMBERS, Some(addr));
    let report = scene.program.sync(args, 0);
    assert_eq!(report["calls"]["created"], 10, "{report}");
    assert_eq!(
        by_number(&third),
        BTreeMap::from([(NUMBERS[2][1..].to_owned(), 10)])
    );
    assert_eq!(scene.states(), [("delivered".to_owned(), 30)]);
    let report = scene.program.sync(args, 0);
    assert_eq!(report["requests"]["sent"], 0, "{report}");
}

#[test]
fn full_runs_ask_one_call_per_number() {
    rechecked(&["--full"], str::to_owned, || {});
}

#[test]
fn incremental_runs_ask_once_the_number_has_rested() {
    // Longer than the second that it has to rest; the ledger counts whole seconds.
    rechecked(
        &[],
        |config| with(config, "select", "recheck_unmatched = \"1s\""),
        || std::thread::sleep(std::time::Duration::from_millis(2_100)),
    );
}

#[test]
fn incremental_runs_leave_a_resting_number_alone() {
    let scene = scene();
    let nobody = crm(&[], None);
    scene.point_at(nobody.url.as_str());
    scene.program.sync(&[], 0);
    for _ in 0..3 {
        let report = scene.program.sync(&[], 0);
        assert_eq!(report["requests"]["sent"], 0, "{report}");
        assert_eq!(report["calls"]["unchanged"], 30, "{report}");
    }
    assert_eq!(nobody.stats().requests, 30);
}
