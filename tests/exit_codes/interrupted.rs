//! Codes 130 and 143, and the end that no program can catch.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::program::check_sums;
use super::scene::{Scene, finish, heard, listens, sandbox, signal, slow_sandbox, until, with};
use super::soak;
use super::unruly::{Reply, Unruly};

/// Stopped in mid-run, it finishes what is in flight, prints its report, and the next run completes.
#[track_caller]
fn stopped(name: &str, code: i32, seed: u64) {
    let crm = slow_sandbox(60);
    let scene = Scene::generated(400, seed);
    let golden = scene.golden().len();
    scene.point_at_with(crm.url.as_str(), |config| {
        with(config, "target", "concurrency = 4")
    });
    let child = scene.program.spawn(&["sync", "--output", "json"]);
    until("some calls are delivered", || crm.stats().created >= 20);
    signal(&child, name);
    let ran = finish(child);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    check_sums(&report);
    let (created, pending) = (&report["calls"]["created"], &report["calls"]["pending"]);
    let reason = format!("stopped by SIG{name}; {pending} calls pending, the next run goes on");
    assert_eq!(
        (ran.code, ran.stderr),
        (code, format!("cdrelay: {reason}\n"))
    );
    assert_eq!(
        report["exit"],
        serde_json::json!({"code": code, "reason": reason})
    );
    assert_eq!(
        *created,
        crm.stats().calls,
        "what was in flight is recorded"
    );
    assert_eq!(
        created.as_u64().unwrap() + pending.as_u64().unwrap(),
        golden as u64
    );
    assert!(pending.as_u64().unwrap() > 0, "{report}");
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], *created);
    assert_eq!(crm.stats().existing, 0, "no call was sent twice");
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    stopped("TERM", 143, 70);
}

#[test]
fn sigint_finishes_what_is_in_flight() {
    stopped("INT", 130, 71);
}

#[test]
fn the_text_after_a_signal_says_what_is_left() {
    let crm = Unruly::always(Reply::Silence);
    let scene = Scene::generated(20, 72);
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "timeout = \"1s\"")
    });
    let child = scene.program.spawn(&["sync"]);
    until("a request", || !crm.seen().is_empty());
    signal(&child, "TERM");
    scene.said(&finish(child), 143, "Stopped on request: stopped by SIGTERM; 17 calls pending, the next run goes on.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      20 read; 3 folded into another row of the same call
  calls     17: 17 pending
  same key  3 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: stopped by SIGTERM; 17 calls pending, the next run goes on\n");
    scene.settles_undisturbed();
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    for (first, code) in [("TERM", 143), ("INT", 130)] {
        let mute = Unruly::always(Reply::Silence);
        let scene = Scene::generated(60, 73);
        scene.point_at(&mute.url());
        let child = scene.program.spawn(&["sync", "--output", "json"]);
        until("a request", || !mute.seen().is_empty());
        signal(&child, first);
        heard(&child);
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, "INT");
        scene.said(
            &finish(child),
            code,
            "",
            "cdrelay: stopped at once by a second signal; the next run goes on\n",
        );
        assert_eq!(mute.seen().len(), 1);
        scene.settles_undisturbed();
    }
}

#[test]
fn a_signal_at_any_instant_records_what_was_in_flight() {
    let instants = soak::count(8, 200) as u64;
    for n in 0..instants {
        // Spread over a run of about three quarters of a second, from before its beginning to after its end.
        let after = Duration::from_millis(n * 613 % 800);
        let crm = slow_sandbox(10);
        let scene = Scene::generated(400, 75);
        scene.point_at(crm.url.as_str());
        let child = scene.program.spawn(&["sync", "--output", "json"]);
        std::thread::sleep(after);
        signal(&child, "TERM");
        let ran = finish(child);
        match ran.code {
            // Before the program listens for signals, the kernel ends it; nothing has left by then.
            -1 => assert_eq!(crm.stats().requests, 0),
            0 | 143 if ran.stdout.is_empty() => {
                assert_eq!(crm.stats().requests, 0, "{ran:?}");
                assert_eq!(ran.code, 143, "{ran:?}");
            }
            0 | 143 => {
                let report: Value = serde_json::from_str(&ran.stdout).unwrap();
                check_sums(&report);
                let stats = crm.stats();
                assert_eq!(report["calls"]["created"], stats.calls, "{report}");
                assert_eq!(report["requests"]["sent"], stats.requests, "{report}");
                // A window that was not read to its end has no pending calls to count.
                assert!(
                    ran.code == 143 || report["calls"]["pending"] == 0,
                    "{report}"
                );
            }
            _ => panic!("{ran:?}"),
        }
        scene.settles_at(&crm, str::to_owned);
        assert_eq!(crm.stats().existing, 0, "no call was sent twice");
    }
}

#[test]
fn a_signal_ends_the_wait_for_another_run() {
    let scene = Scene::generated(60, 76);
    let mute = Unruly::always(Reply::Silence);
    scene.point_at(&mute.url());
    let first = scene.program.spawn(&["sync"]);
    until("the first run's request", || !mute.seen().is_empty());
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let second = scene.program.spawn(&["sync", "--wait", "1h"]);
        listens(&second);
        std::thread::sleep(Duration::from_millis(500));
        signal(&second, name);
        let said = format!("cdrelay: stopped by SIG{name} before anything was sent\n");
        scene.said(&finish(second), code, "", &said);
    }
    signal(&first, "KILL");
    finish(first);
    scene.settles_undisturbed();
}

/// Points a scene at a database server that takes connections and says nothing.
fn mute_source(scene: &Scene) -> TcpListener {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    scene.point_at_with("http://127.0.0.1:9", |config| {
        let url = format!("mysql://cdr@127.0.0.1:{port}/asteriskcdrdb");
        let config = config.replace("sqlite://cdr.db", &url);
        with(&config, "target", "timeout = \"1s\"")
    });
    server
}

#[test]
fn a_signal_does_not_wait_for_a_mute_source() {
    let scene = Scene::generated(20, 77);
    let server = mute_source(&scene);
    let child = scene.program.spawn(&["sync"]);
    let connection = server.accept().unwrap();
    signal(&child, "TERM");
    scene.said(
        &finish(child),
        143,
        "Stopped on request: stopped by SIGTERM; 0 calls pending, the next run goes on.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
",
        "cdrelay: stopped by SIGTERM; 0 calls pending, the next run goes on\n",
    );
    drop(connection);
    scene.settles_undisturbed();
}

#[test]
fn a_mute_source_does_not_outlive_max_runtime() {
    let scene = Scene::generated(20, 78);
    let server = mute_source(&scene);
    let child = scene.program.spawn(&["sync", "--max-runtime", "5s"]);
    let connection = server.accept().unwrap();
    let ran = finish(child);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            4,
            "cdrelay: --max-runtime passed before the window was read to its end\n"
        )
    );
    drop(connection);
    scene.settles_undisturbed();
}

#[test]
fn max_runtime_begins_when_the_wait_for_another_run_is_over() {
    let scene = Scene::generated(60, 79);
    let mute = Unruly::always(Reply::Silence);
    scene.point_at(&mute.url());
    let first = scene.program.spawn(&["sync"]);
    until("the first run's request", || !mute.seen().is_empty());
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let second = scene.program.spawn(&[
        "sync",
        "--wait",
        "1h",
        "--max-runtime",
        "5s",
        "--output",
        "json",
    ]);
    std::thread::sleep(Duration::from_secs(6));
    signal(&first, "KILL");
    finish(first);
    let ran = finish(second);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.check(&crm);
}

#[test]
fn a_kill_at_any_instant_loses_nothing_and_doubles_nothing() {
    // After so many requests that have reached the CRM: in the first one, in the growing window, in mid-run.
    for (seed, requests) in [(80, 1), (81, 2), (82, 9), (83, 40), (84, 90), (85, 150)] {
        let crm = slow_sandbox(60);
        let scene = Scene::generated(400, seed);
        let golden = scene.golden().len();
        scene.point_at(crm.url.as_str());
        let mut child = scene.program.spawn(&["sync"]);
        until("requests", || crm.stats().requests >= requests);
        child.kill().unwrap();
        assert_eq!(finish(child).code, -1, "it was still at work");
        let report = scene.settles_at(&crm, str::to_owned);
        let stats = crm.stats();
        assert_eq!(stats.created as usize, golden, "{stats:?}");
        assert_eq!(report["calls"]["existing"], stats.existing, "{report}");
        let unchanged = report["calls"]["unchanged"].as_u64().unwrap();
        // What had reached the CRM is on record, or was asked about again.
        assert!(
            unchanged + stats.existing + 32 >= requests,
            "{stats:?} {report}"
        );
    }
}

#[test]
fn a_kill_before_the_first_request_leaves_no_half_ledger() {
    for milliseconds in [0, 5, 10, 20, 40, 80] {
        let crm = sandbox();
        let scene = Scene::generated(200, 86);
        scene.point_at(crm.url.as_str());
        let mut child = scene.program.spawn(&["sync"]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        finish(child);
        scene.settles_at(&crm, str::to_owned);
    }
}
