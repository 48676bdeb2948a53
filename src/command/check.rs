//! `check`: is everything ready? One line each, with the mend.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Ended, fail, now, sync};
use crate::cli::Output;
use crate::config::Config;
use crate::intake::Settings;
use crate::ledger::{Access, Ledger, LedgerError, LedgerLock, LockState};
use crate::monitor;
use crate::report::exit::{Code, Exit};
use crate::source::TimeIndex;
use crate::target::{self, Probe};
use crate::text::{Shown, count};

/// How one line turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    Warning,
    Failed,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One line.
struct Line {
    what: &'static str,
    mark: Mark,
    text: String,
}

/// The lines so far, and the code that `sync` would end with.
struct Findings {
    lines: Vec<Line>,
    exit: Exit,
}

impl Findings {
    /// Names of columns, indexes and files stand in these texts: each is made safe to show, and stays one line.
    fn ok(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.add(what, Mark::Ok, Shown(text.as_ref()).to_string());
    }

    fn warn(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.add(what, Mark::Warning, Shown(text.as_ref()).to_string());
    }

    fn fail(&mut self, what: &'static str, exit: Exit) {
        self.add(what, Mark::Failed, exit.reason.clone());
        let current = std::mem::replace(&mut self.exit, Exit::new(Code::Settled, ""));
        self.exit = current.worse(exit);
    }

    fn add(&mut self, what: &'static str, mark: Mark, text: String) {
        self.lines.push(Line { what, mark, text });
    }
}

/// Checks everything, in the order in which a run needs it.
pub async fn run(context: &Context) -> Ended {
    let mut findings = Findings {
        lines: Vec::new(),
        exit: Exit::new(Code::Settled, "everything is ready"),
    };
    let config = match context.load() {
        Ok(config) => Some(config),
        Err(exit) => {
            findings.fail("configuration", exit);
            None
        }
    };
    if let Some(config) = &config {
        findings.ok("configuration", config.path.display().to_string());
        rules(config, &mut findings);
        source(config, &mut findings).await;
        crm(config, &mut findings).await;
        lock(config, &mut findings);
        ledger(config, &mut findings).await;
        textfile(config, &mut findings);
    }
    let failed = findings
        .lines
        .iter()
        .filter(|line| line.mark == Mark::Failed)
        .count();
    let warnings = findings
        .lines
        .iter()
        .filter(|line| line.mark == Mark::Warning)
        .count();
    let headline = match (failed, warnings) {
        (0, 0) => "Everything is ready.".to_owned(),
        (0, n) => format!("Ready, with {}.", count(n as u64, "warning")),
        (n, _) => format!("Not ready: {} failed.", count(n as u64, "check")),
    };
    match context.output {
        _ if context.quiet && failed == 0 => {}
        Output::Text => {
            let mut text = format!("{headline}\n\n");
            for line in &findings.lines {
                let mut parts = line.text.lines();
                let _ = writeln!(
                    text,
                    "  {:<8} {:<14} {}",
                    line.mark.as_str(),
                    line.what,
                    Shown(parts.next().unwrap_or_default())
                );
                for more in parts {
                    let _ = writeln!(text, "  {:<8} {:<14} {}", "", "", Shown(more));
                }
            }
            context.print(&text);
        }
        Output::Json => {
            let lines: Vec<Value> = findings
                .lines
                .iter()
                .map(|line| json!({"check": line.what, "result": line.mark.as_str(), "text": line.text}))
                .collect();
            context.print_json(&json!({
                "job": config.as_ref().map(|config| config.job.as_str()),
                "checks": lines,
                "exit": findings.exit,
            }));
        }
    }
    let mut exit = findings.exit;
    if exit.code != Code::Settled {
        exit.reason = headline;
    }
    Ok(exit)
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

async fn source(config: &Config, findings: &mut Findings) {
    let (mut source, profile) = match sync::connect_source(config).await {
        Ok(found) => found,
        Err(error) => {
            findings.fail("source", error.into());
            return;
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
}

async fn crm(config: &Config, findings: &mut Findings) {
    let crm = match target::connect(&config.target) {
        Ok(crm) => crm,
        Err(error) => {
            findings.fail("crm", fail(Code::Usage, &error));
            return;
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
}

fn lock(config: &Config, findings: &mut Findings) {
    match LedgerLock::look(&config.ledger.path) {
        Ok(LockState::Free) => findings.ok("lock", "free"),
        Ok(LockState::Absent) => findings.ok("lock", "free; the first run makes its file"),
        Ok(LockState::Held) => findings.warn("lock", "another run is under way"),
        Err(error) => findings.fail("lock", error.into()),
    }
}

async fn ledger(config: &Config, findings: &mut Findings) {
    let path = &config.ledger.path;
    match look_at_ledger(config).await {
        Ok(text) => findings.ok("ledger", text),
        Err(error) => {
            let exit = Exit::from(error);
            findings.fail(
                "ledger",
                Exit::new(exit.code, format!("{}: {}", path.display(), exit.reason)),
            );
        }
    }
}

/// Whether a run can leave its figures: no run fails for that, so it is a warning.
fn textfile(config: &Config, findings: &mut Findings) {
    let Some(path) = &config.monitor.textfile else {
        return;
    };
    let shown = path.display();
    match monitor::try_writing(path) {
        Err(why) => findings.warn("textfile", format!("{shown} {why}")),
        Ok(()) if path.extension().is_none_or(|ending| ending != "prom") => findings.warn(
            "textfile",
            format!("{shown} does not end in .prom, and the node exporter passes over other files"),
        ),
        Ok(()) => findings.ok("textfile", shown.to_string()),
    }
}

async fn look_at_ledger(config: &Config) -> Result<String, LedgerError> {
    let path = &config.ledger.path;
    Ledger::try_writing(path)?;
    let (ledger, _) = Ledger::open(path, &config.job, Access::ReadOnly, now().timestamp()).await?;
    if !path.exists() {
        return Ok(format!(
            "{}: none yet; the first run makes it",
            path.display()
        ));
    }
    ledger.integrity().await?;
    let counts = ledger.counts().await?;
    let calls: u64 = counts.by_state.values().sum();
    Ok(format!(
        "{}: sound, {}",
        path.display(),
        count(calls, "call")
    ))
}
