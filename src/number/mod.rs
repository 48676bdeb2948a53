//! From the number the PBX wrote to the number the CRM knows: a chain of rules, each a file.
//!
//! Pure: a rule sees a number and nothing else, and nothing here reads a clock, a database or the network (the one file
//! that a [`table`] rule names is read when the chain is built, never while numbers go through it). The chain can keep a
//! trace, which is what `explain` shows.
//!
//! # A new kind of rule
//!
//! One new file here with a type that implements [`NumberRule`], and one line in [`registry`], which is the only place
//! that knows every kind. The configuration names kinds by [`crate::config::RuleKind`]: a variant there makes the
//! compiler ask for the line. A rule of one's own needs neither: [`chain::Chain::push`] takes any [`NumberRule`], and
//! `examples/custom_rule.rs` is a file to start from.
//!
//! # Reading order
//!
//! [`dialplan`] and [`substring`] are Asterisk's two small languages, [`chain`] ties rules together; the other files are
//! one rule each: [`rewrite`], [`strip_prefix`], [`add_prefix`], [`regex`], [`e164`], [`table`], [`mod@drop`].

pub mod add_prefix;
pub mod chain;
pub mod dialplan;
pub mod drop;
pub mod e164;
mod position;
pub mod regex;
pub mod registry;
pub mod replacement;
pub mod rewrite;
pub mod rule_test;
pub mod strip_prefix;
pub mod substring;
pub mod table;
pub mod trace;
#[cfg(test)]
mod vectors;

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

    /// What the rule does, in one line, such as `strip_prefix = "9"`.
    ///
    /// The text is part of [`chain::Chain::fingerprint`]: it must change whenever the rule would treat some number
    /// differently, and must not change otherwise. It holds no secret.
    fn describe(&self) -> String;
}
