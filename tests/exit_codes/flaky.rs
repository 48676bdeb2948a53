//! A CRM that is there, and fails some requests: everything reaches it in the end, and calls that fail by themselves keep
//! no other waiting.

use serde_json::Value;

use super::golden;
use super::program::check_sums;
use super::scene::{Scene, pass_on, sandbox, until, with};
use super::soak;
use super::unruly::{Reply, Unruly};

/// Runs until everything is there, in at most so many runs; gives how they ended.
#[track_caller]
fn runs(scene: &Scene, crm: &Unruly, most: usize) -> Vec<i32> {
    let mut codes = Vec::new();
    while codes.last() != Some(&0) {
        assert!(codes.len() < most, "{codes:?}");
        let before = crm.seen().len();
        // Long enough for a first attempt at each call and for some of the second ones.
        let ran = scene
            .program
            .run(&["sync", "--max-runtime", "4s", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        check_sums(&report);
        assert_eq!(report["calls"]["rejected"], 0, "{report}");
        // The last one may have been given up before the CRM has read it.
        until("what was printed is what the CRM saw", || {
            report["requests"]["sent"] == crm.seen().len() - before
        });
        assert!([0, 4].contains(&ran.code), "{ran:?}");
        codes.push(ran.code);
    }
    codes
}

/// Every second request fails so: in turn, then by chance. The runs mostly wait, so they go side by side.
#[track_caller]
fn every_second_request(failure: &Reply, calls: usize) {
    let seeds: Vec<u64> = (0..=soak::count(1, 20) as u64).collect();
    for side_by_side in seeds.chunks(4) {
        std::thread::scope(|scope| {
            for seed in side_by_side {
                scope.spawn(|| every_second_request_of(failure, calls, *seed));
            }
        });
    }
}

fn every_second_request_of(failure: &Reply, calls: usize, seed: u64) {
    let scene = Scene::generated(calls, 20 + seed);
    let behind = sandbox();
    let addr = behind.addr;
    let reply = failure.clone();
    let crm = Unruly::start(move |n, line| {
        let mut dice = (n as u64 ^ (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let fails = match seed {
            0 => n.is_multiple_of(2),
            _ => dice >> 63 == 0,
        };
        if fails {
            reply.clone()
        } else {
            pass_on(addr, line)
        }
    });
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "timeout = \"600ms\"")
    });
    runs(&scene, &crm, 20);
    scene.check(&behind);
}

#[test]
fn a_crm_that_closes_every_second_connection_gets_everything_in_the_end() {
    every_second_request(&Reply::Close, 120);
}

#[test]
fn a_crm_that_is_mute_on_every_second_request_gets_everything_in_the_end() {
    every_second_request(&Reply::Silence, 16);
}

/// A scene, and the keys of its first calls as they stand in a request.
fn poisoned(rows: usize, seed: u64, poison: usize) -> (Scene, Vec<String>) {
    let scene = Scene::generated(rows, seed);
    let keys = golden::golden(&scene.rows)
        .into_keys()
        .take(poison)
        .map(|(initiated, source, destination)| {
            let encode = |text: &str| text.replace(':', "%3A").replace('+', "%2B");
            format!(
                "initiated={}&source={}&destination={}&",
                encode(&initiated),
                encode(&source),
                encode(&destination)
            )
        })
        .collect();
    (scene, keys)
}

#[test]
fn calls_that_never_get_a_verdict_keep_no_other_waiting_and_are_listed_as_stuck() {
    const POISON: usize = 4;
    let (scene, keys) = poisoned(150, 40, POISON);
    let due = scene.golden().len();
    let behind = sandbox();
    let addr = behind.addr;
    let poison = keys.clone();
    let crm = Unruly::start(move |_, line| {
        if poison.iter().any(|key| line.contains(key.as_str())) {
            Reply::Json(500, String::new())
        } else {
            pass_on(addr, line)
        }
    });
    scene.point_at(&crm.url());
    // So long each poisoned call is tried once or more, and every other one is through.
    for (run, stuck) in [(1, 0), (2, 0), (3, POISON)] {
        let report = scene.program.sync(&["--max-runtime", "8s"], 4);
        let calls = &report["calls"];
        assert_eq!(calls["pending"], POISON, "run {run}: {report}");
        assert_eq!(
            calls["created"],
            if run == 1 { due - POISON } else { 0 },
            "run {run}: {report}"
        );
        assert_eq!(report["stuck"], stuck, "run {run}: {report}");
    }
    let listed = scene.listed();
    let stuck = listed.iter().filter(|call| call["stuck"] == true).count();
    assert_eq!(stuck, POISON);
    let ran = scene.program.run(&["calls", "--state", "pending"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), POISON, "{ran:?}");
    let ending = "  [retry]  [stuck]  the CRM answered 500 (server error)";
    assert!(lines.iter().all(|line| line.ends_with(ending)), "{ran:?}");
    let status = scene.program.run(&["status"]);
    let line = "    stuck       4 (pending, without a verdict in 3 runs or more: `cdrelay calls --state pending`)\n";
    assert!(status.stdout.contains(line), "{status:?}");
    let status = scene.program.run(&["status", "--output", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["stuck"], POISON, "{status}");

    // New calls go before them.
    let later: Vec<golden::Row> = golden::rows(40, super::scene::now() + 3_600, 1, 41)
        .into_iter()
        .map(|row| golden::Row {
            sequence: row.sequence + 1_000,
            ..row
        })
        .collect();
    for insert in golden::inserts("cdr", &later) {
        scene.source().execute_batch(&insert).unwrap();
    }
    let scene = Scene {
        rows: scene.rows.iter().chain(&later).cloned().collect(),
        ..scene
    };
    let fresh = scene.golden().len() - due;
    let before = crm.seen().len();
    let ran = scene.program.run(&["sync"]);
    let seen = crm.seen();
    let first_stuck = seen[before..]
        .iter()
        .position(|line| keys.iter().any(|key| line.contains(key.as_str())));
    assert_eq!(first_stuck, Some(fresh), "stuck calls go last");
    let why = "4 calls pending, stuck: no verdict in 3 runs or more, the last time: the CRM answered 500 (server error); `cdrelay calls --state pending` lists them";
    scene.said(&ran, 4, &format!("Not everything is there yet: {why}. The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      190 read; left out: 23 with a short destination, 4 without a caller's number; 43 folded into another row of the same call
  calls     120: 88 unchanged, 28 created, 4 pending
  same key  9 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  stuck     4 calls without a verdict in 3 runs or more; they go last, and `cdrelay calls --state pending` lists them
  requests  SENT
  time      TIME
"), &format!("cdrelay: {why}\n"));
    // They are due still, and reach a CRM that has got over it.
    scene.point_at(behind.url.as_str());
    let report = scene.program.sync(&[], 0);
    assert_eq!(report["stuck"], 0, "{report}");
    scene.check(&behind);
}
