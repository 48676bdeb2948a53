//! Each phone system, from its own requests to the CRM.

use serde_json::{Value, json};

use crate::stage::{Row, Stage, encoded, inbound, outbound, row};
use crate::{INBOUND, OUTBOUND};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const PARTS: &str = "Content-Type: multipart/form-data; boundary=-part\r\n";

/// A form in parts, as PHP's curl sends an array.
fn in_parts(name: &str, value: &str) -> String {
    format!(
        "---part\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n---part--\r\n"
    )
}

#[test]
fn asterccs_two_documented_calls_reach_the_crm_by_whatever_way_their_events_come() {
    let stage = Stage::running("");
    // The last event first, each in another way, some twice.
    let messages: Vec<&str> = OUTBOUND.iter().chain(&INBOUND).rev().copied().collect();
    for (n, message) in messages.iter().enumerate() {
        let reply = match n % 5 {
            0 => stage.post("/astercc", "", message),
            1 => stage.post("/astercc", FORM, &format!("message={}", encoded(message))),
            2 => stage.get(&format!("/astercc?message={}", encoded(message))),
            3 => stage.post("/astercc", PARTS, &in_parts("message", message)),
            _ => stage.get(&format!("/astercc?{}", message.replace(' ', "%20"))),
        };
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, "ok\n"),
            "{message}"
        );
        if n % 3 == 0 {
            assert_eq!(stage.post("/astercc", "", message).status, 200);
        }
    }
    stage.wait_for_rows(&[outbound(), inbound()]);
    let held = stage.synced("2010-01-01", "2010-01-02");
    let expected = [
        ("041139735857", "0138888888888", 46),
        ("0138888888888", "041139735857", 107),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(src, dst, duration)| (src.to_owned(), dst.to_owned(), Some(duration)))
        .collect();
    assert_eq!(held, expected);
    // What it serves to a monitor has the figures of the runs, too.
    let metrics = stage.get("/metrics").body;
    let settled = "cdrelay_calls{job=\"cdrelay\",state=\"delivered\"} 2\n";
    assert!(metrics.contains(settled), "{metrics}");
}

#[test]
fn a_row_appears_only_once_the_call_has_ended_and_a_late_event_corrects_it() {
    let stage = Stage::running("");
    for message in &OUTBOUND[..6] {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    // Both have hung up, so it has ended although nothing said so for the whole call. Its answer is late.
    stage.wait_for_rows(&[outbound()]);
    let unanswered: Vec<&str> = INBOUND
        .iter()
        .filter(|message| !message.contains("event=answer"))
        .copied()
        .collect();
    for message in &unanswered {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    let mut without_answer = inbound();
    (without_answer.4, without_answer.5) = (0, "NO ANSWER".to_owned());
    stage.wait_for_rows(&[outbound(), without_answer]);
    assert_eq!(stage.synced("2010-01-01", "2010-01-02").len(), 2);
    // The agent's answer comes after all, and with it another hangup time.
    let late = INBOUND[2].to_owned();
    assert_eq!(stage.post("/astercc", "", &late).status, 200);
    let later = INBOUND[3].replace("11:12:54", "11:12:59");
    assert_eq!(stage.post("/astercc", "", &later).status, 200);
    let mut corrected = inbound();
    (corrected.3, corrected.4) = (112, 109);
    stage.wait_for_rows(&[outbound(), corrected]);
    // It was delivered with another duration: that is drift, and nothing is sent again.
    let report = stage
        .program
        .sync(&["--since", "2010-01-01", "--until", "2010-01-02"], 0);
    assert_eq!(report["drift"], 1, "{report}");
    assert_eq!(report["calls"]["unchanged"], 2, "{report}");
}

#[test]
fn a_call_that_never_ends_is_closed_and_marked() {
    let stage = Stage::running("close_after = \"600ms\"");
    for message in &OUTBOUND[..4] {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    let mut open = outbound();
    (open.3, open.4) = (8, 0);
    stage.wait_for_rows(&[open]);
    let db = rusqlite::Connection::open(stage.program.path("collector.db")).unwrap();
    let mark: String = db
        .query_row("SELECT userfield FROM cdr", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mark, "unfinished;team=20;group=100");
}

const ROUTES: &str = r#"[collector.cti_bridge]
answer_within = "30s"
number = "called"
callerid = "caller"
[[collector.cti_bridge.routes]]
match = "_04XXXXXXXXX"
gateway = "mobile"
variables = { origination_caller_id_number = "0212${EXTEN:-7}", absolute_codec_string = "PCMA,PCMU" }
[[collector.cti_bridge.routes]]
match = "_1XXX"
user = "${EXTEN}"
[[collector.cti_bridge.routes]]
match = "_00."
dialstring = ["{ignore_early_media=true}sofia/gateway/one/${EXTEN:2}", "sofia/gateway/two/${EXTEN:2}"]
[[collector.cti_bridge.routes]]
match = "_02."
ip = "127.0.0.1:5060"
[[collector.cti_bridge.routes]]
match = "_*."
hangup = "sip 403"
[collector.cti_bridge.fallback]
hangup = "CALL_REJECTED"
"#;

#[track_caller]
fn instruction(reply: &crate::stage::Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

#[test]
fn cti_bridge_is_told_where_its_calls_go_by_every_way_of_asking() {
    let stage = Stage::running(ROUTES);
    let mobile = json!({"variables": {"origination_caller_id_number": "02120000001", "absolute_codec_string": "PCMA,PCMU"},
        "dial": {"type": "gateway", "number": "04140000001", "gateway": "mobile"}});
    let asked = stage.get("/cti_bridge?action=request&uuid=u-1&called=904140000001&caller=1001");
    assert_eq!(instruction(&asked), mobile);
    let asked = stage.post(
        "/cti_bridge?called=904140000001",
        FORM,
        "action=request&uuid=u-2&caller=1001",
    );
    assert_eq!(instruction(&asked), mobile);
    let asked = stage.post(
        "/cti_bridge",
        JSON,
        r#"{"action":"request","uuid":"u-3","called":904140000001}"#,
    );
    assert_eq!(instruction(&asked), mobile);
    for (number, expected) in [
        (
            "1203",
            json!({"dial": {"type": "user", "number": "1203", "user": "1203"}}),
        ),
        (
            "02125550142",
            json!({"dial": {"type": "ip", "number": "02125550142", "ip": "127.0.0.1:5060", "sofia": "external"}}),
        ),
        ("*72", json!({"dial": {"type": "hangup", "sipcode": 403}})),
        (
            "0015550100",
            json!({"dial": {"type": "dialstring", "dialstring": "{ignore_early_media=true}sofia/gateway/one/15550100,sofia/gateway/two/15550100"}}),
        ),
        // No route, and nothing that can be dialled.
        ("7", json!({"dial": {"type": "hangup", "cause": 21}})),
        (
            "001%2Csofia/gateway/dear/1",
            json!({"dial": {"type": "hangup", "cause": 21}}),
        ),
    ] {
        let asked = stage.get(&format!(
            "/cti_bridge?action=request&uuid=n-{number}&called={number}"
        ));
        assert_eq!(instruction(&asked), expected, "{number}");
    }
    // A fault is no reason to leave a call without an answer.
    let rejected = json!({"dial": {"type": "hangup", "cause": 21}});
    for reply in [
        stage.get("/cti_bridge?action=request&called=1203"),
        stage.get("/cti_bridge"),
        stage.post("/cti_bridge?action=request&uuid=b", JSON, "{broken"),
    ] {
        assert_eq!(instruction(&reply), rejected);
    }
    // A notice that nothing can be made of is refused like any event.
    assert_eq!(stage.get("/cti_bridge?action=hangup").status, 400);
}

#[test]
fn cti_bridges_notices_become_a_row_that_reaches_the_crm() {
    let stage = Stage::running(ROUTES);
    let common = "uuid=51156b0b-f91b-4fd3-9c8f-15226f6098be&called=904140000001&caller=1001";
    let request = stage.get(&format!("/cti_bridge?action=request&{common}"));
    assert_eq!(request.status, 200);
    for notice in [
        "progress",
        "ring",
        "answer",
        "ring",
        "hangup&cause=NORMAL_CLEARING",
    ] {
        let reply = stage.post("/cti_bridge", FORM, &format!("{common}&action={notice}"));
        assert_eq!(reply.status, 200, "{notice}");
    }
    let reply = stage.get("/cti_bridge?action=request&uuid=u-2&called=904140000002&caller=1002");
    assert_eq!(reply.status, 200);
    let reply = stage.get("/cti_bridge?action=hangup&uuid=u-2&cause=815");
    assert_eq!(reply.status, 200);
    let is = |row: &Row| (row.1.clone(), row.2.clone(), row.5.clone(), row.6.clone());
    let expected = |src: &str, dst: &str, how: &str, id: &str| {
        (
            src.to_owned(),
            dst.to_owned(),
            how.to_owned(),
            id.to_owned(),
        )
    };
    crate::stage::wait(|| stage.rows().len() == 2, || format!("{:?}", stage.rows()));
    let mut rows: Vec<_> = stage.rows().iter().map(is).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            expected(
                "1001",
                "904140000001",
                "ANSWERED",
                "51156b0b-f91b-4fd3-9c8f-15226f6098be"
            ),
            expected("1002", "904140000002", "BUSY", "u-2"),
        ]
    );
    // The rules that made the instruction make the CRM's number, too.
    stage.program.sync(&[], 0);
    let held: Vec<String> = stage
        .crm
        .calls()
        .into_iter()
        .map(|call| call.destination)
        .collect();
    assert_eq!(held, ["04140000001", "04140000002"]);
}

fn json_cdr(uuid: &str, more: &str, profile: &str) -> String {
    format!(
        r#"{{"core-uuid":"c","variables":{{"uuid":"{uuid}","start_stamp":"2026-11-20 08:30:00","start_epoch":"1795134600","end_epoch":"1795134670","answer_epoch":"1795134607","duration":"70","billsec":"63","hangup_cause":"NORMAL_CLEARING"{more}}},"callflow":[{{"caller_profile":{{"caller_id_number":"1001","destination_number":"902125550142"{profile}}}}}]}}"#
    )
}

#[test]
fn freeswitchs_posts_of_every_encoding_reach_the_crm() {
    use base64::Engine as _;
    let stage = Stage::running("");
    let plain = json_cdr("fs-1", "", "");
    let form = format!(
        "cdr={}",
        encoded(&json_cdr("fs-2", "", r#","caller_id_name":"Joe""#))
    );
    let unanswered =
        json_cdr("fs-3", "", "").replace(r#""answer_epoch":"1795134607""#, r#""answer_epoch":"0""#);
    let unanswered = unanswered
        .replace("NORMAL_CLEARING", "USER_BUSY")
        .replace("902125550142", "902125550143");
    let base64 = format!(
        "cdr={}",
        base64::engine::general_purpose::STANDARD.encode(unanswered)
    );
    let called = json_cdr(
        "fs-4",
        "",
        r#","originator":{"originator_caller_profiles":[{"uuid":"fs-1"}]}"#,
    );
    for _ in 0..2 {
        assert_eq!(
            stage.post("/freeswitch?uuid=fs-1", JSON, &plain).status,
            200
        );
        assert_eq!(
            stage.post("/freeswitch?uuid=a_fs-2", FORM, &form).status,
            200
        );
        let kind = "Content-Type: application/x-www-form-base64-encoded\r\n";
        assert_eq!(
            stage.post("/freeswitch?uuid=fs-3", kind, &base64).status,
            200
        );
        assert_eq!(
            stage.post("/freeswitch?uuid=fs-4", JSON, &called).status,
            200
        );
    }
    let at = "2026-11-20 08:30:00";
    stage.wait_for_rows(&[
        row(
            at,
            ["1001", "902125550142"],
            [70, 63],
            "ANSWERED",
            "fs-1",
            "",
        ),
        row(
            at,
            ["1001", "902125550142"],
            [70, 63],
            "ANSWERED",
            "fs-2",
            "",
        ),
        row(at, ["1001", "902125550143"], [70, 0], "BUSY", "fs-3", ""),
    ]);
    let held = stage.synced("2026-11-20", "2026-11-21");
    let held: Vec<&str> = held.iter().map(|(_, dst, _)| dst.as_str()).collect();
    assert_eq!(held, ["02125550142", "02125550143"]);
}
