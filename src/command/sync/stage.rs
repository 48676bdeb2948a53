//! The run itself, from opening the ledger to its record of the end.

use std::time::Instant;

use super::board::Board;
use super::judge::judge;
use super::pipeline::{self, Pipeline};
use super::{asked, open_source, utc};
use crate::cdr::window::Window;
use crate::cli::{Output, SyncArgs};
use crate::command::Context;
use crate::config::Config;
use crate::delivery::{self, Ending, Limits, Summary};
use crate::intake::{Intake, Settings};
use crate::ledger::{Access, Ledger, LedgerError, PlanContext, RunId, RunRecord, RunStart, State};
use crate::progress::Progress;
use crate::report::exit::{Code, Exit};
use crate::report::text::Remarks;
use crate::report::{LatencyMs, Mode, Requests, RunReport, Timings, WindowText, rounded};
use crate::source::TimeIndex;
use crate::target::CrmTarget;

/// Most different words of earlier refusals that a run is told. A CRM that has found more tells calls apart.
const MOST_REFUSALS: usize = 1_000;

/// What a run has to hand before it begins.
pub(super) struct Stage<'a> {
    pub(super) context: &'a Context,
    pub(super) config: &'a Config,
    pub(super) args: &'a SyncArgs,
    pub(super) settings: &'a Settings<'a>,
    pub(super) window: Window,
    pub(super) mode: Mode,
    pub(super) crm: &'a dyn CrmTarget,
    /// When the command began.
    pub(super) started: Instant,
    /// The same in Unix seconds.
    pub(super) now: i64,
    /// When no new request may start any more.
    pub(super) deadline: Option<tokio::time::Instant>,
}

impl Stage<'_> {
    /// The run itself, from opening the ledger to its record of the end.
    pub(super) async fn play(&self) -> Result<(Ledger, RunReport, Remarks), Exit> {
        let Self {
            context,
            config,
            args,
            window,
            mode,
            now,
            ..
        } = *self;
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
        let limits = self.limits(&ledger).await?;
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
            read_until: self
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
            opened = open_source(config, self.settings, window) => Ok(opened),
        };
        let (summary, failure) = match opened {
            Err(ending) => (Summary::nothing(ending), None),
            Ok(Ok((mut intake, expected))) => {
                board.progress().expect_rows(expected);
                let undated = args.since.is_none();
                let (summary, failure) = pipeline.go(&mut intake, undated, self.crm, limits).await;
                remarks = remember(config, &intake);
                let unread = intake.unread().map(|why| Exit::new(Code::Source, why));
                (summary, failure.or(unread))
            }
            Ok(Err(error)) => (Summary::nothing(Ending::Done), Some(Exit::from(error))),
        };
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
        if self.mode == Mode::Full && !args.dry_run && !matches!(summary.ending, Ending::Stopped(_))
        {
            // What only a look at every page can see: a run that looked at every call says so before it says that all is well.
            ledger.integrity().await?;
        }
        let mut report = board.report(self.blank(run, &board, &summary));
        report.exit = judge(&report, &summary, failure, &board, args);
        let record = RunRecord {
            ended: crate::command::now().timestamp(),
            exit_code: report.exit.code.number(),
            reason: report.exit.reason.clone(),
            counts: serde_json::json!({"rows": report.rows, "calls": report.calls, "collisions": report.collisions, "drift": report.drift, "timings": report.timings}).to_string(),
            requests_sent: report.requests.sent,
            requests_retried: report.requests.retried,
        };
        ledger.finish_run(run, record).await?;
        Ok((ledger, report, remarks))
    }

    /// What bounds sending, and what the ledger knows about the CRM.
    async fn limits(&self, ledger: &Ledger) -> Result<Limits, LedgerError> {
        let target = &self.config.target;
        let proven = ledger.counts().await?.of(State::Delivered) > 0;
        let refusals = if proven {
            Vec::new()
        } else {
            ledger.refusals(MOST_REFUSALS).await?
        };
        Ok(Limits {
            concurrency: target.concurrency,
            max_rps: target.max_rps,
            deadline: self.deadline,
            request_deadline: delivery::request_deadline(target.timeout, target.connect_timeout),
            proven: proven || refusals.len() == MOST_REFUSALS,
            refusals,
        })
    }

    /// The report without its figures.
    fn blank(&self, run: RunId, board: &Board, summary: &Summary) -> RunReport {
        RunReport {
            job: self.config.job.clone(),
            run_id: if self.args.dry_run { 0 } else { run.0 },
            mode: self.mode,
            dry_run: self.args.dry_run,
            window: WindowText {
                since: utc(self.window.since),
                until: utc(self.window.until),
            },
            rows: crate::report::Rows::default(),
            calls: crate::report::Calls::default(),
            collisions: 0,
            drift: 0,
            stuck: 0,
            requests: Requests {
                sent: summary.sent,
                retried: summary.retried,
                unconnected: summary.unconnected,
            },
            timings: timings(self.started, board, summary),
            exit: Exit::new(Code::Settled, "everything in the window is settled"),
        }
    }
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
