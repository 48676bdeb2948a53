//! What the rules of one side do to the numbers that were dialled: which rule touches how many, and what none touches.

use serde::Serialize;

use super::numbers::Sample;
use crate::call::RawNumber;
use crate::config::{RuleConfig, Side};
use crate::number::chain::{Chain, Verdict};
use crate::number::trace::Effect;
use crate::text::mask::Privacy;

/// Numbers that are taken through the rules at most: beyond this, a fair sample of them.
pub const MOST: usize = 32_768;

/// Untouched numbers that are shown.
const EXAMPLES: usize = 5;

/// What the rules of one side do.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The counts are taken from one number in so many; 1: from all.
    pub one_number_in: u64,
    /// Numbers that were looked at.
    pub numbers: u64,
    /// Their calls.
    pub calls: u64,
    /// The rules, in their order.
    pub rules: Vec<RuleUse>,
    /// Numbers that no rule touches.
    pub untouched: Untouched,
}

/// What one rule does.
#[derive(Debug, Clone, Serialize)]
pub struct RuleUse {
    /// Its name.
    pub rule: String,
    /// Its line in the configuration.
    pub line: usize,
    /// Numbers that it rewrites, or drops.
    pub numbers: u64,
    /// Their calls.
    pub calls: u64,
    /// Whether it drops them: such calls are in the ledger only where they were sent before there was the rule.
    pub drops: bool,
    /// The number with the most calls, as the rule sees it, and what it makes of it; masked where that was asked for.
    pub example: Option<(String, String)>,
}

/// What no rule touches: sent as the column holds it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Untouched {
    /// Numbers.
    pub numbers: u64,
    /// Their calls.
    pub calls: u64,
    /// Those with the most calls; masked where that was asked for.
    pub examples: Vec<String>,
}

/// Takes every number through the chain that was built from these rules.
#[must_use]
pub fn coverage(
    chain: &Chain,
    rules: &[RuleConfig],
    sample: &Sample,
    privacy: Privacy,
) -> Coverage {
    let side: Side = chain.side();
    let mut uses: Vec<RuleUse> = rules
        .iter()
        .filter(|rule| rule.on == side)
        .map(|rule| RuleUse {
            rule: rule.name.clone(),
            line: rule.line,
            numbers: 0,
            calls: 0,
            drops: false,
            example: None,
        })
        .collect();
    let mut untouched = Untouched::default();
    let ranked = sample.ranked();
    for (number, calls) in &ranked {
        let trace = chain.trace(&RawNumber((*number).to_owned()));
        let mut touched = false;
        // The steps are the rules in their order, up to the one that ended the chain.
        for (step, used) in trace.steps.iter().zip(&mut uses) {
            match &step.effect {
                Effect::NoMatch(_) | Effect::Passed => continue,
                Effect::Applied | Effect::Ended => {}
                Effect::Dropped(_) => used.drops = true,
            }
            touched = true;
            used.numbers += 1;
            used.calls += calls;
            if used.example.is_none() {
                let after = match (&step.after, &trace.verdict) {
                    (Some(after), _) => privacy.number(after).into_owned(),
                    (None, Verdict::Dropped { .. } | Verdict::Number(_)) => "not sent".to_owned(),
                };
                used.example = Some((privacy.number(&step.before).into_owned(), after));
            }
        }
        if !touched {
            untouched.numbers += 1;
            untouched.calls += calls;
            if untouched.examples.len() < EXAMPLES {
                untouched.examples.push(privacy.number(number).into_owned());
            }
        }
    }
    Coverage {
        one_number_in: sample.one_in(),
        numbers: ranked.len() as u64,
        calls: ranked.iter().map(|(_, calls)| calls).sum(),
        rules: uses,
        untouched,
    }
}
