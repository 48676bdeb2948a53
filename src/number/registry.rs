//! From a rule in the configuration to the rule that runs: the one place that knows every kind.

use super::NumberRule;
use super::add_prefix::AddPrefix;
use super::drop::DropCall;
use super::e164::{E164, RegionError};
use super::regex::{RegexDrop, RegexReplace};
use super::replacement::ReplacementError;
use super::rewrite::Rewrite;
use super::strip_prefix::StripPrefix;
use super::table::{Table, TableError};
use crate::config::{RuleConfig, RuleKind};

/// A rule of the configuration that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("rule `{rule}` (line {line}): {fault}")]
pub struct RuleError {
    /// Its name.
    pub rule: String,
    /// Its line in the configuration file.
    pub line: usize,
    /// What is wrong. Part of the message, so not its source a second time.
    pub fault: RuleFault,
}

/// What can be wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum RuleFault {
    /// `strip_prefix` or `add_prefix` with nothing in it.
    #[error("`{0}` is empty and would do nothing; give it the digits, or remove the rule")]
    EmptyPrefix(&'static str),
    /// `replace` does not fit its expression.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
    /// `e164` names no region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The file of a `table` cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// `drop = true` alone.
    #[error("`drop = true` without `match` would drop every call; say which numbers by `match`")]
    DropsEverything,
}

/// Builds the rule that `config` describes, without its `match` and `stop`, which are the chain's.
///
/// Reads the file of a `table` rule.
///
/// # Errors
/// [`RuleError`], which names the rule and its line.
pub fn build(config: &RuleConfig) -> Result<Box<dyn NumberRule>, RuleError> {
    rule_for(config).map_err(|fault| RuleError {
        rule: config.name.clone(),
        line: config.line,
        fault,
    })
}

/// Everything that is wrong with the rules of either side, in the order of the file.
///
/// For `check` and for loading the configuration, which report all problems at once.
#[must_use]
pub fn problems(rules: &[RuleConfig]) -> Vec<RuleError> {
    rules.iter().filter_map(|rule| build(rule).err()).collect()
}

/// The registry: one arm a kind.
fn rule_for(config: &RuleConfig) -> Result<Box<dyn NumberRule>, RuleFault> {
    Ok(match &config.kind {
        RuleKind::Rewrite(template) => Box::new(Rewrite::new(template.clone())),
        RuleKind::StripPrefix(prefix) => {
            Box::new(StripPrefix::new(prefix).ok_or(RuleFault::EmptyPrefix("strip_prefix"))?)
        }
        RuleKind::AddPrefix {
            prefix,
            when_length,
        } => Box::new(
            AddPrefix::new(prefix, *when_length).ok_or(RuleFault::EmptyPrefix("add_prefix"))?,
        ),
        RuleKind::Regex {
            regex,
            replace: Some(replacement),
        } => Box::new(RegexReplace::new(regex.clone(), replacement)?),
        RuleKind::Regex {
            regex,
            replace: None,
        } => Box::new(RegexDrop::new(regex.clone())),
        RuleKind::E164 { region } => Box::new(E164::new(region)?),
        RuleKind::Table(path) => Box::new(Table::load(path)?),
        RuleKind::Drop => match &config.guard {
            Some(pattern) => Box::new(DropCall::new(format!("the number matches `{pattern}`"))),
            None => return Err(RuleFault::DropsEverything),
        },
    })
}
