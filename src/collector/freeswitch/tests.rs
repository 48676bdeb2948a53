//! Posts of `mod_json_cdr` in each encoding, as FreeSWITCH makes them.

use chrono_tz::Tz;

use super::*;
use crate::collector::row::stamp;

const UUID: &str = "51156b0b-f91b-4fd3-9c8f-15226f6098be";

/// A post with these variables beside the usual ones, and this in its latest profile.
fn post(variables: &[(&str, &str)], profile: &str) -> String {
    let mut all: Map<String, Value> = [
        ("uuid", UUID),
        ("call_uuid", UUID),
        ("direction", "inbound"),
        ("start_stamp", "2026-11-20 08:30:00"),
        ("answer_stamp", "2026-11-20 08:30:07"),
        ("end_stamp", "2026-11-20 08:31:10"),
        ("start_epoch", "1795177800"),
        ("answer_epoch", "1795177807"),
        ("end_epoch", "1795177870"),
        ("duration", "70"),
        ("billsec", "63"),
        ("hangup_cause", "NORMAL_CLEARING"),
        ("channel_name", "sofia/internal/1001@127.0.0.1"),
        ("bridge_channel", "sofia/external/902125550142"),
        ("last_app", "bridge"),
        ("last_arg", "sofia/gateway/gw/902125550142"),
        ("accountcode", "1001"),
        ("sip_user_agent", "not kept"),
    ]
    .into_iter()
    .chain(variables.iter().copied())
    .map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())))
    .collect();
    all.retain(|_, value| value != "-");
    format!(
        r#"{{"core-uuid":"c","switchname":"pbx","channel_data":{{"state":"CS_REPORTING"}},"variables":{},"app_log":{{"applications":[]}},"callflow":[{{"dialplan":"XML","profile_index":"1","caller_profile":{{"username":"1001","caller_id_name":"Joe \"X\"","caller_id_number":"1001","destination_number":"902125550142","uuid":"{UUID}","context":"default","chan_name":"sofia/internal/1001@127.0.0.1"{profile}}}}}]}}"#,
        Value::Object(all)
    )
}

fn encoded_values(text: &str) -> String {
    let mut document: Value = serde_json::from_str(text).expect("JSON");
    let variables = document["variables"].as_object_mut().expect("variables");
    for value in variables.values_mut() {
        let plain = value.as_str().expect("text").to_owned();
        let encoded =
            percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC);
        *value = Value::String(encoded.to_string());
    }
    document.to_string()
}

#[track_caller]
fn read(body: &[u8], content_type: &str) -> Event {
    event(body, Encoding::of(content_type, body)).expect("an event")
}

fn row_of(event: &Event) -> Option<Row> {
    let received = Received {
        event: event.clone(),
        at: 1_795_177_871_000,
    };
    draft(
        &[&received],
        &Reader::new(Tz::America__Caracas, Tz::America__Caracas),
    )
    .row
}

#[track_caller]
fn row(variables: &[(&str, &str)]) -> Row {
    row_of(&read(post(variables, "").as_bytes(), "application/json")).expect("a row")
}

#[test]
fn the_same_call_is_read_from_every_encoding() {
    let plain = post(&[], "");
    let expected = read(plain.as_bytes(), "application/json");
    assert!(!expected.fields.contains_key("sip_user_agent"));
    for text in [plain.clone(), encoded_values(&plain)] {
        let form = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        let form = format!("cdr={form}");
        let base64 = format!("cdr={}", STANDARD.encode(&text));
        assert_eq!(read(text.as_bytes(), "application/json"), expected);
        assert_eq!(read(text.as_bytes(), ""), expected);
        assert_eq!(
            read(form.as_bytes(), "application/x-www-form-urlencoded"),
            expected
        );
        assert_eq!(
            read(base64.as_bytes(), "application/x-www-form-base64-encoded"),
            expected
        );
    }
}

#[test]
fn an_answered_call_is_the_row_that_asterisk_would_have_written() {
    let row = row(&[]);
    assert_eq!(stamp(row.calldate), "2026-11-20 08:30:00");
    assert_eq!(
        (row.src.as_str(), row.dst.as_str()),
        ("1001", "902125550142")
    );
    assert_eq!((row.duration, row.billsec), (70, 63));
    assert_eq!(row.disposition, Disposition::Answered);
    assert_eq!((row.uniqueid.as_str(), row.linkedid.as_str()), (UUID, UUID));
    assert_eq!(row.clid, "\"Joe \"X\"\" <1001>");
    assert_eq!(row.dcontext, "default");
    assert_eq!(row.dstchannel, "sofia/external/902125550142");
    assert_eq!(
        (row.lastapp.as_str(), row.accountcode.as_str()),
        ("bridge", "1001")
    );
}

#[test]
fn without_an_answer_the_cause_decides() {
    let unanswered = [
        ("answer_stamp", ""),
        ("answer_epoch", "0"),
        ("billsec", "0"),
    ];
    for (cause, expected) in [
        ("USER_BUSY", Disposition::Busy),
        ("ORIGINATOR_CANCEL", Disposition::NoAnswer),
        ("NORMAL_CIRCUIT_CONGESTION", Disposition::Congestion),
        ("GATEWAY_DOWN", Disposition::Failed),
        ("SOMETHING_NEW", Disposition::Failed),
    ] {
        let row = row(&[&unanswered[..], &[("hangup_cause", cause)]].concat());
        assert_eq!((row.disposition, row.billsec), (expected, 0), "{cause}");
    }
    let by_number = [("hangup_cause", "-"), ("hangup_cause_q850", "17")];
    let row = row(&[&unanswered[..], &by_number].concat());
    assert_eq!(row.disposition, Disposition::Busy);
}

#[test]
fn stamps_serve_where_there_is_no_epoch_and_the_arithmetic_where_there_is_no_duration() {
    let row = row(&[
        ("start_epoch", "-"),
        ("answer_epoch", "-"),
        ("end_epoch", "-"),
        ("duration", "-"),
        ("billsec", "-"),
    ]);
    assert_eq!(stamp(row.calldate), "2026-11-20 08:30:00");
    assert_eq!((row.duration, row.billsec), (70, 63));
}

#[test]
fn the_leg_that_was_called_makes_no_row() {
    let originator = r#","originator":{"originator_caller_profiles":[{"uuid":"x"}]}"#;
    let called = read(post(&[], originator).as_bytes(), "application/json");
    assert_eq!(row_of(&called), None);
    let called = post(&[("originating_leg_uuid", "x")], "");
    assert_eq!(row_of(&read(called.as_bytes(), "application/json")), None);
    let calling = r#","originatee":{"originatee_caller_profiles":[{"uuid":"x"}]}"#;
    assert!(row_of(&read(post(&[], calling).as_bytes(), "application/json")).is_some());
}

#[test]
fn what_is_no_post_is_refused() {
    let refused = |body: &str, kind: &str| {
        event(body.as_bytes(), Encoding::of(kind, body.as_bytes())).expect_err(body)
    };
    let base64 = "application/x-www-form-base64-encoded";
    assert!(matches!(refused("{", ""), BadEvent::Unreadable(_)));
    assert_eq!(refused("{}", ""), BadEvent::Lacks("variables"));
    assert_eq!(refused(r#"{"variables":{}}"#, ""), BadEvent::NoCall("uuid"));
    assert_eq!(refused(r#"{"variables":{"uuid":"a b"}}"#, ""), BadEvent::Id);
    assert_eq!(refused("x=1", base64), BadEvent::Lacks("cdr"));
    assert!(matches!(
        refused("cdr=***", base64),
        BadEvent::Unreadable(_)
    ));
    assert!(matches!(refused("cdr=%7B", ""), BadEvent::Unreadable(_)));
}
