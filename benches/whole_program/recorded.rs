//! The ratios on record, and what counts as worse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// A ratio below this share of the recorded one is a regression.
const STILL_GOOD: f64 = 0.8;

/// In the names of ratios that only `--long` measures.
const LONG_ONLY: &str = "10000000";

/// Where the README has the table.
const MARKS: [&str; 2] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

/// What `benches/recorded.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    measured: String,
    machine: String,
    ratios: BTreeMap<String, f64>,
}

impl Recorded {
    pub(crate) fn new(machine: &Machine, ratios: BTreeMap<String, f64>) -> Self {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        Self {
            measured: machine.date.clone(),
            machine: machine.about.clone(),
            ratios: ratios
                .into_iter()
                .map(|(name, value)| (name, rounded(value)))
                .collect(),
        }
    }

    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = file("benches/recorded.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} cannot be read; contrib/bench --record writes it",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file("benches/recorded.json"), text)?;
        Ok(())
    }

    /// Shows each ratio beside the recorded one.
    ///
    /// # Errors
    /// One is more than 20 % worse; where everything was to be measured, also one that was not.
    pub(crate) fn check(
        &self,
        now: &BTreeMap<String, f64>,
        everything: bool,
    ) -> anyhow::Result<()> {
        println!(
            "Against {} ({}):\n\n| ratio | recorded | now | |\n|---|---|---|---|",
            self.measured, self.machine
        );
        let mut worse = Vec::new();
        for (name, &recorded) in &self.ratios {
            let Some(&now) = now.get(name) else {
                if everything && !name.contains(LONG_ONLY) {
                    worse.push(format!("{name} was not measured"));
                }
                continue;
            };
            let change = (now / recorded - 1.0) * 100.0;
            let regressed = now.is_nan() || now < recorded * STILL_GOOD;
            let word = if regressed { "**worse**" } else { "" };
            println!("| {name} | {recorded:.2} | {now:.2} | {change:+.0} % {word} |");
            if regressed {
                worse.push(format!("{name} by {:.0} %", -change));
            }
        }
        for name in now.keys().filter(|name| !self.ratios.contains_key(*name)) {
            println!("| {name} | | {:.2} | not on record |", now[name]);
        }
        if worse.is_empty() {
            return Ok(());
        }
        bail!("worse than on record: {}", worse.join(", "))
    }
}

/// Puts the table where the README has one.
pub(crate) fn in_readme(table: &str) -> anyhow::Result<()> {
    let path = file("README.md");
    let text = std::fs::read_to_string(&path)?;
    let [begin, end] = MARKS;
    let (before, rest) = text
        .split_once(begin)
        .with_context(|| format!("README.md has no `{begin}`"))?;
    let (_, after) = rest
        .split_once(end)
        .with_context(|| format!("README.md has no `{end}`"))?;
    std::fs::write(&path, format!("{before}{begin}\n\n{table}\n{end}{after}"))?;
    Ok(())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
