//! A call as it may be mailed: of every number the last three digits.

use super::case::{Case, Leg, Reading};
use crate::call::{PhoneNumber, RawNumber};
use crate::cdr::filters::Filtered;
use crate::command::calls::{masked, masked_identity, masked_wire};
use crate::intake::Today;
use crate::ledger::Attempt;
use crate::number::chain::Verdict;
use crate::number::trace::{Effect, Trace, TraceStep};
use crate::source::CdrRow;
use crate::text::mask::Privacy;

impl Case {
    /// The same with its numbers as they may be shown.
    pub(super) fn masked(self, privacy: Privacy) -> Self {
        if privacy == Privacy::Whole {
            return self;
        }
        let legs = self.legs.map(|legs| {
            legs.into_iter()
                .map(|leg| Leg {
                    row: CdrRow {
                        source: privacy.number(&leg.row.source).into(),
                        destination: privacy.number(&leg.row.destination).into(),
                        extra: Vec::new(),
                        ..leg.row
                    },
                    filters: leg
                        .filters
                        .into_iter()
                        .map(|filter| Filtered {
                            why: privacy.text(&filter.why).into(),
                            ..filter
                        })
                        .collect(),
                    ..leg
                })
                .collect()
        });
        Self {
            identity: masked_identity(&self.identity, privacy),
            listed: self.listed.map(|listed| masked(listed, privacy)),
            attempts: self
                .attempts
                .into_iter()
                .map(|attempt| Attempt {
                    words: privacy.text(&attempt.words).into(),
                    ..attempt
                })
                .collect(),
            legs,
            today: Reading {
                source: self.today.source.map(|trace| masked_trace(trace, privacy)),
                destination: masked_trace(self.today.destination, privacy),
                form: self.today.form.map(|form| match form {
                    Today::Wire(wire) => Today::Wire(masked_wire(&wire, privacy)),
                    Today::Dropped => Today::Dropped,
                }),
                ..self.today
            },
            ..self
        }
    }
}

/// The same steps with their numbers as they may be shown.
pub(in crate::command) fn masked_trace(trace: Trace, privacy: Privacy) -> Trace {
    if privacy == Privacy::Whole {
        return trace;
    }
    let number = |text: &str| String::from(privacy.number(text));
    let words = |text: &str| String::from(privacy.text(text));
    Trace {
        raw: RawNumber(number(trace.raw.as_str())),
        steps: trace
            .steps
            .into_iter()
            .map(|step| TraceStep {
                rule: words(&step.rule),
                before: number(&step.before),
                after: step.after.as_deref().map(number),
                effect: match step.effect {
                    Effect::NoMatch(pattern) => Effect::NoMatch(words(&pattern)),
                    Effect::Dropped(reason) => Effect::Dropped(words(&reason)),
                    effect @ (Effect::Passed | Effect::Applied | Effect::Ended) => effect,
                },
                ..step
            })
            .collect(),
        verdict: match trace.verdict {
            Verdict::Number(sent) => Verdict::Number(PhoneNumber(number(sent.as_str()))),
            Verdict::Dropped { rule, reason } => Verdict::Dropped {
                rule: words(&rule),
                reason: words(&reason),
            },
        },
    }
}
