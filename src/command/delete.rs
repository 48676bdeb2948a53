//! `delete`: the calls of a range of days, from the CRM. Shows what will happen before it asks, and leaves the ledger
//! true under every reading of what the CRM's bounds may mean.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use chrono::{Days, NaiveDate};
use serde_json::json;

mod affected;

use super::{Context, Ended, fail, now, sync};
use crate::cdr::when::parse_day;
use crate::cli::{DeleteArgs, Output};
use crate::config::Config;
use crate::fault;
use crate::intake::Settings;
use crate::ledger::{Access, DeletionPlan, Ledger, LedgerLock, Purpose};
use crate::report::exit::{Code, Exit};
use crate::target::{self, DeleteBounds, Deletion};
use crate::text::{Shown, count};
use affected::{Affected, lost, reading};

/// Deletes, after showing and asking.
pub async fn run(context: &Context, args: &DeleteArgs) -> Ended {
    let day = |flag: &str, text: &str| {
        parse_day(text).map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}")))
    };
    let from = day("--from", &args.from)?;
    let to = day("--to", &args.to)?;
    if to < from {
        return Err(Exit::new(
            Code::Usage,
            format!(
                "--from {from} is after --to {to}; give the earlier day first, nothing was deleted"
            ),
        ));
    }
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let crm = target::connect(&config.target).map_err(|error| fail(Code::Usage, &error))?;
    let Some(bounds) = crm.delete_bounds(from, to) else {
        return Err(Exit::new(
            Code::Usage,
            "these days cannot be deleted: the day before the first or after the last does not exist, or the CRM offers no \
             deletion",
        ));
    };
    let _lock = if args.dry_run {
        None
    } else {
        Some(unless_stopped(context, LedgerLock::acquire(&config.ledger.path, args.wait)).await??)
    };
    let access = if args.dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let at = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, access, at).await?;
    let days = Affected::new(from, to, &config);
    fault::moment!("delete.opened");
    let looked = lost(&config, &settings, &ledger, &days, args.for_good);
    let lost = unless_stopped(context, looked).await??;
    fault::moment!("delete.looked");
    let counts = ledger.count_delivered(days.readings()).await?;
    let plan = Plan {
        from,
        to,
        bounds,
        main: counts[0],
        around: counts[1].saturating_sub(counts[0]),
        lost,
        for_good: args.for_good,
    };
    let asks = !args.yes && !args.dry_run;
    if context.output == Output::Text && !context.quiet {
        context.print(&plan.text(&config));
    } else if asks && std::io::stdin().is_terminal() {
        // Nobody is asked about what was not shown.
        let _ = write!(std::io::stderr(), "{}", plan.text(&config));
    }
    if plan.lost > 0 && !args.allow_loss {
        ledger.close().await?;
        return Err(Exit::new(
            Code::Usage,
            format!(
                "the source does not hold {} any more that the CRM has, so nobody could send what is lost again; nothing was \
                 deleted; repeat with --allow-loss if that may go",
                count(plan.lost, "call")
            ),
        ));
    }
    if args.dry_run {
        ledger.close().await?;
        let exit = Exit::new(Code::Settled, "dry run: nothing was deleted");
        conclude(context, &config, &plan, None, true, &exit);
        return Ok(exit);
    }
    if asks && !confirmed(context).await? {
        ledger.close().await?;
        return Ok(Exit::new(Code::Settled, "nothing was deleted"));
    }
    // The last moment to turn back: from here on the request is on its way.
    unless_stopped(context, std::future::ready(())).await?;
    for older in ledger.unfinished_deletions().await? {
        // What was interrupted over these days is done again now.
        if from <= *older.days.start()
            && *older.days.end() <= to
            && older.purpose != Purpose::Rebuild
        {
            let reason = "interrupted; done again".to_owned();
            let unknown = Deletion::Unknown { reason };
            ledger.finish_deletion(older.id, at, unknown).await?;
        }
    }
    let begun = ledger
        .begin_deletion(DeletionPlan {
            days: from..=to,
            purpose: if args.for_good {
                Purpose::Withdraw
            } else {
                Purpose::SendAgain
            },
            main: days.main.clone(),
            around: days.around.clone(),
            started: at,
        })
        .await?;
    fault::moment!("delete.begun");
    let deletion = crm.delete(bounds).await;
    fault::moment!("delete.answered");
    ledger
        .finish_deletion(begun.id, now().timestamp(), deletion.clone())
        .await?;
    fault::moment!("delete.finished");
    ledger.close().await?;
    let exit = exit(&deletion, args.for_good);
    conclude(
        context,
        &config,
        &plan,
        Some((&deletion, &counts)),
        false,
        &exit,
    );
    Ok(exit)
}

/// What is about to happen.
struct Plan {
    from: NaiveDate,
    to: NaiveDate,
    bounds: DeleteBounds,
    main: u64,
    around: u64,
    lost: u64,
    for_good: bool,
}

impl Plan {
    fn text(&self, config: &Config) -> String {
        let mut text = format!(
            "Delete all calls of {} to {}, both days included, from {}.\n\n",
            self.from, self.to, config.target.url
        );
        let _ = writeln!(
            text,
            "  request   from={} to={}: both dates are exclusive on the wire",
            self.bounds.from, self.bounds.to
        );
        let fate = if self.for_good {
            "they, and those of these days that are still due, stay out until `sync --resend`"
        } else {
            "the next run that covers them sends them again"
        };
        let _ = writeln!(
            text,
            "  ledger    {} of these days delivered; {fate}",
            count(self.main, "call")
        );
        let _ = writeln!(
            text,
            "            {} on either side will be verified: sent again, harmless where they still exist",
            count(self.around, "call")
        );
        let source = if self.lost == 0 {
            "holds all of them still".to_owned()
        } else {
            format!(
                "does not hold {} any more, which could never be sent again",
                count(self.lost, "call")
            )
        };
        let _ = writeln!(text, "  source    {source}");
        let _ = writeln!(
            text,
            "  warning   the CRM deletes everybody's calls of these days: other PBXs', other configurations', hand-made ones.\n            \
             Every other configuration for this CRM has to run afterwards:\n            \
             cdrelay --config OTHER sync --resend --since {} --until {}\n",
            self.since(),
            self.until()
        );
        text
    }

    /// First day of a window that holds every call the deletion may have taken along: a day before the first date on the
    /// wire, for a CRM whose days begin earlier.
    fn since(&self) -> NaiveDate {
        let from = self.bounds.from;
        from.checked_sub_days(Days::new(1)).unwrap_or(from)
    }

    /// First day after that window: the last date on the wire may end on the next day here.
    fn until(&self) -> NaiveDate {
        let to = self.bounds.to;
        to.checked_add_days(Days::new(2)).unwrap_or(to)
    }
}

/// Does the work, unless somebody asks the program to stop before it is done.
async fn unless_stopped<T>(context: &Context, work: impl Future<Output = T>) -> Result<T, Exit> {
    let mut stop = context.stop.clone();
    tokio::select! {
        biased;
        asked = sync::asked(&mut stop) => Err(sync::stopped_before(asked)),
        done = work => Ok(done),
    }
}

/// Asks, on a terminal. A signal is an answer, too.
async fn confirmed(context: &Context) -> Result<bool, Exit> {
    if !std::io::stdin().is_terminal() {
        return Err(Exit::new(
            Code::Usage,
            "nobody is there to ask; nothing was deleted; add --yes where that is meant, or --dry-run to look first",
        ));
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "Delete them? [y/N] ");
    let _ = stderr.flush();
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .map(|_| answer)
    });
    let answer = unless_stopped(context, answer).await?;
    let yes = matches!(&answer, Ok(Ok(answer)) if matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"));
    if !yes {
        let _ = writeln!(stderr, "Nothing was deleted.");
    }
    Ok(yes)
}

/// Nothing repeats a deletion by itself, so whatever did not come to pass is for a person.
fn exit(deletion: &Deletion, for_good: bool) -> Exit {
    let exit = match deletion {
        Deletion::Deleted { count: n } => Exit::new(
            Code::Settled,
            format!("the CRM deleted {}", count(*n, "call")),
        ),
        Deletion::Refused { reason } => Exit::new(
            Code::Look,
            format!(
                "the CRM refused the deletion, and nothing was deleted: {}",
                Shown(reason)
            ),
        ),
        Deletion::NotSent { reason } => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM was not reached, and nothing was deleted: {}; try again later",
                Shown(reason)
            ),
        ),
        Deletion::Unknown { reason } if for_good => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM may have deleted the calls or not: {}; no run sends them again; repeat the deletion",
                Shown(reason)
            ),
        ),
        Deletion::Unknown { reason } => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM may have deleted the calls or not: {}; the next `cdrelay sync` that covers these days sends what \
                 is missing, and the deletion can be repeated",
                Shown(reason)
            ),
        ),
        Deletion::Broken { reason } => Exit::new(Code::Crm, Shown(reason).to_string()),
    };
    Exit {
        alert: exit.code != Code::Settled,
        ..exit
    }
}

fn conclude(
    context: &Context,
    config: &Config,
    plan: &Plan,
    done: Option<(&Deletion, &[u64])>,
    dry_run: bool,
    exit: &Exit,
) {
    let deleted = match done {
        Some((Deletion::Deleted { count }, _)) => Some(*count),
        _ => None,
    };
    let reading = deleted
        .zip(done)
        .and_then(|(n, (_, counts))| reading(n, counts));
    match context.output {
        Output::Json => context.print_json(&json!({
            "job": config.job,
            "from": plan.from,
            "to": plan.to,
            "wire": {"from": plan.bounds.from, "to": plan.bounds.to},
            "dry_run": dry_run,
            "for_good": plan.for_good,
            "main": plan.main,
            "verify": plan.around,
            "lost": plan.lost,
            "deleted": deleted,
            "reading": reading,
            "exit": exit,
        })),
        Output::Text if context.quiet => {}
        Output::Text if dry_run => context.print("Dry run: nothing was deleted.\n"),
        Output::Text => {
            if let Some(n) = deleted {
                let mut text = format!("The CRM deleted {}.\n", count(n, "call"));
                if let Some(reading) = reading {
                    let _ = writeln!(text, "By that count, {reading}.");
                } else if n != plan.main {
                    let _ = writeln!(
                        text,
                        "The ledger knew {} of these days; the rest came from elsewhere, or was not there any more.",
                        count(plan.main, "call")
                    );
                }
                if !plan.for_good {
                    let _ = writeln!(
                        text,
                        "To send them again now: cdrelay sync --since {} --until {}",
                        plan.since(),
                        plan.until()
                    );
                }
                context.print(&text);
            }
        }
    }
}
