//! What happened to a number on its way through the chain, step by step, for people to read.

use std::fmt;

use super::chain::Verdict;
use crate::call::RawNumber;
use crate::text::Shown;

/// A number's way through a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What the PBX wrote.
    pub raw: RawNumber,
    /// The rules in order, up to the one that ended the chain.
    pub steps: Vec<TraceStep>,
    /// What came of it: always what [`super::chain::Chain::apply`] gives.
    pub verdict: Verdict,
}

/// One rule's part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// The rule's name.
    pub rule: String,
    /// Its line in the configuration file; `None` for a rule that does not come from there.
    pub line: Option<usize>,
    /// The number that the rule saw.
    pub before: String,
    /// What it did.
    pub effect: Effect,
    /// The number after it; `None` where the call was dropped.
    pub after: Option<String>,
}

/// What a rule did, as people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Its `match`, this pattern, did not match.
    NoMatch(String),
    /// It had nothing to say about this number.
    Passed,
    /// It applied, and the chain went on.
    Applied,
    /// It applied, and ended the chain.
    Ended,
    /// It dropped the call, for this reason.
    Dropped(String),
}

impl Trace {
    /// The steps that took part in the result: those that applied, ended or dropped.
    pub fn decisive(&self) -> impl Iterator<Item = &TraceStep> {
        self.steps.iter().filter(|step| match step.effect {
            Effect::NoMatch(_) | Effect::Passed => false,
            Effect::Applied | Effect::Ended | Effect::Dropped(_) => true,
        })
    }
}

/// One line, with what came from the PBX escaped.
impl fmt::Display for TraceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.rule))?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        let after = Shown(self.after.as_deref().unwrap_or_default());
        match &self.effect {
            Effect::NoMatch(pattern) => write!(f, ": `{}` does not match", Shown(pattern)),
            Effect::Passed => f.write_str(": does not apply"),
            Effect::Applied => write!(f, ": {} -> {after}", Shown(&self.before)),
            Effect::Ended => write!(f, ": {} -> {after}, and stop", Shown(&self.before)),
            Effect::Dropped(reason) => write!(f, ": dropped, {}", Shown(reason)),
        }
    }
}
