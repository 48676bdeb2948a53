//! `reconcile`: is everything there, and if not, what to do? Source against ledger, day by day; `--heal` sends what is
//! missing by the very pass that `sync` sends by, over the days that have gaps and no others.

mod compare;
mod days;
mod result;

use super::sync::{self, Pass, Stage, asked, stopped_before};
use super::{Context, Ended, fail, now, rebuild};
use crate::cdr::when::day_bounds;
use crate::cdr::window::Window;
use crate::cli::{Output, ReconcileArgs, SyncArgs};
use crate::config::Config;
use crate::intake::Settings;
use crate::ledger::{Access, Ledger, LedgerLock};
use crate::report::exit::{Code, Exit};
use crate::report::{Mode, RunReport};
use crate::target;
use compare::compare;
use days::stretches;
use result::Outcome;

/// Compares, and sends what is missing where that was asked for.
pub async fn run(context: &Context, args: &ReconcileArgs) -> Ended {
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let asked_for = SyncArgs {
        full: true,
        since: args.since.clone(),
        until: args.until.clone(),
        ..SyncArgs::default()
    };
    let window = sync::window(&config, &asked_for, now().timestamp())?;
    let mut stop = context.stop.clone();
    let undated = args.since.is_none();
    let outcome = if args.heal {
        let _lock = tokio::select! {
            biased;
            asked = asked(&mut stop) => return Err(stopped_before(asked)),
            lock = LedgerLock::acquire(&config.ledger.path, args.wait) => lock?,
        };
        heal(context, &config, &settings, window, undated).await?
    } else {
        let at = now().timestamp();
        let told = sync::told_channels(&config, window.since).await?;
        let (ledger, _) =
            Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, at).await?;
        let compared = tokio::select! {
            biased;
            asked = asked(&mut stop) => return Err(stopped_before(asked)),
            compared = compare(&config, &settings, &ledger, &told, window, undated) => compared?,
        };
        ledger.close().await?;
        Outcome::new(compared, window, None)
    };
    let exit = outcome.exit();
    if exit.alert || !context.quiet {
        match context.output {
            Output::Text => context.print(&outcome.text(&config)),
            Output::Json => context.print_json(&outcome.object(&config, &exit)),
        }
    }
    Ok(exit)
}

/// Compares, sends, and compares again. The lock is held.
async fn heal(
    context: &Context,
    config: &Config,
    settings: &Settings<'_>,
    window: Window,
    undated: bool,
) -> Result<Outcome, Exit> {
    let crm = target::connect(&config.target).map_err(|error| fail(Code::Usage, &error))?;
    let at = now().timestamp();
    // It opens the ledger for itself, and so comes before this does.
    let told = sync::told_channels(config, window.since).await?;
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadWrite, at).await?;
    let stage = Stage {
        context,
        config,
        settings,
        crm: crm.as_ref(),
        ledger: &ledger,
        told: &told,
        deadline: None,
        dry_run: false,
    };
    // A rebuild that was interrupted goes first, as in every run.
    let rebuilds = rebuild::finish_open(&stage).await?;
    let mut stop = context.stop.clone();
    let before = tokio::select! {
        biased;
        asked = asked(&mut stop) => return Err(stopped_before(asked)),
        compared = compare(config, settings, &ledger, &told, window, undated) => compared?,
    };
    let zone = config.source.timezone;
    let mut reports: Vec<RunReport> = Vec::new();
    let mut exit = Exit::new(Code::Settled, "");
    for rebuilt in rebuilds {
        exit = exit.worse(rebuilt.exit);
    }
    for (first, last) in stretches(&before.days) {
        if exit.code.rank() > Code::Look.rank() {
            // The CRM is down, or somebody asked to stop: the next run goes on.
            break;
        }
        let days = Window {
            since: day_bounds(first, zone).start.max(window.since),
            until: day_bounds(last, zone).end.min(window.until),
        };
        let pass = Pass {
            mode: Mode::Incremental,
            window: days,
            undated: false,
            resend: false,
            fail_on_unmatched: false,
        };
        let (report, _) = stage.pass(&pass).await?;
        exit = exit.worse(report.exit.clone());
        reports.push(report);
    }
    let after = if reports.is_empty() {
        before
    } else {
        compare(config, settings, &ledger, &told, window, undated).await?
    };
    ledger.close().await?;
    Ok(Outcome::new(after, window, Some((reports, exit))))
}
