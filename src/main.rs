//! The program: parse, run, print how it ended, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cdrelay::cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            return ExitCode::from(cdrelay::command::refuse(&cdrelay::cli::complaint(&error)));
        }
        // Help and version.
        Err(error) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    ExitCode::from(cdrelay::command::main(&cli))
}
