//! The arguments of `report`.

use std::path::PathBuf;

use clap::Args;

/// `report`
#[derive(Debug, Clone, Default, Args)]
pub struct ReportArgs {
    /// Write a self-contained page; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// First instant of the window [default: `select.full_lookback` ago]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// First instant after the window [default: one day from now]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Show the last three digits of numbers only
    #[arg(long)]
    pub mask: bool,
}
