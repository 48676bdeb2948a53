//! Why a channel ended, as FreeSWITCH says it, and what Asterisk would have written for it.
//!
//! FreeSWITCH numbers causes after Q.850 and adds numbers of its own. Version 1.10.8 moved those of 500 to 503 and 600 to
//! 613 by 200, out of the way of SIP's codes (src/include/switch_types.h, commit 3b65b1be of 2022), so both ranges are
//! known here, and a name says more than a number. Asterisk's own rules are in main/cdr.c: who answered, answered;
//! otherwise 17 is BUSY, 16 and 19 NO ANSWER, 34 CONGESTION, and 3 and 20 FAILED. The causes that it does not name are
//! put beside those that mean the same.

use crate::call::Disposition;

/// One cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Its name, without `SWITCH_CAUSE_`.
    pub name: &'static str,
    /// Its number; where FreeSWITCH moved it, the older.
    pub number: u16,
    /// Whether FreeSWITCH 1.10.8 moved the number by 200.
    pub moved: bool,
    outcome: Outcome,
}

/// What an unanswered call with a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Busy,
    NoAnswer,
    Congestion,
    Failed,
}

/// By how much version 1.10.8 moved numbers.
const MOVED_BY: u16 = 200;

impl Cause {
    /// The cause of that name, with `SWITCH_CAUSE_` in front or not, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const PREFIX: &str = "SWITCH_CAUSE_";
        let bare = match name.get(..PREFIX.len()) {
            Some(start) if start.eq_ignore_ascii_case(PREFIX) => &name[PREFIX.len()..],
            Some(_) | None => name,
        };
        let mut all = CAUSES.iter().copied();
        all.find(|cause| cause.name.eq_ignore_ascii_case(bare))
    }

    /// The cause of that number, in the older or the newer counting.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        let mut all = CAUSES.iter().copied();
        all.find(|cause| {
            cause.number == number || (cause.moved && cause.number + MOVED_BY == number)
        })
    }

    /// Reads a name or a number.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse() {
            Ok(number) => Self::numbered(number),
            Err(_) => Self::named(text),
        }
    }

    /// What Asterisk would have written for a call that nobody answered.
    #[must_use]
    pub fn unanswered(self) -> Disposition {
        match self.outcome {
            Busy => Disposition::Busy,
            NoAnswer => Disposition::NoAnswer,
            Congestion => Disposition::Congestion,
            Failed => Disposition::Failed,
        }
    }
}

/// What an unanswered call with this cause, by name or number, is: NO ANSWER where there is none, FAILED where nobody
/// knows it.
#[must_use]
pub fn unanswered(cause: &str) -> Disposition {
    if cause.trim().is_empty() {
        return Disposition::NoAnswer;
    }
    Cause::read(cause).map_or(Disposition::Failed, Cause::unanswered)
}

/// What an unanswered call with this SIP status is (RFC 3261, sections 21.4 to 21.6).
#[must_use]
pub fn unanswered_by_sip(status: u16) -> Disposition {
    match status {
        486 | 600 => Disposition::Busy,
        408 | 480 | 487 => Disposition::NoAnswer,
        503 => Disposition::Congestion,
        _ => Disposition::Failed,
    }
}

const fn cause(number: u16, name: &'static str, outcome: Outcome) -> Cause {
    Cause {
        name,
        number,
        moved: false,
        outcome,
    }
}

const fn moved(number: u16, name: &'static str, outcome: Outcome) -> Cause {
    Cause {
        name,
        number,
        moved: true,
        outcome,
    }
}

use Outcome::{Busy, Congestion, Failed, NoAnswer};

const CAUSES: &[Cause] = &[
    cause(0, "NONE", NoAnswer),
    cause(1, "UNALLOCATED_NUMBER", Failed),
    cause(2, "NO_ROUTE_TRANSIT_NET", Failed),
    cause(3, "NO_ROUTE_DESTINATION", Failed),
    cause(6, "CHANNEL_UNACCEPTABLE", Failed),
    cause(7, "CALL_AWARDED_DELIVERED", Failed),
    cause(16, "NORMAL_CLEARING", NoAnswer),
    cause(17, "USER_BUSY", Busy),
    cause(18, "NO_USER_RESPONSE", NoAnswer),
    cause(19, "NO_ANSWER", NoAnswer),
    cause(20, "SUBSCRIBER_ABSENT", Failed),
    cause(21, "CALL_REJECTED", Failed),
    cause(22, "NUMBER_CHANGED", Failed),
    cause(23, "REDIRECTION_TO_NEW_DESTINATION", Failed),
    cause(25, "EXCHANGE_ROUTING_ERROR", Failed),
    // Q.850's non-selected user clearing: answered elsewhere.
    cause(26, "NON_SELECTED_USER_CLEARING", NoAnswer),
    cause(27, "DESTINATION_OUT_OF_ORDER", Failed),
    cause(28, "INVALID_NUMBER_FORMAT", Failed),
    cause(29, "FACILITY_REJECTED", Failed),
    cause(30, "RESPONSE_TO_STATUS_ENQUIRY", Failed),
    cause(31, "NORMAL_UNSPECIFIED", NoAnswer),
    cause(34, "NORMAL_CIRCUIT_CONGESTION", Congestion),
    cause(38, "NETWORK_OUT_OF_ORDER", Failed),
    cause(41, "NORMAL_TEMPORARY_FAILURE", Failed),
    cause(42, "SWITCH_CONGESTION", Congestion),
    cause(43, "ACCESS_INFO_DISCARDED", Failed),
    cause(44, "REQUESTED_CHAN_UNAVAIL", Failed),
    cause(45, "PRE_EMPTED", Failed),
    cause(50, "FACILITY_NOT_SUBSCRIBED", Failed),
    cause(52, "OUTGOING_CALL_BARRED", Failed),
    cause(54, "INCOMING_CALL_BARRED", Failed),
    cause(57, "BEARERCAPABILITY_NOTAUTH", Failed),
    cause(58, "BEARERCAPABILITY_NOTAVAIL", Failed),
    cause(63, "SERVICE_UNAVAILABLE", Failed),
    cause(65, "BEARERCAPABILITY_NOTIMPL", Failed),
    cause(66, "CHAN_NOT_IMPLEMENTED", Failed),
    cause(69, "FACILITY_NOT_IMPLEMENTED", Failed),
    cause(79, "SERVICE_NOT_IMPLEMENTED", Failed),
    cause(81, "INVALID_CALL_REFERENCE", Failed),
    cause(88, "INCOMPATIBLE_DESTINATION", Failed),
    cause(95, "INVALID_MSG_UNSPECIFIED", Failed),
    cause(96, "MANDATORY_IE_MISSING", Failed),
    cause(97, "MESSAGE_TYPE_NONEXIST", Failed),
    cause(98, "WRONG_MESSAGE", Failed),
    cause(99, "IE_NONEXIST", Failed),
    cause(100, "INVALID_IE_CONTENTS", Failed),
    cause(101, "WRONG_CALL_STATE", Failed),
    cause(102, "RECOVERY_ON_TIMER_EXPIRE", NoAnswer),
    cause(103, "MANDATORY_IE_LENGTH_ERROR", Failed),
    cause(111, "PROTOCOL_ERROR", Failed),
    cause(127, "INTERWORKING", Failed),
    cause(142, "SUCCESS", NoAnswer),
    cause(487, "ORIGINATOR_CANCEL", NoAnswer),
    moved(500, "CRASH", Failed),
    moved(501, "SYSTEM_SHUTDOWN", Failed),
    moved(502, "LOSE_RACE", NoAnswer),
    moved(503, "MANAGER_REQUEST", Failed),
    moved(600, "BLIND_TRANSFER", Failed),
    moved(601, "ATTENDED_TRANSFER", Failed),
    moved(602, "ALLOTTED_TIMEOUT", NoAnswer),
    moved(603, "USER_CHALLENGE", Failed),
    moved(604, "MEDIA_TIMEOUT", Failed),
    moved(605, "PICKED_OFF", NoAnswer),
    moved(606, "USER_NOT_REGISTERED", Failed),
    moved(607, "PROGRESS_TIMEOUT", NoAnswer),
    moved(608, "INVALID_GATEWAY", Failed),
    moved(609, "GATEWAY_DOWN", Failed),
    moved(610, "INVALID_URL", Failed),
    moved(611, "INVALID_PROFILE", Failed),
    moved(612, "NO_PICKUP", NoAnswer),
    moved(613, "SRTP_READ_ERROR", Failed),
    cause(814, "BOWOUT", Failed),
    cause(815, "BUSY_EVERYWHERE", Busy),
    cause(816, "DECLINE", Failed),
    cause(817, "DOES_NOT_EXIST_ANYWHERE", Failed),
    cause(818, "NOT_ACCEPTABLE", Failed),
    cause(819, "UNWANTED", Failed),
    cause(820, "NO_IDENTITY", Failed),
    cause(821, "BAD_IDENTITY_INFO", Failed),
    cause(822, "UNSUPPORTED_CERTIFICATE", Failed),
    cause(823, "INVALID_IDENTITY", Failed),
    cause(824, "STALE_DATE", Failed),
    cause(825, "REJECT_ALL", Failed),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_number_of_either_counting_means_two_causes() {
        let mut numbers = BTreeSet::new();
        let mut names = BTreeSet::new();
        for cause in CAUSES {
            assert!(numbers.insert(cause.number), "{}", cause.number);
            assert!(names.insert(cause.name), "{}", cause.name);
            if cause.moved {
                assert!(numbers.insert(cause.number + MOVED_BY), "{}", cause.name);
            }
            assert_eq!(Cause::named(cause.name), Some(*cause));
        }
    }

    #[track_caller]
    fn means(text: &str, expected: &Disposition) {
        assert_eq!(&unanswered(text), expected, "{text}");
    }

    #[test]
    fn names_and_numbers_of_both_ranges_mean_the_same() {
        for (texts, expected) in [
            (
                &["USER_BUSY", "17", "SWITCH_CAUSE_USER_BUSY", "815"][..],
                Disposition::Busy,
            ),
            (
                &["NORMAL_CLEARING", "16", "ORIGINATOR_CANCEL", "487", "26"],
                Disposition::NoAnswer,
            ),
            (
                &["607", "807", "PROGRESS_TIMEOUT", "502", "702", "612", "812"],
                Disposition::NoAnswer,
            ),
            (
                &["NORMAL_CIRCUIT_CONGESTION", "34", "42"],
                Disposition::Congestion,
            ),
            (
                &[
                    "606",
                    "806",
                    "USER_NOT_REGISTERED",
                    "609",
                    "809",
                    "816",
                    "21",
                ],
                Disposition::Failed,
            ),
            (&["NO_SUCH_CAUSE", "9999", "-1"], Disposition::Failed),
            (&["", " "], Disposition::NoAnswer),
        ] {
            for text in texts {
                means(text, &expected);
            }
        }
        assert_eq!(unanswered_by_sip(486), Disposition::Busy);
        assert_eq!(unanswered_by_sip(487), Disposition::NoAnswer);
        assert_eq!(unanswered_by_sip(404), Disposition::Failed);
    }
}
