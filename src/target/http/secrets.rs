//! What a server may repeat of a request and no reason may show. Pure.

use serde_json::Value;

use crate::text::base64;

/// Shorter pieces than this are struck out only where a secret stands as it is: of a Base64 text they prove nothing.
const SHORTEST_PIECE: usize = 6;

/// Secrets, to be struck out of a server's words: in either case, percent-encoded in whole or in part, behind
/// backslashes, and inside Base64.
#[derive(Clone, Default)]
pub struct Secrets(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
struct Piece {
    bytes: Vec<u8>,
    /// Only where no letter or digit touches it.
    whole_word: bool,
}

impl Secrets {
    /// Adds a secret. An empty one is none.
    #[must_use]
    pub fn with(mut self, secret: &str) -> Self {
        self.add(secret.as_bytes(), false);
        for part in base64::inside(secret.as_bytes()) {
            if part.len() >= SHORTEST_PIECE {
                self.add(part.as_bytes(), false);
            }
        }
        self
    }

    /// Adds a name that is no secret by itself and still nobody's business: it is struck out where it is a word.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.add(name.as_bytes(), true);
        self
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.sort();
        self
    }

    /// The text with `***` in place of every secret.
    #[must_use]
    pub fn strike(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let before = shown.chars().next_back();
            let length = self.0.iter().find_map(|piece| piece.at(before, rest));
            match length {
                Some(length) => {
                    shown.push_str("***");
                    rest = &rest[length..];
                }
                None => {
                    shown.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        shown
    }

    /// A reply as JSON, every secret in it struck out; `None` where it is no object.
    #[must_use]
    pub fn object(&self, body: &[u8]) -> Option<Value> {
        let struck = self.strike(std::str::from_utf8(body).ok()?);
        serde_json::from_str(&struck).ok().filter(Value::is_object)
    }

    fn add(&mut self, bytes: &[u8], whole_word: bool) {
        if !bytes.is_empty() {
            self.0.push(Piece {
                bytes: bytes.to_vec(),
                whole_word,
            });
            self.sort();
        }
    }

    /// The longest first: a secret that is part of another would leave the other's rest standing.
    fn sort(&mut self) {
        self.0
            .sort_by_key(|piece| std::cmp::Reverse(piece.bytes.len()));
        self.0.dedup();
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.len()).finish()
    }
}

impl Piece {
    /// How many bytes the piece takes at the start of a text, if it stands there.
    fn at(&self, before: Option<char>, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = 0;
        for wanted in &self.bytes {
            at += spelled(*wanted, &bytes[at..])?;
        }
        // A lone byte of a character in another encoding never ends a secret.
        let rest = text.get(at..)?;
        let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if self.whole_word && (touches(before) || touches(rest.chars().next())) {
            return None;
        }
        Some(at)
    }
}

/// How many bytes spell this one at the start of a text: itself in either case, `%2B` (`%252B` where it was encoded
/// twice), a `+` for a blank, all of them behind backslashes.
fn spelled(wanted: u8, text: &[u8]) -> Option<usize> {
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    if wanted == b'\\' && slashes > 0 {
        // Doubled as often as it was quoted; one is one.
        return Some(if slashes >= 2 { 2 } else { 1 });
    }
    let rest = &text[slashes..];
    let first = *rest.first()?;
    if first.eq_ignore_ascii_case(&wanted) || (wanted == b' ' && first == b'+') {
        // A percent sign that stands for itself may still begin its own encoding.
        let encoded = if wanted == b'%' { percent(rest) } else { None };
        return Some(
            slashes
                + encoded
                    .filter(|(byte, _)| *byte == wanted)
                    .map_or(1, |(_, n)| n),
        );
    }
    let (byte, length) = percent(rest)?;
    byte.eq_ignore_ascii_case(&wanted)
        .then_some(slashes + length)
}

/// A percent-encoded byte at the start, and the length of its spelling.
fn percent(text: &[u8]) -> Option<(u8, usize)> {
    let mut at = 1;
    if text.first() != Some(&b'%') {
        return None;
    }
    while text[at..].starts_with(b"25") && text.len() >= at + 4 && is_hex(&text[at + 2..at + 4]) {
        at += 2;
    }
    let digits = text.get(at..at + 2).filter(|digits| is_hex(digits))?;
    let digits = std::str::from_utf8(digits).ok()?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    Some((byte, at + 2))
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, text: &str, expected: &str) {
        assert_eq!(Secrets::default().with(secret).strike(text), expected);
    }

    #[test]
    fn a_secret_is_struck_out_however_it_is_spelled() {
        check("canary+t/k n", "a canary+t/k n b", "a *** b");
        check("canary+t/k n", "a CANARY+T/K N b", "a *** b");
        check(
            "canary+t/k n",
            "?token=canary%2Bt%2fk%20n&x",
            "?token=***&x",
        );
        check("canary+t/k n", "?token=canary%252Bt/k+n&x", "?token=***&x");
        check("canary+t/k n", "%63anary+t\\/k n", "***");
        check("say \"yes\"", r#"he: say \"yes\"!"#, "he: ***!");
        check(r"back\slash", r"back\slash back\\slash", "*** ***");
        check("50%", "50% 50%25 50%2525", "*** *** ***");
        check("ñandú", "Ñ ñandú %C3%B1and%c3%ba", "Ñ *** ***");
        for text in ["canary+t/k", "canary t/k n", "c a n a r y", "%", "%6", "\\"] {
            check("canary+t/k n", text, text);
        }
        check("", "nothing", "nothing");
    }

    #[test]
    fn a_secret_inside_base64_is_struck_out() {
        for prefix in ["", "a", "ab", "relay:"] {
            let encoded = base64::encode(format!("{prefix}canary-token tail").as_bytes());
            let struck = Secrets::default().with("canary-token").strike(&encoded);
            assert!(struck.contains("***"), "{encoded}: {struck}");
            assert!(!struck.contains("YW5hcn"), "{struck}");
        }
    }

    #[test]
    fn of_two_secrets_the_longer_one_goes_first() {
        let secrets = Secrets::default().with("can").with("canary");
        assert_eq!(secrets.strike("canary can"), "*** ***");
        let one = Secrets::default().with("canary");
        let both = Secrets::default().with("can").and(one);
        assert_eq!(both.strike("canary can"), "*** ***");
    }

    #[test]
    fn a_name_is_struck_out_as_a_word_only() {
        let secrets = Secrets::default().with_name("admin");
        assert_eq!(
            secrets.strike("Admin, ask the administrator: admin"),
            "***, ask the administrator: ***"
        );
    }

    #[test]
    fn a_reply_is_given_on_without_secrets() {
        let secrets = Secrets::default().with("canary-password");
        let body = br#"{"status":"ok","data":{"echo":"canary-password","id":7}}"#;
        let reply = secrets.object(body).map(|value| value.to_string());
        assert_eq!(
            reply.as_deref(),
            Some(r#"{"data":{"echo":"***","id":7},"status":"ok"}"#)
        );
        assert_eq!(secrets.object(b"[1]"), None);
    }

    #[test]
    fn debug_shows_how_many_and_no_more() {
        let secrets = Secrets::default().with("canary").with_name("user");
        assert!(!format!("{secrets:?}").contains("canary"));
    }
}
