//! Examples in the configuration that the chain must fulfil: `[[rule_tests]]`.

use std::fmt;

use super::chain::{Chain, Verdict};
use super::trace::TraceStep;
use crate::call::RawNumber;
use crate::config::RuleTest;
use crate::text::Shown;

/// A `[[rule_tests]]` entry that the chain does not fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTestFailure {
    /// The raw number.
    pub number: String,
    /// What it must become; `None`: the call must be dropped.
    pub expected: Option<String>,
    /// What became of it.
    pub got: Verdict,
    /// The rules that made it so, in order, each with its line where it has one.
    pub by: Vec<String>,
    /// The test's line in the configuration file.
    pub line: usize,
}

impl Chain {
    /// Those of `tests` for this side that the chain does not fulfil.
    #[must_use]
    pub fn check(&self, tests: &[RuleTest]) -> Vec<RuleTestFailure> {
        tests
            .iter()
            .filter(|test| test.on == self.side())
            .filter_map(|test| {
                let raw = RawNumber(test.number.clone());
                let got = self.apply(&raw);
                let fulfilled = match (&got, &test.becomes) {
                    (Verdict::Number(number), Some(expected)) => number.as_str() == expected,
                    (Verdict::Dropped { .. }, None) => true,
                    (Verdict::Number(_), None) | (Verdict::Dropped { .. }, Some(_)) => false,
                };
                (!fulfilled).then(|| RuleTestFailure {
                    number: test.number.clone(),
                    expected: test.becomes.clone(),
                    got,
                    by: self.trace(&raw).decisive().map(place).collect(),
                    line: test.line,
                })
            })
            .collect()
    }
}

impl fmt::Display for RuleTestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule test (line {}): `{}` must ",
            self.line,
            Shown(&self.number)
        )?;
        match &self.expected {
            Some(expected) => write!(f, "become `{}`", Shown(expected))?,
            None => f.write_str("be dropped")?,
        }
        match &self.got {
            Verdict::Number(number) if number.as_str() == self.number => {
                f.write_str(", but stays as it is")?;
            }
            Verdict::Number(number) => {
                write!(f, ", but becomes `{}`", Shown(number.as_str()))?;
            }
            Verdict::Dropped { reason, .. } => write!(f, ", but is dropped: {}", Shown(reason))?,
        }
        if self.by.is_empty() {
            f.write_str(" (no rule applies)")
        } else {
            write!(f, " (by {})", self.by.join(", then "))
        }
    }
}

fn place(step: &TraceStep) -> String {
    match step.line {
        Some(line) => format!("`{}` in line {line}", step.rule),
        None => format!("`{}`", step.rule),
    }
}
