//! `held`: lists the calls whose outcome nobody knows, and records what a person found out about them.
//!
//! On a CRM without keys a request that got no answer may have had its effect, and a second one would have it twice. Only
//! somebody who looks into the CRM can tell.

use std::fmt::Write as _;

use serde_json::json;

use super::calls::{line, object};
use super::{Context, Ended, now};
use crate::agi;
use crate::call::Identity;
use crate::cli::{HeldArgs, Output};
use crate::config::Config;
use crate::ledger::{Access, Filter, HeldDecision, Ledger, LedgerLock, Listed, State};
use crate::report::exit::{Code, Exit};
use crate::text::{Shown, count};

/// Calls that are read from the ledger at a time.
const PAGE: usize = 2_000;

/// Most calls that a message about an ambiguous one names.
const NAMED: usize = 10;

/// What to do about a held call.
const ADVICE: &str = "Look in the CRM whether it acted upon the call. If it did: `cdrelay held CALL --delivered`. If not: \
                      `cdrelay held CALL --resend`, and the next `cdrelay sync` sends it again. CALL is its uniqueid, or the \
                      caller's number.\n";

/// Lists, or settles what the arguments name.
pub async fn run(context: &Context, args: &HeldArgs) -> Ended {
    let config = context.load()?;
    let decision = match (args.resend, args.delivered) {
        (true, _) => Some(HeldDecision::Resend),
        (false, true) => Some(HeldDecision::Delivered),
        (false, false) => None,
    };
    if decision.is_some() && args.calls.is_empty() && !args.all {
        return Err(Exit::new(
            Code::Usage,
            "name the calls by uniqueid or number, or say --all; `cdrelay held` lists them",
        ));
    }
    let _lock = match decision {
        Some(_) => Some(LedgerLock::acquire(&config.ledger.path, args.wait).await?),
        None => None,
    };
    let at = now().timestamp();
    // Calls that were told while they happened are a job of their own.
    let mut all = Vec::new();
    for job in [config.job.clone(), agi::job(&config.job)] {
        let (ledger, _) = Ledger::open(&config.ledger.path, &job, Access::ReadOnly, at).await?;
        all.extend(
            held(&ledger)
                .await?
                .into_iter()
                .map(|call| (job.clone(), call)),
        );
        ledger.close().await?;
    }
    let chosen = chosen(all, args)?;
    let settled = match decision {
        Some(decision) => Some(settle(&config, at, &chosen, decision).await?),
        None => None,
    };
    let chosen: Vec<Listed> = chosen.into_iter().map(|(_, call)| call).collect();
    let exit = Exit::new(Code::Settled, sentence(decision, &chosen));
    show(context, &config, &chosen, settled, &exit);
    Ok(exit)
}

/// Records the decision, job by job; gives how many calls were still held.
async fn settle(
    config: &Config,
    at: i64,
    chosen: &[(String, Listed)],
    decision: HeldDecision,
) -> Result<u64, Exit> {
    let mut settled = 0;
    for job in [config.job.clone(), agi::job(&config.job)] {
        let identities: Vec<Identity> = chosen
            .iter()
            .filter(|(of, _)| *of == job)
            .map(|(_, call)| call.identity.clone())
            .collect();
        if identities.is_empty() {
            continue;
        }
        let path = &config.ledger.path;
        let (ledger, _) = Ledger::open(path, &job, Access::ReadWrite, at).await?;
        settled += ledger.settle_held(at, identities, decision).await?;
        ledger.close().await?;
    }
    Ok(settled)
}

/// Every held call, the oldest first.
async fn held(ledger: &Ledger) -> Result<Vec<Listed>, Exit> {
    let filter = Filter {
        state: Some(State::Held),
        ..Filter::default()
    };
    let mut found: Vec<Listed> = Vec::new();
    loop {
        let after: Option<Identity> = found.last().map(|call| call.identity.clone());
        let page = ledger.list(filter.clone(), after, PAGE).await?;
        let last = page.len() < PAGE;
        found.extend(page);
        if last {
            return Ok(found);
        }
    }
}

/// The calls that the arguments name; all of them where they name none.
fn chosen(held: Vec<(String, Listed)>, args: &HeldArgs) -> Result<Vec<(String, Listed)>, Exit> {
    if args.calls.is_empty() {
        return Ok(held);
    }
    let mut wanted = vec![false; held.len()];
    for name in &args.calls {
        let named: Vec<usize> = (0..held.len())
            .filter(|at| is_called(&held[*at].1, name))
            .collect();
        if named.is_empty() {
            return Err(Exit::new(
                Code::Usage,
                format!(
                    "no held call has the uniqueid or the number `{}`; `cdrelay held` lists them",
                    Shown(name)
                ),
            ));
        }
        if named.len() > 1 && !args.all {
            let ids: Vec<String> = named
                .iter()
                .take(NAMED)
                .map(|at| {
                    let id = held[*at].1.origin.uniqueid.as_deref();
                    Shown(id.unwrap_or("(no uniqueid)")).to_string()
                })
                .collect();
            return Err(Exit::new(
                Code::Usage,
                format!(
                    "{} are held with `{}`: {}; name one by its uniqueid, or add --all for every one of them",
                    count(named.len() as u64, "call"),
                    Shown(name),
                    ids.join(", ")
                ),
            ));
        }
        for at in named {
            wanted[at] = true;
        }
    }
    let mut wanted = wanted.into_iter();
    Ok(held
        .into_iter()
        .filter(|_| wanted.next().unwrap_or(false))
        .collect())
}

fn is_called(call: &Listed, name: &str) -> bool {
    let wire = call.wire.as_ref();
    let numbers = [
        Some(call.identity.source.as_str()),
        Some(call.identity.destination.as_str()),
        wire.map(|wire| wire.source.as_str()),
        wire.map(|wire| wire.destination.as_str()),
    ];
    call.origin.uniqueid.as_deref() == Some(name) || numbers.contains(&Some(name))
}

fn sentence(decision: Option<HeldDecision>, chosen: &[Listed]) -> String {
    let calls = count(chosen.len() as u64, "call");
    match decision {
        None if chosen.is_empty() => "no call is held".to_owned(),
        None => format!("{calls} held"),
        Some(HeldDecision::Resend) => {
            format!("{calls} due again; the next `cdrelay sync` sends what its window covers")
        }
        Some(HeldDecision::Delivered) => format!("{calls} recorded as delivered"),
    }
}

fn show(context: &Context, config: &Config, chosen: &[Listed], settled: Option<u64>, exit: &Exit) {
    if context.quiet {
        return;
    }
    match context.output {
        Output::Text => {
            let mut text = String::new();
            for call in chosen {
                if settled.is_none() {
                    line(&mut text, call, config);
                    let id = call.origin.uniqueid.as_deref().unwrap_or_default();
                    if !id.is_empty() {
                        let _ = writeln!(text, "            uniqueid {}", Shown(id));
                    }
                }
            }
            if settled.is_none() && !chosen.is_empty() {
                let _ = write!(text, "\n{ADVICE}");
            } else {
                let mut letters = exit.reason.chars();
                let first: String = letters
                    .next()
                    .into_iter()
                    .flat_map(char::to_uppercase)
                    .collect();
                let _ = writeln!(text, "{first}{}.", letters.as_str());
            }
            context.print(&text);
        }
        Output::Json => context.print_json(&json!({
            "job": config.job,
            "calls": chosen.iter().map(object).collect::<Vec<_>>(),
            "settled": settled,
            "exit": exit,
        })),
    }
}
