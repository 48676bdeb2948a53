//! The rules of one side of a call, in the order of the configuration.
//!
//! A number goes through them one after the other. A rule whose `match` does not match is passed by; one that applies
//! and has `stop` ends the chain; a rule that leaves nothing of a number drops the call, for no CRM can do anything with
//! an empty number. Without any rule a number stays exactly as the PBX wrote it, an empty one too: whether a caller
//! withheld the number is decided before the rules.

use std::borrow::Cow;
use std::fmt;

use super::dialplan::Pattern;
use super::registry::{self, RuleError};
use super::trace::{Effect, Trace, TraceStep};
use super::{NumberRule, Step};
use crate::call::{PhoneNumber, RawNumber};
use crate::config::{RuleConfig, RuleKind, Side};
use crate::text::Shown;

/// The rules for callers or for numbers called.
pub struct Chain {
    side: Side,
    links: Vec<Link>,
    hints: Vec<String>,
}

/// What the chain made of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What the CRM gets.
    Number(PhoneNumber),
    /// The call is not sent.
    Dropped {
        /// Name of the rule that dropped it.
        rule: String,
        /// Why, in words.
        reason: String,
    },
}

impl Chain {
    /// A chain without rules, to which [`Chain::push`] adds.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            links: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The chain of those `rules` that are for `side`. Reads the files of `table` rules.
    ///
    /// # Errors
    /// [`RuleError`], the first; [`registry::problems`] gives all of them.
    pub fn build(rules: &[RuleConfig], side: Side) -> Result<Self, RuleError> {
        let mut chain = Self::new(side);
        for config in rules.iter().filter(|rule| rule.on == side) {
            chain.links.push(Link {
                name: config.name.clone(),
                line: Some(config.line),
                guard: config.guard.clone(),
                stop: config.stop,
                rule: registry::build(config)?,
            });
            chain.hints.extend(hints(config));
        }
        Ok(chain)
    }

    /// Adds a rule at the end: one's own, or one of this room's.
    pub fn push(&mut self, name: impl Into<String>, rule: Box<dyn NumberRule>) -> &mut Self {
        self.links.push(Link {
            name: name.into(),
            line: None,
            guard: None,
            stop: false,
            rule,
        });
        self
    }

    /// Which number of a call the chain is for.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// What becomes of `raw`.
    #[must_use]
    pub fn apply(&self, raw: &RawNumber) -> Verdict {
        self.walk(raw, |_, _, _| {})
    }

    /// The same, with every step on the way.
    #[must_use]
    pub fn trace(&self, raw: &RawNumber) -> Trace {
        let mut steps = Vec::with_capacity(self.links.len());
        let verdict = self.walk(raw, |link, before, outcome| {
            let (effect, after) = match outcome {
                Outcome::NoMatch(pattern) => (Effect::NoMatch(pattern.to_string()), Some(before)),
                Outcome::Passed => (Effect::Passed, Some(before)),
                Outcome::Applied(number) => (Effect::Applied, Some(number.as_str())),
                Outcome::Ended(number) => (Effect::Ended, Some(number.as_str())),
                Outcome::Dropped(reason) => (Effect::Dropped(reason.clone()), None),
            };
            steps.push(TraceStep {
                rule: link.name.clone(),
                line: link.line,
                before: before.to_owned(),
                effect,
                after: after.map(str::to_owned),
            });
        });
        Trace {
            raw: raw.clone(),
            steps,
            verdict,
        }
    }

    /// What in the rules a person should look at, although they can be built: one sentence each, with rule and line.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The rules as text, one a line: equal as long as every number comes out the same by the same steps.
    ///
    /// Kept with the ledger's record of the settings, so that it can be told when calls were sent under other rules.
    /// Names and lines of the configuration are not part of it; the content of tables is.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let side = match self.side {
            Side::Source => "source",
            Side::Destination => "destination",
        };
        let mut text = String::new();
        for link in &self.links {
            text.push_str(side);
            text.push_str(": ");
            if let Some(pattern) = &link.guard {
                text.push_str(&format!("match = {:?}, ", pattern.to_string()));
            }
            // A description of one's own must not look like two rules.
            text.push_str(&link.rule.describe().replace('\n', "\\n"));
            text.push_str(if link.stop { ", stop = true\n" } else { "\n" });
        }
        text
    }

    /// Takes `raw` through the rules and tells `seen` about each. A number that no rule touches is copied once, at the
    /// end.
    fn walk(&self, raw: &RawNumber, mut seen: impl FnMut(&Link, &str, &Outcome<'_>)) -> Verdict {
        let mut number = Cow::Borrowed(raw.as_str());
        for link in &self.links {
            let outcome = link.apply(&number);
            seen(link, &number, &outcome);
            match outcome {
                Outcome::NoMatch(_) | Outcome::Passed => {}
                Outcome::Applied(next) => number = Cow::Owned(next),
                Outcome::Ended(last) => {
                    number = Cow::Owned(last);
                    break;
                }
                Outcome::Dropped(reason) => {
                    return Verdict::Dropped {
                        rule: link.name.clone(),
                        reason,
                    };
                }
            }
        }
        Verdict::Number(PhoneNumber(number.into_owned()))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprint().lines()).finish()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{}", Shown(number.as_str())),
            Self::Dropped { rule, reason } => write!(f, "dropped by `{rule}`: {}", Shown(reason)),
        }
    }
}

/// A rule in its place.
struct Link {
    name: String,
    line: Option<usize>,
    guard: Option<Pattern>,
    stop: bool,
    rule: Box<dyn NumberRule>,
}

/// What a link did with a number, `match`, `stop` and the ban on empty numbers included.
enum Outcome<'a> {
    NoMatch(&'a Pattern),
    Passed,
    Applied(String),
    Ended(String),
    Dropped(String),
}

impl Link {
    fn apply(&self, number: &str) -> Outcome<'_> {
        if let Some(pattern) = &self.guard
            && !pattern.is_match(number)
        {
            return Outcome::NoMatch(pattern);
        }
        match self.rule.apply(number) {
            Step::Pass => Outcome::Passed,
            Step::Drop(reason) => Outcome::Dropped(reason),
            Step::Next(next) | Step::Done(next) if next.is_empty() => {
                Outcome::Dropped("the rule leaves an empty number".to_owned())
            }
            Step::Next(next) if !self.stop => Outcome::Applied(next),
            Step::Next(last) | Step::Done(last) => Outcome::Ended(last),
        }
    }
}

fn hints(config: &RuleConfig) -> impl Iterator<Item = String> {
    let template = match &config.kind {
        RuleKind::Rewrite(template) => template.hint(),
        RuleKind::StripPrefix(_)
        | RuleKind::AddPrefix { .. }
        | RuleKind::Regex { .. }
        | RuleKind::E164 { .. }
        | RuleKind::Table(_)
        | RuleKind::Drop => None,
    };
    let guard = config.guard.as_ref().and_then(Pattern::hint);
    guard
        .into_iter()
        .chain(template)
        .map(|hint| format!("rule `{}` (line {}): {hint}", config.name, config.line))
}

#[cfg(test)]
mod tests;
