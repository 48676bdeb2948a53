//! `explain`: each rule step that numbers go through, and the result; by the rules of another file as well, if asked.
//! `lab` does so for every number of the calls seen so far.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::why::masked::masked_trace;
use super::{Context, Ended, fail};
use crate::call::RawNumber;
use crate::cli::{ExplainArgs, Output};
use crate::config::{self, Side};
use crate::intake::{Problems, Settings};
use crate::number::chain::{Chain, Verdict};
use crate::number::registry;
use crate::number::trace::{Effect, Trace};
use crate::report::exit::{Code, Exit};
use crate::text::Shown;
use crate::text::mask::Privacy;

mod lab;

/// Explains every number; asks neither source nor CRM.
pub async fn run(context: &Context, args: &ExplainArgs) -> Ended {
    // clap lets them pass beside numbers, which exclude what they need.
    if !args.history && (args.since.is_some() || args.until.is_some()) {
        return Err(Exit::new(
            Code::Usage,
            "`--since` and `--until` say which part of the history is meant; they go with `--history`",
        ));
    }
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let side = if args.source {
        Side::Source
    } else {
        Side::Destination
    };
    let other = args
        .compare
        .as_deref()
        .map(|path| other_rules(path, side))
        .transpose()?;
    if args.history {
        return lab::run(context, args, &config, side, other).await;
    }
    let chain = match side {
        Side::Source => &settings.source,
        Side::Destination => &settings.destination,
    };
    let privacy = Privacy::asked(args.mask);
    let both: Vec<(Trace, Option<Trace>)> = args
        .numbers
        .iter()
        .map(|number| {
            let raw = RawNumber(number.clone());
            let other = other
                .as_ref()
                .map(|other| masked_trace(other.trace(&raw), privacy));
            (masked_trace(chain.trace(&raw), privacy), other)
        })
        .collect();
    let name = args.compare.as_deref().map(file_name).unwrap_or_default();
    match context.output {
        Output::Text => {
            let blocks: Vec<String> = both
                .iter()
                .map(|(today, other)| compared(today, other.as_ref(), &name))
                .collect();
            context.print(&blocks.join("\n"));
        }
        Output::Json => {
            let numbers: Vec<Value> = both
                .iter()
                .map(|(today, other)| {
                    let mut one = object(today);
                    if let Some(other) = other {
                        one["changed"] = json!(other.verdict != today.verdict);
                        one["other"] = object(other);
                    }
                    one
                })
                .collect();
            context.print_json(&json!({"job": config.job, "numbers": numbers}));
        }
    }
    Ok(Exit::new(Code::Settled, "explained"))
}

/// The rules of another file.
///
/// # Errors
/// Code 2: the file cannot be read, or its rules do not hold.
fn other_rules(path: &Path, side: Side) -> Result<Chain, Exit> {
    let set =
        config::load_rules(path).map_err(|errors| Exit::listing(Code::Usage, &errors.lines()))?;
    let at = |line: usize| format!("{}:{line}", path.display());
    let mut problems: Vec<String> = registry::problems(&set.rules)
        .into_iter()
        .map(|problem| format!("{}: {problem}", at(problem.line)))
        .collect();
    if !problems.is_empty() {
        return Err(fail(Code::Usage, &Problems(problems).into()));
    }
    let chain = |side| {
        Chain::build(&set.rules, side)
            .map_err(|error| fail(Code::Usage, &anyhow::Error::new(error)))
    };
    for side in [Side::Destination, Side::Source] {
        let failures = chain(side)?.check(&set.tests);
        problems.extend(
            failures
                .into_iter()
                .map(|failure| format!("{}: {failure}", at(failure.line))),
        );
    }
    if problems.is_empty() {
        chain(side)
    } else {
        Err(fail(Code::Usage, &Problems(problems).into()))
    }
}

/// A file as the heading of a column.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    Shown(&name.to_string_lossy()).to_string()
}

/// One number's way by today's rules, and by the other ones.
fn compared(today: &Trace, other: Option<&Trace>, name: &str) -> String {
    let mut text = text(today);
    let Some(other) = other else {
        return text;
    };
    let _ = writeln!(text, "  by {name}:");
    for step in &other.steps {
        let _ = writeln!(text, "    {step}");
    }
    let same = if other.verdict == today.verdict {
        "the same"
    } else {
        "another"
    };
    let _ = writeln!(text, "    = {} ({same})", result(&other.verdict));
    text
}

/// What comes of a number, as text.
fn result(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Number(number) => Shown(number.as_str()).to_string(),
        Verdict::Dropped { rule, reason } => {
            format!("not sent: dropped by {}, {}", Shown(rule), Shown(reason))
        }
    }
}

/// One number's way, a line a step.
pub(super) fn text(trace: &Trace) -> String {
    let mut text = format!("{}\n", Shown(trace.raw.as_str()));
    for step in &trace.steps {
        let _ = writeln!(text, "  {step}");
    }
    let no_rule = match trace.verdict {
        Verdict::Number(_) if trace.steps.is_empty() => {
            " (there is no rule: sent as the column holds it)"
        }
        Verdict::Number(_) | Verdict::Dropped { .. } => "",
    };
    let _ = writeln!(text, "  = {}{no_rule}", result(&trace.verdict));
    text
}

/// One number's way as an object.
pub(super) fn object(trace: &Trace) -> Value {
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
