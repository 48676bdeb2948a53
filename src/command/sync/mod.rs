//! `sync`: the main job. Sets the stage (lock, ledger, source, CRM), lets `pipeline` do it, and reports.

mod answers;
mod board;
mod collisions;
mod judge;
mod pipeline;
mod slice;

pub(super) use pipeline::asked;

use std::time::{Duration, Instant};

use super::{Context, Ended, fail, now};
use crate::call::ColumnTime;
use crate::cdr::when::{day_bounds, parse_when};
use crate::cdr::window::Window;
use crate::cli::{Output, SyncArgs};
use crate::config::Config;
use crate::delivery::{Ending, Limits, Stop, Summary};
use crate::fault;
use crate::intake::{Intake, Settings};
use crate::ledger::{
    Access, Ledger, LedgerError, LedgerLock, PlanContext, Purpose, RunRecord, RunStart, State,
};
use crate::progress::Progress;
use crate::report::exit::{Code, Exit};
use crate::report::text::{self, Remarks};
use crate::report::{LatencyMs, Mode, Requests, RunReport, Timings, WindowText, rounded};
use crate::source::{SourceError, SourceProfile, TimeIndex};
use crate::target::dry_run::DryRun;
use crate::target::{self, CrmTarget, Deletion};
use crate::text::Shown;
use board::Board;
use judge::judge;
use pipeline::Pipeline;

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
    let run = ledger
        .start_run(RunStart {
            mode: mode.as_str().to_owned(),
            window: window.since..window.until,
            settings: config.settings_fingerprint(),
            started: now,
        })
        .await?;
    fault::moment!("sync.started");
    let counts = ledger.counts().await?;
    // An unmatched call proves it as well: the CRM has understood a request.
    let proven = [State::Delivered, State::Rejected, State::Unmatched]
        .into_iter()
        .any(|state| counts.of(state) > 0);

    let runtime = match (args.max_runtime, mode) {
        (Some(limit), _) => Some(limit),
        (None, Mode::Incremental) => Some(INCREMENTAL_RUNTIME),
        (None, Mode::Full) => None,
    };
    let limits = Limits {
        concurrency: config.target.concurrency,
        max_rps: config.target.max_rps,
        deadline: runtime
            .and_then(|limit| started.checked_add(limit))
            .map(Into::into),
        proven,
    };
    let plan = PlanContext {
        full: args.full,
        resend: args.resend,
        recheck_before: now
            - i64::try_from(config.select.recheck_unmatched.as_secs()).unwrap_or(i64::MAX / 2),
    };
    let progress = Progress::new(!context.quiet && context.output == Output::Text);
    let board = Board::new(progress);
    let pipeline = Pipeline {
        ledger: &ledger,
        board: &board,
        run,
        plan,
        stop: context.stop.clone(),
        read_until: limits
            .deadline
            .and_then(|at| at.checked_add(config.target.timeout)),
    };
    let mut remarks = Remarks::default();
    let mut stop = context.stop.clone();
    // Without an index the whole table is spooled before this returns: a signal does not wait for it.
    let opened = tokio::select! {
        biased;
        asked = asked(&mut stop) => Err(Ending::Stopped(asked)),
        () = pipeline::past(pipeline.read_until) => Err(Ending::OutOfTime),
        opened = open_source(config, &settings, window) => Ok(opened),
    };
    let (summary, failure) = match opened {
        Err(ending) => (Summary::nothing(ending), None),
        Ok(Ok((mut intake, expected))) => {
            board.progress().expect_rows(expected);
            let undated = args.since.is_none();
            let (summary, failure) = pipeline
                .go(&mut intake, undated, crm.as_ref(), limits)
                .await;
            remarks = remember(config, &intake);
            let unread = intake.unread().map(|why| Exit::new(Code::Source, why));
            (summary, failure.or(unread))
        }
        Ok(Err(error)) => (Summary::nothing(Ending::Done), Some(Exit::from(error))),
    };
    fault::moment!("sync.sent");
    board.progress().finish();
    remarks.unmatched = board.unmatched_in_window();
    remarks.rejected = board.rejected_in_window();
    if let Some(exit) = failure.as_ref().filter(|exit| {
        matches!(
            exit.code,
            Code::LedgerMissing | Code::LedgerUnusable | Code::Internal
        )
    }) {
        return Err(exit.clone());
    }
    let mut report = board.report(RunReport {
        job: config.job.clone(),
        run_id: if args.dry_run { 0 } else { run.0 },
        mode,
        dry_run: args.dry_run,
        window: WindowText {
            since: utc(window.since),
            until: utc(window.until),
        },
        rows: crate::report::Rows::default(),
        calls: crate::report::Calls::default(),
        collisions: 0,
        drift: 0,
        requests: Requests {
            sent: summary.sent,
            retried: summary.retried,
        },
        timings: timings(started, &board, &summary),
        exit: Exit::new(Code::Settled, "everything in the window is settled"),
    });
    report.exit = judge(&report, &summary, failure, &board, args);
    let record = RunRecord {
        ended: super::now().timestamp(),
        exit_code: report.exit.code.number(),
        reason: report.exit.reason.clone(),
        counts: serde_json::json!({"rows": report.rows, "calls": report.calls, "collisions": report.collisions, "drift": report.drift, "timings": report.timings}).to_string(),
        requests_sent: report.requests.sent,
        requests_retried: report.requests.retried,
    };
    ledger.finish_run(run, record).await?;
    fault::moment!("sync.finished");
    if matches!(report.exit.code, Code::Settled | Code::Look) {
        tidy(config, &ledger, window, mode, now).await?;
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

/// Connects to the source, looks at it, and opens the window.
async fn open_source<'a>(
    config: &Config,
    settings: &'a Settings<'a>,
    window: Window,
) -> Result<(Intake<'a>, Option<u64>), SourceError> {
    let (source, profile) = connect_source(config).await?;
    Intake::open(settings, source, profile, window).await
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

fn remember(config: &Config, intake: &Intake<'_>) -> Remarks {
    let mut notes = intake.notes();
    notes.extend(config.monitor.unheard());
    if let TimeIndex::Missing(statement) = &intake.profile().index {
        notes.insert(
            0,
            format!(
                "the time column has no index, so the whole table was read; add one: {statement}"
            ),
        );
    }
    Remarks {
        notes,
        invalid: intake.tally().invalid.clone(),
        clock: intake.tally().clock,
        unmatched: 0,
        rejected: 0,
    }
}

fn timings(started: Instant, board: &Board, summary: &Summary) -> Timings {
    let send = summary.sending.as_secs_f64();
    let answered = board.answered();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = if send > 0.0 {
        answered as f64 / send
    } else {
        0.0
    };
    Timings {
        total_s: rounded(started.elapsed().as_secs_f64(), 3),
        read_s: rounded(board.read_time().as_secs_f64(), 3),
        send_s: rounded(send, 3),
        calls_per_second: rounded(rate, 1),
        latency_ms: LatencyMs {
            p50: rounded(summary.latency.percentile(0.5), 1),
            p95: rounded(summary.latency.percentile(0.95), 1),
        },
    }
}

fn utc(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0).map_or_else(
        || at.to_string(),
        |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
