//! `status`: last runs, age of the last success, counts by state, lag.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::between::{day, local, utc};
use super::{Context, Ended, now};
use crate::agi;
use crate::cli::Output;
use crate::config::Config;
use crate::ledger::{Access, Counts, Ledger, Purpose, Run, STUCK_AFTER, Stage, State};
use crate::report::exit::{Code, Exit};
use crate::text::{Shown, count, span};

/// Runs that are shown.
const RUNS: usize = 5;

/// What to do about an interrupted deletion, and about an open rebuild.
const AGAIN: &str = "run it again if it is still wanted";
const GOES_ON: &str = "the next `cdrelay sync` goes on with it";

/// Shows how the replication stands; reads the ledger beside a run that is under way.
pub async fn run(context: &Context) -> Ended {
    let config = context.load()?;
    let at = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, at).await?;
    let standing = Standing {
        counts: ledger.counts().await?,
        drift_span: ledger.drift_span().await?,
        runs: ledger.runs(RUNS).await?,
        success: ledger.last_success(None).await?,
        full: ledger.last_success(Some("full")).await?,
        unfinished: ledger
            .unfinished_deletions()
            .await?
            .into_iter()
            .map(|deletion| {
                let days = format!("{} to {}", deletion.days.start(), deletion.days.end());
                let (what, next) = match (deletion.purpose, deletion.stage) {
                    (Purpose::Withdraw, _) => (
                        format!("a deletion of {days} was interrupted: no run sends its calls"),
                        AGAIN,
                    ),
                    (Purpose::SendAgain, _) => (
                        format!("a deletion of {days} was interrupted: its calls are due again"),
                        AGAIN,
                    ),
                    (Purpose::Rebuild, Stage::Asked) => (
                        format!("a rebuild of {days}: the deletion is not confirmed"),
                        GOES_ON,
                    ),
                    (Purpose::Rebuild, Stage::Sending) => (
                        format!("a rebuild of {days}: its calls are not all sent again"),
                        GOES_ON,
                    ),
                };
                Unfinished { what, next }
            })
            .collect(),
        now: at,
    };
    ledger.close().await?;
    let told = told(&config, at).await?;
    match context.output {
        Output::Text => {
            let mut text = standing.text(&config);
            if let Some(counts) = &told {
                let _ = writeln!(text, "  told while they happened\n{}", by_state(counts));
            }
            context.print(&text);
        }
        Output::Json => {
            let mut object = standing.object(&config);
            if let Some(counts) = &told {
                object["agi"] = by_state_json(counts);
            }
            context.print_json(&object);
        }
    }
    Ok(Exit::new(Code::Settled, "shown"))
}

/// The calls that were told while they happened; `None` where none ever was.
async fn told(config: &Config, at: i64) -> Result<Option<Counts>, Exit> {
    let job = agi::job(&config.job);
    let (ledger, _) = Ledger::open(&config.ledger.path, &job, Access::ReadOnly, at).await?;
    let counts = ledger.counts().await?;
    ledger.close().await?;
    Ok(counts.by_state.values().any(|n| *n > 0).then_some(counts))
}

/// A line for each state that there are calls in.
fn by_state(counts: &Counts) -> String {
    let mut text = String::new();
    for (state, n) in counts.by_state.iter().filter(|(_, n)| **n > 0) {
        let _ = writeln!(text, "    {:<11} {n}", state.as_str());
    }
    text
}

/// How many calls are in each state, those that none is in included.
fn by_state_json(counts: &Counts) -> Value {
    let states = counts.by_state.iter();
    states
        .map(|(state, n)| (state.as_str().to_owned(), json!(n)))
        .collect()
}

/// What the ledger says about the replication.
struct Standing {
    counts: Counts,
    /// Start of the first and the last call that drifts.
    drift_span: Option<(i64, i64)>,
    runs: Vec<Run>,
    success: Option<Run>,
    full: Option<Run>,
    unfinished: Vec<Unfinished>,
    now: i64,
}

/// A deletion or a rebuild that did not come to its end.
struct Unfinished {
    what: String,
    next: &'static str,
}

impl Standing {
    fn age(&self, run: Option<&Run>) -> Option<Duration> {
        let ended = run?.end.as_ref()?.ended;
        Some(Duration::from_secs(
            u64::try_from(self.now - ended).unwrap_or(0),
        ))
    }

    /// How far the replication lags behind the phone system.
    fn lag(&self, oldest_pending: i64) -> Duration {
        Duration::from_secs(u64::try_from(self.now - oldest_pending).unwrap_or(0))
    }

    fn headline(&self, config: &Config) -> String {
        let open = self.counts.of(State::Pending) + self.counts.of(State::InFlight);
        match self.age(self.success.as_ref()) {
            None if self.runs.is_empty() => {
                format!(
                    "{}: no run yet; begin with `cdrelay check`, then `cdrelay sync`.",
                    config.job
                )
            }
            None => format!(
                "{}: no run has succeeded yet; the last one says why, below.",
                config.job
            ),
            Some(age) if age > config.monitor.alert_after => format!(
                "{}: the last success was {} ago; look at the last run, below.",
                config.job,
                span(age)
            ),
            Some(age) if open > 0 => format!(
                "{}: last success {} ago; {} wait for the next run.",
                config.job,
                span(age),
                count(open, "call")
            ),
            Some(age) => format!("{}: in order; last success {} ago.", config.job, span(age)),
        }
    }

    fn text(&self, config: &Config) -> String {
        let mut text = format!("{}\n\n", self.headline(config));
        let zone = config.source.timezone;
        let when = |at: i64| local(at, zone);
        text.push_str("  calls\n");
        text.push_str(&by_state(&self.counts));
        if self.counts.by_state.values().all(|n| *n == 0) {
            text.push_str("    none\n");
        }
        if let Some(oldest) = self.counts.oldest_pending {
            let _ = writeln!(
                text,
                "    oldest pending since {} ({zone}), {} ago",
                when(oldest),
                span(self.lag(oldest))
            );
        }
        if self.counts.stuck > 0 {
            let _ = writeln!(
                text,
                "    stuck       {} (pending, without a verdict in {STUCK_AFTER} runs or more: `cdrelay calls --state pending`)",
                self.counts.stuck
            );
        }
        if let Some((first, last)) = self.drift_span {
            let _ = writeln!(
                text,
                "    drift       {} (sent under older rules, zone or rows; `cdrelay calls --drift` lists them, `cdrelay rebuild --from {} --to {}` mends them)",
                self.counts.drift,
                day(first, zone),
                day(last, zone)
            );
        }
        if self.counts.collisions > 0 {
            let _ = writeln!(
                text,
                "    same key    {} (kept out by a call with equal start, source and destination)",
                self.counts.collisions
            );
        }
        for (n, what) in [
            (
                self.counts.without_row,
                "due, and the source does not hold the row any more: not sent",
            ),
            (
                self.counts.left_out,
                "due, and the row is left out now: not sent",
            ),
        ] {
            if n > 0 {
                let _ = writeln!(text, "    no row      {n} ({what})");
            }
        }
        let _ = writeln!(
            text,
            "  last full run  {}",
            self.age(self.full.as_ref()).map_or_else(
                || "never succeeded".to_owned(),
                |age| format!("{} ago", span(age))
            )
        );
        for Unfinished { what, next } in &self.unfinished {
            let _ = writeln!(text, "  unfinished     {what}; {next}");
        }
        text.push_str("  runs\n");
        for run in &self.runs {
            let started = when(run.start.started);
            let _ = match &run.end {
                Some(end) => writeln!(
                    text,
                    "    {:>5}  {started}  {:<11}  exit {:<3} {}",
                    run.id.0,
                    run.start.mode,
                    end.exit_code,
                    Shown(&end.reason)
                ),
                None => writeln!(
                    text,
                    "    {:>5}  {started}  {:<11}  under way, or killed",
                    run.id.0, run.start.mode
                ),
            };
        }
        text
    }

    fn object(&self, config: &Config) -> Value {
        let stamp = utc;
        let calls = by_state_json(&self.counts);
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                let end = run.end.as_ref();
                json!({
                    "run_id": run.id.0,
                    "mode": run.start.mode,
                    "started": stamp(run.start.started),
                    "ended": end.and_then(|end| stamp(end.ended)),
                    "exit": end.map(|end| json!({"code": end.exit_code, "reason": end.reason})),
                    "counts": end.and_then(|end| serde_json::from_str::<Value>(&end.counts).ok()),
                })
            })
            .collect();
        json!({
            "job": config.job,
            "calls": calls,
            "oldest_pending": self.counts.oldest_pending.and_then(stamp),
            "lag_s": self.counts.oldest_pending.map(|at| self.lag(at).as_secs()),
            "stuck": self.counts.stuck,
            "drift": self.counts.drift,
            "drift_first": self.drift_span.and_then(|(first, _)| stamp(first)),
            "drift_last": self.drift_span.and_then(|(_, last)| stamp(last)),
            "collisions": self.counts.collisions,
            "last_success": self.success.as_ref().and_then(|run| stamp(run.end.as_ref()?.ended)),
            "last_success_age_s": self.age(self.success.as_ref()).map(|age| age.as_secs()),
            "last_full_success_age_s": self.age(self.full.as_ref()).map(|age| age.as_secs()),
            "missing": {"gone": self.counts.without_row, "left_out": self.counts.left_out},
            "unfinished_deletions": self.unfinished.iter().map(|one| &one.what).collect::<Vec<_>>(),
            "runs": runs,
        })
    }
}
