//! Nobody knows whether the class has run: the call is held, unless the configuration says otherwise.

use std::time::Duration;

use crate::crm::{Answer, Crm, ok};
use crate::stage::{CONSTANTS, Row, Stage, at, missed};

fn says(status: u16, body: &str) -> Answer {
    Answer::Says(status, body.to_owned())
}

/// Answers that leave open whether the class has run.
fn unknown() -> Vec<(&'static str, Answer)> {
    vec![
        ("closed", Answer::Raw("")),
        ("half a head", Answer::Raw("HTTP/1.1 200 OK\r\nContent-")),
        (
            "half a body",
            Answer::Raw("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"status\":\"ok\""),
        ),
        ("no HTTP", Answer::Raw("SSH-2.0-x\r\n")),
        ("silence", Answer::Silence),
        ("500", says(500, "java.lang.NullPointerException")),
        ("502", says(502, "<html>")),
        ("503", says(503, "")),
        ("empty", says(200, "")),
        ("a page", says(200, "<html>maintenance</html>")),
        ("no JSON", says(200, "ok")),
        ("another shape", says(200, "{\"error\":false}")),
        ("another status", says(200, "{\"status\":\"message\"}")),
    ]
}

#[test]
fn an_unknown_outcome_is_sent_once_and_held() {
    for (what, answer) in unknown() {
        let crm = Crm::start(move |_, _| answer.clone());
        let stage = at(&crm, &[missed("02125550142", 600)]);
        let report = stage.sync(&[], 3);
        assert_eq!(report["calls"]["held"], 1, "{what}: {report}");
        assert_eq!(
            report["exit"]["reason"],
            "1 call held, outcome unknown; `cdrelay held` lists them and says what to do",
            "{what}"
        );
        assert_eq!(crm.requests().len(), 1, "{what}");
        crm.change(|_, _| ok());
        for args in [&[][..], &["--full"], &["--resend"]] {
            let report = stage.sync(args, 3);
            assert_eq!(report["calls"]["held"], 1, "{what} {args:?}");
        }
        assert_eq!(crm.requests().len(), 1, "{what}");
        stage.holds(&[("held", 1)]);
    }
}

#[test]
fn with_resend_an_unknown_outcome_is_sent_again() {
    for (what, answer) in unknown() {
        let crm = Crm::start(move |n, _| if n == 0 { answer.clone() } else { ok() });
        let stage = Stage::new(&[missed("02125550142", 600)]);
        stage.point_at(&crm.url(), "on_unknown = \"resend\"");
        let report = stage.sync(&[], 0);
        assert_eq!(report["calls"]["created"], 1, "{what}: {report}");
        let requests = crm.requests();
        assert_eq!(requests.len(), 2, "{what}");
        assert_eq!(requests[0].body, requests[1].body, "{what}");
    }
}

#[test]
fn one_held_call_keeps_no_other_waiting() {
    let crm = Crm::start(|_, request| {
        if request.parameter("aon").ends_with('1') {
            says(500, "")
        } else {
            ok()
        }
    });
    let rows: Vec<Row> = (0..4)
        .map(|n| missed(&format!("0212555010{n}"), 600 - n))
        .collect();
    let stage = at(&crm, &rows);
    let report = stage.sync(&[], 3);
    assert_eq!(report["calls"]["held"], 1);
    assert_eq!(report["calls"]["created"], 3);
}

fn killed(more: &str) -> (Crm, Stage) {
    let crm = Crm::start(|n, _| if n < 3 { ok() } else { Answer::Silence });
    let rows: Vec<Row> = (0..40)
        .map(|n| missed(&format!("021255501{n:02}"), 600 - n))
        .collect();
    let stage = Stage::new(&rows);
    // So long that it is the kill that ends the waiting.
    stage.point_patiently_at(&crm.url(), more);
    let mut child = stage.program.spawn(&["sync"]);
    crm.wait_for(4);
    child.kill().unwrap();
    child.wait().unwrap();
    crm.change(|_, _| ok());
    (crm, stage)
}

#[test]
fn after_a_kill_what_was_in_flight_is_held_and_the_rest_is_sent_once() {
    let (crm, stage) = killed("concurrency = 2");
    let report = stage.sync(&[], 3);
    let held = report["calls"]["held"].as_u64().unwrap();
    assert!((1..=2).contains(&held), "{report}");
    let mut numbers = crm.numbers();
    let sent = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), sent, "a number was sent twice");
    // Two were on record, and one of them may not have left yet.
    assert!(sent == 40 || sent == 39, "{sent}");
    let why = stage.run(&["calls", "--state", "held"]);
    assert!(
        why.stdout
            .contains("the run was killed before an answer was on record"),
        "{why:?}"
    );
}

#[test]
fn after_a_kill_with_resend_at_most_what_was_in_flight_is_repeated() {
    let (crm, stage) = killed("concurrency = 2\non_unknown = \"resend\"");
    stage.sync(&[], 0);
    stage.holds(&[("delivered", 40)]);
    let mut numbers = crm.numbers();
    let sent = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 40);
    assert!(sent - 40 <= 2, "{sent}");
}

#[test]
fn a_signal_holds_what_was_in_flight() {
    // So long that the signal comes meanwhile.
    let crm = Crm::start(|_, _| Answer::After(Duration::from_secs(5), Box::new(Answer::Raw(""))));
    let stage = Stage::new(&[missed("02125550142", 600), missed("02125550143", 500)]);
    stage.point_patiently_at(&crm.url(), CONSTANTS);
    let child = stage.program.spawn(&["sync"]);
    crm.wait_for(1);
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -TERM {}", child.id())])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert_eq!(crm.requests().len(), 1);
    let states = stage.states();
    assert!(states.contains(&("held".to_owned(), 1)), "{states:?}");
}
