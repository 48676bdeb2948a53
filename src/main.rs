//! The program: parse, run, print how it ended, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cdrelay::cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap ends help and version with 0 and a usage error with 2, as the interface asks.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    ExitCode::from(cdrelay::command::main(&cli))
}
