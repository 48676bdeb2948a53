//! The verbs around an installation: `init`, `adopt`, `completions`, `man`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
pub use clap_complete::Shell;

/// `completions`
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// `man`
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write every page into this folder, instead of cdrelay(1) to stdout
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `init`
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// Accept a new ledger where it is lost
    #[arg(long, conflicts_with_all = ["source_url", "source_table", "source_password_file", "timezone", "target_url",
        "token_file", "initiated_as", "outside_line", "area_code", "local_length", "recording_url", "ledger_path", "owner",
        "untested", "check", "force"])]
    pub ledger: bool,
    /// Where the calls are [default: as found]
    #[arg(long, value_name = "URL")]
    pub source_url: Option<String>,
    /// Their table [default: cdr]
    #[arg(long, value_name = "TABLE")]
    pub source_table: Option<String>,
    /// First line: its password; `-`: stdin
    #[arg(long, value_name = "FILE")]
    pub source_password_file: Option<PathBuf>,
    /// IANA zone of the start column
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Address of the CRM
    #[arg(long, value_name = "URL")]
    pub target_url: Option<String>,
    /// First line: its token; `-`: stdin
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// utc (else offset, local, local-z)
    #[arg(long, value_name = "HOW")]
    pub initiated_as: Option<String>,
    /// Dialled for an outside line; "": none
    #[arg(long, value_name = "DIGITS")]
    pub outside_line: Option<String>,
    /// Put before numbers dialled without one
    #[arg(long, value_name = "DIGITS")]
    pub area_code: Option<String>,
    /// Length of those [default: 7]
    #[arg(long, value_name = "DIGITS", value_parser = clap::value_parser!(u8).range(3..=15))]
    pub local_length: Option<u8>,
    /// Link, with {date} and {recordingfile}
    #[arg(long, value_name = "URL")]
    pub recording_url: Option<String>,
    /// Where the ledger goes
    #[arg(long, value_name = "FILE")]
    pub ledger_path: Option<PathBuf>,
    /// Whose files [default for root: cdrelay]
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// Write without reading the source
    #[arg(long)]
    pub untested: bool,
    /// Then run `check`, which asks the CRM
    #[arg(long)]
    pub check: bool,
    /// Overwrite files that are there
    #[arg(long)]
    pub force: bool,
    /// Ask nothing: take findings and defaults
    #[arg(long)]
    pub yes: bool,
    /// Look for Asterisk's files in this folder
    // For chroots, images and tests: rarely wanted, and so not on the screen of `--help`.
    #[arg(long, value_name = "DIR", hide = true)]
    pub asterisk_dir: Option<PathBuf>,
    /// Take this folder for the machine's root
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

/// `adopt`
#[derive(Debug, Clone, Default, Args)]
pub struct AdoptArgs {
    /// First instant of the window [default: `select.full_lookback` ago]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// First instant after the window [default: one day from now]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Compare and report; send nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on even where calls get another key than the script's
    #[arg(long)]
    pub yes: bool,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// What the script's file is called
    #[arg(long, value_name = "NAME", default_value = "phonecalls")]
    pub script: String,
    /// Look for cron's files below this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}
