//! `rewrite`: the number as an Asterisk template says, such as `0212${EXTEN:1}`.
//!
//! Which numbers it is for is said by the rule's `match`; without one it rewrites every number.

use super::substring::Template;
use super::{NumberRule, Step};

/// Puts a template in the place of the number.
#[derive(Debug, Clone)]
pub struct Rewrite(Template);

impl Rewrite {
    /// A rule that applies to every number it is asked about.
    #[must_use]
    pub fn new(template: Template) -> Self {
        Self(template)
    }
}

impl NumberRule for Rewrite {
    fn apply(&self, number: &str) -> Step {
        Step::Next(self.0.apply(number))
    }

    fn describe(&self) -> String {
        format!("rewrite = {:?}", self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_becomes_what_the_template_says() {
        let rule = Rewrite::new(Template::parse("0212${EXTEN:1}").unwrap());
        assert_eq!(rule.apply("92853348"), Step::Next("02122853348".into()));
        assert_eq!(rule.apply(""), Step::Next("0212".into()));
        assert_eq!(rule.describe(), r#"rewrite = "0212${EXTEN:1}""#);
    }
}
