//! Whatever the order, the repetitions and the delays: one row.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::astercc::message;
use super::*;
use crate::collector::event::Fields;

const SETTLE: i64 = 2_000;
const CLOSE: i64 = 3_600_000;
const BEGIN: i64 = 1_262_305_321_000;

include!("../../../tests/data/astercc_calls.rs");

fn settings() -> &'static Settings {
    static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
        let zone = Tz::Asia__Shanghai;
        Settings::new(
            zone,
            zone,
            zone,
            cti_bridge::Names::default(),
            SETTLE,
            CLOSE,
        )
    });
    &SETTINGS
}

fn astercc_call(messages: &[&str]) -> Vec<Received> {
    let event =
        |text: &str| astercc::event(message::read(text.as_bytes()).expect(text)).expect(text);
    (BEGIN..)
        .step_by(700)
        .zip(messages)
        .map(|(at, text)| Received {
            event: event(text),
            at,
        })
        .collect()
}

/// Requests and notices, at so many milliseconds from the beginning.
fn cti_call(steps: &[(&str, &str, i64)]) -> Vec<Received> {
    let event = |action: &str, more: &str| {
        let text = format!("uuid=u-1&action={action}&number=902125550142&callerid=1001&{more}");
        let fields: Fields = message::read(text.as_bytes()).expect("pairs");
        cti_bridge::event(fields).expect("an event")
    };
    let step = |&(action, more, at): &(&str, &str, i64)| Received {
        event: event(action, more),
        at: BEGIN + at,
    };
    steps.iter().map(step).collect()
}

/// The calls that the documentations show.
fn examples() -> Vec<Vec<Received>> {
    vec![
        astercc_call(&OUTBOUND),
        astercc_call(&INBOUND),
        cti_call(&[
            ("request", "", 0),
            ("progress", "", 900),
            ("ring", "", 1_500),
            ("answer", "", 6_000),
            ("hangup", "cause=NORMAL_CLEARING", 66_900),
        ]),
    ]
}

/// Calls `each` with every order of `items`.
fn every_order<T: Clone>(items: &[T], each: &mut impl FnMut(&[T])) {
    fn go<T: Clone>(items: &mut Vec<T>, from: usize, each: &mut impl FnMut(&[T])) {
        if from == items.len() {
            return each(items);
        }
        for at in from..items.len() {
            items.swap(from, at);
            go(items, from + 1, each);
            items.swap(from, at);
        }
    }
    go(&mut items.to_vec(), 0, each);
}

fn row(events: &[Received]) -> Row {
    match assemble(events, settings(), i64::MAX) {
        Assembly::Row(row) => *row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_order_of_each_example_call_is_the_same_row() {
    for call in examples() {
        let expected = row(&call);
        let mut orders = 0;
        every_order(&call, &mut |events| {
            orders += 1;
            assert_eq!(row(events), expected);
            // The last one again, as a sender does that has heard no answer.
            let mut again = events.to_vec();
            let mut repeated = events[orders % events.len()].clone();
            repeated.at += 50_000;
            again.push(repeated);
            assert_eq!(row(&again), expected);
        });
        let factorial: usize = (1..=call.len()).product();
        assert_eq!(orders, factorial);
    }
}

#[test]
fn a_row_appears_once_the_call_has_ended_and_been_quiet_and_never_before() {
    for call in examples() {
        for length in 1..=call.len() {
            let events = &call[..length];
            let last = events.last().expect("one").at;
            let whole = length == call.len();
            let early = assemble(events, settings(), last + SETTLE - 1);
            assert!(matches!(early, Assembly::Wait(_)), "{early:?}");
            let settled = assemble(events, settings(), last + SETTLE);
            if whole {
                assert_eq!(early, Assembly::Wait(last + SETTLE));
                assert!(matches!(settled, Assembly::Row(_)), "{settled:?}");
            }
        }
    }
    assert_eq!(assemble(&[], settings(), 0), Assembly::Nothing);
}

#[test]
fn a_call_that_never_ends_is_closed_and_marked_and_a_late_end_takes_the_mark_away() {
    let call = astercc_call(&OUTBOUND);
    let last = call[3].at;
    let open = &call[..4];
    assert_eq!(
        assemble(open, settings(), last + SETTLE),
        Assembly::Wait(last + CLOSE)
    );
    let Assembly::Row(closed) = assemble(open, settings(), last + CLOSE) else {
        panic!("no row");
    };
    assert_eq!(closed.userfield, "unfinished;team=20;group=100");
    assert_eq!((closed.duration, closed.billsec), (8, 0));
    assert_eq!(row(&call).userfield, "team=20;group=100");
}

#[test]
fn cti_bridge_rows_have_the_times_at_which_notices_came() {
    let row = row(&examples()[2]);
    assert_eq!(
        crate::collector::row::stamp(row.calldate),
        "2010-01-01 08:22:01"
    );
    assert_eq!(
        (row.src.as_str(), row.dst.as_str()),
        ("1001", "902125550142")
    );
    assert_eq!((row.duration, row.billsec), (66, 60));
    assert_eq!(row.disposition.as_str(), "ANSWERED");
    assert_eq!(row.uniqueid, "u-1");
}

#[test]
fn cti_bridge_causes_of_every_form_decide_an_unanswered_call() {
    for (cause, expected) in [
        ("cause=USER_BUSY", "BUSY"),
        ("cause=17", "BUSY"),
        ("hangup_cause=ORIGINATOR_CANCEL", "NO ANSWER"),
        ("cause=607", "NO ANSWER"),
        ("cause=807", "NO ANSWER"),
        ("cause=34", "CONGESTION"),
        ("cause=809", "FAILED"),
        ("sipcode=486", "BUSY"),
        ("sipcode=404", "FAILED"),
        ("", "NO ANSWER"),
    ] {
        let call = cti_call(&[("request", "", 0), ("hangup", cause, 5_000)]);
        assert_eq!(row(&call).disposition.as_str(), expected, "{cause}");
    }
}

#[test]
fn what_the_switch_posts_at_the_end_counts_more_than_the_notices_on_the_way() {
    let body = r#"{"variables":{"uuid":"u-1","start_epoch":"1262305320","end_epoch":"1262305400","answer_epoch":"1262305330","duration":"80","billsec":"70","hangup_cause":"NORMAL_CLEARING"},"callflow":[{"caller_profile":{"caller_id_number":"1001","destination_number":"902125550142"}}]}"#;
    let post = freeswitch::event(body.as_bytes(), freeswitch::Encoding::Plain).expect("an event");
    let mut call = examples().remove(2);
    assert_eq!(post.call, call[0].event.call);
    call.push(Received {
        event: post,
        at: BEGIN + 80_000,
    });
    let whole = row(&call);
    assert_eq!((whole.duration, whole.billsec), (80, 70));
    call.reverse();
    assert_eq!(row(&call), whole);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Any events whatever of one call, hostile ones included: the row does not depend on their order, and nothing
    /// panics.
    #[test]
    fn any_events_in_any_order_come_to_the_same(
        steps in proptest::collection::vec(
            (0..5_usize, 0..8_usize, 0..4_usize, "(|[0-9]{1,4}|\\PC{0,6})", 0..3_600_i64, "(|20[0-9]{2}-0[1-9]-1[0-9] 0[0-9]:[0-5][0-9]:[0-5][0-9]|\\PC{0,19})", proptest::option::of(0..5_u32)),
            1..12,
        ),
        turn in 0..12_usize,
        table in 0..chrono_tz::TZ_VARIANTS.len(),
    ) {
        let sources = ["AGENT", "CALLER", "CALLEE", "CONSULT", "CONVERSATION"];
        let moves = ["ringing", "answer", "hangup", "join", "incoming", "onhold", "resume", "dance"];
        let mut events: Vec<Received> = steps.into_iter().map(|(source, moved, leg, number, at, time, eventid)| {
            let mut fields = Fields::new();
            for (key, value) in [
                ("sessionid", "s".to_owned()),
                ("source", sources[source].to_owned()),
                ("event", moves[moved].to_owned()),
                ("uniqueid", leg.to_string()),
                ("activenum", number.clone()),
                ("calleridnum", number),
                ("eventTime", time),
                ("eventid", eventid.map_or_else(String::new, |id| id.to_string())),
            ] {
                fields.insert(key.to_owned(), value);
            }
            Received { event: astercc::event(fields).expect("an event"), at: BEGIN + at * 1_000 }
        }).collect();
        let settings = Settings::new(
            chrono_tz::TZ_VARIANTS[table], Tz::America__New_York, Tz::UTC, cti_bridge::Names::default(), SETTLE, CLOSE,
        );
        let expected = assemble(&events, &settings, i64::MAX);
        let length = events.len();
        events.rotate_left(turn % length);
        prop_assert_eq!(&assemble(&events, &settings, i64::MAX), &expected);
        events.reverse();
        events.extend(events.clone());
        prop_assert_eq!(&assemble(&events, &settings, i64::MAX), &expected);
        if let Assembly::Row(row) = expected {
            let _ = row.cells();
        }
    }
}
