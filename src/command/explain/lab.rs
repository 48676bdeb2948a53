//! `explain --history`: two sets of rules over the numbers of all calls seen so far; or today's rules, and what was sent.
//!
//! Numbers come from the ledger one at a time, sorted, and only those that change most calls are kept, so that memory does
//! not grow with the history.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::file_name;
use crate::call::RawNumber;
use crate::cdr::select::is_withheld;
use crate::cli::{ExplainArgs, Output};
use crate::command::{Context, Ended, between, fail, now};
use crate::config::{Config, SelectConfig, Side};
use crate::ledger::{Access, Ledger, NumberUse, Party};
use crate::number::chain::{Chain, Verdict};
use crate::report::exit::{Code, Exit};
use crate::text::mask::Privacy;
use crate::text::{Shown, count};

/// Runs the rules over the history.
pub(super) async fn run(
    context: &Context,
    args: &ExplainArgs,
    config: &Config,
    side: Side,
    other: Option<Chain>,
) -> Ended {
    let window = between::window(config, args.since.as_deref(), args.until.as_deref())?;
    let today = Chain::build(&config.rules, side)
        .map_err(|error| fail(Code::Usage, &anyhow::Error::new(error)))?;
    let lab = Lab {
        today,
        other,
        withheld: (side == Side::Source).then(|| config.select.clone()),
        limit: args.limit,
        open: None,
        tally: Tally::default(),
    };
    let (ledger, _) = Ledger::open(
        &config.ledger.path,
        &config.job,
        Access::ReadOnly,
        now().timestamp(),
    )
    .await?;
    let party = match side {
        Side::Source => Party::Source,
        Side::Destination => Party::Destination,
    };
    let mut lab = ledger
        .number_uses(party, window.since..window.until, lab, |lab, one| {
            lab.see(one);
        })
        .await?;
    ledger.close().await?;
    lab.close();
    let result = Comparison {
        // The one that was named first: what there is, and what there would be.
        columns: match &args.compare {
            Some(path) => ["today".to_owned(), file_name(path)],
            None => ["sent".to_owned(), "today".to_owned()],
        },
        keys: if args.compare.is_some() {
            ["today", "other"]
        } else {
            ["sent", "today"]
        },
        privacy: Privacy::asked(args.mask),
        tally: lab.tally,
    };
    match context.output {
        Output::Text => context.print(&result.text()),
        Output::Json => context.print_json(&result.object(&config.job)),
    }
    Ok(Exit::new(Code::Settled, "compared"))
}

/// Rules at work.
struct Lab {
    today: Chain,
    other: Option<Chain>,
    /// Callers that count as withheld go by no rule.
    withheld: Option<SelectConfig>,
    limit: usize,
    /// The number whose forms are still coming in; two sets of rules do not care what it was sent as.
    open: Option<Number>,
    tally: Tally,
}

/// A number, and the calls with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number {
    raw: String,
    sent: String,
    calls: u64,
    delivered: u64,
}

/// What it comes to.
#[derive(Default)]
struct Tally {
    numbers: u64,
    calls: u64,
    changed: u64,
    changed_calls: u64,
    /// Of the changed numbers, those that the CRM holds calls of, and how many.
    matched: u64,
    matched_calls: u64,
    /// Those that change most calls; the heap gives the least of them.
    most: BinaryHeap<Reverse<Change>>,
}

/// A number that comes out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    calls: u64,
    delivered: u64,
    number: Reverse<String>,
    /// `None`: the call is not sent.
    before: Option<String>,
    after: Option<String>,
}

impl Lab {
    fn see(&mut self, one: NumberUse<'_>) {
        if self
            .withheld
            .as_ref()
            .is_some_and(|select| is_withheld(one.raw, select))
        {
            return;
        }
        match &mut self.open {
            Some(open)
                if open.raw == one.raw && (self.other.is_some() || open.sent == one.sent) =>
            {
                open.calls += one.calls;
                open.delivered += one.delivered;
            }
            Some(_) | None => {
                self.close();
                self.open = Some(Number {
                    raw: one.raw.to_owned(),
                    sent: one.sent.to_owned(),
                    calls: one.calls,
                    delivered: one.delivered,
                });
            }
        }
    }

    /// Counts the number that is open.
    fn close(&mut self) {
        let Some(number) = self.open.take() else {
            return;
        };
        let tally = &mut self.tally;
        tally.numbers += 1;
        tally.calls += number.calls;
        let raw = RawNumber(number.raw);
        let today = made(&self.today, &raw);
        let (before, after) = match &self.other {
            Some(other) => (today, made(other, &raw)),
            None => (Some(number.sent), today),
        };
        if before == after {
            return;
        }
        tally.changed += 1;
        tally.changed_calls += number.calls;
        tally.matched += u64::from(number.delivered > 0);
        tally.matched_calls += number.delivered;
        tally.most.push(Reverse(Change {
            calls: number.calls,
            delivered: number.delivered,
            number: Reverse(raw.0),
            before,
            after,
        }));
        if tally.most.len() > self.limit {
            tally.most.pop();
        }
    }
}

/// What a chain makes of a number; `None`: it drops the call.
fn made(chain: &Chain, raw: &RawNumber) -> Option<String> {
    match chain.apply(raw) {
        Verdict::Number(number) => Some(number.0),
        Verdict::Dropped { .. } => None,
    }
}

/// What is shown.
struct Comparison {
    columns: [String; 2],
    keys: [&'static str; 2],
    privacy: Privacy,
    tally: Tally,
}

impl Comparison {
    /// The changes, those of most calls first.
    fn changes(&self) -> Vec<&Change> {
        let mut changes: Vec<&Change> = self.tally.most.iter().map(|Reverse(one)| one).collect();
        changes.sort_by(|a, b| b.cmp(a));
        changes
    }

    fn left(&self) -> u64 {
        self.tally.changed - self.tally.most.len() as u64
    }

    fn text(&self) -> String {
        let Tally {
            numbers,
            calls,
            changed,
            changed_calls,
            matched,
            matched_calls,
            ..
        } = &self.tally;
        if *changed == 0 {
            return format!(
                "Nothing would change: {}, {}.\n",
                count(*numbers, "number"),
                count(*calls, "call")
            );
        }
        let mut text = format!(
            "{changed} of {} would change, in {changed_calls} of {}. The CRM has matched {matched} of them before ({}).\n\n",
            count(*numbers, "number"),
            count(*calls, "call"),
            count(*matched_calls, "delivered call"),
        );
        let shown = |text: &str| Shown(&self.privacy.number(text)).to_string();
        let form = |form: &Option<String>| match form {
            Some(number) => shown(number),
            None => "not sent".to_owned(),
        };
        let [before, after] = &self.columns;
        let lines: Vec<[String; 5]> = std::iter::once([
            "calls".to_owned(),
            "delivered".to_owned(),
            "number".to_owned(),
            before.clone(),
            after.clone(),
        ])
        .chain(self.changes().into_iter().map(|change| {
            [
                change.calls.to_string(),
                change.delivered.to_string(),
                shown(&change.number.0),
                form(&change.before),
                form(&change.after),
            ]
        }))
        .collect();
        // A long text makes its own line longer, not all of them.
        let width = |column: usize| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.filter(|width| *width <= 24).max().unwrap_or_default()
        };
        let (number, first) = (width(2), width(3));
        for [calls, delivered, raw, before, after] in &lines {
            let _ = writeln!(
                text,
                "  {calls:>7}  {delivered:>9}  {raw:<number$}  {before:<first$}  {after}"
            );
        }
        if self.left() > 0 {
            let _ = writeln!(
                text,
                "\n{} with fewer calls left out; `--limit` says how many are listed",
                count(self.left(), "number")
            );
        }
        text.push_str(
            "\nNothing was changed. What was sent stays as it is until its day is rebuilt (`cdrelay rebuild`).\n",
        );
        text
    }

    fn object(&self, job: &str) -> Value {
        let tally = &self.tally;
        let number = |text: &String| String::from(self.privacy.number(text));
        let changes: Vec<Value> = self
            .changes()
            .into_iter()
            .map(|change| {
                let [before, after] = self.keys;
                json!({
                    "number": number(&change.number.0),
                    before: change.before.as_ref().map(number),
                    after: change.after.as_ref().map(number),
                    "calls": change.calls,
                    "delivered": change.delivered,
                })
            })
            .collect();
        json!({
            "job": job,
            "numbers": tally.numbers,
            "calls": tally.calls,
            "changed": {
                "numbers": tally.changed,
                "calls": tally.changed_calls,
                "matched_numbers": tally.matched,
                "delivered_calls": tally.matched_calls,
            },
            "changes": changes,
            "left_out": self.left(),
        })
    }
}
