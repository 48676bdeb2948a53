//! `regex`, with `replace` or `drop`: rewrites the first match of a regular expression, or drops what matches.
//!
//! The replacement is read in Perl's way: `$1abc` is group 1 and then `abc`, `$10` is group 10, `${1}0` is group 1 and
//! then `0`, `${name}` is a named group, `$0` the whole match, `$$` a dollar. (The `regex` crate by itself would read
//! `$1abc` as a group named `1abc`, find none, and leave an empty text without a word.) Groups that the expression does
//! not have are refused when the rule is built; a group that took no part in a match is empty.

use ::regex::{Captures, Regex};

use super::{NumberRule, Step};

/// Rewrites the first match in a number.
#[derive(Debug, Clone)]
pub struct RegexReplace {
    regex: Regex,
    replacement: String,
    parts: Vec<Part>,
}

/// Drops the calls whose number matches.
#[derive(Debug, Clone)]
pub struct RegexDrop(Regex);

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

impl RegexReplace {
    /// A rule that rewrites the first match of `regex`, which may match anywhere in a number.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub fn new(regex: Regex, replacement: &str) -> Result<Self, ReplacementError> {
        let parts = read(&regex, replacement)?;
        Ok(Self {
            regex,
            replacement: replacement.to_owned(),
            parts,
        })
    }

    fn expand(&self, found: &Captures<'_>, into: &mut String) {
        for part in &self.parts {
            into.push_str(match part {
                Part::Literal(text) => text,
                Part::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
            });
        }
    }
}

impl NumberRule for RegexReplace {
    fn apply(&self, number: &str) -> Step {
        let Some(found) = self.regex.captures(number) else {
            return Step::Pass;
        };
        let whole = found.get_match();
        let mut result = String::with_capacity(number.len() + self.replacement.len());
        result.push_str(&number[..whole.start()]);
        self.expand(&found, &mut result);
        result.push_str(&number[whole.end()..]);
        Step::Next(result)
    }

    fn describe(&self) -> String {
        format!(
            "regex = {:?}, replace = {:?}",
            self.regex.as_str(),
            self.replacement
        )
    }
}

impl RegexDrop {
    /// A rule that drops what `regex` matches, anywhere in a number.
    #[must_use]
    pub fn new(regex: Regex) -> Self {
        Self(regex)
    }
}

impl NumberRule for RegexDrop {
    fn apply(&self, number: &str) -> Step {
        if self.0.is_match(number) {
            Step::Drop(format!("the number matches `{}`", self.0))
        } else {
            Step::Pass
        }
    }

    fn describe(&self) -> String {
        format!("regex = {:?}, drop = true", self.0.as_str())
    }
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    /// Index of a group that the expression has.
    Group(usize),
}

/// Reads a replacement against the expression whose groups it uses.
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
    use proptest::prelude::*;

    use super::*;

    fn rule(regex: &str, replacement: &str) -> Result<RegexReplace, ReplacementError> {
        RegexReplace::new(Regex::new(regex).unwrap(), replacement)
    }

    #[track_caller]
    fn gives(regex: &str, replacement: &str, number: &str, result: &str) {
        let step = rule(regex, replacement).unwrap().apply(number);
        assert_eq!(step, Step::Next(result.to_owned()));
    }

    #[track_caller]
    fn refused(regex: &str, replacement: &str, error: &str) {
        assert_eq!(rule(regex, replacement).unwrap_err().to_string(), error);
    }

    #[test]
    fn the_conversion_of_the_reference_script_works_to_the_letter() {
        gives("^9(.{7})$", "0212$1", "92853348", "02122853348");
        gives("^9(.*)$", "$1", "902122853348", "02122853348");
        assert_eq!(
            rule("^9(.{7})$", "0212$1").unwrap().apply("2853348"),
            Step::Pass
        );
    }

    #[test]
    fn a_replacement_is_read_in_perls_way() {
        gives("^9(..)", "$1abc", "912", "12abc");
        gives("^9(..)", "${1}0", "912", "120");
        gives("^9(?<area>..)", "[${area}]", "912", "[12]");
        gives("^9(..)", "<$0>$$1", "912", "<912>$1");
        gives(
            "^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$",
            "$10$1",
            "1234567890",
            "01",
        );
        gives("9", r"a\b", "9", r"a\b");
    }

    #[test]
    fn only_the_first_match_is_replaced_and_the_rest_kept() {
        gives("9", "0", "19929", "10929");
        gives("é", "e", "1é2é", "1e2é");
        gives("-", "", "1-2-3", "12-3");
    }

    #[test]
    fn a_group_that_took_no_part_is_empty() {
        gives("^(9)?(.+)$", "<$1>$2", "12", "<>12");
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

    #[test]
    fn a_drop_says_what_matched() {
        let rule = RegexDrop::new(Regex::new("^[*#]").unwrap());
        assert_eq!(
            rule.apply("*72"),
            Step::Drop("the number matches `^[*#]`".into())
        );
        assert_eq!(rule.apply("72"), Step::Pass);
        assert_eq!(rule.describe(), r#"regex = "^[*#]", drop = true"#);
    }

    proptest! {
        #[test]
        fn any_replacement_meets_any_number_without_a_panic(replacement in any::<String>(), number in any::<String>()) {
            if let Ok(rule) = rule("(?<a>.)(.)?", &replacement) {
                let _ = rule.apply(&number);
            }
        }

        #[test]
        fn replacing_a_match_by_itself_changes_nothing(number in any::<String>()) {
            let step = rule("[0-9]+", "$0").unwrap().apply(&number);
            prop_assert!(step == Step::Pass || step == Step::Next(number));
        }
    }
}
