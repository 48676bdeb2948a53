//! `k=v&k=v&…`, as asterCC and others write it: values unencoded or percent-encoded, a trailing `&`, blanks anywhere.

use percent_encoding::percent_decode;

use super::event::{BadEvent, Fields, MOST_FIELDS};
use crate::source::columns::decode;

/// Reads the pairs of a message. Only `&` parts them (a `;` stands in asterCC's channel names), only the first `=` parts
/// key and value, an empty piece says nothing, `%XX` is decoded where it is two hexadecimal digits, and `+` is a plus: in
/// numbers it means something. Where a key stands twice the first one that says something counts.
///
/// # Errors
/// [`BadEvent::TooMany`].
pub fn read(text: &[u8]) -> Result<Fields, BadEvent> {
    let mut fields = Fields::new();
    for piece in text.split(|&byte| byte == b'&') {
        let (key, value) = match piece.iter().position(|&byte| byte == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &[][..]),
        };
        let key = decoded(key).trim().to_owned();
        if key.is_empty() {
            continue;
        }
        add(&mut fields, key, decoded(value));
        if fields.len() > MOST_FIELDS {
            return Err(BadEvent::TooMany);
        }
    }
    Ok(fields)
}

/// Reads a JSON object: its texts, numbers and truth values as text, what is nested in it as JSON.
///
/// # Errors
/// [`BadEvent::Unreadable`], [`BadEvent::TooMany`].
pub fn read_json(text: &[u8]) -> Result<Fields, BadEvent> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text)
        .map_err(|error| BadEvent::Unreadable(format!("it is no JSON object ({error})")))?;
    if object.len() > MOST_FIELDS {
        return Err(BadEvent::TooMany);
    }
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(object
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect())
}

/// Adds what `fields` does not have, or has without a value.
pub fn merge(fields: &mut Fields, more: Fields) {
    for (key, value) in more {
        add(fields, key, value);
    }
}

fn add(fields: &mut Fields, key: String, value: String) {
    match fields.get_mut(&key) {
        Some(present) if !present.trim().is_empty() => {}
        Some(present) => *present = value,
        None => {
            fields.insert(key, value);
        }
    }
}

/// `%XX` decoded where it is one.
fn decoded(text: &[u8]) -> String {
    let bytes: Vec<u8> = percent_decode(text).collect();
    decode(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &[(&str, &str)]) {
        let fields = read(text.as_bytes()).expect(text);
        let found: Vec<_> = fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        reads(
            "eventTime=2010-01-01 08:21:58&channel=Local/0@hosted-dialout-408a;1&from=dialout&",
            &[
                ("channel", "Local/0@hosted-dialout-408a;1"),
                ("eventTime", "2010-01-01 08:21:58"),
                ("from", "dialout"),
            ],
        );
        reads(
            "a=1%2B1&b=100%&c=%zz&d",
            &[("a", "1+1"), ("b", "100%"), ("c", "%zz"), ("d", "")],
        );
        reads("n=+58414&=x&&k=a=b", &[("k", "a=b"), ("n", "+58414")]);
        reads("a=&a=1&a=2", &[("a", "1")]);
        reads(" channel= &\n", &[("channel", " ")]);
    }

    #[test]
    fn more_pairs_than_any_message_has_are_refused() {
        let many: String = (0..300).map(|n| format!("k{n}=1&")).collect();
        assert_eq!(read(many.as_bytes()), Err(BadEvent::TooMany));
    }

    #[test]
    fn json_objects_are_pairs_too() {
        let fields =
            read_json(br#"{"a":"x","n":5,"t":true,"z":null,"o":{"p":[1]}}"#).expect("read");
        let found: Vec<_> = fields.values().map(String::as_str).collect();
        assert_eq!(found, ["x", "5", r#"{"p":[1]}"#, "true", ""]);
        for text in ["", "[1]", "{", "\"a\"", "{\"a\":1}x"] {
            assert!(read_json(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read_json(&bytes);
        }
    }
}
