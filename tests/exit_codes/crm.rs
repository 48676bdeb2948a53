//! Code 4: a CRM that is down, slow or overloaded. Nothing is ever rejected by it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::scene::{Scene, closed_port, pass_on, sandbox, until, with};
use super::unruly::{Reply, Unruly};

/// Every call of the window is due still, and none is rejected or held.
#[track_caller]
pub fn all_pending(scene: &Scene, report: &Value) {
    let due = scene.golden().len();
    assert_eq!(report["calls"]["pending"], due, "{report}");
    assert_eq!(report["calls"]["total"], due, "{report}");
    let states = scene.states();
    assert!(
        states
            .iter()
            .all(|(state, _)| matches!(state.as_str(), "pending" | "in_flight")),
        "{states:?}"
    );
}

/// A CRM that stops the run: code, JSON and text say why; then golden is reached.
#[track_caller]
pub fn stops(
    crm: &Unruly,
    code: i32,
    most_requests: usize,
    edit: impl Fn(&str) -> String,
    stdout: &str,
    stderr: &str,
) {
    let scene = Scene::generated(150, 10);
    scene.point_at_with(&crm.url(), &edit);
    let report = scene.program.sync(&[], code);
    all_pending(&scene, &report);
    // The last one may have been given up before the CRM has read it.
    until("what was printed is what the CRM saw", || {
        report["requests"]["sent"] == crm.seen().len()
    });
    let requests = crm.seen().len();
    assert!(
        (1..=most_requests).contains(&requests),
        "{requests} requests"
    );
    scene.said(&scene.program.run(&["sync"]), code, stdout, stderr);
    scene.settles_undisturbed();
}

/// A 200 with this body.
pub fn answer(body: &str) -> Reply {
    Reply::Json(200, body.to_owned())
}

#[test]
fn a_closed_port_ends_the_run_early_and_rejects_nothing() {
    let scene = Scene::generated(16_000, 11);
    assert!(scene.golden().len() >= 10_000, "{}", scene.golden().len());
    scene.point_at(&format!("http://127.0.0.1:{}", closed_port()));
    let report = scene.program.sync(&[], 4);
    all_pending(&scene, &report);
    let connects = report["requests"]["unconnected"].as_u64().unwrap();
    assert!((1..=20).contains(&connects), "{connects} connects");
    assert_eq!(report["requests"]["sent"], 0, "no request found a CRM");
    scene.said(&scene.program.run(&["sync"]), 4, "Not everything is there yet: 10551 calls pending: no connection to the CRM: tcp connect error: Connection refused (os error 111). The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      16000 read; left out: 2082 with a short destination, 710 without a caller's number; 2657 folded into another row of the same call
  calls     10551: 10551 pending
  same key  668 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: 10551 calls pending: no connection to the CRM: tcp connect error: Connection refused (os error 111)\n");
    scene.settles_undisturbed();
}

#[test]
fn a_mute_crm_ends_the_run_after_some_deadlines() {
    let crm = Unruly::always(Reply::Silence);
    stops(&crm, 4, 20, |config| with(config, "target", "timeout = \"600ms\""), "Not everything is there yet: 103 calls pending: no complete reply within 600ms. The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: 103 calls pending: no complete reply within 600ms\n");
}

#[test]
fn a_long_retry_after_ends_the_run_at_once() {
    let crm = Unruly::always(Reply::With(
        503,
        "Retry-After: 3600\r\n".to_owned(),
        String::new(),
    ));
    stops(&crm, 4, 1, str::to_owned, "Not everything is there yet: 103 calls pending: the CRM answered 503 (service unavailable); it asks to be left alone for 1h. The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: 103 calls pending: the CRM answered 503 (service unavailable); it asks to be left alone for 1h\n");
}

#[test]
fn errors_on_every_second_request_are_made_up_for_by_the_following_runs() {
    let scene = Scene::generated(600, 12);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |n, line| {
        if n % 2 == 0 {
            Reply::Json(500, String::new())
        } else {
            pass_on(addr, line)
        }
    });
    scene.point_at(&crm.url());
    let mut codes = Vec::new();
    while codes.last() != Some(&0) {
        assert!(codes.len() < 6, "{codes:?}");
        let before = crm.seen().len();
        let ran = scene.program.run(&["sync", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        super::program::check_sums(&report);
        assert_eq!(report["calls"]["rejected"], 0, "{report}");
        let due = report["calls"]["total"].as_u64().unwrap()
            - report["calls"]["unchanged"].as_u64().unwrap();
        let sent = crm.seen().len() - before;
        assert!(
            sent as f64 <= 1.8 * due as f64 + 50.0,
            "{sent} requests for {due} calls"
        );
        codes.push(ran.code);
    }
    assert!(
        codes[..codes.len() - 1].iter().all(|code| *code == 4),
        "{codes:?}"
    );
    scene.check(&behind);
    assert_eq!(
        behind.stats().existing,
        0,
        "an error before the CRM doubles nothing"
    );
}

#[test]
fn one_web_page_is_only_a_trouble() {
    let scene = Scene::generated(60, 13);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |n, line| match n {
        3 => answer("<html>one moment</html>"),
        _ => pass_on(addr, line),
    });
    scene.point_at(&crm.url());
    scene.program.sync(&[], 0);
    scene.check(&behind);
}

#[test]
fn max_runtime_ends_the_run_and_the_next_one_goes_on() {
    let scene = Scene::generated(150, 17);
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let behind = sandbox();
    let crm = Unruly::start({
        let asked = std::sync::Arc::clone(&asked);
        let addr = behind.addr;
        move |_, line| {
            asked.fetch_add(1, Ordering::SeqCst);
            // Longer than the run may last, so that it ends with this request whatever the machine is busy with.
            std::thread::sleep(std::time::Duration::from_millis(1500));
            pass_on(addr, line)
        }
    });
    scene.point_at(&crm.url());
    let report = scene.program.sync(&["--max-runtime", "1s"], 4);
    assert!(
        asked.load(Ordering::SeqCst) <= 1,
        "the first request goes alone"
    );
    let pending = report["calls"]["pending"].as_u64().unwrap();
    assert_eq!(
        report["exit"]["reason"],
        format!("{pending} calls pending: --max-runtime passed")
    );
    assert!(pending as usize >= scene.golden().len() - 1);
    let ran = scene.program.run(&["sync", "--max-runtime", "0s"]);
    let before = format!("cdrelay: {pending} calls pending: --max-runtime passed\n");
    assert_eq!((ran.code, ran.stderr), (4, before), "no time, no request");
    scene.settles_at(&behind, str::to_owned);
}
