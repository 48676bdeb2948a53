//! What today's settings make of a call, whatever the source.

use std::path::Path;

use crate::call::{Call, PhoneNumber, WireForm};
use crate::cdr::clock::Clock;
use crate::cdr::{select, wire};
use crate::config::{Config, RuleConfig, RuleTest, Side, TargetKind};
use crate::number::chain::{Chain, Verdict};
use crate::number::registry;

/// What today's settings make of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Today {
    /// It would be sent like this.
    Wire(WireForm),
    /// A rule drops it.
    Dropped,
}

/// What turns a row into a call: settings only, no source.
pub struct Settings<'a> {
    pub(super) config: &'a Config,
    /// The two chains.
    pub destination: Chain,
    /// Rules with `on = "source"`.
    pub source: Chain,
}

/// What is wrong with the rules: one sentence each, with file and line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(pub Vec<String>);

/// Builds the chains of a configuration file for destinations and for callers, and tries its examples.
///
/// # Errors
/// [`Problems`]: a rule that cannot be built (a table that cannot be read), or an example of `[[rule_tests]]` that fails.
pub fn chains(
    file: &Path,
    rules: &[RuleConfig],
    tests: &[RuleTest],
) -> anyhow::Result<(Chain, Chain)> {
    let at = |line: usize| format!("{}:{line}", file.display());
    let mut problems: Vec<String> = registry::problems(rules)
        .into_iter()
        .map(|problem| format!("{}: {problem}", at(problem.line)))
        .collect();
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    let destination = Chain::build(rules, Side::Destination)?;
    let source = Chain::build(rules, Side::Source)?;
    problems.extend(
        destination
            .check(tests)
            .into_iter()
            .chain(source.check(tests))
            .map(|failure| format!("{}: {failure}", at(failure.line))),
    );
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    Ok((destination, source))
}

impl<'a> Settings<'a> {
    /// Builds the rule chains.
    ///
    /// # Errors
    /// [`Problems`]: a rule that cannot be built (a table that cannot be read), or an example of `[[rule_tests]]` that fails.
    pub fn new(config: &'a Config) -> anyhow::Result<Self> {
        let (destination, source) = chains(&config.path, &config.rules, &config.rule_tests)?;
        Ok(Self {
            config,
            destination,
            source,
        })
    }

    /// The number that goes out as source; `None`: a rule drops the call.
    fn caller(&self, call: &Call) -> Option<PhoneNumber> {
        if select::is_withheld(call.identity.source.as_str(), &self.config.select) {
            return self.config.target.empty_source.clone().map(PhoneNumber);
        }
        match self.source.apply(&call.identity.source) {
            Verdict::Number(number) => Some(number),
            Verdict::Dropped { .. } => None,
        }
    }

    /// What today's settings make of a call; `extra` names its further values ([`crate::source::SourceProfile::extra`]).
    #[must_use]
    pub fn today(&self, call: &Call, clock: &Clock, extra: &[String]) -> Today {
        let Some(source) = self.caller(call) else {
            return Today::Dropped;
        };
        let destination = match self.destination.apply(&call.identity.destination) {
            Verdict::Number(number) => number,
            Verdict::Dropped { .. } => return Today::Dropped,
        };
        let target = &self.config.target;
        let form = match &target.kind {
            TargetKind::Nimbox(_) => None,
            TargetKind::Bgcrm(bgcrm) => Some(bgcrm.form.of(&source)),
        };
        let wire = wire::wire_form(
            call,
            source,
            destination,
            clock,
            target.initiated_as,
            target.recording_url.as_ref(),
            extra,
        );
        Today::Wire(WireForm { form, ..wire })
    }
}
