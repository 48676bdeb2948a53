//! What `calls` says, in full.

use cdrelay::sandbox::{Contacts, SandboxOptions};
use serde_json::{Value, json};

use super::golden::Row;
use super::scene::{Scene, at_any_date, pass_on, sandbox_with};
use super::unruly::{Reply, Unruly};

/// 2026-03-02 09:00:00 in Caracas, as a wall clock.
const BEGUN: i64 = 1_772_442_000;

/// Arguments of a run over the days of the rows.
pub const WINDOW: [&str; 4] = ["--since", "2026-03-01", "--until", "2026-03-10"];

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
pub fn scene() -> (Scene, Unruly, cdrelay::sandbox::RunningSandbox) {
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
    scene.point_at_with(&crm.url(), at_any_date);
    (scene, crm, behind)
}

pub fn run(scene: &Scene, more: &[&str]) -> super::program::Ran {
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
    scene.said(&run(&scene, &[]), 3, "Finished, but look: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      7 read; left out: 1 with a short destination; 1 folded into another row of the same call
  calls     5: 3 created, 1 unmatched, 1 rejected
  same key  1 call with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  SENT
  time      TIME
", "cdrelay: the CRM rejected 1 call for good; `cdrelay calls --state rejected` lists them with its words\n");
    scene.said(&scene.program.run(&["calls"]), 0, r#"delivered   2026-03-02 09:00:00  7001 -> 92853348 (as 02122853348)
unmatched   2026-03-02 09:01:00  7002 -> 904145550002 (as 04145550002)  destination: no se consiguió el número de destino en la base de datos
rejected    2026-03-02 09:02:00  7003\u{1b}[31m -> 0414555\n0003  source: origen\u{202e} desconocido
delivered   2026-03-02 09:03:00  7004 -> 902122853349 (as 02122853349)
delivered   2026-03-03 09:00:00  7005 -> 902125550005 (as 02125550005)
same key    2026-03-02 09:03:00 7004 -> 92853349, kept out by 2026-03-02 09:03:00 7004 -> 902122853349
"#, "");
    scene.said(
        &scene.program.run(&["calls", "--state", "unmatched"]),
        0,
        "unmatched   2026-03-02 09:01:00  7002 -> 904145550002 (as 04145550002)  destination: no se consiguió el número de destino en la base de datos\n",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--state", "rejected"]),
        0,
        "rejected    2026-03-02 09:02:00  7003\\u{1b}[31m -> 0414555\\n0003  source: origen\\u{202e} desconocido\n",
        "",
    );
    scene.said(
        &scene.program.run(&["calls", "--since", "2026-03-03"]),
        0,
        "delivered   2026-03-03 09:00:00  7005 -> 902125550005 (as 02125550005)\n",
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
        "unmatched   2026-03-02 09:01:00  7002 -> 904145550002 (as 04145550002)  destination: no se consiguió el número de destino en la base de datos\n",
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
        "error: invalid value 'lost' for '--state <STATE>': there is no such state; the states are delivered, withdrawn, unmatched, rejected, pending, in_flight, held

For more information, try '--help'.
",
    );
    scene.said(
        &scene.program.run(&["calls", "--since", "then"]),
        2,
        "",
        "cdrelay: --since: `then` is no point in time; write `2026-11-20`, `2026-11-20 08:30` or `2026-11-20 08:30:00` (local time in America/Caracas), or RFC 3339 such as `2026-11-20T08:30:00-04:00`\n",
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
            "wire": {"initiated": "2026-03-02T13:00:00Z", "source": "7001", "destination": "02122853348", "duration": 41, "url": null, "form": null},
            "attempts": 1, "last_attempt": null, "reason": null, "drift": false, "missing": null, "stuck": false, "contact_id": 10001, "call_id": 1,
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
