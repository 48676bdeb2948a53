//! One pass over a window: a run on record, its figures and its report. `sync` is one, and a rebuild sends by one.

use std::time::Instant;

use super::board::Board;
use super::connect_source;
use super::judge::judge;
use super::pipeline::{self, Pipeline, asked};
use crate::agi::channels::Channels;
use crate::cdr::window::Window;
use crate::command::{Context, now, seconds};
use crate::config::Config;
use crate::delivery::{self, Ending, Limits, Summary};
use crate::fault;
use crate::intake::{Intake, Settings};
use crate::ledger::{Ledger, LedgerError, PlanContext, RunRecord, RunStart};
use crate::progress::Progress;
use crate::report::exit::{Code, Exit};
use crate::report::text::Remarks;
use crate::report::{
    Calls, LatencyMs, Missing, Mode, Requests, Rows, RunReport, Timings, WindowText, rounded,
};
use crate::source::{SourceError, TimeIndex};
use crate::target::{CrmTarget, Keying};

/// Most different words of earlier refusals that a run is told. A CRM that has found more tells calls apart.
const MOST_REFUSALS: usize = 1_000;

/// What stays the same from one pass to the next; the lock is held, unless nothing is written.
pub(in crate::command) struct Stage<'a> {
    pub(in crate::command) context: &'a Context,
    pub(in crate::command) config: &'a Config,
    pub(in crate::command) settings: &'a Settings<'a>,
    pub(in crate::command) crm: &'a dyn CrmTarget,
    pub(in crate::command) ledger: &'a Ledger,
    /// Their rows are passed over.
    pub(in crate::command) told: &'a Channels,
    /// When the last request may start.
    pub(in crate::command) deadline: Option<tokio::time::Instant>,
    pub(in crate::command) dry_run: bool,
}

/// What one pass does.
pub(in crate::command) struct Pass {
    pub(in crate::command) mode: Mode,
    pub(in crate::command) window: Window,
    /// Rows without a start, which belong to no window, are counted along.
    pub(in crate::command) undated: bool,
    pub(in crate::command) resend: bool,
    pub(in crate::command) fail_on_unmatched: bool,
}

impl Stage<'_> {
    /// Reads, sends and records one window.
    ///
    /// # Errors
    /// The exit, where the ledger or the program failed and there is nothing to report.
    pub(in crate::command) async fn pass(&self, pass: &Pass) -> Result<(RunReport, Remarks), Exit> {
        let Self {
            context,
            config,
            ledger,
            ..
        } = *self;
        let started = Instant::now();
        let begun = now().timestamp();
        let window = pass.window;
        let settings = config.settings_fingerprint();
        let run = ledger
            .start_run(RunStart {
                mode: pass.mode.as_str().to_owned(),
                window: window.since..window.until,
                settings: settings.clone(),
                started: begun,
            })
            .await?;
        fault::moment!("sync.started");
        let keying = self.crm.keying();
        if keying.holds_unknown() {
            ledger.hold_in_flight(run, begun).await?;
        }
        let keyed = keying == Keying::Keyed;
        let limits = self.limits(pass.mode).await?;
        let plan = plan_context(config, pass.mode == Mode::Full, pass.resend, begun);
        let progress = Progress::new(context.shows_progress());
        let board = Board::new(progress);
        let pipeline = Pipeline {
            config,
            settings: &settings,
            ledger,
            board: &board,
            run,
            plan,
            stop: context.stop.clone(),
            told: self.told,
            keyed,
            most_open: (!keyed).then_some(limits.concurrency),
            read_until: self
                .deadline
                .and_then(|at| at.checked_add(config.target.timeout)),
        };
        let whole = pass.mode == Mode::Full && !self.dry_run;
        if whole {
            ledger.begin_integrity();
        }
        let mut remarks = Remarks::default();
        let mut stop = context.stop.clone();
        // Without an index the whole table is spooled before this returns: a signal does not wait for it.
        let opened = tokio::select! {
            biased;
            asked = asked(&mut stop) => Err(Ending::Stopped(asked)),
            () = pipeline::past(pipeline.read_until) => Err(Ending::OutOfTime),
            opened = self.open_source(window, board.progress().is_drawn()) => Ok(opened),
        };
        let (summary, failure) = match opened {
            Err(ending) => (Summary::nothing(ending), None),
            Ok(Ok((mut intake, expected))) => {
                board.progress().expect_rows(expected);
                let (summary, failure) = pipeline
                    .go(&mut intake, pass.undated, self.crm, limits)
                    .await;
                remarks = remember(&intake);
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
        if whole && !matches!(summary.ending, Ending::Stopped(_)) {
            // What only a look at every page can see: a run that looked at every call says so before it says that all is well.
            ledger.integrity().await?;
        }
        let mut report = board.report(RunReport {
            job: config.job.clone(),
            run_id: if self.dry_run { 0 } else { run.0 },
            mode: pass.mode,
            dry_run: self.dry_run,
            window: WindowText {
                since: utc(window.since),
                until: utc(window.until),
            },
            rows: Rows::default(),
            calls: Calls::default(),
            collisions: 0,
            drift: 0,
            stuck: 0,
            missing: Missing::default(),
            requests: Requests {
                sent: summary.sent,
                retried: summary.retried,
                unconnected: summary.unconnected,
            },
            timings: timings(started, &board, &summary),
            agi: None,
            exit: Exit::new(Code::Settled, "everything in the window is settled"),
            rebuilds: Vec::new(),
        });
        report.exit = judge(
            &report,
            &summary,
            failure,
            &board,
            pass.fail_on_unmatched,
            context.privacy,
        );
        let record = RunRecord {
        ended: now().timestamp(),
        exit_code: report.exit.code.number(),
        reason: report.exit.reason.clone(),
        counts: serde_json::json!({"rows": report.rows, "calls": report.calls, "collisions": report.collisions, "drift": report.drift, "stuck": report.stuck, "missing": report.missing, "timings": report.timings}).to_string(),
        requests_sent: report.requests.sent,
        requests_retried: report.requests.retried,
    };
        ledger.finish_run(run, record).await?;
        fault::moment!("sync.finished");
        Ok((report, remarks))
    }

    /// Connects to the source, looks at it, and opens the window. Counts its rows where somebody looks.
    async fn open_source(
        &self,
        window: Window,
        counted: bool,
    ) -> Result<(Intake<'_>, Option<u64>), SourceError> {
        let (source, profile) = connect_source(self.config).await?;
        let mut intake = Intake::open(self.settings, source, profile, window).await?;
        let expected = if counted {
            intake.expected().await
        } else {
            None
        };
        Ok((intake, expected))
    }

    /// What bounds sending, and what the ledger knows about the CRM.
    async fn limits(&self, mode: Mode) -> Result<Limits, LedgerError> {
        // A deletion that was confirmed proves as much as a delivery.
        let proven = mode == Mode::Rebuild || self.ledger.any_delivered().await?;
        let refusals = if proven {
            Vec::new()
        } else {
            self.ledger.refusals(MOST_REFUSALS).await?
        };
        let proven = proven || refusals.len() == MOST_REFUSALS;
        Ok(bounds(self.config, self.deadline, proven, refusals))
    }
}

/// What bounds sending: the configuration, and when the last request may start.
pub(super) fn bounds(
    config: &Config,
    deadline: Option<tokio::time::Instant>,
    proven: bool,
    refusals: Vec<String>,
) -> Limits {
    let target = &config.target;
    Limits {
        concurrency: target.concurrency,
        max_rps: target.max_rps,
        deadline,
        request_deadline: delivery::request_deadline(target.timeout, target.connect_timeout),
        proven,
        refusals,
    }
}

/// What of a run that began at this instant (Unix seconds) bears on the plan.
pub(super) fn plan_context(config: &Config, full: bool, resend: bool, begun: i64) -> PlanContext {
    PlanContext {
        full,
        resend,
        recheck_before: begun - seconds(config.select.recheck_unmatched),
    }
}

fn remember(intake: &Intake<'_>) -> Remarks {
    let mut notes = intake.notes();
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

/// An instant as JSON shows it.
pub(in crate::command) fn utc(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0).map_or_else(
        || at.to_string(),
        |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
