//! `strip_prefix`: takes a text off the front of a number, such as the `9` for an outside line. Once, not repeatedly.

use super::{NumberRule, Step};

/// Takes a prefix off the numbers that begin with it.
#[derive(Debug, Clone)]
pub struct StripPrefix(String);

impl StripPrefix {
    /// A rule for numbers that begin with `prefix`, compared as text; `None` where it is empty.
    #[must_use]
    pub fn new(prefix: &str) -> Option<Self> {
        (!prefix.is_empty()).then(|| Self(prefix.to_owned()))
    }
}

impl NumberRule for StripPrefix {
    fn apply(&self, number: &str) -> Step {
        number
            .strip_prefix(&self.0)
            .map_or(Step::Pass, |rest| Step::Next(rest.to_owned()))
    }

    fn describe(&self) -> String {
        format!("strip_prefix = {:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::add_prefix::AddPrefix;
    use super::*;

    #[test]
    fn a_prefix_goes_once_and_only_from_the_front() {
        let rule = StripPrefix::new("9").unwrap();
        assert_eq!(rule.apply("992"), Step::Next("92".into()));
        assert_eq!(rule.apply("9"), Step::Next(String::new()));
        assert_eq!(rule.apply("29"), Step::Pass);
        assert_eq!(rule.apply(""), Step::Pass);
        assert_eq!(rule.describe(), r#"strip_prefix = "9""#);
        assert!(StripPrefix::new("").is_none());
    }

    proptest! {
        #[test]
        fn stripping_undoes_adding(prefix in "\\PC{1,4}", number in "\\PC{1,12}") {
            let Some(Step::Next(longer)) = AddPrefix::new(&prefix, None).map(|rule| rule.apply(&number)) else {
                return Err(TestCaseError::fail("a prefix was not added"));
            };
            prop_assert_eq!(StripPrefix::new(&prefix).unwrap().apply(&longer), Step::Next(number));
        }
    }
}
