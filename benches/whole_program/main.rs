//! Whole runs of the program beside what else could do the same work, in turn, on this machine.
//!
//! `contrib/bench` starts it, with the program as users get it. It brings a private MariaDB with FreePBX-shaped tables and
//! the practice CRM as processes of their own, all on 127.0.0.1, all ended with it. What is printed are figures of this
//! machine on this day, which say little elsewhere, and *ratios* between two things that were measured within the same
//! minute, in turn (A, B, A, B …), which say much. A ratio above 1 means that cdrelay does the same work faster, or at
//! less cost, than what stands beside it.
//!
//! # Reading order
//!
//! [`lab`] is what the parts measure with; `parts/` has one file for each question. [`child`] says how a process is
//! measured, [`bare`] what a client without a ledger does, [`recorded`] what `--check` compares with.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the result, progress is for whoever waits for it"
)]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

#[path = "../../tests/support/mod.rs"]
mod support;

mod announced;
mod arguments;
mod bare;
mod child;
mod collector;
mod crm;
mod job;
mod lab;
mod machine;
mod parts;
mod pbx;
mod recorded;
mod table;
mod wrk;

use arguments::Arguments;
use lab::Lab;
use parts::PARTS;
use recorded::{Recorded, in_readme};
use table::{Row, markdown, ratios};

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.first().is_some_and(|word| word == bare::WORD) {
        return ended(bare::run(&given[1..]));
    }
    // `cargo test --all-targets` runs this, too, and tests measure nothing.
    if !given.iter().any(|word| word == "--bench") {
        println!("nothing is measured by tests; contrib/bench measures");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if arguments.list {
        for part in PARTS {
            println!("{:8} {}", part.name, part.about);
        }
        return ExitCode::SUCCESS;
    }
    ended(measure(&arguments))
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contrib/bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let recorded = if arguments.check {
        Some(Recorded::read()?)
    } else {
        None
    };
    let mut lab = Lab::new(arguments.long, arguments.small)?;
    let mut rows: Vec<Row> = Vec::new();
    for part in PARTS.iter().filter(|part| arguments.wants(part.name)) {
        eprintln!("{}: {}", part.name, part.about);
        let found = (part.run)(&mut lab).with_context(|| format!("part `{}`", part.name))?;
        for row in &found {
            eprintln!("  {row}");
        }
        rows.extend(found);
    }
    let machine = lab.machine()?;
    let text = markdown(&machine, &rows);
    println!("{text}");
    if arguments.record {
        Recorded::new(&machine, ratios(&rows)).write()?;
        in_readme(&text)?;
    }
    match recorded {
        Some(recorded) => recorded.check(&ratios(&rows), arguments.only.is_empty()),
        None => Ok(()),
    }
}
