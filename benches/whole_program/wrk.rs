//! wrk, the load generator: what a CRM answers at most over so many connections, whoever asks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::child::{Stdout, measure};
use super::crm::Crm;

/// Distinct creates, one thread.
const CREATES: &str = include_str!("creates.lua");

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
    let script = work.join("creates.lua");
    std::fs::write(&script, CREATES)?;
    let mut command = Command::new("wrk");
    command
        .args(["-t1", &format!("-c{connections}")])
        .args([&format!("-d{}s", lasting.as_secs()), "-s"])
        .arg(&script)
        .args([&crm.url, "--", "0"]);
    let ran = measure(&mut command, Stdout::Kept)?;
    let line = ran
        .stdout
        .lines()
        .rfind(|line| line.starts_with('{'))
        .with_context(|| format!("wrk said\n{}", ran.stdout))?;
    let said: Value = serde_json::from_str(line)?;
    let count = |name: &str| said[name].as_u64().unwrap_or(0);
    ensure!(count("errors") == 0, "wrk counted errors: {said}");
    let created = crm.created()?;
    ensure!(
        created >= count("requests"),
        "wrk counted {} requests, the practice CRM {created} calls",
        count("requests")
    );
    Ok(count("requests") as f64 / (count("microseconds") as f64 / 1e6))
}
