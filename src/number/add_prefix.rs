//! `add_prefix`, with `when_length`: puts a text in front of a number, such as the area code before a local one.
//!
//! A number that is empty stays so: an area code alone is nobody's number.

use super::{NumberRule, Step};

/// Puts a prefix before numbers, all of them or those of one length.
#[derive(Debug, Clone)]
pub struct AddPrefix {
    prefix: String,
    when_length: Option<usize>,
}

impl AddPrefix {
    /// A rule for numbers of `when_length` characters (not bytes), or of any; `None` where the prefix is empty.
    #[must_use]
    pub fn new(prefix: &str, when_length: Option<usize>) -> Option<Self> {
        (!prefix.is_empty()).then(|| Self {
            prefix: prefix.to_owned(),
            when_length,
        })
    }
}

impl NumberRule for AddPrefix {
    fn apply(&self, number: &str) -> Step {
        let fits = self
            .when_length
            .is_none_or(|length| number.chars().count() == length);
        if number.is_empty() || !fits {
            return Step::Pass;
        }
        Step::Next([self.prefix.as_str(), number].concat())
    }

    fn describe(&self) -> String {
        match self.when_length {
            None => format!("add_prefix = {:?}", self.prefix),
            Some(length) => format!("add_prefix = {:?}, when_length = {length}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_the_length_get_the_prefix() {
        let rule = AddPrefix::new("0212", Some(7)).unwrap();
        assert_eq!(rule.apply("2853348"), Step::Next("02122853348".into()));
        assert_eq!(rule.apply("285334"), Step::Pass);
        assert_eq!(rule.apply("éééé348"), Step::Next("0212éééé348".into()));
        assert_eq!(rule.describe(), r#"add_prefix = "0212", when_length = 7"#);
    }

    #[test]
    fn without_a_length_every_number_gets_it_but_the_empty_one() {
        let rule = AddPrefix::new("+", None).unwrap();
        assert_eq!(rule.apply("58"), Step::Next("+58".into()));
        assert_eq!(rule.apply(""), Step::Pass);
        assert_eq!(rule.describe(), r#"add_prefix = "+""#);
        assert!(AddPrefix::new("", None).is_none());
    }
}
