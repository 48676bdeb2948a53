//! `delete`: the calls of a range of days, from the CRM. Shows what will happen before it asks, and leaves the ledger
//! true under every reading of what the CRM's bounds may mean. `rebuild` goes the same way, and then sends them again.

use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::NaiveDate;

mod affected;
mod answered;
mod result;
mod shown;
mod told;

pub(super) use affected::Affected;
pub(super) use answered::answered;
pub(super) use told::ToldDeletion;

use super::terminal::unless_stopped;
use super::{Context, Ended, fail, now, rebuild, sync, tell};
use crate::agi::channels::Channels;
use crate::cdr::when::parse_day;
use crate::cli::{DeleteArgs, Output};
use crate::fault;
use crate::intake::Settings;
use crate::ledger::{Access, Ledger, LedgerLock, Purpose};
use crate::monitor;
use crate::report::exit::{Code, Exit};
use crate::target::{self, Deletion};
use crate::text::count;
use affected::lost;
use answered::stopped;
use result::{Done, conclude, exit};
use shown::Shown;

/// A deletion that a person asks for.
pub(super) struct Wanted<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) purpose: Purpose,
    pub(super) allow_loss: bool,
    pub(super) yes: bool,
    pub(super) dry_run: bool,
    pub(super) wait: Option<Duration>,
}

/// Deletes, after showing and asking.
pub async fn run(context: &Context, args: &DeleteArgs) -> Ended {
    let wanted = Wanted {
        from: &args.from,
        to: &args.to,
        purpose: if args.for_good {
            Purpose::Withdraw
        } else {
            Purpose::SendAgain
        },
        allow_loss: args.allow_loss,
        yes: args.yes,
        dry_run: args.dry_run,
        wait: args.wait,
    };
    perform(context, &wanted).await
}

/// Deletes, after showing and asking; for a rebuild, sends what was deleted.
pub(super) async fn perform(context: &Context, wanted: &Wanted<'_>) -> Ended {
    let days = days(wanted)?;
    let purpose = wanted.purpose;
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let crm = target::connect(&config.target).map_err(|error| fail(Code::Usage, &error))?;
    let affected = Affected::new(days.clone(), purpose, &config);
    let (first, last) = affected.asked.clone().into_inner();
    let Some(bounds) = crm.delete_bounds(first, last) else {
        return Err(Exit::new(
            Code::Usage,
            "these days cannot be deleted: the day before the first or after the last does not exist, or the CRM offers no \
             deletion",
        ));
    };
    let _lock = if wanted.dry_run {
        None
    } else {
        Some(
            unless_stopped(
                context,
                LedgerLock::acquire(&config.ledger.path, wanted.wait),
            )
            .await??,
        )
    };
    let access = if wanted.dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let at = now().timestamp();
    // Rows of calls that were told are passed over by a rebuild. It opens the ledger for itself, and so comes before this
    // does.
    let told = match purpose {
        Purpose::Rebuild => sync::told_channels(&config, affected.window().start).await?,
        Purpose::SendAgain | Purpose::Withdraw => Channels::none(),
    };
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, access, at).await?;
    fault::moment!("delete.opened");
    let looked = lost(&config, &settings, &ledger, &affected);
    let (lost, kind) = unless_stopped(context, looked).await??;
    fault::moment!("delete.looked");
    let counts = ledger.count_delivered(affected.readings(kind)).await?;
    let doubtful = ledger
        .count_doubtful(affected.named(kind), affected.asked.clone())
        .await?;
    let shown = Shown {
        days,
        purpose,
        bounds,
        main: counts[0],
        around: counts[1].saturating_sub(counts[0]),
        lost,
    };
    let asks = !wanted.yes && !wanted.dry_run;
    if context.output == Output::Text && !context.quiet {
        context.print(&shown.text(&config));
    } else if asks && std::io::stdin().is_terminal() {
        // Nobody is asked about what was not shown.
        tell(&shown.text(&config));
    }
    if lost > 0 && !wanted.allow_loss {
        ledger.close().await?;
        return Err(Exit::new(
            Code::Usage,
            format!(
                "the source does not hold {} any more that the CRM has, so nobody could send what is lost again; nothing was \
                 deleted; repeat with --allow-loss if that may go",
                count(lost, "call")
            ),
        ));
    }
    if wanted.dry_run {
        ledger.close().await?;
        let exit = Exit::new(Code::Settled, "dry run: nothing was deleted");
        conclude(context, &config, &shown, &Done::default(), true, &exit);
        return Ok(exit);
    }
    if asks {
        let answer = shown.confirmed(context).await;
        if !matches!(answer, Ok(true)) {
            ledger.close().await?;
            return answer.map(|_| Exit::new(Code::Settled, "nothing was deleted"));
        }
    }
    // The last moment to turn back: from here on the request is on its way.
    unless_stopped(context, std::future::ready(())).await?;
    give_up_interrupted(&ledger, &shown.days, at).await?;
    let plan = affected.plan(kind, at);
    let window = plan.window.clone();
    let of_told = ToldDeletion::begin(&ledger, &config.job, &affected, at).await?;
    let begun = ledger.begin_deletion(plan).await?;
    fault::moment!("delete.begun");
    let deletion = answered(context, &config, crm.delete(bounds)).await;
    fault::moment!("delete.answered");
    ledger
        .finish_deletion(begun.id, now().timestamp(), deletion.clone())
        .await?;
    of_told.finish(&ledger, &deletion).await?;
    fault::moment!("delete.finished");
    let mut exit = stopped(context, exit(&deletion, purpose, context.privacy));
    let mut sent = None;
    if purpose == Purpose::Rebuild && matches!(deletion, Deletion::Deleted { .. }) {
        let stage = sync::Stage {
            context,
            config: &config,
            settings: &settings,
            crm: crm.as_ref(),
            ledger: &ledger,
            told: &told,
            deadline: None,
            dry_run: false,
        };
        let (report, remarks) = rebuild::send(&stage, begun.id, window).await?;
        exit = rebuild::exit(&report);
        sent = Some((report, remarks));
    }
    ledger.close().await?;
    monitor::refresh(&config, now().timestamp()).await;
    let done = Done {
        deletion: Some(deletion),
        counts,
        doubtful,
        sync: sent,
    };
    conclude(context, &config, &shown, &done, false, &exit);
    Ok(exit)
}

/// The days that were named.
fn days(wanted: &Wanted<'_>) -> Result<RangeInclusive<NaiveDate>, Exit> {
    let day = |flag: &str, text: &str| {
        parse_day(text).map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}")))
    };
    let from = day("--from", wanted.from)?;
    let to = day("--to", wanted.to)?;
    if to < from {
        return Err(Exit::new(
            Code::Usage,
            format!(
                "--from {from} is after --to {to}; give the earlier day first, nothing was deleted"
            ),
        ));
    }
    Ok(from..=to)
}

/// A deletion of these days that was interrupted is done again now. A rebuild stays open until the new deletion is done.
async fn give_up_interrupted(
    ledger: &Ledger,
    days: &RangeInclusive<NaiveDate>,
    at: i64,
) -> Result<(), Exit> {
    for older in ledger.unfinished_deletions().await? {
        let covered = days.contains(older.days.start()) && days.contains(older.days.end());
        if covered && older.purpose != Purpose::Rebuild {
            let reason = "interrupted; done again".to_owned();
            let unknown = Deletion::Unknown { reason };
            ledger.finish_deletion(older.id, at, unknown).await?;
        }
    }
    Ok(())
}
