//! `regex`, with `replace` or `drop`: rewrites the first match of a regular expression, or drops what matches.
//!
//! How the replacement is written is the business of [`super::replacement`].

use ::regex::Regex;

use super::replacement::{Replacement, ReplacementError};
use super::{NumberRule, Step};

/// Rewrites the first match in a number.
#[derive(Debug, Clone)]
pub struct RegexReplace {
    regex: Regex,
    replacement: Replacement,
}

/// Drops the calls whose number matches.
#[derive(Debug, Clone)]
pub struct RegexDrop(Regex);

impl RegexReplace {
    /// A rule that rewrites the first match of `regex`, which may match anywhere in a number.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub fn new(regex: Regex, replacement: &str) -> Result<Self, ReplacementError> {
        let replacement = Replacement::parse(replacement, &regex)?;
        Ok(Self { regex, replacement })
    }
}

impl NumberRule for RegexReplace {
    fn apply(&self, number: &str) -> Step {
        let Some(found) = self.regex.captures(number) else {
            return Step::Pass;
        };
        let whole = found.get_match();
        let mut result = String::with_capacity(number.len());
        result.push_str(&number[..whole.start()]);
        self.replacement.expand(&found, &mut result);
        result.push_str(&number[whole.end()..]);
        Step::Next(result)
    }

    fn describe(&self) -> String {
        format!(
            "regex = {:?}, replace = {:?}",
            self.regex.as_str(),
            self.replacement.to_string()
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
