//! What a deletion came to, as exit code, text and JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::affected::Reading;
use super::shown::Shown as Plan;
use crate::cli::Output;
use crate::command::Context;
use crate::config::Config;
use crate::ledger::Purpose;
use crate::report::RunReport;
use crate::report::exit::{Code, Exit};
use crate::report::text::{self, Remarks};
use crate::target::Deletion;
use crate::text::mask::Privacy;
use crate::text::{Shown, count};

/// What was done; everything is `None` or empty with `--dry-run`.
#[derive(Default)]
pub(super) struct Done {
    pub(super) deletion: Option<Deletion>,
    /// Of [`super::affected::Affected::readings`], before the deletion.
    pub(super) counts: Vec<u64>,
    /// Calls of the named days that some reading leaves standing.
    pub(super) doubtful: u64,
    /// What sending the calls again came to, for a rebuild that got so far.
    pub(super) sync: Option<(RunReport, Remarks)>,
}

/// What is left where a deletion did not come to pass is for a person; a rebuild goes on by itself.
pub(super) fn exit(deletion: &Deletion, purpose: Purpose, privacy: Privacy) -> Exit {
    let shown = |words: &str| Shown(&privacy.text(words)).to_string();
    let exit = match deletion {
        Deletion::Deleted { count: n } => Exit::new(
            Code::Settled,
            format!("the CRM deleted {}", count(*n, "call")),
        ),
        Deletion::Refused { reason } => Exit::new(
            Code::Look,
            format!(
                "the CRM refused the deletion, and nothing was deleted: {}",
                shown(reason)
            ),
        ),
        Deletion::NotSent { reason } => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM was not reached, and nothing was deleted: {}; try again later",
                shown(reason)
            ),
        ),
        Deletion::Unknown { reason } => {
            let next = match purpose {
                Purpose::Withdraw => "no run sends them again; repeat the deletion",
                Purpose::SendAgain => {
                    "the next `cdrelay sync` that covers these days sends what is missing, and the deletion can be repeated"
                }
                Purpose::Rebuild => {
                    "the next `cdrelay sync` deletes them again and sends them; only then let other configurations run theirs"
                }
            };
            Exit::new(
                Code::Incomplete,
                format!(
                    "the CRM may have deleted the calls or not: {}; {next}",
                    shown(reason)
                ),
            )
        }
        Deletion::Broken { reason } => {
            let next = match purpose {
                Purpose::Withdraw | Purpose::SendAgain => "",
                Purpose::Rebuild => {
                    "; the rebuild is open, and the next `cdrelay sync` goes on with it"
                }
            };
            Exit::new(Code::Crm, format!("{}{next}", shown(reason)))
        }
    };
    Exit {
        alert: exit.code != Code::Settled,
        ..exit
    }
}

/// Prints it.
pub(super) fn conclude(
    context: &Context,
    config: &Config,
    plan: &Plan,
    done: &Done,
    dry_run: bool,
    exit: &Exit,
) {
    let deleted = match &done.deletion {
        Some(Deletion::Deleted { count }) => Some(*count),
        _ => None,
    };
    // For a rebuild the bounds are wider than the days, and tell nothing about them.
    let reading = deleted
        .filter(|_| plan.purpose != Purpose::Rebuild)
        .and_then(|n| Reading::of(n, &done.counts));
    let left = deleted
        .filter(|_| plan.purpose == Purpose::Withdraw)
        .map(|_| done.doubtful);
    match context.output {
        Output::Json => {
            let mut object = json!({
                "job": config.job,
                "from": plan.days.start(),
                "to": plan.days.end(),
                "wire": {"from": plan.bounds.from, "to": plan.bounds.to},
                "dry_run": dry_run,
                "for_good": plan.purpose == Purpose::Withdraw,
                "main": plan.main,
                "verify": plan.around,
                "lost": plan.lost,
                "deleted": deleted,
                "reading": reading.map(Reading::words),
                "exit": exit,
            });
            match plan.purpose {
                Purpose::SendAgain => {}
                Purpose::Withdraw => object["left_standing"] = json!(left),
                Purpose::Rebuild => {
                    object["sync"] = json!(done.sync.as_ref().map(|(report, _)| report));
                }
            }
            context.print_json(&object);
            for note in done.sync.iter().flat_map(|(_, remarks)| &remarks.notes) {
                tracing::warn!("{}", Shown(note));
            }
        }
        Output::Text if context.quiet => {}
        Output::Text if dry_run => context.print("Dry run: nothing was deleted.\n"),
        Output::Text => {
            if let Some(n) = deleted {
                context.print(&said(config, plan, done, n, reading, left));
            }
        }
    }
}

fn said(
    config: &Config,
    plan: &Plan,
    done: &Done,
    deleted: u64,
    reading: Option<Reading>,
    left: Option<u64>,
) -> String {
    let mut text = format!("The CRM deleted {}.\n", count(deleted, "call"));
    match plan.purpose {
        Purpose::SendAgain | Purpose::Withdraw => {
            if let Some(reading) = reading {
                let _ = writeln!(text, "By that count, {}.", reading.words());
            } else if deleted != plan.main {
                let _ = writeln!(
                    text,
                    "The ledger knew {} of these days; the rest came from elsewhere, or was not there any more.",
                    count(plan.main, "call")
                );
            }
        }
        Purpose::Rebuild => {}
    }
    match (plan.purpose, left) {
        (Purpose::SendAgain, _) => {
            let _ = writeln!(
                text,
                "To send them again now: cdrelay sync --since {} --until {}",
                plan.since(),
                plan.until()
            );
        }
        (Purpose::Withdraw, Some(left)) if left > 0 => {
            let _ = writeln!(
                text,
                "Where the CRM's days are not those of {}, up to {} at the edge of these days did not go. To be sure, delete the days on either side as well, and send the calls of these again:\n\
                 cdrelay delete --from {} --to {}, then cdrelay sync --since {} --until {}",
                config.source.timezone,
                count(left, "call"),
                plan.bounds.from,
                plan.bounds.to,
                plan.since().pred_opt().unwrap_or(plan.since()),
                plan.until().succ_opt().unwrap_or(plan.until()),
            );
        }
        (Purpose::Withdraw, _) => {}
        (Purpose::Rebuild, _) => {
            if let Some((report, remarks)) = &done.sync {
                let _ = write!(
                    text,
                    "\n{}",
                    text::render(report, remarks, config.source.timezone)
                );
            }
        }
    }
    text
}
