//! Code 3: calls that the CRM refuses, each for its own reason, and calls whose number nobody has.

use cdrelay::sandbox::{Contacts, SandboxOptions};

use super::scene::{Scene, pass_on, sandbox, sandbox_with};
use super::unruly::{Reply, Unruly};

#[test]
fn a_rejection_is_reported_once_and_asked_again_by_full_runs_only() {
    let scene = Scene::generated(200, 20);
    let behind = sandbox();
    let addr = behind.addr;
    // Refuses what goes abroad, which no other call shares its number with.
    let crm = Unruly::start(move |_, line| {
        if line.contains("destination=0012125550") {
            Reply::Json(
                422,
                r#"{"error":true,"errors":{"duration":"llamada internacional no permitida"}}"#
                    .to_owned(),
            )
        } else {
            pass_on(addr, line)
        }
    });
    let golden = scene.golden();
    let abroad = golden
        .keys()
        .filter(|key| key.2.starts_with("0012125550"))
        .count();
    assert!(abroad > 10, "{abroad}");
    scene.point_at(&crm.url());
    let report = scene.program.sync(&[], 3);
    assert_eq!(report["calls"]["rejected"], abroad, "{report}");
    assert_eq!(
        report["calls"]["created"],
        golden.len() - abroad,
        "{report}"
    );
    assert_eq!(
        report["exit"]["reason"],
        format!(
            "the CRM rejected {abroad} calls for good; `cdrelay calls --state rejected` lists them with its words"
        )
    );
    let before = crm.seen().len();
    scene.said(&scene.program.run(&["sync"]), 0, "Everything is settled: 145 calls, nothing to send; 37 of them refused by the CRM for good (`cdrelay calls --state rejected`).

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      200 read; left out: 21 with a short destination, 7 without a caller's number; 27 folded into another row of the same call
  calls     145: 145 unchanged
  same key  11 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  none
  time      TIME
", "");
    assert_eq!(
        crm.seen().len(),
        before,
        "an incremental run does not ask again"
    );
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["rejected"], abroad, "{report}");
    assert_eq!(
        crm.seen().len(),
        before + abroad,
        "a full run does, and their refusal is no news"
    );
    let listed = scene.program.run(&["calls", "--state", "rejected"]);
    assert_eq!(listed.stdout.lines().count(), abroad);
    assert!(
        listed
            .stdout
            .lines()
            .all(|line| line.ends_with("  duration: llamada internacional no permitida")),
        "{}",
        listed.stdout
    );
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn the_text_of_a_run_with_rejections_says_what_to_look_at() {
    let scene = Scene::generated(40, 21);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |n, line| match n {
        7 => Reply::Json(
            200,
            r#"{"error":true,"errors":{"duration":"\u001b[31mdemasiado\n larga"}}"#.to_owned(),
        ),
        _ => pass_on(addr, line),
    });
    scene.point_at(&crm.url());
    scene.said(&scene.program.run(&["sync"]), 3, "Finished, but look: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      40 read; left out: 6 with a short destination, 2 without a caller's number; 8 folded into another row of the same call
  calls     24: 23 created, 1 rejected
  same key  3 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words\n");
    scene.said(
        &scene
            .program
            .run(&["calls", "--state", "rejected", "--since", "2099-01-01"]),
        0,
        "The ledger holds no such call.\n",
        "",
    );
    let ran = scene.program.run(&["calls", "--state", "rejected"]);
    assert!(
        ran.stdout
            .ends_with("  duration: \\u{1b}[31mdemasiado\\n larga\n"),
        "{ran:?}"
    );
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn unmatched_calls_are_no_fault_unless_somebody_asks() {
    let scene = Scene::generated(80, 22);
    let golden = scene.golden();
    let numbers: std::collections::BTreeSet<&String> = golden.keys().map(|key| &key.2).collect();
    let known: std::collections::HashSet<String> =
        numbers.iter().step_by(2).map(|n| (*n).clone()).collect();
    let unmatched = golden.keys().filter(|key| !known.contains(&key.2)).count();
    assert!(unmatched > 10 && unmatched < golden.len());
    let crm = sandbox_with(SandboxOptions {
        contacts: Contacts::Numbers(known),
        ..SandboxOptions::default()
    });
    scene.point_at(crm.url.as_str());
    scene.said(&scene.program.run(&["sync"]), 0, "Everything is settled: 61 calls, 31 of them sent now; 30 of them for numbers that no contact has (`cdrelay calls --state unmatched`).

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      80 read; left out: 10 with a short destination, 2 without a caller's number; 7 folded into another row of the same call
  calls     61: 31 created, 30 unmatched
  same key  2 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "");
    assert_eq!(crm.stats().unmatched as usize, unmatched);
    let report = scene.program.sync(&["--fail-on", "unmatched"], 3);
    assert_eq!(
        report["calls"]["unchanged"],
        golden.len(),
        "settled, not asked again: {report}"
    );
    assert_eq!(
        report["exit"]["reason"],
        format!("{unmatched} calls unmatched; `cdrelay calls --state unmatched` lists them")
    );
    let report = scene.program.sync(&["--full", "--fail-on", "unmatched"], 3);
    assert_eq!(
        report["exit"]["reason"],
        format!("{unmatched} calls unmatched; `cdrelay calls --state unmatched` lists them")
    );
    let all = sandbox();
    scene.point_at(all.url.as_str());
    scene.program.sync(&["--full", "--resend"], 0);
    scene.check(&all);
}
