//! A CRM that takes its time: what counts is how full the connections are kept.

use std::time::Duration;

use anyhow::Context as _;

use crate::lab::Lab;
use crate::table::{Row, median, thousands};
use crate::wrk;

/// Requests in flight at most, and calls: so many that the start, one at a time and doubling up, is a small part of the run.
const RUNS: [(usize, u64); 2] = [(64, 40_000), (256, 100_000)];

const LATENCY: Duration = Duration::from_millis(20);

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (connections, calls) in RUNS {
        let calls = lab.rows(calls);
        let table = lab.table(calls);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let crm = lab.crm(Some(LATENCY))?;
            let job = lab.job(&table, &crm.url, connections)?;
            let ran = job.sync(&["--full"])?.created(calls)?;
            let rate = ran.report["timings"]["calls_per_second"].as_f64();
            ours.push(rate.context("the report has no calls per second")?);
            let crm = lab.crm(Some(LATENCY))?;
            theirs.push(wrk::creates_per_second(
                &crm,
                &lab.work,
                connections,
                lab.lasting(),
            )?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let most = connections as f64 / LATENCY.as_secs_f64();
        rows.push(
            Row::alone(
                format!(
                    "{} calls to a CRM that takes 20 ms, {connections} in flight at most",
                    thousands(calls as f64)
                ),
                format!("{} calls/s while sending", thousands(ours)),
            )
            .beside(format!(
                "wrk, {connections} connections: {} creates/s; {connections} / 20 ms = {}",
                thousands(theirs),
                thousands(most)
            ))
            .ratio(format!("latency/{connections}"), ours / theirs),
        );
    }
    Ok(rows)
}
