//! Whatever changes after a call was sent, its bytes stay: the difference is counted, and nothing is sent under another
//! key.

use std::collections::BTreeMap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::golden::Row;
use super::scene::{Scene, now, pass_on, sandbox};
use super::unruly::Unruly;

/// The request of each call, by its source and destination at the CRM, in the order of sending.
fn requests(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut calls = BTreeMap::<String, Vec<String>>::new();
    for line in lines {
        let key = line.split("&duration=").next().unwrap().to_owned();
        calls.entry(key).or_default().push(line.clone());
    }
    calls
}

#[test]
fn corrected_rules_and_zone_are_drift_and_send_nothing() {
    let scene = Scene::generated(300, 1);
    let golden = scene.golden().len();
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |_, line| pass_on(addr, line));
    scene.point_at(&crm.url());
    scene.program.sync(&["--full"], 0);
    let first = crm.seen();
    assert_eq!(first.len(), golden);
    // Another zone, another area code, and another rendering: every call would look different today.
    let changed = |config: &str| {
        config
            .replace("America/Caracas", "America/Bogota")
            .replace("0212${EXTEN:1}", "0412${EXTEN:1}")
            .replace("initiated_as = \"utc\"", "initiated_as = \"offset\"")
    };
    scene.point_at_with(&crm.url(), changed);
    for full in [&["--full"][..], &[]] {
        let report = scene.program.sync(full, 0);
        assert_eq!(report["requests"]["sent"], 0, "{report}");
        assert_eq!(report["drift"], golden, "{report}");
        assert_eq!(report["calls"]["unchanged"], golden, "{report}");
    }
    assert_eq!(crm.seen().len(), golden);
    scene.check(&behind);
    // Asked for, the frozen bytes go again, and the CRM knows them all.
    let report = scene.program.sync(&["--full", "--resend"], 0);
    assert_eq!(report["calls"]["existing"], golden, "{report}");
    let seen = crm.seen();
    let again = requests(&seen);
    assert_eq!(again.len(), golden);
    for lines in again.values() {
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], lines[1]);
    }
    scene.check(&behind);
    let status = scene.program.run(&["status"]);
    assert!(
        status.stdout.contains(&format!(
            "    drift       {golden} (sent under older rules, zone or rows; `cdrelay calls --drift` lists them, `cdrelay rebuild --from "
        )),
        "{}",
        status.stdout
    );
    // With the old settings back, nothing is adrift any more.
    scene.point_at(&crm.url());
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(
        (&report["drift"], &report["requests"]["sent"]),
        (&0.into(), &0.into()),
        "{report}"
    );
    let listed = scene.program.run(&["calls"]);
    assert!(!listed.stdout.contains("[drift]"), "{}", listed.stdout);
}

#[test]
fn calls_that_wait_are_sent_with_their_first_bytes_after_a_change() {
    let scene = Scene::generated(60, 2);
    let golden = scene.golden().len();
    let behind = sandbox();
    let addr = behind.addr;
    // Does the work, and loses every answer of the first run.
    let answers = Arc::new(AtomicBool::new(false));
    let crm = Unruly::start({
        let answers = Arc::clone(&answers);
        move |_, line| {
            let reply = pass_on(addr, line);
            if answers.load(Ordering::SeqCst) {
                reply
            } else {
                super::unruly::Reply::Close
            }
        }
    });
    scene.point_at(&crm.url());
    let first = scene.program.sync(&[], 4);
    assert_eq!(first["calls"]["pending"], golden, "{first}");
    assert!(behind.stats().created > 1, "some were sent");
    answers.store(true, Ordering::SeqCst);
    scene.point_at_with(&crm.url(), |config| {
        config
            .replace("America/Caracas", "America/Bogota")
            .replace("0212${EXTEN:1}", "0412${EXTEN:1}")
    });
    let mut runs = 0;
    while scene.program.run(&["sync"]).code != 0 {
        runs += 1;
        assert!(runs < 20);
    }
    for (key, lines) in requests(&crm.seen()) {
        assert!(
            lines.iter().all(|line| *line == lines[0]),
            "{key}: {lines:?}"
        );
    }
    assert_eq!(behind.calls().len(), golden);
    // What was sent before the change has the old key; nothing has two.
    assert_eq!(behind.stats().created as usize, golden);
}

#[test]
fn a_late_answered_leg_is_drift_and_no_new_call() {
    let begun = now() - 7_200;
    let row = |disposition, duration, sequence| Row {
        wall: begun - 4 * 3600,
        src: "7001".to_owned(),
        dst: "904145553348".to_owned(),
        duration,
        disposition,
        uniqueid: format!("{begun}.{sequence}"),
        sequence,
        recordingfile: String::new(),
    };
    let scene = Scene::of(vec![row("NO ANSWER", 20, 1)]);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    scene.program.sync(&[], 0);
    scene.check(&crm);
    let late = row("ANSWERED", 95, 2);
    for insert in super::golden::inserts("cdr", &[late]) {
        scene.source().execute_batch(&insert).unwrap();
    }
    for full in [&[][..], &["--full"]] {
        let report = scene.program.sync(full, 0);
        assert_eq!(report["requests"]["sent"], 0, "{report}");
        assert_eq!(report["drift"], 1, "{report}");
        assert_eq!(report["rows"]["merged"], 1, "{report}");
    }
    scene.check(&crm);
    let listed = scene.program.run(&["calls"]);
    assert!(
        listed
            .stdout
            .contains("7001 -> 904145553348 (as 04145553348)  [drift]"),
        "{}",
        listed.stdout
    );
    let ran = scene.program.run(&["sync"]);
    scene.said(&ran, 0, "Everything is there: 1 call, nothing to send.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      2 read; 1 folded into another row of the same call
  calls     1: 1 unchanged
  drift     1 known call would look different by today's rules, zone or rows; what was sent stays until `cdrelay rebuild`
  requests  none
  time      TIME
", "");
}

#[test]
fn a_call_that_was_folded_for_its_key_stays_folded_after_a_change() {
    let begun = now() - 7_200;
    let row = |dst: &str, disposition, sequence| Row {
        wall: begun - 4 * 3600,
        src: "7001".to_owned(),
        dst: dst.to_owned(),
        duration: 30,
        disposition,
        uniqueid: format!("{begun}.{sequence}"),
        sequence,
        recordingfile: String::new(),
    };
    let scene = Scene::of(vec![
        row("92853348", "NO ANSWER", 1),
        row("902122853348", "ANSWERED", 2),
    ]);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let first = scene.program.sync(&[], 0);
    assert_eq!(
        (&first["collisions"], &first["calls"]["created"]),
        (&1.into(), &1.into()),
        "{first}"
    );
    let changes: [fn(&str) -> String; 2] = [
        |config| config.replace("0212${EXTEN:1}", "0412${EXTEN:1}"),
        |config| config.replace("America/Caracas", "America/Bogota"),
    ];
    for change in changes {
        scene.point_at_with(crm.url.as_str(), change);
        for args in [&[][..], &["--full"], &["--full", "--resend"]] {
            let report = scene.program.sync(args, 0);
            assert_eq!(report["calls"]["created"], 0, "{report}");
            assert_eq!(report["calls"]["total"], 1, "{report}");
            assert_eq!(report["collisions"], 1, "{report}");
        }
    }
    scene.check(&crm);
}
