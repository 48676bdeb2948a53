//! `explain`: each rule step that numbers go through, and the result.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Ended, fail};
use crate::call::RawNumber;
use crate::cli::{ExplainArgs, Output};
use crate::intake::Settings;
use crate::number::chain::Verdict;
use crate::number::trace::{Effect, Trace};
use crate::report::exit::{Code, Exit};
use crate::text::Shown;

/// Explains every number; asks neither source nor CRM.
pub fn run(context: &Context, args: &ExplainArgs) -> Ended {
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let chain = if args.source {
        &settings.source
    } else {
        &settings.destination
    };
    let traces: Vec<Trace> = args
        .numbers
        .iter()
        .map(|number| chain.trace(&RawNumber(number.clone())))
        .collect();
    match context.output {
        Output::Text => {
            let blocks: Vec<String> = traces.iter().map(text).collect();
            context.print(&blocks.join("\n"));
        }
        Output::Json => {
            let numbers: Vec<Value> = traces.iter().map(object).collect();
            context.print_json(&json!({"job": config.job, "numbers": numbers}));
        }
    }
    Ok(Exit::new(Code::Settled, "explained"))
}

/// One number's way, a line a step.
fn text(trace: &Trace) -> String {
    let mut text = format!("{}\n", Shown(trace.raw.as_str()));
    for step in &trace.steps {
        let _ = writeln!(text, "  {step}");
    }
    let _ = match &trace.verdict {
        Verdict::Number(number) if trace.steps.is_empty() => writeln!(
            text,
            "  = {} (there is no rule: sent as the column holds it)",
            Shown(number.as_str())
        ),
        Verdict::Number(number) => writeln!(text, "  = {}", Shown(number.as_str())),
        Verdict::Dropped { rule, reason } => writeln!(
            text,
            "  = not sent: dropped by {}, {}",
            Shown(rule),
            Shown(reason)
        ),
    };
    text
}

fn object(trace: &Trace) -> Value {
    let steps: Vec<Value> = trace
        .steps
        .iter()
        .map(|step| {
            let effect = match &step.effect {
                Effect::NoMatch(_) => "no_match",
                Effect::Passed => "passed",
                Effect::Applied => "applied",
                Effect::Ended => "ended",
                Effect::Dropped(_) => "dropped",
            };
            json!({"rule": step.rule, "line": step.line, "before": step.before, "effect": effect, "after": step.after})
        })
        .collect();
    let (result, dropped_by) = match &trace.verdict {
        Verdict::Number(number) => (Some(number.as_str()), None),
        Verdict::Dropped { rule, .. } => (None, Some(rule)),
    };
    json!({"number": trace.raw.as_str(), "result": result, "dropped_by": dropped_by, "steps": steps})
}
