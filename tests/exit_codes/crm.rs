//! Codes 4 and 6: a CRM that is down, slow, overloaded, or does not speak as agreed. Nothing is ever rejected by it.

use std::sync::atomic::{AtomicUsize, Ordering};

use cdrelay::sandbox::{Credentials, SandboxOptions};
use serde_json::Value;

use super::scene::{Scene, closed_port, pass_on, sandbox, sandbox_with, with};
use super::unruly::{Reply, Unruly};

/// Every call of the window is due still, and none is rejected or held.
#[track_caller]
fn all_pending(scene: &Scene, report: &Value) {
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
fn stops(
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
    let requests = crm.seen().len();
    assert!(
        (1..=most_requests).contains(&requests),
        "{requests} requests"
    );
    assert_eq!(report["requests"]["sent"], requests, "{report}");
    scene.said(&scene.program.run(&["sync"]), code, stdout, stderr);
    scene.settles_undisturbed();
}

/// A 200 with this body.
fn answer(body: &str) -> Reply {
    Reply::Json(200, body.to_owned())
}

#[test]
fn a_closed_port_ends_the_run_early_and_rejects_nothing() {
    let scene = Scene::generated(16_000, 11);
    assert!(scene.golden().len() >= 10_000, "{}", scene.golden().len());
    scene.point_at(&format!("http://127.0.0.1:{}", closed_port()));
    let report = scene.program.sync(&[], 4);
    all_pending(&scene, &report);
    let connects = report["requests"]["sent"].as_u64().unwrap();
    assert!((1..=20).contains(&connects), "{connects} connects");
    scene.said(&scene.program.run(&["sync"]), 4, "Not everything is there yet: 10551 calls pending: no connection to the CRM: tcp connect error: Connection refused (os error 111). The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      16000 read; left out: 2082 with a short destination, 710 without a caller's number; 2657 folded into another row of the same call
  calls     10551: 10551 pending
  same key  668 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: 10551 calls pending: no connection to the CRM: tcp connect error: Connection refused (os error 111)\n");
    scene.settles_undisturbed();
}

#[test]
fn a_mute_crm_ends_the_run_after_some_deadlines() {
    let crm = Unruly::always(Reply::Silence);
    stops(&crm, 4, 20, |config| with(config, "target", "timeout = \"1s\""), "Not everything is there yet: 103 calls pending: no complete reply within 1s. The next run goes on by itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: 103 calls pending: no complete reply within 1s\n");
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
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
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
fn a_redirect_is_not_followed() {
    let lured = sandbox();
    let crm = Unruly::always(Reply::With(
        302,
        format!("Location: {}login?next=x\r\n", lured.url),
        String::new(),
    ));
    stops(&crm, 6, 1, str::to_owned, "Stopped: the CRM answered 302 and points to 127.0.0.1; redirects are not followed: set `target.url` to the address that answers itself.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM answered 302 and points to 127.0.0.1; redirects are not followed: set `target.url` to the address that answers itself\n");
    assert_eq!(lured.stats().requests, 0);
}

#[test]
fn a_web_page_again_and_again_is_a_wrong_address() {
    let crm = Unruly::always(Reply::With(
        200,
        "X-Frame-Options: DENY\r\n".to_owned(),
        "<!DOCTYPE html><title>Log in</title>".to_owned(),
    ));
    stops(&crm, 6, 20, str::to_owned, "Stopped: the CRM answered with a web page instead of JSON again and again: the CRM answered 200, but the reply is an HTML page; check `target.url` and whether a login page stands in front of the web service.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM answered with a web page instead of JSON again and again: the CRM answered 200, but the reply is an HTML page; check `target.url` and whether a login page stands in front of the web service\n");
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
fn a_crm_that_asks_for_credentials_which_nobody_gave_stops_the_run() {
    let crm = Unruly::always(Reply::With(
        401,
        "WWW-Authenticate: Digest realm=\"NiMbox\", nonce=\"abc\", qop=\"auth\"\r\n".to_owned(),
        String::new(),
    ));
    stops(&crm, 6, 1, str::to_owned, "Stopped: the CRM wants a user and a password (it offers Digest); set `target.username` and `target.password_file`.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM wants a user and a password (it offers Digest); set `target.username` and `target.password_file`\n");
}

#[test]
fn a_wrong_password_stops_the_run_after_two_requests() {
    let scene = Scene::generated(60, 14);
    let crm = sandbox_with(SandboxOptions {
        credentials: Credentials::Basic {
            username: "admin".to_owned(),
            password: "right".to_owned(),
        },
        ..SandboxOptions::default()
    });
    let edit = |config: &str| {
        with(
            config,
            "target",
            "username = \"admin\"\npassword_file = \"crm.password\"",
        )
    };
    scene.program.write("crm.password", "wrong-canary\n");
    scene.point_at_with(crm.url.as_str(), edit);
    let report = scene.program.sync(&[], 6);
    all_pending(&scene, &report);
    assert_eq!(crm.stats().requests, 2);
    scene.said(&scene.program.run(&["sync"]), 6, "Stopped: user or password refused: the CRM answered 401 to the credentials; check `target.username` and `target.password_file`.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      60 read; left out: 8 with a short destination, 2 without a caller's number; 11 folded into another row of the same call
  calls     39: 39 pending
  same key  3 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: user or password refused: the CRM answered 401 to the credentials; check `target.username` and `target.password_file`\n");
    scene.program.write("crm.password", "right\n");
    scene.settles_at(&crm, edit);
}

#[test]
fn a_refused_token_stops_the_run_and_names_the_setting() {
    let scene = Scene::generated(60, 15);
    let crm = sandbox();
    scene.program.write("crm.token", "canary-token\n");
    scene.point_at(crm.url.as_str());
    let report = scene.program.sync(&[], 6);
    all_pending(&scene, &report);
    assert_eq!(crm.stats().requests, 1);
    scene.said(&scene.program.run(&["sync"]), 6, "Stopped: the CRM refused the token: token: el token no es válido; check `target.token_file`.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      60 read; left out: 4 with a short destination, 6 without a caller's number; 10 folded into another row of the same call
  calls     40: 40 pending
  same key  3 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM refused the token: token: el token no es válido; check `target.token_file`\n");
    scene.program.write("crm.token", "sandbox\n");
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn ten_equal_refusals_of_the_first_calls_reject_nothing() {
    let crm = Unruly::always(answer(
        r#"{"error":true,"errors":{"initiated":"fecha inválida"}}"#,
    ));
    stops(&crm, 6, 10 + 32, str::to_owned, "Stopped: the CRM refused each of the first 10 calls with the same words: initiated: fecha inválida; nothing was recorded as rejected; correct what they complain about and run again.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM refused each of the first 10 calls with the same words: initiated: fecha inválida; nothing was recorded as rejected; correct what they complain about and run again\n");
}

#[test]
fn one_id_for_three_calls_is_not_believed() {
    let crm = Unruly::always(answer(r#"{"error":false,"contactId":1,"phonecallId":7}"#));
    let scene = Scene::generated(150, 16);
    scene.point_at(&crm.url());
    let report = scene.program.sync(&[], 6);
    assert_eq!(report["calls"]["rejected"], 0);
    let delivered = report["calls"]["created"].as_u64().unwrap();
    assert_eq!(delivered, 2, "those before it was noticed");
    scene.said(&scene.program.run(&["sync"]), 6, "Stopped: the CRM reported phonecallId 7 for 3 different calls as created: its answers do not belong to the calls they answer; ask its administrator.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 18 with a short destination, 7 without a caller's number; 26 folded into another row of the same call
  calls     99: 2 unchanged, 2 created, 95 pending
  same key  6 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM reported phonecallId 7 for 3 different calls as created: its answers do not belong to the calls they answer; ask its administrator\n");
    let honest = sandbox();
    scene.point_at(honest.url.as_str());
    scene.program.sync(&["--full", "--resend"], 0);
    scene.check(&honest);
}

#[test]
fn words_of_the_crm_are_shown_escaped() {
    let crm = Unruly::always(answer(
        r#"{"error":true,"errors":{"token":"no\u001b[2J\nok: everything is there\u202e"}}"#,
    ));
    stops(
        &crm,
        6,
        1,
        str::to_owned,
        r#"Stopped: the CRM refused the token: token: no\u{1b}[2J\nok: everything is there\u{202e}; check `target.token_file`.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls share start, source and destination with another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
"#,
        "cdrelay: the CRM refused the token: token: no\\u{1b}[2J\\nok: everything is there\\u{202e}; check `target.token_file`\n",
    );
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
