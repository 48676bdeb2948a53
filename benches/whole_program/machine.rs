//! What was measured, where, and when.

use std::path::Path;

use anyhow::Context as _;

/// One line of a person's own words could not be compared; these are what the machine says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// YYYY-MM-DD, UTC.
    pub(crate) date: String,
    /// Processors, kernel, database server.
    pub(crate) about: String,
}

pub(crate) fn look(server: &str, program: &Path) -> anyhow::Result<Machine> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = if processors == 1 { "core" } else { "cores" };
    let size = std::fs::metadata(program)
        .context("the program is gone")?
        .len();
    Ok(Machine {
        date: chrono::Utc::now().format("%F").to_string(),
        about: format!(
            "{processors} {cores} of {model}, Linux {}, {server}; the program has {:.1} MiB",
            read("/proc/sys/kernel/osrelease").trim(),
            size as f64 / (1024.0 * 1024.0)
        ),
    })
}
