//! The ways in which an asterCC message comes: the body of a POST as it is, a form field `message`, a query, a line of a
//! recording.

use crate::collector::event::{BadEvent, Fields};
use crate::collector::pairs;

/// Reads a body or a query: the pairs of the message, or a `message` that holds them. Both may be there at once.
///
/// # Errors
/// [`BadEvent::TooMany`], [`BadEvent::Unreadable`].
pub fn read(text: &[u8]) -> Result<Fields, BadEvent> {
    let text = text.trim_ascii();
    if text.starts_with(b"{") {
        return unwrapped(pairs::read_json(text)?);
    }
    let quoted = text
        .strip_prefix(b"message")
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"="))
        .map(<[u8]>::trim_ascii_start)
        .filter(|rest| rest.starts_with(b"\""));
    unwrapped(pairs::read(unquoted(quoted.unwrap_or(text)))?)
}

/// Takes a field `message` apart, which holds a whole message, or the first pair of one that was not encoded.
fn unwrapped(mut fields: Fields) -> Result<Fields, BadEvent> {
    let Some(message) = fields.remove("message") else {
        return Ok(fields);
    };
    if !message.contains('=') {
        fields.insert("message".to_owned(), message);
        return Ok(fields);
    }
    let mut inner = pairs::read(unquoted(message.trim().as_bytes()))?;
    pairs::merge(&mut inner, fields);
    Ok(inner)
}

/// The messages in a line of a recording: each `message="…"` that it holds, as the documentation writes them, else the
/// line itself; none in a line that is empty or a comment.
#[must_use]
pub fn in_line(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("message") {
        rest = &rest[at + "message".len()..];
        let quoted = rest
            .trim_start()
            .strip_prefix('=')
            .and_then(|after| after.trim_start().strip_prefix('"'));
        if let Some(quoted) = quoted
            && let Some((message, after)) = quoted.split_once('"')
        {
            found.push(message);
            rest = after;
        }
    }
    let bare = line.trim();
    if found.is_empty() && !bare.is_empty() && !bare.starts_with('#') {
        found.push(bare);
    }
    found
}

/// Without the quotes, and the semicolon behind them, that a script's source has around a message.
fn unquoted(text: &[u8]) -> &[u8] {
    let inside = text
        .strip_prefix(b"\"")
        .map(|rest| rest.strip_suffix(b";").unwrap_or(rest));
    inside
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn one_message(text: &str) {
        let fields = read(text.as_bytes()).expect(text);
        assert_eq!(
            fields.get("source").map(String::as_str),
            Some("AGENT"),
            "{text}"
        );
        assert_eq!(
            fields.get("sessionid").map(String::as_str),
            Some("1f"),
            "{text}"
        );
        let channel = fields.get("channel").map(String::as_str);
        assert_eq!(channel, Some("Local/0@x;1"), "{text}");
    }

    #[test]
    fn a_message_is_the_same_however_it_is_wrapped() {
        one_message("source=AGENT&sessionid=1f&channel=Local/0@x;1&");
        one_message("source=AGENT&sessionid=1f&channel=Local%2F0%40x%3B1");
        one_message("message=source%3DAGENT%26sessionid%3D1f%26channel%3DLocal%2F0%40x%3B1%26");
        one_message("message=source=AGENT&sessionid=1f&channel=Local/0@x;1&");
        one_message("message=\"source=AGENT&sessionid=1f&channel=Local/0@x;1\";");
        one_message("\"source=AGENT&sessionid=1f&channel=Local/0@x;1\"");
        one_message(r#"{"source":"AGENT","sessionid":"1f","channel":"Local/0@x;1"}"#);
        one_message(r#"{"message":"source=AGENT&sessionid=1f&channel=Local/0@x;1&"}"#);
    }

    #[test]
    fn a_line_of_a_recording_may_hold_several_messages_or_be_one() {
        assert_eq!(
            in_line(r#"* ringing: message="a=1&b=2";</code> message= "c=3"; message of"#),
            ["a=1&b=2", "c=3"]
        );
        assert_eq!(in_line(" a=1&b=2& "), ["a=1&b=2&"]);
        assert_eq!(in_line("  "), [""; 0]);
        assert_eq!(in_line("# recorded on Monday"), [""; 0]);
    }
}
