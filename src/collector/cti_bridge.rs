//! `cti_bridge` of `mod_cti`: a FreeSWITCH application that asks over HTTP where a call goes, and then says how it went.
//!
//! Its documentation gives two names: `action` (request, ring, progress, answer, hangup) and `uuid`, the call. All other
//! parameters stand in the address, and the administrator chose their names; so [`Names`] are settings. It does not say
//! when something happened, so the time at which a notice first came stands for it. Which form a body has, and what a
//! hangup notice carries, is not public: query, form and JSON are all read, and a cause is taken by name or number.

use super::assemble::Draft;
use super::event::{BadEvent, CallKey, Dialect, Event, Fields, Received};
use super::moment::{Moment, Reader, seconds};
use super::row::Row;
use crate::call::Disposition;
use crate::cdr::cause;

pub mod dial;

/// How the administrator named the parameters in the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The number called.
    pub number: String,
    /// The caller's number.
    pub callerid: String,
    /// The hangup cause.
    pub cause: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            number: "number".to_owned(),
            callerid: "callerid".to_owned(),
            cause: "cause".to_owned(),
        }
    }
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Where does the call go?
    Request,
    /// 180
    Ring,
    /// 183
    Progress,
    /// Somebody picked up.
    Answer,
    /// It is over.
    Hangup,
    /// Something that this version does not know.
    Other,
}

impl Action {
    /// Of an event. A message that carries no action asks for the way: it is what the application is for.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event.get("action").to_ascii_lowercase().as_str() {
            "request" | "" => Self::Request,
            "ring" => Self::Ring,
            "progress" => Self::Progress,
            "answer" => Self::Answer,
            "hangup" => Self::Hangup,
            _ => Self::Other,
        }
    }
}

/// The event that a message is.
///
/// # Errors
/// [`BadEvent`] where it has no `uuid`.
pub fn event(fields: Fields) -> Result<Event, BadEvent> {
    let uuid = fields.get("uuid").map_or("", |value| value.trim());
    if uuid.is_empty() {
        return Err(BadEvent::NoCall("uuid"));
    }
    Ok(Event {
        dialect: Dialect::CtiBridge,
        call: CallKey::new(Dialect::CtiBridge, uuid)?,
        fields,
    })
}

/// What the events say so far.
pub(super) fn draft(events: &[&Received], reader: &Reader, names: &Names) -> Draft {
    let of = |action: Action| {
        let mut found: Vec<&Received> = events
            .iter()
            .copied()
            .filter(|received| Action::of(&received.event) == action)
            .collect();
        found.sort_by_key(|received| (received.at, received.event.fingerprint()));
        found
    };
    let came = |found: &[&Received]| found.first().map(|one| Moment::of_milliseconds(one.at));
    let (requests, answers, hangups) =
        (of(Action::Request), of(Action::Answer), of(Action::Hangup));
    let moments = || {
        events
            .iter()
            .map(|received| Moment::of_milliseconds(received.at))
    };
    let (Some(first), Some(last)) = (moments().min(), moments().max()) else {
        return Draft {
            ended: false,
            row: None,
        };
    };
    let start = came(&requests).unwrap_or(first);
    let answer = came(&answers);
    let end = came(&hangups).unwrap_or(last);
    let in_order = [&requests[..], &hangups, &answers].concat();
    let said = |key: &str| {
        let asked = in_order.iter().chain(events);
        let mut values = asked.map(|received| received.event.get(key));
        values
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let id = events
        .first()
        .map_or("", |received| received.event.call.id());
    Draft {
        ended: !hangups.is_empty(),
        row: Some(Row {
            calldate: reader.on_table(start),
            src: said(&names.callerid),
            dst: said(&names.number),
            duration: seconds(start.instant, end.instant),
            billsec: answer.map_or(0, |answer| seconds(answer.instant, end.instant)),
            disposition: match answer {
                Some(_) => Disposition::Answered,
                None => hangups.first().map_or(Disposition::NoAnswer, |hangup| {
                    unanswered(&hangup.event, names)
                }),
            },
            uniqueid: id.to_owned(),
            linkedid: id.to_owned(),
            dcontext: String::new(),
            clid: String::new(),
            channel: String::new(),
            dstchannel: String::new(),
            lastapp: Dialect::CtiBridge.as_str().to_owned(),
            lastdata: String::new(),
            accountcode: String::new(),
            userfield: String::new(),
            did: String::new(),
        }),
    }
}

/// Without an answer the cause decides, else the SIP status; the application's own name of the cause variable is known,
/// too.
fn unanswered(hangup: &Event, names: &Names) -> Disposition {
    let causes = [hangup.get(&names.cause), hangup.get("hangup_cause")];
    if let Some(given) = causes.into_iter().find(|given| !given.is_empty()) {
        return cause::unanswered(given);
    }
    match hangup.get("sipcode").parse() {
        Ok(status) => cause::unanswered_by_sip(status),
        Err(_) => Disposition::NoAnswer,
    }
}
