//! Code 6: a CRM that does not speak as agreed. Nothing is ever rejected by it.

use cdrelay::sandbox::{Credentials, SandboxOptions};

use super::crm::{all_pending, answer, stops};
use super::scene::{Scene, sandbox, sandbox_with, with};
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
  same key  6 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
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
  same key  5 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
"#,
        "cdrelay: the CRM refused the token: token: no\\u{1b}[2J\\nok: everything is there\\u{202e}; check `target.token_file`\n",
    );
}
