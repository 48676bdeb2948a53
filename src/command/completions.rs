//! `completions`: what a shell needs to complete the command line of this program.

use super::{Context, Ended};
use crate::cli::{self, CompletionsArgs};
use crate::report::exit::{Code, Exit};

/// Prints the shell's script.
pub fn run(context: &Context, args: &CompletionsArgs) -> Ended {
    let mut script = Vec::new();
    let mut program = cli::program();
    clap_complete::generate(args.shell, &mut program, "cdrelay", &mut script);
    context.print(&String::from_utf8_lossy(&script));
    Ok(Exit::new(Code::Settled, "printed"))
}
