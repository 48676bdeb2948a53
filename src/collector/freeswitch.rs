//! What FreeSWITCH posts at the end of a call (`mod_json_cdr`): the message, and the row that it makes.
//!
//! The body is a JSON object, `{"variables":{…},"callflow":[{"caller_profile":{…},…},…],…}`, in one of three encodings
//! (src/mod/event_handlers/mod_json_cdr/mod_json_cdr.c): as it is, as a form field `cdr`, or in Base64 as such a field.
//! With `encode-values`, which is on by default, each variable's value is percent-encoded besides. The first callflow is
//! the latest. Of a bridged call both legs may be posted; the one that was called has an `originator` in its profile, and
//! makes no row of its own, as in Asterisk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::assemble::Draft;
use super::event::{BadEvent, CallKey, Dialect, Event, Fields, Received};
use super::moment::{Moment, Reader, seconds};
use super::row::Row;
use crate::call::Disposition;
use crate::cdr::cause;
use crate::source::columns::decode;

/// How the body is encoded: `Content-Type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Plain,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/x-www-form-base64-encoded`
    Base64,
}

impl Encoding {
    /// By the content type, and where that says nothing by the first bytes.
    #[must_use]
    pub fn of(content_type: &str, body: &[u8]) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/x-www-form-base64-encoded") {
            Self::Base64
        } else if body.trim_ascii_start().starts_with(b"cdr=") {
            Self::Form
        } else {
            Self::Plain
        }
    }
}

/// The variables that are kept: of some hundreds, those that say something about the call as a whole.
const KEPT: [&str; 22] = [
    "uuid",
    "call_uuid",
    "direction",
    "start_epoch",
    "answer_epoch",
    "end_epoch",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "hangup_cause_q850",
    "sip_term_status",
    "caller_id",
    "accountcode",
    "userfield",
    "channel_name",
    "bridge_channel",
    "last_app",
    "last_arg",
    "originating_leg_uuid",
];

/// What is kept of the latest caller profile, under these names.
const PROFILE: [(&str, &str); 5] = [
    ("caller_id_name", "caller_id_name"),
    ("caller_id_number", "caller_id_number"),
    ("destination_number", "destination_number"),
    ("context", "context"),
    ("chan_name", "chan_name"),
];

/// Longest value that is kept, in bytes.
const LONGEST_VALUE: usize = 1024;

/// Reads a post.
///
/// # Errors
/// [`BadEvent`] where it is none, or nothing in it says which call it is about.
pub fn event(body: &[u8], encoding: Encoding) -> Result<Event, BadEvent> {
    let json = decoded(body, encoding)?;
    let document: Map<String, Value> = serde_json::from_slice(&json)
        .map_err(|error| BadEvent::Unreadable(format!("it is no JSON object ({error})")))?;
    let Some(Value::Object(variables)) = document.get("variables") else {
        return Err(BadEvent::Lacks("variables"));
    };
    let encoded = values_are_encoded(variables);
    let mut fields = Fields::new();
    let mut keep = |key: &str, value: String| {
        if !value.is_empty() {
            fields.insert(key.to_owned(), cut(&value));
        }
    };
    for key in KEPT {
        let value = text(variables.get(key));
        let value = if encoded {
            let bytes: Vec<u8> = percent_decode_str(&value).collect();
            decode(&bytes)
        } else {
            value
        };
        keep(key, value);
    }
    let profiles: Vec<&Map<String, Value>> = document
        .get("callflow")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|flow| flow.get("caller_profile").and_then(Value::as_object))
        .collect();
    for (key, name) in PROFILE {
        let latest = profiles.first().map(|profile| text(profile.get(key)));
        keep(name, latest.unwrap_or_default());
    }
    if profiles
        .iter()
        .any(|profile| profile.get("originator").is_some_and(|one| !one.is_null()))
    {
        keep("leg", "b".to_owned());
    }
    let uuid = fields
        .get("uuid")
        .cloned()
        .or_else(|| {
            let latest = profiles.first()?;
            Some(text(latest.get("uuid"))).filter(|uuid| !uuid.is_empty())
        })
        .ok_or(BadEvent::NoCall("uuid"))?;
    Ok(Event {
        dialect: Dialect::Freeswitch,
        call: CallKey::new(Dialect::Freeswitch, uuid.trim())?,
        fields,
    })
}

fn decoded(body: &[u8], encoding: Encoding) -> Result<Vec<u8>, BadEvent> {
    let field = || {
        let body = body.trim_ascii();
        body.strip_prefix(b"cdr=").ok_or(BadEvent::Lacks("cdr"))
    };
    match encoding {
        Encoding::Plain => Ok(body.to_vec()),
        // FreeSWITCH encodes a blank as %20 and leaves no plus that means one.
        Encoding::Form => Ok(percent_encoding::percent_decode(field()?).collect()),
        Encoding::Base64 => {
            let text: Vec<u8> = percent_encoding::percent_decode(field()?)
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            STANDARD
                .decode(text)
                .map_err(|error| BadEvent::Unreadable(format!("it is no Base64 ({error})")))
        }
    }
}

/// With `encode-values` a date has no blank in it: `2026-11-20%2008%3A30%3A00`.
fn values_are_encoded(variables: &Map<String, Value>) -> bool {
    let stamps = ["start_stamp", "end_stamp", "profile_start_stamp"];
    let mut found = stamps
        .iter()
        .map(|key| text(variables.get(*key)))
        .filter(|stamp| !stamp.is_empty());
    match found.next() {
        Some(stamp) => stamp.contains("%20") || stamp.contains("%3A") || stamp.contains("%3a"),
        // Without a date: something that would have been encoded says that nothing was.
        None => !variables
            .values()
            .any(|value| text(Some(value)).contains([' ', '/', '@', '<', '"', ','])),
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

fn cut(value: &str) -> String {
    let end = (0..=LONGEST_VALUE.min(value.len()))
        .rev()
        .find(|&end| value.is_char_boundary(end))
        .unwrap_or(0);
    value[..end].to_owned()
}

/// What the posts say: of several, the one about the latest end, since FreeSWITCH posts again what it has not heard was
/// taken.
pub(super) fn draft(events: &[&Received], reader: &Reader) -> Draft {
    let latest = events.iter().max_by_key(|received| {
        let event = &received.event;
        (epoch(event, "end_epoch"), event.fingerprint())
    });
    let row = latest
        .map(|received| &received.event)
        .filter(|event| event.get("leg") != "b" && event.get("originating_leg_uuid").is_empty())
        .and_then(|event| row(event, reader, latest.map_or(0, |received| received.at)));
    Draft { ended: true, row }
}

fn row(event: &Event, reader: &Reader, came: i64) -> Option<Row> {
    let at = |name: &str, not_before: Option<i64>| {
        epoch(event, &format!("{name}_epoch"))
            .map(Moment::of_instant)
            .or_else(|| reader.read(event.get(&format!("{name}_stamp")), not_before))
    };
    let end = at("end", None);
    let given = |key: &str| event.get(key).parse::<u32>().ok();
    let start = at("start", None).or_else(|| {
        // A post without a start is about a call that has just ended.
        let end = end.unwrap_or(Moment::of_milliseconds(came));
        let duration = given("duration").unwrap_or(0);
        Some(Moment::of_instant(
            end.instant.saturating_sub(i64::from(duration)),
        ))
    })?;
    let answer = at("answer", Some(start.instant));
    let until = |from: Moment| end.map_or(0, |end| seconds(from.instant, end.instant));
    let cause = [event.get("hangup_cause"), event.get("hangup_cause_q850")]
        .into_iter()
        .find(|cause| !cause.is_empty())
        .unwrap_or_default();
    let first = |keys: [&str; 2]| {
        let mut values = keys.into_iter().map(|key| event.get(key));
        let found = values.find(|value| !value.is_empty());
        found.unwrap_or_default().to_owned()
    };
    let id = event.call.id();
    let clid = match (event.get("caller_id"), event.get("caller_id_name")) {
        ("", "") => String::new(),
        ("", name) => format!("\"{name}\" <{}>", event.get("caller_id_number")),
        (whole, _) => whole.to_owned(),
    };
    Some(Row {
        calldate: reader.on_table(start),
        src: event.get("caller_id_number").to_owned(),
        dst: event.get("destination_number").to_owned(),
        duration: given("duration").unwrap_or_else(|| until(start)),
        billsec: match answer {
            Some(answer) => given("billsec").unwrap_or_else(|| until(answer)),
            None => 0,
        },
        disposition: match answer {
            Some(_) => Disposition::Answered,
            None => cause::unanswered(cause),
        },
        uniqueid: id.to_owned(),
        linkedid: match event.get("call_uuid") {
            "" => id,
            linked => linked,
        }
        .to_owned(),
        dcontext: event.get("context").to_owned(),
        clid,
        channel: first(["channel_name", "chan_name"]),
        dstchannel: event.get("bridge_channel").to_owned(),
        lastapp: event.get("last_app").to_owned(),
        lastdata: event.get("last_arg").to_owned(),
        accountcode: event.get("accountcode").to_owned(),
        userfield: event.get("userfield").to_owned(),
        did: String::new(),
    })
}

/// Unix seconds; 0 stands for "never".
fn epoch(event: &Event, key: &str) -> Option<i64> {
    event.get(key).parse().ok().filter(|&epoch: &i64| epoch > 0)
}

#[cfg(test)]
mod tests;
