//! Deleting days: what is sent for them, and what the reply means.
//!
//! Both bounds of the web service are exclusive; whether it means the named days or their midnights is not documented,
//! so the bounds are one day wider than what is meant.

use chrono::{Datelike as _, NaiveDate};

use super::strict::StrictReply;
use super::verdict::{Answer, Reading, status_verdict, token_refused, unreadable, words};
use crate::target::http::Fault;
use crate::target::{DeleteBounds, Deletion, Outcome};

/// The bounds for the days `from..=to`: one day before and one after. `None` where the days are in the other order, or a
/// bound has no year of four digits, as the web service writes dates.
pub(super) fn bounds(from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds> {
    let writable = |day: &NaiveDate| (0..=9999).contains(&day.year());
    if from > to {
        return None;
    }
    Some(DeleteBounds {
        from: from.pred_opt().filter(writable)?,
        to: to.succ_opt().filter(writable)?,
    })
}

/// What a deletion that was answered so came to.
pub(super) fn classify(answer: &Answer<'_>, reading: &Reading<'_>) -> Deletion {
    if let Some(outcome) = status_verdict(answer, reading) {
        return undecided(outcome);
    }
    let reply = match StrictReply::read(answer.body) {
        Ok(reply) => reply,
        Err(why) => return undecided(unreadable(answer, reading, &why)),
    };
    if reply.error {
        if let Some(reason) = token_refused(&reply, reading) {
            return Deletion::Broken { reason };
        }
        let mut reason = words(&reply, reading);
        if reason.is_empty() {
            "the CRM refused without a word".clone_into(&mut reason);
        }
        return Deletion::Refused { reason };
    }
    let status = answer.status;
    match (status, reply.count("count")) {
        (200 | 201, Some(count)) => Deletion::Deleted { count },
        (200 | 201, None) => Deletion::Unknown {
            reason: format!(
                "the CRM answered {status} and `error: false`, but no whole number as `count`"
            ),
        },
        _ => Deletion::Unknown {
            reason: format!(
                "the CRM answered {status} and `error: false`, which contradict each other"
            ),
        },
    }
}

/// What a deletion that was not answered came to.
pub(super) fn unanswered(fault: Fault) -> Deletion {
    match fault {
        Fault::Unreachable(reason) => Deletion::NotSent { reason },
        Fault::Timeout(reason) | Fault::Garbled(reason) => Deletion::Unknown { reason },
        Fault::Broken(reason) => Deletion::Broken { reason },
    }
}

/// A status without a verdict, in the terms of a deletion.
fn undecided(outcome: Outcome) -> Deletion {
    match outcome {
        Outcome::Broken { reason } => Deletion::Broken { reason },
        Outcome::NoVerdict(trouble) => Deletion::Unknown {
            reason: trouble.reason,
        },
        Outcome::Unmatched { reason } | Outcome::Rejected { reason } => {
            Deletion::Refused { reason }
        }
        Outcome::Delivered(_) | Outcome::NotSent => Deletion::Unknown {
            reason: "the CRM answered something that is no word about a deletion".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::super::request::Requests;
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_deletion_is_bounded_by_the_days_outside() {
        let sent = bounds(day("2024-02-29"), day("2024-12-31")).unwrap();
        assert_eq!(
            sent,
            DeleteBounds {
                from: day("2024-02-28"),
                to: day("2025-01-01")
            }
        );
        let base = "http://127.0.0.1/p/".parse().unwrap();
        let requests = Requests::new(&base, "t").unwrap();
        assert_eq!(
            requests.delete(sent).text(),
            "http://127.0.0.1/p/direct/items/phonecalls/delete?token=t&from=2024-02-28&to=2025-01-01"
        );
        assert_eq!(bounds(day("2024-01-02"), day("2024-01-01")), None);
        assert_eq!(bounds(NaiveDate::MIN, day("2024-01-01")), None);
        assert_eq!(bounds(day("2024-01-01"), NaiveDate::MAX), None);
        assert_eq!(bounds(day("0000-01-01"), day("0000-01-01")), None);
        assert_eq!(bounds(day("9999-12-31"), day("9999-12-31")), None);
    }

    #[test]
    fn only_a_count_is_a_deletion() {
        #[track_caller]
        fn check(status: u16, body: &str, expected: fn(&Deletion) -> bool) {
            let answer = Answer {
                status,
                body: body.as_bytes(),
                ..Answer::default()
            };
            let found = classify(
                &answer,
                &Reading {
                    already_exists: &["ya existe".to_owned()],
                    hidden: &crate::target::http::Secrets::default(),
                    now: chrono::DateTime::UNIX_EPOCH,
                },
            );
            assert!(expected(&found), "{status} {body}: {found:?}");
        }
        let unknown = |d: &Deletion| matches!(d, Deletion::Unknown { .. });
        let refused = |d: &Deletion| matches!(d, Deletion::Refused { .. });
        let broken = |d: &Deletion| matches!(d, Deletion::Broken { .. });
        check(200, r#"{ "count": 702, "error": false }"#, |d| {
            *d == Deletion::Deleted { count: 702 }
        });
        check(200, r#"{"count":"702","error":false}"#, unknown);
        check(200, r#"{"count":-1,"error":false}"#, unknown);
        check(200, r#"{"count":1.5,"error":false}"#, unknown);
        check(200, r#"{"error":false}"#, unknown);
        check(200, r#"{"count":1,"count":1,"error":false}"#, unknown);
        check(200, "", unknown);
        check(200, "<html>", unknown);
        check(202, r#"{"count":1,"error":false}"#, unknown);
        check(400, r#"{"count":1,"error":false}"#, unknown);
        check(500, r#"{"error":true,"errors":{}}"#, unknown);
        check(503, "", unknown);
        check(200, r#"{ "error": true, "errors": { } }"#, refused);
        check(
            422,
            r#"{"error":true,"errors":{"from":"ya existe"}}"#,
            refused,
        );
        check(200, r#"{"error":true,"errors":{"token":"x"}}"#, broken);
        check(404, "", broken);
        check(401, "", broken);
        check(302, "", broken);
    }
}
