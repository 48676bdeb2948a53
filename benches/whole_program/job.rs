//! A configuration with a ledger of its own, and the program run on it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::child::{Measured, Stdout, measure};
use super::pbx::Table;
use super::support::fresh_name;

/// What users start from; only addresses, secrets and paths are changed.
const EXAMPLE: &str = include_str!("../../examples/quickstart-freepbx.toml");

/// One configuration, one ledger.
pub(crate) struct Job {
    program: PathBuf,
    directory: PathBuf,
}

/// A `sync` that ended with 0.
pub(crate) struct Sync {
    pub(crate) took: Measured,
    /// What `--output json` printed.
    pub(crate) report: Value,
}

impl Sync {
    /// Seconds from its start to its end.
    pub(crate) fn seconds(&self) -> f64 {
        self.took.wall.as_secs_f64()
    }

    /// It created so many calls, all there were.
    pub(crate) fn created(self, calls: u64) -> anyhow::Result<Self> {
        let counts = &self.report["calls"];
        ensure!(
            counts["created"] == calls && counts["total"] == calls,
            "{calls} calls should have been created: {}",
            self.report
        );
        Ok(self)
    }

    /// It found nothing to do, and sent nothing.
    pub(crate) fn nothing_sent(self) -> anyhow::Result<Self> {
        ensure!(
            self.report["requests"]["sent"] == 0,
            "nothing should have been sent: {}",
            self.report
        );
        Ok(self)
    }
}

impl Job {
    /// A job that knows nothing yet. `concurrency` is the most requests in flight.
    pub(crate) fn new(
        program: &Path,
        work: &Path,
        table: &Table,
        crm: &str,
        concurrency: usize,
    ) -> anyhow::Result<Self> {
        let directory = work.join(fresh_name("job"));
        std::fs::create_dir(&directory)?;
        write(&directory.join("crm.token"), "sandbox\n")?;
        let config = configuration(&table.url(), crm, concurrency)?;
        write(&directory.join("cdrelay.toml"), &config)?;
        Ok(Self {
            program: program.to_owned(),
            directory,
        })
    }

    /// The program, with nothing of this shell's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", &self.directory)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(&self.directory)
            .args(["--config", "cdrelay.toml"])
            .args(arguments);
        command
    }

    /// A run; every call must be settled.
    pub(crate) fn sync(&self, arguments: &[&str]) -> anyhow::Result<Sync> {
        let mut all = vec!["sync", "--output", "json"];
        all.extend(arguments);
        let took = measure(&mut self.command(&all), Stdout::Kept)?;
        let report = serde_json::from_str(&took.stdout)
            .with_context(|| format!("sync printed `{}`", took.stdout))?;
        Ok(Sync { took, report })
    }

    /// Whether this version has the verb, and the verb the flag.
    pub(crate) fn offers(&self, verb: &str, flag: Option<&str>) -> bool {
        let output = self.command(&[verb, "--help"]).output();
        output.is_ok_and(|output| {
            let help = String::from_utf8_lossy(&output.stdout);
            output.status.success() && flag.is_none_or(|flag| help.contains(flag))
        })
    }
}

fn configuration(source: &str, crm: &str, concurrency: usize) -> anyhow::Result<String> {
    let mut text = EXAMPLE.to_owned();
    for (start, line) in [
        ("url = \"mysql://", format!("url = \"{source}\"")),
        ("password_file = ", String::new()),
        (
            "url = \"https://crm.",
            format!("url = \"{crm}\"\nconcurrency = {concurrency}"),
        ),
        ("token_file = ", "token_file = \"crm.token\"".to_owned()),
        ("path = ", "path = \"ledger.db\"".to_owned()),
    ] {
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(start))
            .collect();
        ensure!(
            found.len() == 1,
            "the example has {} lines `{start}…`",
            found.len()
        );
        text = text.replace(&found[0].to_owned(), &line);
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}
