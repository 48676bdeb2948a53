//! Asterisk's dialplan patterns, such as `_9NXXXXXX`: does one match a number, and which of two is tried first.
//!
//! The semantics are those of Asterisk's default matcher (main/pbx.c, `_extension_match_core` in mode `E_MATCH`, and
//! `ext_cmp`), checked by vectors that were computed with it (`tests/data/dialplan_vectors.tsv`):
//!
//! - Without a leading `_` the text is compared as it stands, in its own case.
//! - With `_`: `X` is 0-9, `Z` 1-9, `N` 2-9, in either case and inside words too (`_unknown` does not match `unknown`;
//!   write `_u[n]k[n]ow[n]`); `[135-7]` is one character of a set; `.` one or more characters, `!` none or more, and
//!   both end the pattern; everything else stands for itself.
//! - `-` is decoration, in patterns and in numbers, and skipped outside of `[...]`; so are spaces in a pattern. What
//!   follows a `/` would be a pattern for the caller's number in a dialplan; it is not looked at.
//! - Everything is counted in bytes.
//!
//! # Where Asterisk itself is odd
//!
//! Both of these are done as Asterisk does them, so that a pattern can be carried over from a dialplan untested:
//!
//! - *The end of a pattern is its least specific position.* `_1.` and `_1!` are tried before `_1`, although `_1` matches
//!   one number only. (The order never decides anything in a rule chain, where rules go in the order of the file.)
//! - *A number that begins with `_` is first read as a pattern*, and matches where the two are equal in the order:
//!   `_X.` matches the number `_X.`, and `_[0-9].` does too. No real number begins with `_`.
//!
//! In one thing [`Pattern::parse`] is stricter than Asterisk, which warns and goes on: a pattern that can match nothing
//! (`_[1-3`, `_[3-1]X`) is refused, because a rule that never applies sends wrong numbers without a word.

use std::cmp::Ordering;
use std::fmt;

use super::position::{self, Position};
use crate::text::Shown;

/// A dialplan pattern, ready to match.
///
/// ```
/// use cdrelay::number::dialplan::Pattern;
/// let local = Pattern::parse("_9NXXXXXX")?;
/// assert!(local.is_match("9285-3348"));
/// assert!(!local.is_match("902122853348"));
/// # Ok::<(), cdrelay::number::dialplan::PatternError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    shape: Shape,
}

/// How a pattern and a number go together; the numbers that Asterisk gives them are 0, 1 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// They do not match.
    No,
    /// They match.
    Yes,
    /// They match by `!`: in a dialplan no further digit would be waited for. A match like any other here.
    Early,
}

/// Why a text is no usable pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing is there to match.
    #[error("the pattern `{0}` is empty; write a number, or `_` and a pattern such as `_9NXXXXXX`")]
    Empty(String),
    /// No number has one.
    #[error("the pattern `{}` holds a control character; remove it", Shown(.0))]
    ControlCharacter(String),
    /// `[` without `]`.
    #[error(
        "the pattern `{0}` has a `[` without `]` and could never match; close the set, as in `_[1-3]XX`"
    )]
    UnclosedSet(String),
    /// A set without a character.
    #[error(
        "the pattern `{0}` could never match: the range in `[...]` runs backwards; write the lower character first, as in `[1-3]`"
    )]
    EmptySet(String),
}

impl Pattern {
    /// Reads a pattern as a dialplan would hold it.
    ///
    /// # Errors
    /// [`PatternError`], where the text could never match a number.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().any(char::is_control) {
            return Err(PatternError::ControlCharacter(text.to_owned()));
        }
        let pattern = Self::as_asterisk_reads(text);
        match &pattern.shape {
            Shape::Literal(literal) if literal.is_empty() => {
                Err(PatternError::Empty(text.to_owned()))
            }
            Shape::Wild(positions) if positions.is_empty() => {
                Err(PatternError::Empty(text.to_owned()))
            }
            Shape::Wild(positions) => match first_impossible(positions) {
                Some(Position::Unclosed) => Err(PatternError::UnclosedSet(text.to_owned())),
                Some(Position::Byte { .. } | Position::OneOrMore | Position::ZeroOrMore) => {
                    Err(PatternError::EmptySet(text.to_owned()))
                }
                None => Ok(pattern),
            },
            Shape::Literal(_) => Ok(pattern),
        }
    }

    /// Reads any text the way Asterisk does, the patterns that can never match included.
    pub(super) fn as_asterisk_reads(text: &str) -> Self {
        let stored = without_spaces(text);
        let shape = match stored.strip_prefix(b"_") {
            None => Shape::Literal(without_dashes(&stored).collect()),
            Some(pattern) => Shape::Wild(position::read(before_caller_id(pattern))),
        };
        Self {
            text: text.to_owned(),
            shape,
        }
    }

    /// How `number` goes with the pattern. Any text is a number here; it is compared byte by byte.
    #[must_use]
    pub fn matches(&self, number: &str) -> Match {
        match &self.shape {
            Shape::Literal(literal) => {
                if without_dashes(number.as_bytes()).eq(literal.iter().copied()) {
                    Match::Yes
                } else {
                    Match::No
                }
            }
            Shape::Wild(positions) => {
                if let Some(read_as_pattern) = number.strip_prefix('_')
                    && position::compare(positions, &position::read(read_as_pattern.as_bytes()))
                        .is_eq()
                {
                    return Match::Yes;
                }
                match_positions(positions, number)
            }
        }
    }

    /// Whether `number` matches, early or not.
    #[must_use]
    pub fn is_match(&self, number: &str) -> bool {
        match self.matches(number) {
            Match::Yes | Match::Early => true,
            Match::No => false,
        }
    }

    /// The order in which Asterisk tries the patterns of one context: what comes first wins.
    ///
    /// Texts without `_` come before patterns, by their bytes; patterns are compared position by position, the smaller
    /// set first. It is neither the longest match nor the order of the file. Patterns that differ in decoration or
    /// spelling only (`_[2-9]` and `_N`) are equal.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (&self.shape, &other.shape) {
            (Shape::Literal(left), Shape::Literal(right)) => left.cmp(right),
            (Shape::Literal(_), Shape::Wild(_)) => Ordering::Less,
            (Shape::Wild(_), Shape::Literal(_)) => Ordering::Greater,
            (Shape::Wild(left), Shape::Wild(right)) => position::compare(left, right),
        }
    }

    /// Whether Asterisk would try this pattern before `other`.
    #[must_use]
    pub fn tried_before(&self, other: &Self) -> bool {
        self.compare(other).is_lt()
    }

    /// What a person should look at, although Asterisk accepts it: `9NXXXXXX`, which without `_` is that very text, and
    /// `_NXX/2125551212`, whose second half is not looked at.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.shape {
            Shape::Literal(literal) => {
                let meant = literal.iter().any(|b| b"XZN[.!".contains(b))
                    && literal.iter().all(|b| b"0123456789*#+XZN[].!".contains(b));
                meant.then(|| {
                    format!(
                        "`{0}` has no leading `_` and matches that very text only; a pattern would be `_{0}`",
                        self.text
                    )
                })
            }
            Shape::Wild(_) => self.text.contains('/').then(|| {
                format!(
                    "what follows the `/` in `{}` is not looked at: a rule sees one number",
                    self.text
                )
            }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone)]
enum Shape {
    /// Without `_`: compared as it stands; held without dashes.
    Literal(Vec<u8>),
    /// With `_`.
    Wild(Vec<Position>),
}

fn match_positions(positions: &[Position], number: &str) -> Match {
    let mut bytes = without_dashes(number.as_bytes());
    for position in positions {
        match (position, bytes.next()) {
            (Position::ZeroOrMore, _) => return Match::Early,
            (Position::OneOrMore, Some(_)) => return Match::Yes,
            (Position::Byte { set, .. }, Some(byte)) if set.contains(byte) => {}
            (Position::Byte { .. } | Position::Unclosed | Position::OneOrMore, _) => {
                return Match::No;
            }
        }
    }
    match bytes.next() {
        None => Match::Yes,
        Some(_) => Match::No,
    }
}

/// The first position that no number gets past, among those that a match comes to.
fn first_impossible(positions: &[Position]) -> Option<&Position> {
    positions
        .iter()
        .take_while(|p| !matches!(p, Position::OneOrMore | Position::ZeroOrMore))
        .find(|p| p.accepts_nothing())
}

fn without_dashes(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().copied().filter(|&b| b != b'-')
}

/// Asterisk removes spaces when it stores a pattern, but for those inside `[...]`.
fn without_spaces(text: &str) -> Vec<u8> {
    let mut in_set = false;
    text.bytes()
        .filter(|&byte| {
            in_set = match byte {
                b'[' => true,
                b']' => false,
                _ => in_set,
            };
            in_set || byte != b' '
        })
        .collect()
}

/// The part of a pattern before a `/` that stands outside of `[...]`.
fn before_caller_id(pattern: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        match byte {
            b'/' => return &pattern[..at],
            b'[' => match pattern[at..].iter().position(|&b| b == b']') {
                Some(length) => at += length,
                None => return pattern,
            },
            _ => {}
        }
        at += 1;
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, error: &str) {
        assert_eq!(Pattern::parse(text).unwrap_err().to_string(), error);
    }

    #[test]
    fn a_pattern_that_can_never_match_is_refused() {
        refused(
            "",
            "the pattern `` is empty; write a number, or `_` and a pattern such as `_9NXXXXXX`",
        );
        refused(
            "_ - []",
            "the pattern `_ - []` is empty; write a number, or `_` and a pattern such as `_9NXXXXXX`",
        );
        refused(
            "_9[1-3",
            "the pattern `_9[1-3` has a `[` without `]` and could never match; close the set, as in `_[1-3]XX`",
        );
        refused(
            "_[3-1]X",
            "the pattern `_[3-1]X` could never match: the range in `[...]` runs backwards; write the lower character first, as in `[1-3]`",
        );
        refused(
            "9\u{1b}",
            "the pattern `9\\u{1b}` holds a control character; remove it",
        );
    }

    #[test]
    fn what_follows_a_wildcard_is_not_judged() {
        assert!(Pattern::parse("_9.[3-1]").unwrap().is_match("91"));
        assert!(Pattern::parse("_9![").unwrap().is_match("9"));
    }

    #[test]
    fn spaces_are_decoration_outside_of_sets() {
        let pattern = Pattern::parse("_9 NXX XXXX").unwrap();
        assert!(pattern.is_match("92853348"));
        assert_eq!(pattern.to_string(), "_9 NXX XXXX");
        assert!(Pattern::parse("_[ 1]").unwrap().is_match(" "));
    }

    #[test]
    fn a_slash_inside_a_set_is_a_character_of_it() {
        let pattern = Pattern::parse("_[/]X/200").unwrap();
        assert!(pattern.is_match("/5"));
        assert!(!pattern.is_match("5"));
    }

    #[test]
    fn numbers_are_compared_byte_by_byte() {
        let pattern = Pattern::parse("_X[é]!").unwrap();
        assert!(pattern.is_match("1é"));
        assert!(!pattern.is_match("1e"));
    }

    #[test]
    fn a_pattern_without_its_underscore_is_pointed_out() {
        let hint = |text| Pattern::parse(text).unwrap().hint();
        assert_eq!(
            hint("9NXXXXXX").unwrap(),
            "`9NXXXXXX` has no leading `_` and matches that very text only; a pattern would be `_9NXXXXXX`"
        );
        assert_eq!(
            hint("_NXX/200").unwrap(),
            "what follows the `/` in `_NXX/200` is not looked at: a rule sees one number"
        );
        assert_eq!(hint("02122853348"), None);
        assert_eq!(hint("Restricted.Name"), None);
        assert_eq!(hint("_9NXXXXXX"), None);
    }

    fn pattern_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "_[0-9XZNxzn*#+.!/ -]{0,8}",
            "_([0-9XZN]|\\[[0-9a-c-]{0,4}\\]?){0,5}[.!]?",
            "[0-9XN-]{0,6}",
            any::<String>(),
        ]
    }

    /// The matcher again, as slowly and plainly as the rules at the head of this file can be said. `None` where the pattern
    /// could match nothing.
    fn plainly(pattern: &[u8], number: &[u8]) -> Option<bool> {
        let number = match number.split_first() {
            Some((b'-', rest)) => return plainly(pattern, rest),
            _ => number,
        };
        let Some((&first, mut rest)) = pattern.split_first() else {
            return Some(number.is_empty());
        };
        let accepted: Vec<u8> = match first {
            b'-' | b' ' => return plainly(rest, number),
            b'.' => return Some(!number.is_empty()),
            b'!' => return Some(true),
            b'/' => return Some(number.is_empty()),
            b'X' | b'x' => b"0123456789".to_vec(),
            b'Z' | b'z' => b"123456789".to_vec(),
            b'N' | b'n' => b"23456789".to_vec(),
            b'[' => {
                let end = rest.iter().position(|&b| b == b']')?;
                let mut items = &rest[..end];
                rest = &rest[end + 1..];
                if items.is_empty() {
                    return plainly(rest, number);
                }
                let mut accepted = Vec::new();
                while let Some(&low) = items.first() {
                    if items.len() >= 3 && items[1] == b'-' {
                        accepted.extend(low..=items[2]);
                        items = &items[3..];
                    } else {
                        accepted.push(low);
                        items = &items[1..];
                    }
                }
                accepted
            }
            other => vec![other],
        };
        let Some((byte, behind)) = number.split_first() else {
            return Some(false);
        };
        if accepted.contains(byte) {
            plainly(rest, behind)
        } else {
            Some(false)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_matcher_agrees_with_a_plain_one(
            pattern in "_([0-9XZNxzn*#+A -]|\\[[0-9A-C-]{0,6}\\]){0,6}[.!]?(/[0-9]{0,2})?",
            number in "[0-9*#+A-]{0,8}",
        ) {
            if let Ok(parsed) = Pattern::parse(&pattern) {
                let plain = plainly(&pattern.as_bytes()[1..], number.as_bytes());
                prop_assert_eq!(Some(parsed.is_match(&number)), plain, "{} {}", pattern, number);
            }
        }

        #[test]
        fn a_number_made_from_its_pattern_matches(
            places in proptest::collection::vec(prop_oneof![
                ("X", "[0-9]"), ("Z", "[1-9]"), ("N", "[2-9]"), ("\\[1-35\\]", "[1235]"), ("[0-9*#]", ""),
            ], 1..8),
            tail in "[0-9*#]{1,4}",
        ) {
            let pattern: String = places.iter().map(|(pattern, _)| pattern.as_str()).collect();
            let number: String = places
                .iter()
                .map(|(pattern, digit)| if digit.is_empty() { pattern.as_str() } else { digit.as_str() })
                .collect();
            let exact = Pattern::parse(&["_", &pattern].concat()).unwrap();
            let more = Pattern::parse(&["_", &pattern, "."].concat()).unwrap();
            let any = Pattern::parse(&["_", &pattern, "!"].concat()).unwrap();
            let longer = [number.as_str(), &tail].concat();
            prop_assert!(exact.is_match(&number) && !exact.is_match(&longer));
            prop_assert!(!more.is_match(&number) && more.is_match(&longer));
            prop_assert!(any.is_match(&number) && any.is_match(&longer));
        }
    }

    proptest! {
        #[test]
        fn any_pattern_meets_any_number_without_a_panic(text in any::<String>(), number in any::<String>()) {
            let _ = Pattern::parse(&text);
            let _ = Pattern::as_asterisk_reads(&format!("_{text}")).matches(&number);
            let _ = Pattern::as_asterisk_reads(&format!("_{text}")).matches(&format!("_{number}"));
        }

        #[test]
        fn x_matches_exactly_as_many_digits(number in "[0-9]{0,12}", length in 1usize..12) {
            let pattern = Pattern::parse(&format!("_{}", "X".repeat(length))).unwrap();
            prop_assert_eq!(pattern.is_match(&number), number.len() == length);
        }

        #[test]
        fn a_dash_in_a_number_changes_nothing(text in pattern_text(), number in "[0-9*#+a-c]{0,8}", at in 0usize..9) {
            let pattern = Pattern::as_asterisk_reads(&text);
            let mut dashed = number.clone();
            dashed.insert(at.min(number.len()), '-');
            prop_assert_eq!(pattern.matches(&number), pattern.matches(&dashed));
        }

        #[test]
        fn a_dot_asks_for_one_character_more_than_an_exclamation_mark(head in "[0-9XZN]{0,4}", number in "[0-9]{0,6}") {
            let dot = Pattern::parse(&format!("_{head}.")).unwrap();
            let bang = Pattern::parse(&format!("_{head}!")).unwrap();
            prop_assert_eq!(dot.is_match(&number), bang.is_match(&number) && number.len() > head.len());
        }

        #[test]
        fn the_order_is_total(a in pattern_text(), b in pattern_text(), c in pattern_text()) {
            let [a, b, c] = [a, b, c].map(|text| Pattern::as_asterisk_reads(&text));
            prop_assert_eq!(a.compare(&a), Ordering::Equal);
            prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
            if a.compare(&b).is_le() && b.compare(&c).is_le() {
                prop_assert!(a.compare(&c).is_le());
            }
        }

        #[test]
        fn patterns_that_are_equal_in_the_order_match_the_same_numbers(
            a in "_[0-2XN]{1,3}", b in "_([0-2XN]|\\[0-9\\]|\\[2-9\\]|-){1,4}", number in "[0-9]{1,3}",
        ) {
            let [a, b] = [a, b].map(|text| Pattern::as_asterisk_reads(&text));
            if a.compare(&b).is_eq() {
                prop_assert_eq!(a.matches(&number), b.matches(&number));
            }
        }
    }
}
