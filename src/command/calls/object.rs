//! A call as one JSON object.

use serde::Serialize;
use serde_json::{Value, json};

use super::missing;
use crate::call::WireForm;
use crate::command::between::{stamp, utc};
use crate::ledger::{Listed, PendingReason};

/// One call as an object, its keys in the order of the alphabet.
#[derive(Serialize)]
pub(super) struct CallObject<'a> {
    attempts: u32,
    call_id: Option<i64>,
    contact_id: Option<i64>,
    destination: &'a str,
    disposition: &'a str,
    drift: bool,
    fold: u8,
    instant: Option<String>,
    last_attempt: Option<i64>,
    linkedid: Option<&'a str>,
    missing: Option<&'static str>,
    pending: Option<&'static str>,
    reason: Option<&'a str>,
    source: &'a str,
    start: String,
    state: &'static str,
    stuck: bool,
    uniqueid: Option<&'a str>,
    wire: Option<WireObject<'a>>,
}

/// What the CRM gets, as an object.
#[derive(Serialize)]
struct WireObject<'a> {
    destination: &'a str,
    duration: u64,
    form: Option<&'a str>,
    initiated: &'a str,
    source: &'a str,
    url: Option<&'a str>,
}

impl<'a> CallObject<'a> {
    pub(super) fn of(call: &'a Listed) -> Self {
        Self {
            attempts: call.attempts,
            call_id: call.receipt.call_id,
            contact_id: call.receipt.contact_id,
            destination: call.identity.destination.as_str(),
            disposition: call.disposition.as_str(),
            drift: call.drift,
            fold: call.identity.fold.0,
            instant: utc(call.instant),
            last_attempt: call.last_attempt,
            linkedid: call.origin.linkedid.as_deref(),
            missing: missing(call.missing),
            pending: call.pending.map(PendingReason::as_str),
            reason: call.words.as_deref(),
            source: call.identity.source.as_str(),
            start: stamp(call.identity.start),
            state: call.state.as_str(),
            stuck: call.is_stuck(),
            uniqueid: call.origin.uniqueid.as_deref(),
            wire: call.wire.as_ref().map(WireObject::of),
        }
    }
}

impl<'a> WireObject<'a> {
    fn of(wire: &'a WireForm) -> Self {
        Self {
            destination: wire.destination.as_str(),
            duration: wire.duration,
            form: wire.form.as_deref(),
            initiated: &wire.initiated,
            source: wire.source.as_str(),
            url: wire.url.as_deref(),
        }
    }
}

/// One call as an object.
pub(in crate::command) fn object(call: &Listed) -> Value {
    json!(CallObject::of(call))
}

/// What the CRM gets, as an object.
pub(in crate::command) fn wire_object(wire: &WireForm) -> Value {
    json!(WireObject::of(wire))
}
