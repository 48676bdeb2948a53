//! `sync`: the main job. Sets the stage (lock, ledger, source, CRM), lets `pipeline` do it, and reports.

mod answers;
mod board;
mod collisions;
mod course;
mod due;
mod judge;
mod known;
mod last;
mod missing;
mod overdue;
mod pass;
mod pipeline;
mod slice;
mod tidy;
mod told;

pub(super) use pass::{Pass, Stage, utc};
pub(super) use pipeline::asked;
pub(super) use told::{channels as told_channels, unusable as told_unusable};

use std::time::{Duration, Instant};

use super::{Context, Ended, fail, now, rebuild};
use crate::cdr::filter::ColumnFilter;
use crate::cdr::when::parse_when;
use crate::cdr::window::Window;
use crate::cli::{Output, SyncArgs};
use crate::config::Config;
use crate::delivery::{self, Stop};
use crate::fault;
use crate::intake::{self, Settings};
use crate::ledger::{Access, Ledger, LedgerLock, Purpose};
use crate::monitor::{Monitor, RunEnd};
use crate::report::exit::{Code, Exit};
use crate::report::text::{self, Remarks};
use crate::report::{Mode, RunReport};
use crate::source::{SourceError, SourceProfile};
use crate::target::dry_run::DryRun;
use crate::target::{self, CrmTarget};
use crate::text::Shown;
use overdue::overdue;
use tidy::tidy;

/// Longest time an incremental run starts requests in, unless told otherwise: it is over before the next hour's.
const INCREMENTAL_RUNTIME: Duration = Duration::from_secs(50 * 60);

/// How long the ledger gets beyond the last answer that a run can wait for. It gives a lock of another program ten
/// seconds itself, and then says what is wrong better than this can.
const LEDGER_GRACE: Duration = Duration::from_secs(15);

/// Whether a run is incremental or full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As the arguments say.
    Asked,
    /// Whichever is due once the lock is held.
    Due,
}

/// Runs `sync` and prints its report.
pub async fn run(context: &Context, args: &SyncArgs) -> Ended {
    let config = context.load()?;
    // A slip of the pen is for the one who made it, and for no monitor.
    window(&config, args, now().timestamp())?;
    let monitor = if args.dry_run {
        Monitor::nobody()
    } else {
        Monitor::new(&config)
    };
    let done = sync(context, &config, args, Kind::Asked, &monitor).await;
    conclude(context, &config, &monitor, done).await
}

/// Prints what a run came to, and tells those who watch.
pub(super) async fn conclude(
    context: &Context,
    config: &Config,
    monitor: &Monitor<'_>,
    done: Result<(RunReport, Remarks), Exit>,
) -> Ended {
    let (mut report, remarks) = match done {
        Ok(done) => done,
        Err(exit) => {
            let exit = overdue(config, exit).await;
            monitor.tell(&exit).await;
            return Err(exit);
        }
    };
    report.exit = overdue(config, report.exit).await;
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
    monitor.tell(&report.exit).await;
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
    kind: Kind,
    monitor: &Monitor<'_>,
) -> Result<(RunReport, Remarks), Exit> {
    let settings = Settings::new(config).map_err(|error| fail(Code::Usage, &error))?;
    // What is wrong with it is said before a lock is waited for.
    window(config, args, now().timestamp())?;
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
    monitor.begins();
    let began = Instant::now();
    let full = match kind {
        Kind::Asked => args.full,
        Kind::Due => due::full_is_due(config, now().timestamp()).await,
    };
    let args = &SyncArgs {
        full,
        ..args.clone()
    };
    let done = locked(context, config, args, &settings, crm.as_ref()).await;
    let exit = match &done {
        Ok((report, _)) => &report.exit,
        Err(exit) => exit,
    };
    monitor
        .ended(RunEnd {
            ended: now().timestamp(),
            exit_code: exit.code.number(),
            mode: mode(args).as_str(),
            took: began.elapsed(),
        })
        .await;
    done
}

fn mode(args: &SyncArgs) -> Mode {
    if args.full {
        Mode::Full
    } else {
        Mode::Incremental
    }
}

/// The work itself; the lock is held, unless nothing is written.
async fn locked(
    context: &Context,
    config: &Config,
    args: &SyncArgs,
    settings: &Settings<'_>,
    crm: &dyn CrmTarget,
) -> Result<(RunReport, Remarks), Exit> {
    let now = now().timestamp();
    let window = window(config, args, now)?;
    let mode = mode(args);
    // What a run may last, it may last from here on: waiting for another one is not its work.
    let began = Instant::now();
    let runtime = match (args.max_runtime, mode) {
        (Some(limit), _) => Some(limit),
        (None, Mode::Incremental) => Some(INCREMENTAL_RUNTIME),
        (None, Mode::Full | Mode::Rebuild) => None,
    };
    let deadline = runtime
        .and_then(|limit| began.checked_add(limit))
        .map(tokio::time::Instant::from);
    // Source and CRM are bounded one by one, so that the report says which it was; this is for the ledger, without which
    // there is no report.
    let request = delivery::request_deadline(config.target.timeout, config.target.connect_timeout);
    let last_moment = deadline.and_then(|at| at.checked_add(request.saturating_add(LEDGER_GRACE)));
    let access = if args.dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let work = async {
        let taken = told::Taking {
            context,
            config,
            crm,
            deadline,
            full: args.full,
            dry_run: args.dry_run,
            since: window.since,
        }
        .take_up()
        .await?;
        let (ledger, _opened) = Ledger::open(&config.ledger.path, &config.job, access, now).await?;
        let stage = Stage {
            context,
            config,
            settings,
            crm,
            ledger: &ledger,
            told: &taken.channels,
            deadline,
            dry_run: args.dry_run,
        };
        let rebuilds = if args.dry_run {
            Vec::new()
        } else {
            rebuild::finish_open(&stage).await?
        };
        let (mut report, remarks) = stage
            .pass(&Pass {
                mode,
                window,
                undated: args.since.is_none(),
                resend: args.resend,
                fail_on_unmatched: args.fail_on.is_some(),
            })
            .await?;
        report.agi = taken.report;
        if let Some(exit) = taken.exit {
            report.exit = report.exit.worse(exit);
        }
        Ok::<_, Exit>((ledger, rebuilds, report, remarks))
    };
    let (ledger, rebuilds, mut report, mut remarks) = tokio::select! {
        biased;
        done = work => done?,
        () = pipeline::past(last_moment) => return Err(hanging(config)),
    };
    if matches!(report.exit.code, Code::Settled | Code::Look) {
        let mut stop = context.stop.clone();
        // What is left undone here is done by the next run.
        tokio::select! {
            biased;
            _ = asked(&mut stop) => {}
            () = pipeline::past(last_moment) => {}
            tidied = tidy(config, &ledger, window, mode, now) => tidied?,
        }
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
    tokio::select! {
        biased;
        closed = ledger.close() => closed?,
        () = pipeline::past(last_moment) => return Err(hanging(config)),
    }
    fault::moment!("sync.closed");
    Ok((report, remarks))
}

/// The exit of a run whose time is over and whose ledger does not answer.
fn hanging(config: &Config) -> Exit {
    Exit::new(
        Code::LedgerUnusable,
        format!(
            "the time of the run is over, and the ledger `{}` does not answer; look at its disk and run again: what was \
             sent without being recorded is sent again",
            config.ledger.path.display()
        ),
    )
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
    let mut roles: Vec<String> = Vec::new();
    let templates = config.target.recording_url.iter();
    let placeholders = templates.flat_map(|template| template.placeholders());
    let filters = config.select.filters.iter().map(ColumnFilter::column);
    for role in placeholders.chain(filters) {
        if !roles.iter().any(|known| known == role) {
            roles.push(role.to_owned());
        }
    }
    let mut source = crate::source::connect(&config.source, roles)?;
    let profile = intake::probe(&mut *source).await?;
    // A link goes without a column that is not there; a filter on one would leave out everything, or nothing.
    for filter in &config.select.filters {
        let column = filter.column();
        if !profile.extra.iter().any(|role| role == column) {
            return Err(SourceError::Unusable(format!(
                "`select.where.{column}` names a column that the source does not have; correct the name, or say in \
                 `source.columns.{column}` what the column is called there"
            )));
        }
    }
    Ok((source, profile))
}

/// The window that the arguments ask for.
///
/// # Errors
/// Code 2: a time that cannot be read, or an empty window.
pub(super) fn window(config: &Config, args: &SyncArgs, now: i64) -> Result<Window, Exit> {
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
