//! `drop = true`, with `match`: leaves calls out.
//!
//! The rule itself drops every number it is asked about; which ones that are is said by the rule's `match`, without
//! which [`super::registry`] refuses it.

use super::{NumberRule, Step};

/// Drops every call it is asked about.
#[derive(Debug, Clone)]
pub struct DropCall {
    reason: String,
}

impl DropCall {
    /// A rule that drops, with the reason that a person will read.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

impl NumberRule for DropCall {
    fn apply(&self, _number: &str) -> Step {
        Step::Drop(self.reason.clone())
    }

    /// Without the reason, which decides nothing about a number.
    fn describe(&self) -> String {
        "drop = true".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_dropped_with_the_reason() {
        let rule = DropCall::new("an internal call");
        assert_eq!(rule.apply("600"), Step::Drop("an internal call".into()));
        assert_eq!(rule.apply(""), Step::Drop("an internal call".into()));
        assert_eq!(rule.describe(), "drop = true");
    }
}
