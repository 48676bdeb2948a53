//! Code 6: a CRM that does not speak as agreed. Nothing is ever rejected by it.

use cdrelay::sandbox::{Contacts, Credentials, DigestAlgorithm, SandboxOptions};
use serde_json::Value;

use super::crm::{all_pending, answer, stops};
use super::scene::{Scene, pass_on, sandbox, sandbox_with, with};
use super::unruly::{Reply, Unruly};

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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM answered with a web page instead of JSON again and again: the CRM answered 200, but the reply is an HTML page; check `target.url` and whether a login page stands in front of the web service\n");
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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
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
  same key  3 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
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
  same key  3 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM refused each of the first 10 calls with the same words: initiated: fecha inválida; nothing was recorded as rejected; correct what they complain about and run again\n");
}

const ONE_ID: &str = r#"{"error":false,"contactId":1,"phonecallId":70000007}"#;

#[test]
fn one_id_for_three_calls_is_not_believed_and_none_of_them_stays_delivered() {
    let crm = Unruly::always(answer(ONE_ID));
    stops(&crm, 6, 5, str::to_owned, "Stopped: the CRM reported phonecallId 70000007 for 3 different calls as created: its answers do not belong to the calls they answer; ask its administrator.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      150 read; left out: 16 with a short destination, 11 without a caller's number; 20 folded into another row of the same call
  calls     103: 103 pending
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM reported phonecallId 70000007 for 3 different calls as created: its answers do not belong to the calls they answer; ask its administrator\n");
}

#[test]
fn calls_that_shared_an_id_are_due_again_even_where_they_were_recorded_long_before() {
    let scene = Scene::generated(150, 16);
    let behind = sandbox();
    let addr = behind.addr;
    // The first, the sixth and the last but some are told one id; those between are created in truth.
    let crm = Unruly::start(move |n, line| match n {
        0 | 5 | 60 => answer(ONE_ID),
        _ => pass_on(addr, line),
    });
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "concurrency = 1")
    });
    let report = scene.program.sync(&[], 6);
    let calls = &report["calls"];
    assert_eq!(
        (calls["created"].as_u64(), calls["rejected"].as_u64()),
        (Some(58), Some(0)),
        "{report}"
    );
    let listed = scene.listed();
    let doubted: Vec<_> = listed
        .iter()
        .filter(|call| call["pending"] == "verify")
        .collect();
    assert_eq!(doubted.len(), 3, "{doubted:?}");
    for call in doubted {
        assert_eq!(
            call["reason"],
            "the CRM reported phonecallId 70000007 for 3 different calls as created: its answers do not belong to the calls they answer; ask its administrator"
        );
        assert_eq!(call["call_id"], Value::Null);
    }
    assert_eq!(
        scene.states(),
        [
            ("delivered".to_owned(), 58),
            ("pending".to_owned(), scene.golden().len() - 58)
        ]
    );
    // An ordinary run against a sane CRM makes up for it.
    scene.point_at(behind.url.as_str());
    let report = scene.program.sync(&[], 0);
    assert_eq!(report["calls"]["unchanged"], 58, "{report}");
    scene.check(&behind);
}

#[test]
fn unmatched_calls_in_the_ledger_do_not_make_one_text_for_all_credible() {
    let scene = Scene::generated(150, 18);
    let strangers = sandbox_with(SandboxOptions {
        contacts: Contacts::Numbers(std::collections::HashSet::new()),
        ..SandboxOptions::default()
    });
    scene.point_at(strangers.url.as_str());
    scene.program.sync(&[], 0);
    let unmatched = scene.states();
    assert_eq!(unmatched, [("unmatched".to_owned(), scene.golden().len())]);
    let crm = Unruly::always(answer(
        r#"{"error":true,"errors":{"initiated":"fecha inválida"}}"#,
    ));
    scene.point_at(&crm.url());
    let report = scene.program.sync(&["--full"], 6);
    assert_eq!(report["calls"]["rejected"], 0, "{report}");
    assert_eq!(scene.states(), unmatched);
    scene.settles_undisturbed();
}

#[test]
fn a_text_that_a_rejected_call_has_is_believed_the_next_time_and_another_one_is_not() {
    let refusal = |words: &str| {
        answer(&format!(
            r#"{{"error":true,"errors":{{"source":"{words}"}}}}"#
        ))
    };
    // Too few calls to be suspicious.
    let mut rows = Scene::generated(300, 19).rows;
    let later = rows.split_off(20);
    let scene = Scene::of(rows);
    let few = scene.golden().len();
    let crm = Unruly::always(refusal("no se admite"));
    scene.point_at(&crm.url());
    if few >= 10 {
        // The same, had there been more of them.
        scene.program.sync(&[], 6);
        assert!(scene.states().iter().all(|(state, _)| state == "pending"));
    }
    let scene = Scene::of(scene.rows[..8].to_vec());
    let few = scene.golden().len();
    assert!((1..10).contains(&few), "{few}");
    scene.point_at(&crm.url());
    scene.program.sync(&[], 3);
    assert_eq!(scene.states(), [("rejected".to_owned(), few)]);
    for insert in super::golden::inserts("cdr", &later) {
        scene.source().execute_batch(&insert).unwrap();
    }
    let scene = Scene {
        rows: scene.rows.iter().chain(&later).cloned().collect(),
        ..scene
    };
    let other = Unruly::always(refusal("otra cosa"));
    scene.point_at(&other.url());
    let report = scene.program.sync(&[], 6);
    assert_eq!(report["calls"]["rejected"], 0, "{report}");
    scene.point_at(&crm.url());
    let report = scene.program.sync(&[], 3);
    assert_eq!(
        report["calls"]["rejected"],
        scene.golden().len() - few,
        "{report}"
    );
    scene.settles_undisturbed();
}

#[test]
fn a_login_is_counted_as_the_requests_that_it_takes() {
    for (credentials, extra) in [
        (
            Credentials::Basic {
                username: "admin".to_owned(),
                password: "right".to_owned(),
            },
            1,
        ),
        (
            Credentials::Digest {
                username: "admin".to_owned(),
                password: "right".to_owned(),
                algorithm: DigestAlgorithm::Sha256,
                nonce_uses: Some(10),
            },
            4,
        ),
    ] {
        let scene = Scene::generated(60, 14);
        let crm = sandbox_with(SandboxOptions {
            credentials,
            ..SandboxOptions::default()
        });
        scene.program.write("crm.password", "right\n");
        scene.point_at_with(crm.url.as_str(), |config| {
            with(
                config,
                "target",
                "username = \"admin\"\npassword_file = \"crm.password\"\nconcurrency = 1",
            )
        });
        let report = scene.program.sync(&[], 0);
        let calls = scene.golden().len() as u64;
        assert_eq!(report["requests"]["sent"], crm.stats().requests, "{report}");
        assert_eq!(report["requests"]["sent"], calls + extra, "{report}");
        assert_eq!(report["requests"]["retried"], extra, "{report}");
        scene.check(&crm);
    }
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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
"#,
        "cdrelay: the CRM refused the token: token: no\\u{1b}[2J\\nok: everything is there\\u{202e}; check `target.token_file`\n",
    );
}
