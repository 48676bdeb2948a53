//! What `status` and `explain` say, in full.

use serde_json::{Value, json};

use super::listed::{WINDOW, run, scene};

#[test]
fn status_tells_how_the_replication_stands() {
    let (scene, _crm, _behind) = scene();
    scene.said(
        &scene.program.run(&["status"]),
        0,
        "cdrelay: no run yet; begin with `cdrelay check`, then `cdrelay sync`.

  calls
    none
  last full run  never succeeded
  runs
",
        "",
    );
    run(&scene, &[]);
    scene
        .program
        .sync(&[WINDOW.as_slice(), &["--full"]].concat(), 0);
    let mut ran = scene.program.run(&["status"]);
    let stamps = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b\d+s ago").unwrap();
    ran.stdout = stamps.replace_all(&ran.stdout, "WHEN").into_owned();
    scene.said(&ran, 0, "cdrelay: in order; last success WHEN.

  calls
    delivered   3
    unmatched   1
    rejected    1
    same key    1 (kept out by a call with equal start, source and destination)
  last full run  WHEN
  runs
        2  WHEN  full         exit 0   everything in the window is settled
        1  WHEN  incremental  exit 3   the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words
", "");
    let ran = scene.program.run(&["status", "--output", "json"]);
    let mut status: Value = serde_json::from_str(&ran.stdout).unwrap();
    for run in status["runs"].as_array_mut().unwrap() {
        let fields = run.as_object_mut().unwrap();
        for key in ["started", "ended", "counts"] {
            assert!(!fields.remove(key).unwrap().is_null(), "{key}");
        }
    }
    for key in ["last_success_age_s", "last_full_success_age_s"] {
        assert!(
            status
                .as_object_mut()
                .unwrap()
                .remove(key)
                .unwrap()
                .as_u64()
                .unwrap()
                < 600,
            "{key}"
        );
    }
    let last = status.as_object_mut().unwrap().remove("last_success");
    assert_eq!(
        last.unwrap().as_str().unwrap().len(),
        "2026-11-27T12:00:00Z".len()
    );
    assert_eq!(
        status,
        json!({
            "job": "cdrelay",
            "calls": {"delivered": 3, "held": 0, "in_flight": 0, "pending": 0, "rejected": 1, "unmatched": 1, "withdrawn": 0},
            "oldest_pending": null, "lag_s": null, "drift": 0, "drift_first": null, "drift_last": null, "stuck": 0, "collisions": 1, "missing": {"gone": 0, "left_out": 0}, "unfinished_deletions": [],
            "runs": [
                {"run_id": 2, "mode": "full", "exit": {"code": 0, "reason": "everything in the window is settled"}},
                {"run_id": 1, "mode": "incremental", "exit": {"code": 3, "reason": "the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words"}},
            ],
        })
    );
}

#[test]
fn explain_shows_every_step() {
    let (scene, _crm, _behind) = scene();
    let numbers = [
        "explain",
        "92853348",
        "904145553348",
        "02122853348",
        "9",
        "",
        "*72\u{1b}",
    ];
    scene.said(
        &scene.program.run(&numbers),
        0,
        r#"92853348
  local (line 6): 92853348 -> 02122853348, and stop
  = 02122853348

904145553348
  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): 904145553348 -> 04145553348
  = 04145553348

02122853348
  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): does not apply
  = 02122853348

9
  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): dropped, the rule leaves an empty number
  = not sent: dropped by outside line, the rule leaves an empty number


  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): does not apply
  = 

*72\u{1b}
  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): does not apply
  = *72\u{1b}
"#,
        "",
    );
    scene.said(
        &scene.program.run(&["explain", "--source", "7001"]),
        0,
        "7001
  = 7001 (there is no rule: sent as the column holds it)
",
        "",
    );
    scene.said(
        &scene
            .program
            .run(&["explain", "92853348", "--output", "json"]),
        0,
        "{\"job\":\"cdrelay\",\"numbers\":[{\"dropped_by\":null,\"number\":\"92853348\",\"result\":\"02122853348\",\"steps\":[{\"after\":\"02122853348\",\"before\":\"92853348\",\"effect\":\"ended\",\"line\":6,\"rule\":\"local\"}]}]}\n",
        "",
    );
    scene.said(
        &scene.program.run(&["explain", "--", "-5"]),
        0,
        "-5
  local (line 6): `_9NXXXXXX` does not match
  outside line (line 12): does not apply
  = -5
",
        "",
    );
    scene.said(
        &scene.program.run(&["explain"]),
        2,
        "",
        "error: the following required arguments were not provided:
  <NUMBER>...

Usage: cdrelay explain <NUMBER>...

For more information, try '--help'.
",
    );
}
