//! Reading a reply without the benefit of the doubt: one JSON object, no key twice, nothing behind it.
//!
//! A lenient parser would take the last of two `error` keys, and half a reply followed by another one for a whole; a
//! call would then count as delivered on the word of a proxy's mixed-up buffer.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Most bytes of a body that are looked at; a longer one is no verdict.
pub const REPLY_LIMIT: usize = 64 * 1024;

/// A reply that keeps to the form: an object with a boolean `error`.
#[derive(Debug, Clone, PartialEq)]
pub struct StrictReply {
    /// The value of `error`.
    pub error: bool,
    /// The other keys, in the order of the reply.
    fields: Vec<(String, Json)>,
}

/// Why a body is no [`StrictReply`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStrict {
    /// Nothing but blanks.
    #[error("the reply is empty")]
    Empty,
    /// A page where JSON was due.
    #[error("the reply is an HTML page")]
    Html,
    /// Longer than [`REPLY_LIMIT`].
    #[error("the reply is longer than 64 KiB")]
    TooLong,
    /// Not JSON, or not whole.
    #[error("the reply is not JSON: {0}")]
    NotJson(String),
    /// JSON of another shape.
    #[error("the reply is JSON, but {0}")]
    Shape(&'static str),
}

/// A JSON value in which no object has a key twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// A fraction, or an integer beyond `i64`.
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl StrictReply {
    /// Reads a whole body. A UTF-8 byte-order mark and blanks around the object are tolerated.
    ///
    /// # Errors
    /// [`NotStrict`]; its text quotes nothing of the body.
    pub fn read(body: &[u8]) -> Result<Self, NotStrict> {
        if body.len() > REPLY_LIMIT {
            return Err(NotStrict::TooLong);
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match body.trim_ascii_start().first() {
            None => return Err(NotStrict::Empty),
            Some(b'<') => return Err(NotStrict::Html),
            Some(_) => {}
        }
        let json = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
        let Json::Object(mut fields) = json else {
            return Err(NotStrict::Shape("not an object"));
        };
        let Some(at) = fields.iter().position(|(key, _)| key == "error") else {
            return Err(NotStrict::Shape("has no `error`"));
        };
        match fields.remove(at).1 {
            Json::Bool(error) => Ok(Self { error, fields }),
            Json::Null
            | Json::Integer(_)
            | Json::Number(_)
            | Json::Text(_)
            | Json::List(_)
            | Json::Object(_) => Err(NotStrict::Shape("its `error` is neither true nor false")),
        }
    }

    /// An id: an integer, or a text that is one. Anything else is as if it were not there.
    #[must_use]
    pub fn id(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Json::Integer(id) => Some(*id),
            Json::Text(text) => text.parse().ok(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// A count: an integer that is not negative.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Json::Integer(count) => u64::try_from(*count).ok(),
            Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::Text(_)
            | Json::List(_)
            | Json::Object(_) => None,
        }
    }

    /// The keys of the object `errors`; none where it is something else.
    pub fn error_fields(&self) -> impl Iterator<Item = &str> {
        let fields = match self.get("errors") {
            Some(Json::Object(fields)) => fields.as_slice(),
            Some(_) | None => &[],
        };
        fields.iter().map(|(key, _)| key.as_str())
    }

    /// Everything the CRM says about an error, as pairs of field and message: the texts in `errors`, then a `message` of
    /// the object itself. The field is empty where the message belongs to none.
    #[must_use]
    pub fn messages(&self) -> Vec<(&str, String)> {
        let mut found = Vec::new();
        match self.get("errors") {
            Some(Json::Object(fields)) => {
                for (key, value) in fields {
                    collect(key, value, &mut found);
                }
            }
            Some(other) => collect("", other, &mut found),
            None => {}
        }
        if let Some(message) = self.get("message") {
            collect("", message, &mut found);
        }
        found
    }

    fn get(&self, key: &str) -> Option<&Json> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

/// The texts of a value, under the field they stand in.
fn collect<'a>(field: &'a str, value: &Json, into: &mut Vec<(&'a str, String)>) {
    match value {
        Json::Null => {}
        Json::Bool(value) => into.push((field, value.to_string())),
        Json::Integer(value) => into.push((field, value.to_string())),
        Json::Number(value) => into.push((field, value.to_string())),
        Json::Text(text) => into.push((field, text.clone())),
        Json::List(values) => {
            for value in values {
                collect(field, value, into);
            }
        }
        Json::Object(fields) => {
            for (_, value) in fields {
                collect(field, value, into);
            }
        }
    }
}

/// serde_json's category and place. Its full text may quote the body, and with it whatever the body repeats.
fn not_json(error: &serde_json::Error) -> NotStrict {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a key occurs twice",
        Category::Syntax | Category::Io => "the syntax is wrong",
    };
    NotStrict::NotJson(format!(
        "{what}, line {} column {}",
        error.line(),
        error.column()
    ))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without duplicate keys")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        // An id beyond i64 is none that the ledger could hold; as a number it is only ever shown.
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("duplicate key"));
            }
            fields.push((key, entries.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}
