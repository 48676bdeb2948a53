//! What `contrib/bench` can be asked for.

use clap::Parser;

use super::parts::PARTS;

/// Measures cdrelay beside what else could do the same work, and prints a table of ratios.
#[derive(Debug, Parser)]
#[command(name = "contrib/bench")]
pub(crate) struct Arguments {
    /// Only this part; may be given several times
    #[arg(long, value_name = "NAME", value_parser = part)]
    pub(crate) only: Vec<String>,
    /// Fail where a ratio is more than 20 % worse than the recorded one
    #[arg(long, conflicts_with_all = ["record", "small"])]
    pub(crate) check: bool,
    /// Write benches/recorded.json, and the table into README.md
    #[arg(long, conflicts_with_all = ["only", "small"])]
    pub(crate) record: bool,
    /// Also what needs 10,000,000 rows: half an hour and some 10 GiB more
    #[arg(long)]
    pub(crate) long: bool,
    /// A hundredth of the rows: to see that everything works; the figures say nothing
    #[arg(long, conflicts_with = "long")]
    pub(crate) small: bool,
    /// Name the parts, measure nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// What cargo says to benchmarks and not to tests.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Whether the part is asked for.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }
}

fn part(name: &str) -> Result<String, String> {
    if PARTS.iter().any(|part| part.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    Err(format!(
        "there is no such part; the parts are {}",
        names.join(", ")
    ))
}
