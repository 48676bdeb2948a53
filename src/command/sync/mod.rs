//! `sync`: the main job. Sets the stage (lock, ledger, source, CRM), lets `pipeline` do it, and reports.

mod answers;
mod board;
mod collisions;
mod judge;
mod missing;
mod pass;
mod pipeline;
mod slice;

pub(super) use pass::{Pass, Stage};
pub(super) use pipeline::asked;

use std::time::{Duration, Instant};

use super::{Context, Ended, fail, now, rebuild};
use crate::call::ColumnTime;
use crate::cdr::when::{day_bounds, parse_when};
use crate::cdr::window::Window;
use crate::cli::{Output, SyncArgs};
use crate::config::Config;
use crate::delivery::Stop;
use crate::fault;
use crate::intake::Settings;
use crate::ledger::{Access, Ledger, LedgerError, LedgerLock, Purpose};
use crate::report::exit::{Code, Exit};
use crate::report::text::{self, Remarks};
use crate::report::{Mode, RunReport};
use crate::source::{SourceError, SourceProfile};
use crate::target::dry_run::DryRun;
use crate::target::{self, CrmTarget, Deletion};
use crate::text::Shown;
use pass::utc;

/// Longest time an incremental run starts requests in, unless told otherwise: it is over before the next hour's.
const INCREMENTAL_RUNTIME: Duration = Duration::from_secs(50 * 60);

/// Runs `sync` and prints its report.
pub async fn run(context: &Context, args: &SyncArgs) -> Ended {
    let config = context.load()?;
    let (mut report, remarks) = match sync(context, &config, args).await {
        Ok(done) => done,
        Err(exit) => return Err(overdue(&config, exit).await),
    };
    report.exit = overdue(&config, report.exit).await;
    if report.exit.alert || !context.quiet {
        match context.output {
            Output::Text => context.print(&text::render(&report, &remarks, config.source.timezone)),
            Output::Json => {
                for note in &remarks.notes {
                    tracing::warn!("{}", Shown(note));
                }
                context.print_json(&report);
            }
        }
    }
    Ok(report.exit)
}

/// Does the work of `sync` and gives what is to be reported.
///
/// # Errors
/// The exit that it ends with where there is nothing to report: 2, 10, 11, 12, or 5 and 6 before the run began.
pub async fn sync(
    context: &Context,
    config: &Config,
    args: &SyncArgs,
) -> Result<(RunReport, Remarks), Exit> {
    let started = Instant::now();
    let now = now().timestamp();
    let settings = Settings::new(config).map_err(|error| fail(Code::Usage, &error))?;
    let window = window(config, args, now)?;
    let mode = if args.full {
        Mode::Full
    } else {
        Mode::Incremental
    };
    let crm = target::connect(&config.target).map_err(|error| fail(Code::Usage, &error))?;
    let crm: Box<dyn CrmTarget> = if args.dry_run {
        Box::new(DryRun(crm))
    } else {
        crm
    };

    let _lock = if args.dry_run {
        None
    } else {
        let mut stop = context.stop.clone();
        Some(tokio::select! {
            biased;
            asked = asked(&mut stop) => return Err(stopped_before(asked)),
            lock = LedgerLock::acquire(&config.ledger.path, args.wait) => lock?,
        })
    };
    fault::moment!("sync.locked");
    let access = if args.dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let (ledger, _opened) = Ledger::open(&config.ledger.path, &config.job, access, now).await?;
    let runtime = match (args.max_runtime, mode) {
        (Some(limit), _) => Some(limit),
        (None, Mode::Incremental) => Some(INCREMENTAL_RUNTIME),
        (None, Mode::Full | Mode::Rebuild) => None,
    };
    let stage = Stage {
        context,
        config,
        settings: &settings,
        crm: crm.as_ref(),
        ledger: &ledger,
        deadline: runtime
            .and_then(|limit| started.checked_add(limit))
            .map(Into::into),
        dry_run: args.dry_run,
    };
    let rebuilds = if args.dry_run {
        Vec::new()
    } else {
        rebuild::finish_open(&stage).await?
    };
    let (mut report, mut remarks) = stage
        .pass(&Pass {
            mode,
            window,
            undated: args.since.is_none(),
            resend: args.resend,
            fail_on_unmatched: args.fail_on.is_some(),
        })
        .await?;
    if matches!(report.exit.code, Code::Settled | Code::Look) {
        tidy(config, &ledger, window, mode, now).await?;
    }
    for rebuilt in &rebuilds {
        remarks.notes.push(rebuild::sentence(rebuilt));
        report.exit = report.exit.worse(rebuilt.exit.clone());
    }
    report.rebuilds = rebuilds;
    if args.dry_run {
        for open in ledger.unfinished_deletions().await? {
            if open.purpose == Purpose::Rebuild {
                remarks.notes.push(format!(
                    "a rebuild of {} to {} is not finished: the next `cdrelay sync` goes on with it first",
                    open.days.start(),
                    open.days.end()
                ));
            }
        }
    }
    ledger.close().await?;
    fault::moment!("sync.closed");
    Ok((report, remarks))
}

/// What a run leaves in order that settled its window: deletions that were interrupted over days of it have nothing open
/// any more, and a full run drops what is older than `ledger.retention`.
async fn tidy(
    config: &Config,
    ledger: &Ledger,
    window: Window,
    mode: Mode,
    now: i64,
) -> Result<(), LedgerError> {
    let zone = config.source.timezone;
    for deletion in ledger.unfinished_deletions().await? {
        let first = day_bounds(*deletion.days.start(), zone).start;
        let last = day_bounds(*deletion.days.end(), zone).end;
        let covered = window.since <= first && last <= window.until;
        if covered && deletion.purpose != Purpose::Rebuild {
            let reason = "interrupted; a later run settled these days".to_owned();
            ledger
                .finish_deletion(deletion.id, now, Deletion::Unknown { reason })
                .await?;
        }
    }
    if mode == Mode::Full {
        // A day more, because the column's own clock may be that far from the instant.
        let retention = i64::try_from(config.ledger.retention.as_secs()).unwrap_or(i64::MAX / 2);
        let before = now.saturating_sub(retention).saturating_sub(86_400);
        ledger.purge(ColumnTime(before), before).await?;
    }
    Ok(())
}

/// The exit of a run that a signal ended before it began.
pub(super) fn stopped_before(asked: Stop) -> Exit {
    let (code, signal) = match asked {
        Stop::Terminate => (Code::Terminated, "SIGTERM"),
        Stop::No | Stop::Interrupt | Stop::Unrecorded => (Code::Interrupted, "SIGINT"),
    };
    Exit::new(
        code,
        format!("stopped by {signal} before anything was sent"),
    )
}

/// Connects to the source and looks at it.
///
/// # Errors
/// [`SourceError`]
pub(super) async fn connect_source(
    config: &Config,
) -> Result<(Box<dyn crate::source::CallSource>, SourceProfile), SourceError> {
    let roles = config
        .target
        .recording_url
        .as_ref()
        .map(|template| {
            template
                .placeholders()
                .into_iter()
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    let mut source = crate::source::connect(&config.source, roles)?;
    let profile = source.probe().await?;
    Ok((source, profile))
}

/// The window that the arguments ask for.
fn window(config: &Config, args: &SyncArgs, now: i64) -> Result<Window, Exit> {
    let zone = config.source.timezone;
    let when = |flag: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| {
                parse_when(text, zone)
                    .map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}")))
            })
            .transpose()
    };
    let since = when("--since", &args.since)?;
    let until = when("--until", &args.until)?;
    let standard = if args.full {
        Window::full(now, config.select.full_lookback)
    } else {
        Window::incremental(now, config.select.lookback)
    };
    let window = Window {
        since: since.unwrap_or(standard.since),
        until: until.unwrap_or(standard.until),
    };
    if window.is_empty() {
        return Err(Exit::new(
            Code::Usage,
            format!(
                "the window is empty: it would end at {} and begin at {}; give an --until after --since",
                utc(window.until),
                utc(window.since)
            ),
        ));
    }
    Ok(window)
}

/// Marks an exit that heals by itself, once the last success is older than `monitor.alert_after`.
async fn overdue(config: &Config, exit: Exit) -> Exit {
    if exit.alert || !matches!(exit.code, Code::Incomplete | Code::Locked) {
        return exit;
    }
    match last_success(config).await {
        Ok(Some((what, age))) if age > config.monitor.alert_after => {
            exit.overdue(&format!("{what} {} ago", humantime::format_duration(age)))
        }
        Ok(_) | Err(_) => exit,
    }
}

/// How long ago the last run succeeded; where none ever did, how long ago the first of the latest thousand began.
async fn last_success(config: &Config) -> Result<Option<(&'static str, Duration)>, LedgerError> {
    let now = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
    let since = match ledger.last_success(None).await? {
        Some(run) => run.end.map(|end| ("the last success was", end.ended)),
        None => ledger
            .runs(1000)
            .await?
            .last()
            .map(|run| ("no run has succeeded since the first,", run.start.started)),
    };
    ledger.close().await?;
    Ok(since.map(|(what, at)| {
        let age = u64::try_from(now - at).unwrap_or(0);
        (what, Duration::from_secs(age))
    }))
}
