//! What `calls`, `status` and `explain` say, in full.

use cdrelay::sandbox::{Contacts, SandboxOptions};
use serde_json::{Value, json};

use super::golden::Row;
use super::scene::{Scene, pass_on, sandbox_with};
use super::unruly::{Reply, Unruly};

/// 2026-03-02 09:00:00 in Caracas, as a wall clock.
const BEGUN: i64 = 1_772_442_000;

/// Arguments of a run over the days of the rows.
const WINDOW: [&str; 4] = ["--since", "2026-03-01", "--until", "2026-03-10"];

fn row(minutes: i64, src: &str, dst: &str, disposition: &'static str, sequence: u64) -> Row {
    Row {
        wall: BEGUN + minutes * 60,
        src: src.to_owned(),
        dst: dst.to_owned(),
        duration: 40 + sequence,
        disposition,
        uniqueid: format!("call-{sequence}"),
        sequence,
        recordingfile: String::new(),
    }
}

/// One call of every kind, all answered by a CRM.
fn scene() -> (Scene, Unruly, cdrelay::sandbox::RunningSandbox) {
    let scene = Scene::of(vec![
        row(0, "7001", "92853348", "ANSWERED", 1),
        row(1, "7002", "904145550002", "NO ANSWER", 2),
        row(2, "7003\u{1b}[31m", "0414555\n0003", "BUSY", 3),
        // Two ways to dial one number in one second: the answered one stays.
        row(3, "7004", "92853349", "NO ANSWER", 4),
        row(3, "7004", "902122853349", "ANSWERED", 5),
        row(24 * 60, "7005", "902125550005", "ANSWERED", 6),
        row(25 * 60, "7001", "7002", "ANSWERED", 7),
    ]);
    let behind = sandbox_with(SandboxOptions {
        contacts: Contacts::parse("02122853348\n02122853349\n0414555\n02125550005\n"),
        ..SandboxOptions::default()
    });
    let addr = behind.addr;
    let crm = Unruly::start(move |_, line| {
        if line.contains("source=7003") {
            Reply::Json(
                200,
                r#"{"error":true,"errors":{"source":"origen\u202e desconocido"}}"#.to_owned(),
            )
        } else {
            pass_on(addr, line)
        }
    });
    scene.point_at(&crm.url());
    (scene, crm, behind)
}

fn run(scene: &Scene, more: &[&str]) -> super::program::Ran {
    let mut args = vec!["sync"];
    args.extend(WINDOW);
    args.extend(more);
    scene.program.run(&args)
}

#[test]
fn calls_lists_every_state_and_what_was_kept_out() {
    let (scene, _crm, _behind) = scene();
    scene.said(
        &scene.program.run(&["calls"]),
        0,
        "The ledger holds no such call.\n",
        "",
    );
    scene.said(&run(&scene, &[]), 3, "?", "?");
    scene.said(&scene.program.run(&["calls"]), 0, "?", "");
    scene.said(
        &scene.program.run(&["calls", "--state", "unmatched"]),
        0,
        "?",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--state", "rejected"]),
        0,
        "?",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--since", "2026-03-03"]),
        0,
        "?",
        "",
    );
    scene.said(
        &scene.program.run(&[
            "calls",
            "--since",
            "2026-03-02 09:01",
            "--until",
            "2026-03-02 09:02",
        ]),
        0,
        "?",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--state", "held"]),
        0,
        "The ledger holds no such call.\n",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--state", "lost"]),
        2,
        "",
        "?",
    );
    scene.said(
        &scene.program.run(&["calls", "--since", "then"]),
        2,
        "",
        "?",
    );
}

#[test]
fn calls_as_json_is_one_object_a_line() {
    let (scene, _crm, _behind) = scene();
    run(&scene, &[]);
    let ran = scene.program.run(&["calls", "--output", "json"]);
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 6, "{ran:?}");
    let mut first = lines[0].clone();
    assert!(first["last_attempt"].is_number(), "{first}");
    first["last_attempt"] = Value::Null;
    assert_eq!(
        first,
        json!({
            "state": "delivered", "pending": null, "start": "2026-03-02 09:00:00", "fold": 0, "source": "7001",
            "destination": "92853348", "instant": "2026-03-02T13:00:00Z",
            "wire": {"initiated": "2026-03-02T13:00:00Z", "source": "7001", "destination": "02122853348", "duration": 41, "url": null},
            "attempts": 1, "last_attempt": null, "reason": null, "drift": false, "contact_id": 10001, "call_id": 1,
            "uniqueid": "call-1", "linkedid": null, "disposition": "ANSWERED",
        })
    );
    assert_eq!(
        lines[2]["source"], "7003\u{1b}[31m",
        "JSON escapes by itself"
    );
    assert_eq!(
        (&lines[1]["state"], &lines[2]["state"]),
        (&json!("unmatched"), &json!("rejected"))
    );
    assert_eq!(
        lines[5],
        json!({"collision": {"start": "2026-03-02 09:03:00", "source": "7004", "destination": "92853349",
            "owner": {"start": "2026-03-02 09:03:00", "source": "7004", "destination": "902122853349"}}})
    );
    let ran = scene
        .program
        .run(&["calls", "--output", "json", "--state", "delivered"]);
    assert_eq!(ran.stdout.lines().count(), 3, "{ran:?}");
    let report = scene.program.sync(&WINDOW, 0);
    assert_eq!(
        (&report["collisions"], &report["rows"]["merged"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
}

#[test]
fn status_tells_how_the_replication_stands() {
    let (scene, _crm, _behind) = scene();
    scene.said(&scene.program.run(&["status"]), 0, "?", "");
    run(&scene, &[]);
    scene
        .program
        .sync(&[WINDOW.as_slice(), &["--full"]].concat(), 0);
    let mut ran = scene.program.run(&["status"]);
    let stamps = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b\d+s ago").unwrap();
    ran.stdout = stamps.replace_all(&ran.stdout, "WHEN").into_owned();
    scene.said(&ran, 0, "?", "");
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
    assert_eq!(
        status,
        json!({
            "job": "cdrelay",
            "calls": {"delivered": 3, "held": 0, "in_flight": 0, "pending": 0, "rejected": 1, "unmatched": 1, "withdrawn": 0},
            "oldest_pending": null, "drift": 0, "collisions": 1, "unfinished_deletions": [],
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
    scene.said(&scene.program.run(&numbers), 0, "?", "");
    scene.said(
        &scene.program.run(&["explain", "--source", "7001"]),
        0,
        "?",
        "",
    );
    scene.said(
        &scene
            .program
            .run(&["explain", "92853348", "--output", "json"]),
        0,
        "?",
        "",
    );
    scene.said(&scene.program.run(&["explain", "--", "-5"]), 0, "?", "");
    scene.said(&scene.program.run(&["explain"]), 2, "", "?");
}
