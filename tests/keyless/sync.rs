//! What BGCRM gets, how often, and what its answers mean.

use crate::closed_port::closed_port;
use crate::crm::{Answer, Crm, ok};
use crate::stage::{CONSTANTS, Row, Stage, at, missed};

#[test]
fn a_missed_call_runs_the_class_once_with_the_number_and_the_constants() {
    let crm = Crm::good();
    let stage = at(
        &crm,
        &[
            missed("+582125550142", 600),
            Row {
                disposition: "ANSWERED",
                ..missed("02125550143", 500)
            },
            Row {
                dcontext: "from-internal",
                ..missed("02125550144", 400)
            },
        ],
    );
    let report = stage.sync(&[], 0);
    assert_eq!(report["calls"]["created"], 1);
    assert_eq!(report["rows"]["skipped"]["disposition"], 1);
    assert_eq!(report["rows"]["skipped"]["excluded"], 1);
    let [request] = &crm.requests()[..] else {
        panic!("{:?}", crm.requests());
    };
    assert_eq!(request.line, "POST /admin/dynamic.do");
    assert_eq!(
        request.body,
        "action=runDynamicClass&class=org.example.crm.CallBack&sub=dndoperator&aon=2125550142\
         &authToSession=0&responseType=json&j_username=pbx-user&j_password=CANARY+pass%26word"
    );
    for args in [&[][..], &["--full"]] {
        let again = stage.sync(args, 0);
        assert_eq!(again["calls"]["unchanged"], 1);
        assert_eq!(again["requests"]["sent"], 0);
    }
    assert_eq!(crm.requests().len(), 1);
}

#[test]
fn run_do_and_get_are_another_address_with_the_same_parameters() {
    let crm = Crm::good();
    let stage = Stage::new(&[missed("02125550142", 600)]);
    let more = "path = \"run.do\"\nmethod = \"get\"\nnumber_parameter = \"phone\"";
    stage.point_at(&crm.url(), more);
    stage.sync(&[], 0);
    assert_eq!(
        crm.requests()[0].line,
        "GET /admin/run.do?method=runClass&class=org.example.crm.CallBack&phone=02125550142\
         &authToSession=0&responseType=json&j_username=pbx-user&j_password=CANARY+pass%26word"
    );
}

#[test]
fn calls_that_a_keyed_crm_could_not_tell_apart_are_all_sent() {
    let crm = Crm::good();
    // One second and, after the rules, one number: two callers all the same. And a third call a minute later.
    let stage = at(
        &crm,
        &[
            missed("+5802125550142", 600),
            missed("02125550142", 600),
            missed("02125550142", 540),
        ],
    );
    let report = stage.sync(&[], 0);
    assert_eq!(report["calls"]["created"], 3);
    assert_eq!(report["collisions"], 0);
    assert_eq!(crm.numbers(), ["02125550142"; 3]);
    assert_eq!(stage.sync(&["--full"], 0)["calls"]["unchanged"], 3);
}

#[test]
fn status_error_rejects_the_call_and_no_other() {
    let crm = Crm::start(|_, request| {
        if request.parameter("aon").ends_with('3') {
            let body = r#"{"status":"error","message":"no such queue\n\tat org.example"}"#;
            Answer::Says(200, body.to_owned())
        } else {
            ok()
        }
    });
    let rows: Vec<Row> = (0..5)
        .map(|n| missed(&format!("0212555010{n}"), 600 - n))
        .collect();
    let stage = at(&crm, &rows);
    let report = stage.sync(&[], 3);
    assert_eq!(report["calls"]["rejected"], 1);
    assert_eq!(report["calls"]["created"], 4);
    let listed = stage.run(&["calls", "--state", "rejected"]);
    assert!(
        listed
            .stdout
            .ends_with("02125550103 -> 999  no such queue\n"),
        "{listed:?}"
    );
}

#[test]
fn a_refused_login_stops_the_run_and_decides_nothing() {
    let page = "<html><form action=\"login.do\"><input type=\"password\" name=\"j_password\"></form></html>";
    for (status, body, reason) in [
        (
            401,
            "User pbx-user with CANARY pass&word not found",
            "user or password refused: the CRM answered 401: User *** with *** not found; check `target.username` and `target.password_file`",
        ),
        (
            200,
            page,
            "user or password refused: the CRM answered with its login page; check `target.username` and `target.password_file`",
        ),
        (
            200,
            r#"{"status":"error","message":"Action 'runClass' is denied."}"#,
            "the CRM refused: Action 'runClass' is denied.; give the user of `target.username` the right to run classes",
        ),
    ] {
        let crm = Crm::start(move |_, _| Answer::Says(status, body.to_owned()));
        let stage = at(
            &crm,
            &[missed("02125550142", 600), missed("02125550143", 500)],
        );
        let report = stage.sync(&[], 6);
        assert_eq!(report["exit"]["reason"], reason);
        assert_eq!(report["calls"]["pending"], 2);
        assert_eq!(crm.requests().len(), 1);
        crm.change(|_, _| ok());
        assert_eq!(stage.sync(&[], 0)["calls"]["created"], 2);
    }
}

#[test]
fn a_crm_that_is_not_there_leaves_its_calls_pending() {
    let stage = Stage::new(&[missed("02125550142", 600)]);
    stage.point_at(&format!("http://127.0.0.1:{}", closed_port()), CONSTANTS);
    let report = stage.sync(&[], 4);
    assert_eq!(report["calls"]["pending"], 1);
    assert_eq!(report["calls"]["held"], 0);
    let crm = Crm::good();
    stage.point_at(&crm.url(), CONSTANTS);
    assert_eq!(stage.sync(&[], 0)["calls"]["created"], 1);
    assert_eq!(crm.numbers(), ["02125550142"]);
}

#[test]
fn a_later_attempt_carries_the_bytes_of_the_first() {
    // 429: the CRM asks for less, and did nothing.
    let crm = Crm::start(|_, _| Answer::Says(429, String::new()));
    let stage = at(&crm, &[missed("+5802125550142", 600)]);
    stage.sync(&["--max-runtime", "5s"], 4);
    let before = crm.requests()[0].body.clone();
    let more = "number_parameter = \"phone\"\n[target.parameters]\nsub = \"other\"\n";
    let changed = crate::stage::config(&crm.url(), more)
        .replace("strip_prefix = \"+58\"", "add_prefix = \"00\"")
        .replace("crm.CallBack", "crm.Other");
    stage.program.configure(&changed);
    crm.change(|_, _| ok());
    let report = stage.sync(&[], 0);
    assert_eq!(report["drift"], 1);
    assert_eq!(crm.requests().last().unwrap().body, before);
}

#[test]
fn check_asks_without_running_a_class() {
    let crm = Crm::start(|_, request| {
        assert!(request.parameters().iter().all(|(name, _)| name != "class"));
        let body = r#"{"status":"error","message":"java.lang.NullPointerException"}"#;
        Answer::Says(200, body.to_owned())
    });
    let stage = at(&crm, &[missed("02125550142", 600)]);
    let ran = stage.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("reachable, user and password accepted"),
        "{ran:?}"
    );
    crm.change(|_, _| Answer::Says(401, "no".to_owned()));
    assert_eq!(stage.run(&["check"]).code, 6);
}

#[test]
fn days_cannot_be_deleted() {
    let crm = Crm::good();
    let stage = at(&crm, &[missed("02125550142", 600)]);
    let ran = stage.run(&[
        "delete",
        "--from",
        "2026-11-02",
        "--to",
        "2026-11-02",
        "--yes",
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(crm.requests().is_empty());
}
