//! What a sandbox answers: the web service's replies, in its own words.

use std::fmt::Write as _;

use super::Duplicates;
use super::query::Query;
use super::state::{Created, NewCall, State};
use super::wire_time::{self, WireTime};

/// The services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Create,
    Delete,
    Stats,
    Calls,
    Unknown,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/direct/items/phonecalls/create" => Self::Create,
            "/direct/items/phonecalls/delete" => Self::Delete,
            "/stats" => Self::Stats,
            "/calls" => Self::Calls,
            _ => Self::Unknown,
        }
    }
}

/// The reply to a create, always under 200.
pub(super) fn create(state: &mut State, query: &str) -> String {
    let [token, initiated, source, destination, duration, url] = Query::new(query).values([
        "token",
        "initiated",
        "source",
        "destination",
        "duration",
        "url",
    ]);
    if token != state.token.as_str() {
        return refuse_token(state);
    }
    let mut errors = Errors::default();
    let start = WireTime::parse(&initiated);
    if initiated.is_empty() {
        errors.add("initiated", "falta la fecha de inicio");
    } else if start.is_none() {
        errors.add("initiated", "la fecha de inicio no es una fecha ISO 8601");
    }
    if source.is_empty() {
        errors.add("source", "falta el número de origen");
    }
    if destination.is_empty() {
        errors.add("destination", "falta el número de destino");
    }
    let seconds = duration.parse().ok();
    if !duration.is_empty() && seconds.is_none() {
        errors.add("duration", "la duración no es un número de segundos");
    }
    let Some(start) = start.filter(|_| errors.is_empty()) else {
        state.counts.refused += 1;
        return errors.reply();
    };
    let new = NewCall {
        initiated: &initiated,
        source: &source,
        destination: &destination,
        duration: seconds,
        url: (!url.is_empty()).then_some(&*url),
    };
    match (state.create(new, start), state.duplicates) {
        (Created::UnknownNumber, _) => {
            // The documented text.
            errors.add(
                "destination",
                "no se consiguió el número de destino en la base de datos",
            );
            errors.reply()
        }
        (Created::Existing { .. }, Duplicates::Exists) => {
            errors.add("phonecall", "la llamada ya existe");
            errors.reply()
        }
        (Created::New { call, contact }, _)
        | (Created::Existing { call, contact }, Duplicates::Silent) => {
            format!(r#"{{"error":false,"contactId":{contact},"phonecallId":{call}}}"#)
        }
    }
}

/// The reply to a deletion, always under 200.
pub(super) fn delete(state: &mut State, query: &str) -> String {
    let [token, from, to] = Query::new(query).values(["token", "from", "to"]);
    if token != state.token.as_str() {
        return refuse_token(state);
    }
    let (first, last) = (wire_time::parse_date(&from), wire_time::parse_date(&to));
    let mut errors = Errors::default();
    if first.is_none() {
        errors.add("from", "la fecha debe ser AAAA-MM-DD, sin hora");
    }
    if last.is_none() {
        errors.add("to", "la fecha debe ser AAAA-MM-DD, sin hora");
    }
    match (first, last) {
        (Some(first), Some(last)) => {
            let count = state.delete(first, last);
            format!(r#"{{"count":{count},"error":false}}"#)
        }
        _ => {
            state.counts.refused += 1;
            errors.reply()
        }
    }
}

/// What it holds, one JSON object a line.
pub(super) fn calls(state: &State) -> String {
    let mut lines = String::new();
    for call in state.calls() {
        lines.push_str(&object(&call));
        lines.push('\n');
    }
    lines
}

/// Its counters as one JSON object.
pub(super) fn stats(state: &State) -> String {
    object(&state.stats())
}

fn object(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers under fixed names always make JSON")
}

fn refuse_token(state: &mut State) -> String {
    state.counts.refused += 1;
    let mut errors = Errors::default();
    errors.add("token", "el token no es válido");
    errors.reply()
}

/// The fields of a refusal. Only texts of this file go in, none of which needs escaping.
#[derive(Default)]
struct Errors(String);

impl Errors {
    fn add(&mut self, field: &'static str, message: &'static str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a String does not fail.
        let _ = write!(self.0, r#"{comma}"{field}":"{message}""#);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn reply(&self) -> String {
        format!(r#"{{"error":true,"errors":{{{}}}}}"#, self.0)
    }
}
