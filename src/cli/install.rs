//! The verbs around an installation: `init`, `adopt`, `completions`, `man`.

use std::path::PathBuf;

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
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Accept a new, empty ledger. The CRM's keys keep calls from doubling; the first run asks it about every call
    #[arg(long, required = true)]
    pub ledger: bool,
}
