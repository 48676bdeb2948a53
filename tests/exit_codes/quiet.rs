//! `--quiet`, for cron, which mails whatever is printed: silence unless a person has to act.

use super::scene::{Scene, closed_port, pass_on, sandbox, with};
use super::unruly::{Reply, Unruly};

#[test]
fn quiet_is_silent_about_success_and_about_what_heals_by_itself() {
    let scene = Scene::generated(60, 60);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    scene.said(&scene.program.run(&["sync", "--quiet"]), 0, "", "");
    scene.said(
        &scene.program.run(&["sync", "--quiet", "--full"]),
        0,
        "",
        "",
    );
    scene.check(&crm);
    scene.point_at(&format!("http://127.0.0.1:{}", closed_port()));
    scene.said(
        &scene.program.run(&["sync", "--quiet", "--resend"]),
        4,
        "",
        "",
    );
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn quiet_speaks_about_rejected_calls() {
    let scene = Scene::generated(60, 61);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |n, line| match n {
        5 => Reply::Json(
            200,
            r#"{"error":true,"errors":{"duration":"no"}}"#.to_owned(),
        ),
        _ => pass_on(addr, line),
    });
    scene.point_at(&crm.url());
    scene.said(&scene.program.run(&["sync", "--quiet"]), 3, "Finished, but look: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      60 read; left out: 8 with a short destination, 3 without a caller's number; 8 folded into another row of the same call
  calls     41: 40 created, 1 rejected
  same key  3 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words\n");
    scene.said(&scene.program.run(&["sync", "--quiet"]), 0, "", "");
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn quiet_speaks_about_a_crm_that_refuses_the_token() {
    let scene = Scene::generated(60, 62);
    let crm = sandbox();
    scene.program.write("crm.token", "other\n");
    scene.point_at(crm.url.as_str());
    scene.said(&scene.program.run(&["sync", "--quiet"]), 6, "Stopped: the CRM refused the token: token: el token no es válido; check `target.token_file`.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      60 read; left out: 5 with a short destination, 4 without a caller's number; 6 folded into another row of the same call
  calls     45: 45 pending
  same key  4 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM refused the token: token: el token no es válido; check `target.token_file`\n");
    scene.program.write("crm.token", "sandbox\n");
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn quiet_speaks_about_what_should_have_healed_by_now() {
    let scene = Scene::generated(60, 63);
    let crm = sandbox();
    let impatient = |config: &str| with(config, "monitor", "alert_after = \"1s\"");
    scene.point_at_with(crm.url.as_str(), impatient);
    scene.said(&scene.program.run(&["sync", "--quiet"]), 0, "", "");
    // Older than the second that is allowed; the ledger counts whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    scene.point_at_with(&format!("http://127.0.0.1:{}", closed_port()), impatient);
    let ran = scene.program.run(&["sync", "--quiet", "--resend"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let said = regex::Regex::new(
        r"^cdrelay: 40 calls pending: no connection to the CRM: .*; the last success was at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(America/Caracas\), \d+s ago: `cdrelay check` says what is not ready, `cdrelay status` shows the runs\n$",
    )
    .unwrap();
    assert!(said.is_match(&ran.stderr), "{ran:?}");
    assert!(
        ran.stdout
            .starts_with("Not everything is there yet: 40 calls pending"),
        "{ran:?}"
    );
    scene.settles_at(&crm, str::to_owned);
}
