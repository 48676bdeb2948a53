//! wrk, the load generator: what a server answers at most over so many connections, whoever asks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::child::{Stdout, measure};
use super::crm::Crm;

/// Distinct creates, one thread.
const CREATES: &str = include_str!("creates.lua");

/// Distinct events, one thread.
const EVENTS: &str = include_str!("events.lua");

/// How each script ends.
const SAID: &str = include_str!("said.lua");

/// What wrk counted.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    /// Requests with an answer.
    pub(crate) requests: u64,
    microseconds: u64,
    errors: u64,
}

impl Said {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / (self.microseconds as f64 / 1e6)
    }
}

/// Creates in a second, over `connections` connections that are always busy.
///
/// # Errors
/// wrk is not installed, or not every request created a call.
pub(crate) fn creates_per_second(
    crm: &Crm,
    work: &Path,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<f64> {
    let said = run(CREATES, &crm.url, work, connections, lasting)?;
    let created = crm.created()?;
    ensure!(
        created >= said.requests,
        "wrk counted {} requests, the practice CRM {created} calls",
        said.requests
    );
    Ok(said.per_second())
}

/// Posts distinct events to the collector at `url`.
///
/// # Errors
/// wrk is not installed, or not every event was acknowledged.
pub(crate) fn events(
    url: &str,
    work: &Path,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<Said> {
    run(EVENTS, url, work, connections, lasting)
}

/// Asks for one page again and again.
///
/// # Errors
/// wrk is not installed, or not every answer was a good one.
pub(crate) fn page(
    url: &str,
    work: &Path,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<Said> {
    run("", url, work, connections, lasting)
}

fn run(
    script: &str,
    url: &str,
    work: &Path,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<Said> {
    let file = work.join("wrk.lua");
    std::fs::write(&file, format!("{script}\n{SAID}"))?;
    let mut command = Command::new("wrk");
    command
        .args(["-t1", &format!("-c{connections}")])
        .args([&format!("-d{}s", lasting.as_secs()), "-s"])
        .arg(&file)
        .args([url, "--", "0"]);
    let ran = measure(&mut command, Stdout::Kept)?;
    let line = ran
        .stdout
        .lines()
        .rfind(|line| line.starts_with('{'))
        .with_context(|| format!("wrk said\n{}", ran.stdout))?;
    let said: Said = serde_json::from_str(line)?;
    ensure!(said.errors == 0, "wrk counted errors: {said:?}");
    Ok(said)
}
