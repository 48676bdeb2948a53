//! `check`: is everything ready? One line each, with the mend.

mod clock;
mod collisions;
mod findings;
mod lookback;
mod nagios;
mod verdict;

use std::time::Duration;

use super::sync::{self, asked, stopped_before};
use super::{Context, Ended, fail, now};
use crate::cli::Output;
use crate::config::Config;
use crate::intake::Settings;
use crate::ledger::{
    Access, Counts, Lateness, Ledger, LedgerError, LedgerLock, LockState, Run, State,
};
use crate::report::exit::{Code, Exit};
use crate::source::{CallSource, CdrRow, SourceError, SourceProfile, TimeIndex};
use crate::target::{self, Keying, Probe};
use crate::text::count;
use findings::{Findings, Mark};
use nagios::Figures;

/// How far back the ledger is asked for rows that came late, in seconds.
const LATE_ROWS: i64 = 31 * 86_400;

/// In which form the lines are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As every verb prints.
    Usual(Output),
    /// One line for a monitor, with an exit status of its own.
    Nagios,
}

/// Checks everything, in the order in which a run needs it.
pub async fn run(context: &Context, form: Form) -> Ended {
    let mut stop = context.stop.clone();
    let (job, findings, figures) = tokio::select! {
        biased;
        asked = asked(&mut stop) => return Err(stopped_before(asked)),
        checked = check(context) => checked,
    };
    let failed = findings.count(Mark::Failed);
    match form {
        Form::Nagios => {
            let (line, status) = nagios::line(&findings, &figures, job.is_some());
            context.print(&line);
            return Ok(Exit::new(Code::Settled, "").with_status(status));
        }
        Form::Usual(_) if context.quiet && failed == 0 => {}
        Form::Usual(Output::Text) => context.print(&findings.text()),
        Form::Usual(Output::Json) => context.print_json(&findings.object(job.as_deref())),
    }
    let headline = findings.headline();
    let mut exit = findings.exit;
    if exit.code != Code::Settled {
        exit.reason = headline;
    }
    Ok(exit)
}

async fn check(context: &Context) -> (Option<String>, Findings, Figures) {
    let mut findings = Findings::new();
    let mut figures = Figures::default();
    let config = match context.load() {
        Ok(config) => config,
        Err(exit) => {
            findings.fail("configuration", exit);
            return (None, findings, figures);
        }
    };
    findings.ok("configuration", config.path.display().to_string());
    for sentence in config.monitor.unheard() {
        findings.warn("monitor", sentence);
    }
    rules(&config, &mut findings);
    let now = now().timestamp();
    let looked = source(&config, now, &mut findings).await;
    let keying = crm(&config, &mut findings).await;
    lock(&config, &mut findings);
    let standing = ledger(&config, now, &mut findings).await;
    if let Some(standing) = &standing {
        last_run(&config, standing, now, &mut findings);
        figures = standing.figures(now);
    }
    if let Some(looked) = looked {
        looked
            .finish(&config, standing.as_ref(), keying, now, &mut findings)
            .await;
    }
    (Some(config.job), findings, figures)
}

/// What was found in the source, for the lines that need the ledger too.
struct Looked {
    source: Box<dyn CallSource>,
    profile: SourceProfile,
    sample: Vec<CdrRow>,
    latest: Option<Vec<CdrRow>>,
}

impl Looked {
    async fn finish(
        self,
        config: &Config,
        standing: Option<&Standing>,
        keying: Option<Keying>,
        now: i64,
        findings: &mut Findings,
    ) {
        let seen = lookback::seen(
            &self.profile,
            config,
            &self.sample,
            self.latest.as_deref(),
            standing.map(|standing| &standing.lateness),
        );
        lookback::judge(&seen, config.select.lookback, findings);
        if matches!(keying, Some(Keying::Keyless { .. })) {
            findings.ok(
                "same key",
                "this CRM knows calls by no key: none keeps another out",
            );
            return;
        }
        let on_record = standing.map_or(0, |standing| standing.counts.collisions);
        let judged =
            collisions::judge(self.source, self.profile, config, now, on_record, findings).await;
        if let Err(error) = judged {
            findings.fail("same key", error.into());
        }
    }
}

fn rules(config: &Config, findings: &mut Findings) {
    match Settings::new(config) {
        Ok(settings) => {
            let examples = match config.rule_tests.len() {
                0 => "no [[rule_tests]]: a few examples would guard them".to_owned(),
                n => format!("{} fulfilled", count(n as u64, "example")),
            };
            findings.ok(
                "rules",
                format!("{}; {examples}", count(config.rules.len() as u64, "rule")),
            );
            for hint in settings
                .destination
                .hints()
                .iter()
                .chain(settings.source.hints())
            {
                findings.warn("rules", hint);
            }
        }
        Err(error) => findings.fail("rules", fail(Code::Usage, &error)),
    }
}

async fn source(config: &Config, now: i64, findings: &mut Findings) -> Option<Looked> {
    let (mut source, profile) = match sync::connect_source(config).await {
        Ok(found) => found,
        Err(error) => {
            findings.fail("source", error.into());
            return None;
        }
    };
    findings.ok("source", profile.server.clone());
    let columns: Vec<String> = profile
        .columns
        .iter()
        .map(|found| {
            if found.sql_type.is_empty() {
                format!("{} = {}", found.role, found.column)
            } else {
                format!("{} = {} ({})", found.role, found.column, found.sql_type)
            }
        })
        .collect();
    findings.ok("columns", columns.join(", "));
    let zone = match profile.time {
        crate::call::TimeKind::Wall => format!(
            "the time column holds local time of {}",
            config.source.timezone
        ),
        crate::call::TimeKind::Instant => {
            "the time column holds instants; source.timezone serves windows and dates only"
                .to_owned()
        }
    };
    findings.ok("time zone", zone);
    match &profile.index {
        TimeIndex::Usable(name) => {
            findings.ok("index", format!("the time column is led by {name}"));
        }
        TimeIndex::File => findings.ok("index", "a file is read in one pass"),
        TimeIndex::Missing(statement) => findings.warn(
            "index",
            format!(
                "the time column has none, so every run reads the whole table; add one: {statement}"
            ),
        ),
    }
    if profile.index != TimeIndex::File && !matches!(profile.index, TimeIndex::Missing(_)) {
        match source.undated().await {
            Ok(undated) if undated.rows > 0 => findings.warn(
                "dates",
                format!(
                    "{} without a usable start; no run can send them",
                    count(undated.rows, "row")
                ),
            ),
            Ok(_) => {}
            Err(error) => findings.fail("dates", error.into()),
        }
    }
    for note in &profile.notes {
        findings.warn("source", note);
    }
    let sample = match prove(&mut *source, &profile, config, now, findings).await {
        Ok(sample) => sample,
        Err(error) => {
            findings.fail("clock", error.into());
            return None;
        }
    };
    match source.latest(lookback::LATEST).await {
        Ok(latest) => Some(Looked {
            source,
            profile,
            sample,
            latest,
        }),
        Err(error) => {
            findings.fail("lookback", error.into());
            None
        }
    }
}

/// The clock proof; gives the rows that it looked at.
async fn prove(
    source: &mut dyn CallSource,
    profile: &SourceProfile,
    config: &Config,
    now: i64,
    findings: &mut Findings,
) -> Result<Vec<CdrRow>, SourceError> {
    let sample = clock::sample(source, profile, config, now).await?;
    clock::judge(source, profile, config, &sample, findings).await?;
    Ok(sample.rows)
}

/// Gives what the CRM knows calls by, where it is one that can be spoken to.
async fn crm(config: &Config, findings: &mut Findings) -> Option<Keying> {
    let crm = match target::connect(&config.target) {
        Ok(crm) => crm,
        Err(error) => {
            findings.fail("crm", fail(Code::Usage, &error));
            return None;
        }
    };
    match crm.probe().await {
        Probe::Ready(text) => findings.ok("crm", text),
        Probe::Unavailable(why) => {
            let mend = format!("{why}; see that `target.url` is right and that the CRM is running");
            findings.fail("crm", Exit::new(Code::Incomplete, mend));
        }
        Probe::Broken(why) => findings.fail("crm", Exit::new(Code::Crm, why)),
    }
    Some(crm.keying())
}

fn lock(config: &Config, findings: &mut Findings) {
    match LedgerLock::look(&config.ledger.path) {
        Ok(LockState::Free) => findings.ok("lock", "free"),
        Ok(LockState::Absent) => findings.ok("lock", "free; the first run makes its file"),
        Ok(LockState::Held) => findings.warn("lock", "another run is under way"),
        Err(error) => findings.fail("lock", error.into()),
    }
}

/// What the ledger says about the replication.
struct Standing {
    counts: Counts,
    success: Option<Run>,
    lateness: Lateness,
}

impl Standing {
    fn figures(&self, now: i64) -> Figures {
        Figures {
            calls: Some(self.counts.by_state.values().sum()),
            pending: Some(self.counts.of(State::Pending) + self.counts.of(State::InFlight)),
            unmatched: Some(self.counts.of(State::Unmatched)),
            rejected: Some(self.counts.of(State::Rejected)),
            last_success_age: self.age(now),
        }
    }

    /// Seconds since a run last succeeded.
    fn age(&self, now: i64) -> Option<u64> {
        let ended = self.success.as_ref()?.end.as_ref()?.ended;
        Some(u64::try_from(now - ended).unwrap_or(0))
    }
}

async fn ledger(config: &Config, now: i64, findings: &mut Findings) -> Option<Standing> {
    let path = &config.ledger.path;
    match look_at_ledger(config, now).await {
        Ok((text, standing)) => {
            findings.ok("ledger", text);
            standing
        }
        Err(error) => {
            let exit = Exit::from(error);
            findings.fail(
                "ledger",
                Exit::new(exit.code, format!("{}: {}", path.display(), exit.reason)),
            );
            None
        }
    }
}

async fn look_at_ledger(
    config: &Config,
    now: i64,
) -> Result<(String, Option<Standing>), LedgerError> {
    let path = &config.ledger.path;
    Ledger::try_writing(path)?;
    let (ledger, _) = Ledger::open(path, &config.job, Access::ReadOnly, now).await?;
    if !path.exists() {
        let text = format!("{}: none yet; the first run makes it", path.display());
        return Ok((text, None));
    }
    ledger.integrity().await?;
    let standing = Standing {
        counts: ledger.counts().await?,
        success: ledger.last_success(None).await?,
        lateness: ledger.lateness(now - LATE_ROWS).await?,
    };
    let calls: u64 = standing.counts.by_state.values().sum();
    let text = format!("{}: sound, {}", path.display(), count(calls, "call"));
    Ok((text, Some(standing)))
}

/// Whether runs succeed, as `monitor.alert_after` demands.
fn last_run(config: &Config, standing: &Standing, now: i64, findings: &mut Findings) {
    let Some(age) = standing.age(now) else {
        findings.ok("last run", "none has succeeded yet");
        return;
    };
    let age = Duration::from_secs(age);
    let spoken = humantime::format_duration(age);
    if age > config.monitor.alert_after {
        findings.warn(
            "last run",
            format!(
                "the last success was {spoken} ago, longer than monitor.alert_after ({}); see `cdrelay status`, and whether \
                 cron or the timer still starts it",
                humantime::format_duration(config.monitor.alert_after)
            ),
        );
    } else {
        findings.ok("last run", format!("succeeded {spoken} ago"));
    }
}
