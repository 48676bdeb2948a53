//! `unmatched`: the numbers that no contact has, those with the most calls first, ready for those who keep the contacts.

use std::fmt::Write as _;

use serde_json::json;

use super::between::{self, local, stamp, utc};
use super::calls::{Form, masked_identity};
use super::{Context, Ended, now, tell};
use crate::cli::UnmatchedArgs;
use crate::ledger::{Access, Ledger, UnmatchedNumber, UnmatchedNumbers};
use crate::report::csv;
use crate::report::exit::{Code, Exit};
use crate::text::mask::Privacy;
use crate::text::{Shown, count, visible_json};

/// The head of the CSV.
const HEAD: [&str; 8] = [
    "number",
    "calls",
    "first",
    "last",
    "example_start",
    "example_source",
    "example_destination",
    "example_uniqueid",
];

/// Lists, a line a number; reads the ledger beside a run that is under way.
pub async fn run(context: &Context, args: &UnmatchedArgs) -> Ended {
    let form = Form::asked(context, args.csv)?;
    let config = context.load()?;
    let zone = config.source.timezone;
    let window = between::window(&config, args.since.as_deref(), args.until.as_deref())?;
    let (ledger, _) = Ledger::open(
        &config.ledger.path,
        &config.job,
        Access::ReadOnly,
        now().timestamp(),
    )
    .await?;
    let mut found = ledger
        .unmatched_numbers(window.since..window.until, args.limit)
        .await?;
    ledger.close().await?;
    let privacy = Privacy::asked(args.mask);
    for one in &mut found.first {
        one.number = privacy.number(&one.number).into();
        one.example.identity = masked_identity(&one.example.identity, privacy);
    }
    match form {
        Form::Text => context.print(&text(&found, |at| local(at, zone))),
        Form::Json => {
            let lines: String = found.first.iter().map(object).collect();
            context.print(&lines);
        }
        Form::Csv => {
            let lines: String = found
                .first
                .iter()
                .map(|one| csv::line(cells(one, |at| local(at, zone))))
                .collect();
            context.print_csv(&(csv::line(HEAD) + &lines));
        }
    }
    let left = found.numbers - found.first.len() as u64;
    if left > 0 && form != Form::Text && !context.quiet {
        tell(&format!("cdrelay: {}\n", beyond(left)));
    }
    Ok(Exit::new(Code::Settled, "listed"))
}

/// That the list was cut.
fn beyond(left: u64) -> String {
    format!(
        "{} with fewer calls left out; `--limit` says how many are listed",
        count(left, "number")
    )
}

fn text(found: &UnmatchedNumbers, when: impl Fn(i64) -> String) -> String {
    if found.numbers == 0 {
        return "Every number has a contact, as far as the CRM was asked.\n".to_owned();
    }
    let shown: Vec<String> = found
        .first
        .iter()
        .map(|one| Shown(&one.number).to_string())
        .collect();
    let width = shown
        .iter()
        .map(|number| number.chars().count())
        .chain([6])
        .max()
        .unwrap_or_default()
        .min(24);
    let mut text = format!(
        "{:>7}  {:<width$}  {:<16}  {:<16}  last call\n",
        "calls", "number", "first", "last"
    );
    let minute = |at: i64| when(at).chars().take(16).collect::<String>();
    for (one, number) in found.first.iter().zip(&shown) {
        let _ = writeln!(
            text,
            "{:>7}  {number:<width$}  {:<16}  {:<16}  {}",
            one.calls,
            minute(one.first),
            minute(one.last),
            example(one),
        );
    }
    let left = found.numbers - found.first.len() as u64;
    if left > 0 {
        let _ = writeln!(text, "{}", beyond(left));
    }
    let _ = writeln!(
        text,
        "\n{}, {}. Once a contact has a number, the next `cdrelay sync --full` sends its calls; a number that is written \
         wrong is mended by a rule (`cdrelay explain`).",
        count(found.numbers, "number"),
        count(found.calls, "call")
    );
    text
}

/// An example as a person would ask about it.
fn example(one: &UnmatchedNumber) -> String {
    let identity = &one.example.identity;
    let call = format!(
        "{} -> {}",
        Shown(identity.source.as_str()),
        Shown(identity.destination.as_str())
    );
    match one.example.uniqueid.as_deref() {
        Some(uniqueid) if !uniqueid.is_empty() => format!("{call}, uniqueid {}", Shown(uniqueid)),
        Some(_) | None => format!("{call}, {}", stamp(identity.start)),
    }
}

fn object(one: &UnmatchedNumber) -> String {
    let identity = &one.example.identity;
    let object = json!({
        "number": one.number,
        "calls": one.calls,
        "first": utc(one.first),
        "last": utc(one.last),
        "example": {
            "start": stamp(identity.start),
            "fold": identity.fold.0,
            "source": identity.source.as_str(),
            "destination": identity.destination.as_str(),
            "uniqueid": one.example.uniqueid,
        },
    });
    visible_json(&object.to_string()).into_owned() + "\n"
}

/// In the order of [`HEAD`].
fn cells(one: &UnmatchedNumber, when: impl Fn(i64) -> String) -> [String; HEAD.len()] {
    let identity = &one.example.identity;
    [
        one.number.clone(),
        one.calls.to_string(),
        when(one.first),
        when(one.last),
        stamp(identity.start),
        identity.source.0.clone(),
        identity.destination.0.clone(),
        one.example.uniqueid.clone().unwrap_or_default(),
    ]
}
