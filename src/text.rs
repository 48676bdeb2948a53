//! Text from outside, made safe to show on a terminal or in a log line.
//!
//! [`Shown`] is for a text that stands inside a line: whoever builds a line puts every word from outside through it, so
//! that none can begin a line of its own. [`visible_lines`] is the last gate before a terminal: whatever was forgotten on
//! the way still reaches nobody's screen raw.

use std::borrow::Cow;
use std::fmt;

pub(crate) mod base64;
pub mod mask;

/// Shows hostile text on one line: control characters, escapes, newlines, bidi marks and other invisible characters
/// come out as `\u{…}`, `\n` and the like; everything else as it is.
///
/// ```
/// use cdrelay::text::Shown;
/// assert_eq!(Shown("a\u{1b}[31mb\nc\u{202e}").to_string(), "a\\u{1b}[31mb\\nc\\u{202e}");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if is_plain(self.0) {
            return f.write_str(self.0);
        }
        for c in self.0.chars() {
            match c {
                '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                c if is_invisible(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A text of several lines as it may reach a terminal: every line as [`Shown`] shows it. Only line feeds stay.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte == b'\n' || PLAIN.contains(&byte);
    if text.bytes().all(plain) || text.chars().all(|c| c == '\n' || !is_invisible(c)) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| Shown(line).to_string())
        .collect();
    Cow::Owned(lines.join("\n"))
}

/// JSON text in which characters that [`Shown`] would escape are `\uXXXX`: the value stays the same, and nothing invisible
/// reaches a terminal. In JSON such characters stand inside strings only.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    use fmt::Write as _;
    if is_plain(json) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// The visible part of ASCII, and the space.
const PLAIN: std::ops::RangeInclusive<u8> = b' '..=b'~';

/// Whether there is nothing to look at closely: mostly there is not, and bytes are looked at faster than characters.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| PLAIN.contains(&byte))
}

/// Control characters, line and paragraph separators, zero-width characters, bidi marks and tags.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A span of time in its two largest units, such as `3h 20m`.
#[must_use]
pub fn span(time: std::time::Duration) -> String {
    let whole = std::time::Duration::from_secs(time.as_secs());
    let text = humantime::format_duration(whole).to_string();
    let parts: Vec<&str> = text.split(' ').take(2).collect();
    parts.join(" ")
}

/// `1 call`, `2 calls`.
#[must_use]
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 {
        format!("{n} {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

#[cfg(test)]
mod properties;
