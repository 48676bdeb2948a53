//! Deleting days: what is sent for them, and what the reply means.
//!
//! Both bounds of the web service are exclusive; whether it means the named days or their midnights is not documented,
//! so the bounds are one day wider than what is meant.

use chrono::NaiveDate;

use super::strict::StrictReply;
use super::verdict::{Answer, Reading, status_verdict, token_refused, unreadable, words};
use crate::target::http::Fault;
use crate::target::{DeleteBounds, Deletion, Outcome};

/// The bounds for the days `from..=to`: one day before and one after. `None` where the calendar ends or the days are in
/// the other order.
pub(super) fn bounds(from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds> {
    if from > to {
        return None;
    }
    Some(DeleteBounds {
        from: from.pred_opt()?,
        to: to.succ_opt()?,
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
