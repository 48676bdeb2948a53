//! What a `regex` rule puts in the place of a match.
//!
//! Read in Perl's way: `$1abc` is group 1 and then `abc`, `$10` is group 10, `${1}0` is group 1 and then `0`, `${name}` is
//! a named group, `$0` the whole match, `$$` a dollar. (The `regex` crate by itself would read `$1abc` as a group named
//! `1abc`, find none, and leave an empty text without a word.) Groups that the expression does not have are refused; a
//! group that took no part in a match is empty.

use std::fmt;

use ::regex::{Captures, Regex};

/// A replacement that fits its expression.
#[derive(Debug, Clone)]
pub struct Replacement {
    text: String,
    parts: Vec<Part>,
}

/// Why a replacement cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementError {
    /// The expression has fewer groups.
    #[error(
        "`replace` uses group {group}, but the expression `{regex}` has {has}; write `${{1}}0` for group 1 followed by a zero"
    )]
    NoSuchGroup {
        /// The number asked for.
        group: String,
        /// How many groups there are, in words.
        has: String,
        /// The expression.
        regex: String,
    },
    /// No group has this name.
    #[error(
        "`replace` uses the group `{name}`, which the expression `{regex}` does not name; write `(?<{name}>...)` there"
    )]
    NoSuchName {
        /// The name asked for.
        name: String,
        /// The expression.
        regex: String,
    },
    /// `${` without `}`.
    #[error("`replace` has a `${{` without `}}` in `{0}`; close it, as in `${{1}}`")]
    Unclosed(String),
    /// A `$` that begins nothing.
    #[error(
        "`replace` has a `$` in `{0}` that no group follows; write `$1`, `${{name}}`, or `$$` for a dollar"
    )]
    BareDollar(String),
    /// `\1`, as in sed.
    #[error("`replace` has `\\{digit}` in `{replacement}`; write `${digit}`")]
    Backslash {
        /// The digit that follows.
        digit: char,
        /// The whole text.
        replacement: String,
    },
}

impl Replacement {
    /// Reads a replacement for matches of `regex`.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub fn parse(text: &str, regex: &Regex) -> Result<Self, ReplacementError> {
        Ok(Self {
            text: text.to_owned(),
            parts: read(regex, text)?,
        })
    }

    /// Writes what takes the place of a match of the same expression.
    pub(super) fn expand(&self, found: &Captures<'_>, into: &mut String) {
        for part in &self.parts {
            into.push_str(match part {
                Part::Literal(text) => text,
                Part::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
            });
        }
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    /// Index of a group that the expression has.
    Group(usize),
}

/// The parts of a replacement, checked against the expression whose groups it uses.
fn read(regex: &Regex, replacement: &str) -> Result<Vec<Part>, ReplacementError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, special) = rest.split_at(at);
        literal.push_str(before);
        if let Some(after) = special.strip_prefix('\\') {
            if let Some(digit) = after.chars().next().filter(char::is_ascii_digit) {
                return Err(ReplacementError::Backslash {
                    digit,
                    replacement: replacement.to_owned(),
                });
            }
            literal.push('\\');
            rest = after;
        } else if let Some(after) = special.strip_prefix("$$") {
            literal.push('$');
            rest = after;
        } else {
            let (group, after) = read_group(regex, replacement, &special[1..])?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Group(group));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// The group named after a `$`, and what follows it.
fn read_group<'a>(
    regex: &Regex,
    replacement: &str,
    after_dollar: &'a str,
) -> Result<(usize, &'a str), ReplacementError> {
    if let Some(braced) = after_dollar.strip_prefix('{') {
        let (name, after) = braced
            .split_once('}')
            .ok_or_else(|| ReplacementError::Unclosed(replacement.to_owned()))?;
        if name.is_empty() {
            return Err(ReplacementError::BareDollar(replacement.to_owned()));
        }
        let group = if name.bytes().all(|b| b.is_ascii_digit()) {
            numbered(regex, name)?
        } else {
            named(regex, name)?
        };
        return Ok((group, after));
    }
    let digits = after_dollar.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(ReplacementError::BareDollar(replacement.to_owned()));
    }
    let (number, after) = after_dollar.split_at(digits);
    Ok((numbered(regex, number)?, after))
}

fn numbered(regex: &Regex, number: &str) -> Result<usize, ReplacementError> {
    // `captures_len` counts the whole match as group 0.
    number
        .parse()
        .ok()
        .filter(|&group: &usize| group < regex.captures_len())
        .ok_or_else(|| ReplacementError::NoSuchGroup {
            group: number.to_owned(),
            has: match regex.captures_len() - 1 {
                0 => "no group".to_owned(),
                1 => "one group".to_owned(),
                groups => format!("{groups} groups"),
            },
            regex: regex.as_str().to_owned(),
        })
}

fn named(regex: &Regex, name: &str) -> Result<usize, ReplacementError> {
    regex
        .capture_names()
        .position(|group| group == Some(name))
        .ok_or_else(|| ReplacementError::NoSuchName {
            name: name.to_owned(),
            regex: regex.as_str().to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(regex: &str, replacement: &str, error: &str) {
        assert_eq!(
            Replacement::parse(replacement, &Regex::new(regex).unwrap())
                .unwrap_err()
                .to_string(),
            error
        );
    }

    #[test]
    fn groups_that_do_not_exist_are_refused() {
        refused(
            "^9(.)",
            "$10",
            "`replace` uses group 10, but the expression `^9(.)` has one group; write `${1}0` for group 1 followed by a zero",
        );
        refused(
            "^9",
            "${1}",
            "`replace` uses group 1, but the expression `^9` has no group; write `${1}0` for group 1 followed by a zero",
        );
        refused(
            "^9(.)",
            "${area}",
            "`replace` uses the group `area`, which the expression `^9(.)` does not name; write `(?<area>...)` there",
        );
        refused(
            "^9(.)",
            "$99999999999999999999999",
            "`replace` uses group 99999999999999999999999, but the expression `^9(.)` has one group; write `${1}0` for group 1 followed by a zero",
        );
        refused(
            "9(.)",
            "${1",
            "`replace` has a `${` without `}` in `${1`; close it, as in `${1}`",
        );
        refused(
            "9(.)",
            "a$",
            "`replace` has a `$` in `a$` that no group follows; write `$1`, `${name}`, or `$$` for a dollar",
        );
        refused(
            "9(.)",
            "${}",
            "`replace` has a `$` in `${}` that no group follows; write `$1`, `${name}`, or `$$` for a dollar",
        );
        refused("9(.)", r"0\1", r"`replace` has `\1` in `0\1`; write `$1`");
    }
}
