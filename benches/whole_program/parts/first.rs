//! A first run: every call is new, and the CRM answers at once.

use std::process::Command;

use anyhow::ensure;

use crate::bare::{self, Kind};
use crate::child::{Measured, Stdout, measure};
use crate::crm::Crm;
use crate::lab::{IN_FLIGHT, Lab};
use crate::pbx::Table;
use crate::table::{Row, median, seconds, thousands};
use crate::wrk;

/// Calls of the run.
const CALLS: u64 = 100_000;

/// Calls for whoever sends one request at a time.
const FEW: u64 = 20_000;

const RUNS: usize = 3;

/// A command line that copies the table as the reference script does, to be measured as well.
const REFERENCE: &str = "CDRELAY_REFERENCE";

/// What the runs of one contender came to.
#[derive(Default)]
struct Contender {
    calls_per_second: Vec<f64>,
    cpu_s: Vec<f64>,
    mib: Vec<f64>,
}

impl Contender {
    fn add(&mut self, calls: u64, took: &Measured) {
        self.calls_per_second
            .push(calls as f64 / took.wall.as_secs_f64());
        self.cpu_s.push(took.cpu.as_secs_f64());
        self.mib.push(took.mib());
    }

    fn rate(&self) -> f64 {
        median(self.calls_per_second.iter().copied())
    }

    fn cpu(&self) -> f64 {
        median(self.cpu_s.iter().copied())
    }

    fn shown(&self) -> String {
        format!(
            "{} calls/s, {} CPU, {:.0} MiB",
            thousands(self.rate()),
            seconds(self.cpu()),
            median(self.mib.iter().copied())
        )
    }
}

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let (calls, few_calls) = (lab.rows(CALLS), lab.rows(FEW));
    let (table, few) = (lab.table(calls), lab.table(few_calls));
    let reference = std::env::var(REFERENCE).ok();
    let mut wrk_rates = Vec::new();
    let [mut ours, mut reqwest, mut hyper, mut one, mut script] =
        std::array::from_fn(|_| Contender::default());
    for _ in 0..RUNS {
        let crm = lab.crm(None)?;
        let job = lab.job(&table, &crm.url, IN_FLIGHT)?;
        ours.add(calls, &job.sync(&["--full"])?.created(calls)?.took);
        let crm = lab.crm(None)?;
        wrk_rates.push(wrk::creates_per_second(
            &crm,
            &lab.work,
            IN_FLIGHT,
            lab.lasting(),
        )?);
        reqwest.add(calls, &bare(lab, Kind::Reqwest, &table, IN_FLIGHT)?);
        hyper.add(calls, &bare(lab, Kind::Hyper, &table, IN_FLIGHT)?);
        one.add(few_calls, &bare(lab, Kind::Reqwest, &few, 1)?);
        if let Some(command) = &reference {
            let crm = lab.crm(None)?;
            let took = measure(&mut as_reference(command, &few, &crm), Stdout::Dropped)?;
            script.add(crm.created()?, &took);
        }
    }
    let what = format!(
        "first run, {} calls, {IN_FLIGHT} in flight",
        thousands(calls as f64)
    );
    let row = || Row::alone(what.clone(), ours.shown());
    let wrk = median(wrk_rates);
    let mut rows = vec![
        row()
            .beside(format!(
                "wrk, {IN_FLIGHT} connections: {} creates/s",
                thousands(wrk)
            ))
            .ratio("first/wrk", ours.rate() / wrk),
    ];
    for (contender, name, words) in [
        (
            &reqwest,
            "first/reqwest",
            "bare client, reqwest, 64 in flight, no ledger",
        ),
        (
            &hyper,
            "first/hyper-util",
            "bare client, hyper-util, 64 in flight, no ledger",
        ),
        (
            &one,
            "first/one-at-a-time",
            "bare client, reqwest, one request at a time",
        ),
        (
            &script,
            "first/reference",
            "the command of CDRELAY_REFERENCE",
        ),
    ] {
        if contender.mib.is_empty() {
            continue;
        }
        let row = row().beside(format!("{words}: {}", contender.shown()));
        let value = ours.rate() / contender.rate();
        rows.push(if name == "first/reference" {
            // It is there on some machines and not on others.
            row.ratio_here(value)
        } else {
            row.ratio(name, value)
        });
    }
    rows.push(
        Row::alone("processor time of that run", seconds(ours.cpu()))
            .beside(format!("bare client, hyper-util: {}", seconds(hyper.cpu())))
            .ratio("first/cpu", hyper.cpu() / ours.cpu()),
    );
    Ok(rows)
}

/// A run of a bare client on a CRM of its own.
fn bare(lab: &Lab, kind: Kind, table: &Table, in_flight: usize) -> anyhow::Result<Measured> {
    let crm = lab.crm(None)?;
    let mut command = bare::command(kind, table, &crm.url, in_flight)?;
    let took = measure(&mut command, Stdout::Dropped)?;
    let created = crm.created()?;
    ensure!(
        created == table.rows,
        "the bare client created {created} calls of {}",
        table.rows
    );
    Ok(took)
}

fn as_reference(command: &str, table: &Table, crm: &Crm) -> Command {
    let (port, database) = table.place();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env("CDRELAY_BENCH_CRM", &crm.url)
        .env("CDRELAY_BENCH_DB_HOST", "127.0.0.1")
        .env("CDRELAY_BENCH_DB_PORT", port.to_string())
        .env("CDRELAY_BENCH_DB_USER", "root")
        .env("CDRELAY_BENCH_DB", database);
    shell
}
