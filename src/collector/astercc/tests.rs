//! The calls that asterCC's documentation shows, and those that it only describes.

use chrono_tz::Tz;

use super::message;
use super::*;
use crate::collector::row::stamp;

/// The format sample at the head of the documentation: it shares the outbound call's session and is no part of it.
const SAMPLE: &str = "calleridnum=041139735857&didnumber=8008008&activenum=041139735855&source=AGENT&event=ringing&uniqueid=78969&sessionid=efeb7b374a3408b0d0954f30a1504d83&eventTime=2010-01-01 08:21:58&AgentTeamId=20&modeltype=Campaign&model_id=10&AgentGroupId=100&calltype=dialout&channel=Local/015967121144@hosted-dialout-408a;1&from=dialout&";

fn received(messages: &[&str]) -> Vec<Received> {
    let came = 1_795_000_000_000;
    let of = |(n, text): (usize, &&str)| Received {
        event: event(message::read(text.as_bytes()).expect(text)).expect(text),
        at: came + i64::try_from(n).expect("few"),
    };
    messages.iter().enumerate().map(of).collect()
}

fn drafted(messages: &[&str]) -> Draft {
    let received = received(messages);
    let events: Vec<&Received> = received.iter().collect();
    draft(
        &events,
        &Reader::new(Tz::Asia__Shanghai, Tz::Asia__Shanghai),
    )
}

#[track_caller]
fn row_of(messages: &[&str]) -> Row {
    drafted(messages).row.expect("a row")
}

/// Start, source, destination, duration, billsec, disposition.
#[track_caller]
fn is(row: &Row, start: &str, numbers: [&str; 2], seconds: [u32; 2], disposition: &str) {
    let shown = (
        stamp(row.calldate),
        [row.src.as_str(), row.dst.as_str()],
        [row.duration, row.billsec],
        row.disposition.as_str(),
    );
    assert_eq!(shown, (start.to_owned(), numbers, seconds, disposition));
}

fn without<'m>(messages: &[&'m str], words: &[&str]) -> Vec<&'m str> {
    let wanted = |text: &&&str| !words.iter().all(|word| text.contains(word));
    messages.iter().filter(wanted).copied().collect()
}

#[test]
fn the_documented_outbound_call_is_the_row_that_it_should_be() {
    let row = row_of(&OUTBOUND);
    is(
        &row,
        "2010-01-01 08:22:01",
        ["041139735857", "0138888888888"],
        [46, 38],
        "ANSWERED",
    );
    assert_eq!(row.uniqueid, "efeb7b374a3408b0d0954f30a1504d83");
    assert_eq!(row.linkedid, row.uniqueid);
    assert_eq!(row.accountcode, "041139735857");
    assert_eq!(row.userfield, "team=20;group=100");
    assert_eq!(row.channel, "Local/041139735857@hosted-dialout-408a;1");
    assert_eq!(row.dstchannel, "Local/0138888888888@hosted-dialout-7636;1");
    assert_eq!((row.dcontext.as_str(), row.did.as_str()), ("dialout", ""));
    assert_eq!(row.lastdata, "Campaign/10");
}

#[test]
fn the_documented_inbound_call_is_the_row_that_it_should_be() {
    let row = row_of(&INBOUND);
    is(
        &row,
        "2010-01-01 11:11:07",
        ["0138888888888", "041139735857"],
        [107, 104],
        "ANSWERED",
    );
    assert_eq!(row.uniqueid, "1f10eab01f5b1b36230b8e91aef34810");
    assert_eq!(row.did, "800888");
    assert_eq!(row.userfield, "team=3;group=100");
    assert_eq!(row.dcontext, "dialin");
}

#[test]
fn the_format_sample_changes_nothing_about_the_call_whose_session_it_borrows() {
    let mut messages = OUTBOUND.to_vec();
    messages.push(SAMPLE);
    assert_eq!(row_of(&messages), row_of(&OUTBOUND));
    assert!(drafted(&messages).ended);
}

#[test]
fn a_call_has_ended_when_it_says_so_or_everybody_has_hung_up_and_not_before() {
    for messages in [&OUTBOUND[..], &INBOUND[..]] {
        for length in 1..messages.len() {
            let begun = &messages[..length];
            let hangups = begun.iter().filter(|text| text.contains("event=hangup"));
            assert_eq!(drafted(begun).ended, hangups.count() == 2, "{length}");
        }
        assert!(drafted(messages).ended);
        // The message about the whole call alone is enough.
        assert!(drafted(&messages[messages.len() - 1..]).ended);
    }
    assert!(!drafted(&without(&OUTBOUND, &["source=AGENT", "event=hangup"])[..5]).ended);
}

#[test]
fn unanswered_calls_have_no_billed_seconds() {
    let row = row_of(&without(&OUTBOUND, &["source=CALLEE", "event=answer"]));
    is(
        &row,
        "2010-01-01 08:22:01",
        ["041139735857", "0138888888888"],
        [46, 0],
        "NO ANSWER",
    );
    let row = row_of(&without(&INBOUND, &["source=AGENT", "event=answer"]));
    is(
        &row,
        "2010-01-01 11:11:07",
        ["0138888888888", "041139735857"],
        [107, 0],
        "NO ANSWER",
    );
}

#[test]
fn an_outbound_call_whose_agent_never_picked_up_reached_nobody() {
    let draft = drafted(&without(&OUTBOUND, &["source=CALLEE"]));
    assert!(draft.ended);
    assert_eq!(draft.row, None);
}

#[test]
fn a_caller_who_gives_up_before_a_phone_rings_called_all_the_same() {
    let row = row_of(&[INBOUND[0], INBOUND[3], INBOUND[5]]);
    is(
        &row,
        "2010-01-01 11:12:54",
        ["0138888888888", "800888"],
        [0, 0],
        "NO ANSWER",
    );
    // Nothing but the first message: its channel has the number, and the time is when it came.
    let row = row_of(&INBOUND[..1]);
    assert_eq!((row.src.as_str(), row.dst.as_str()), ("0138888888888", ""));
    assert_eq!(stamp(row.calldate), "2026-11-18 19:06:40");
}

/// A message of the inbound call, at a second after 11:11.
fn step(source: &str, event: &str, phone: &str, uniqueid: u32, second: u32) -> String {
    let (minute, second) = (11 + second / 60, second % 60);
    format!(
        "calleridnum=0138888888888&didnumber=800888&activenum={phone}&source={source}&event={event}&uniqueid={uniqueid}&sessionid=T1&eventTime=2010-01-01 11:{minute}:{second:02}&AgentTeamId=3&from=dialin&channel=Local/{phone}@x-{uniqueid};1&"
    )
}

#[test]
fn a_transfer_stays_one_call_and_names_who_took_part() {
    let messages = [
        step("CALLER", "incoming", "", 1, 0),
        step("AGENT", "ringing", "8001", 2, 2),
        step("AGENT", "answer", "8001", 2, 5),
        step("AGENT", "onhold", "8001", 2, 30),
        step("CONSULT", "ringing", "8002", 3, 31),
        step("CONSULT", "answer", "8002", 3, 35),
        step("AGENT", "resume", "8001", 2, 50),
        step("CONSULT", "join", "8002", 3, 51),
        step("AGENT", "hangup", "8001", 2, 60),
        step("CALLER", "hangup", "", 1, 95),
        step("CONSULT", "hangup", "8002", 3, 95),
        step("CONVERSATION", "hangup", "", 0, 95),
    ];
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let row = row_of(&messages);
    is(
        &row,
        "2010-01-01 11:11:02",
        ["0138888888888", "8001"],
        [93, 90],
        "ANSWERED",
    );
    assert_eq!(row.accountcode, "8001");
    assert_eq!(row.userfield, "team=3;consult=8002;hold=20");
    // While the customer talks to the second agent, the call goes on.
    assert!(!drafted(&messages[..9]).ended);
    assert!(drafted(&messages[..11]).ended);
}

#[test]
fn the_agent_who_answers_is_the_one_who_was_called() {
    let messages = [
        step("CALLER", "incoming", "", 1, 0),
        step("AGENT", "ringing", "8001", 2, 2),
        step("AGENT", "hangup", "8001", 2, 17),
        step("AGENT", "ringing", "8002", 3, 18),
        step("AGENT", "answer", "8002", 3, 20),
        step("AGENT", "ringing", "8003", 4, 18),
        step("AGENT", "hangup", "8003", 4, 20),
        step("CALLER", "hangup", "", 1, 80),
        step("AGENT", "hangup", "8002", 3, 80),
    ];
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let row = row_of(&messages);
    is(
        &row,
        "2010-01-01 11:11:02",
        ["0138888888888", "8002"],
        [78, 60],
        "ANSWERED",
    );
    assert_eq!(row.userfield, "team=3");
}

#[test]
fn a_hold_that_nobody_ended_lasts_to_the_end() {
    let messages = [
        step("AGENT", "ringing", "8001", 2, 0),
        step("AGENT", "answer", "8001", 2, 1),
        step("AGENT", "onhold", "8001", 2, 11),
        step("AGENT", "resume", "8001", 2, 21),
        step("AGENT", "onhold", "8001", 2, 41),
        step("CALLER", "hangup", "", 1, 61),
        step("AGENT", "hangup", "8001", 2, 61),
    ];
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    assert_eq!(row_of(&messages).userfield, "team=3;hold=30");
}

#[test]
fn a_message_without_session_source_or_event_is_refused() {
    let refused = |text: &str| event(message::read(text.as_bytes()).expect(text)).unwrap_err();
    assert_eq!(
        refused("source=AGENT&event=answer"),
        BadEvent::NoCall("sessionid")
    );
    assert_eq!(
        refused("sessionid=1&event=answer"),
        BadEvent::Lacks("source")
    );
    assert_eq!(
        refused("sessionid=1&source=AGENT&event="),
        BadEvent::Lacks("event")
    );
    assert_eq!(
        refused("sessionid=a b&source=AGENT&event=answer"),
        BadEvent::Id
    );
}

#[test]
fn a_call_that_began_before_the_clock_was_put_back_keeps_its_length() {
    let reader = Reader::new(Tz::America__New_York, Tz::America__New_York);
    let at = |source: &str, event: &str, time: &str| {
        format!(
            "source={source}&event={event}&sessionid=D&activenum=8001&calleridnum=0138&from=dialin&uniqueid={source}&eventTime=2025-11-02 {time}&"
        )
    };
    let messages = [
        at("AGENT", "ringing", "01:50:00"),
        at("AGENT", "answer", "01:50:10"),
        at("CALLER", "hangup", "01:10:00"),
        at("AGENT", "hangup", "01:10:00"),
    ];
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let received = received(&messages);
    let events: Vec<&Received> = received.iter().collect();
    let row = draft(&events, &reader).row.expect("a row");
    is(
        &row,
        "2025-11-02 01:50:00",
        ["0138", "8001"],
        [1200, 1190],
        "ANSWERED",
    );
}

include!("../../../tests/data/astercc_calls.rs");
