//! What Asterisk is told: channel variables, one command a line.

use serde_json::Value;

/// Most bytes of a value: Asterisk reads a command into a buffer of 2,048.
const LONGEST: usize = 512;

/// The command that sets a channel variable. Nothing in the value can end the command or begin another.
#[must_use]
pub fn set(name: &str, value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if quoted.len() + c.len_utf8() + 1 > LONGEST {
            break;
        }
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    format!("SET VARIABLE {name} \"{quoted}\"\n")
}

/// A place in a reply, such as `data.process.id` or `data.list.0.id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<String>);

impl JsonPath {
    /// Reads a path: names and positions (from 0) with dots between them. `None` where one of them is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        parts
            .iter()
            .all(|part| !part.is_empty())
            .then_some(Self(parts))
    }

    /// What stands there, as text; empty where nothing does. Lists and objects come as JSON.
    #[must_use]
    pub fn of(&self, reply: &Value) -> String {
        let step = |at: &Value, part: &String| match at {
            Value::Object(fields) => fields.get(part).cloned(),
            Value::Array(list) => list.get(part.parse::<usize>().ok()?).cloned(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let found = self
            .0
            .iter()
            .try_fold(reply.clone(), |at, part| step(&at, part));
        match found {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        }
    }
}

/// Whether a channel variable can be called so: letters, digits and `_`, and none of Asterisk's functions.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(set("A", "ok"), "SET VARIABLE A \"ok\"\n");
        assert_eq!(
            set("A", "a\"\nEXEC System \"x\\"),
            "SET VARIABLE A \"a\\\" EXEC System \\\"x\\\\\"\n"
        );
        for long in ["\"".repeat(2000), "ñ".repeat(2000)] {
            let line = set("A", &long);
            assert!(line.len() < 600 && line.ends_with("\"\n"), "{line}");
            assert_eq!(line.matches('\n').count(), 1);
        }
    }

    #[test]
    fn a_path_finds_what_stands_there_or_nothing() {
        let reply =
            serde_json::json!({"data": {"list": [{"id": 7}, "x"], "ok": true, "none": null}});
        for (path, expected) in [
            ("data.list.0.id", "7"),
            ("data.list.1", "x"),
            ("data.ok", "true"),
            ("data.list.0", "{\"id\":7}"),
            ("data.none", ""),
            ("data.list.9", ""),
            ("data.list.x", ""),
            ("data.ok.id", ""),
        ] {
            assert_eq!(
                JsonPath::parse(path).unwrap().of(&reply),
                expected,
                "{path}"
            );
        }
        for wrong in ["", ".", "a.", "a..b"] {
            assert_eq!(JsonPath::parse(wrong), None, "{wrong}");
        }
        assert!(is_name("CRM_PROCESS") && is_name("__CRM"));
        assert!(!is_name("CDR(x)") && !is_name("") && !is_name("1A") && !is_name("A B"));
    }
}
