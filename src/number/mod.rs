//! From the number the PBX wrote to the number the CRM knows: a chain of rules, each a file.
//!
//! Pure: a rule sees a number and nothing else. The chain can keep a trace, which is what `explain` shows.

/// What a rule did with a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The rule does not apply; the number goes on unchanged.
    Pass,
    /// The number goes on to the next rule, rewritten.
    Next(String),
    /// The chain ends here, with this number.
    Done(String),
    /// The call is not sent; why.
    Drop(String),
}

/// One rule.
///
/// # Contract
///
/// Pure, synchronous and total: the same number gives the same step for ever, any text is accepted, nothing panics.
pub trait NumberRule: Send + Sync {
    /// What the rule makes of `number`.
    fn apply(&self, number: &str) -> Step;
}
