//! Call events: each is on disk before its sender hears so.

use anyhow::ensure;

use crate::collector::Collector;
use crate::lab::Lab;
use crate::support::{mariadb, postgres};
use crate::table::{Row, median, seconds, thousands};
use crate::wrk;

/// Connections that always have an event under way.
const CONNECTIONS: usize = 64;

/// Events of one call.
const A_CALL: u64 = 7;

const RUNS: usize = 3;

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let mut pages = Vec::new();
    for _ in 0..RUNS {
        let collector = Collector::start(&lab.program, &lab.work, "")?;
        let page = format!("{}/healthz", collector.url);
        pages.push(wrk::page(&page, &lab.work, CONNECTIONS, lab.lasting())?.per_second());
    }
    let pages = median(pages);
    let mut rows = Vec::new();
    for (name, what) in [
        ("sqlite", "SQLite"),
        ("mariadb", "MariaDB"),
        ("postgres", "PostgreSQL"),
    ] {
        let [mut rates, mut per_commit, mut behind] = [const { Vec::new() }; 3];
        for _ in 0..RUNS {
            let store = match name {
                "mariadb" => lab.pbx.wait_for(mariadb::durable().database()).url(),
                "postgres" => lab.pbx.wait_for(postgres::durable().database()).url(),
                _ => String::new(),
            };
            let collector = Collector::start(&lab.program, &lab.work, &store)?;
            let said = wrk::events(&collector.url, &lab.work, CONNECTIONS, lab.lasting())?;
            let counted = collector.counted()?;
            // What was on its way when wrk ended may have been taken, too; none that it counted may be missing.
            ensure!(
                (said.requests..=said.requests + CONNECTIONS as u64).contains(&counted.taken),
                "wrk counted {} events, the collector {counted:?}",
                said.requests
            );
            // Of the last calls not every event was sent.
            let whole = (said.requests / A_CALL).saturating_sub(CONNECTIONS as u64);
            behind.push(collector.rows(whole)?.as_secs_f64());
            rates.push(said.per_second());
            per_commit.push(counted.taken as f64 / counted.commits as f64);
        }
        let rate = median(rates);
        rows.push(
            Row::alone(
                format!("events kept in {what}, {CONNECTIONS} connections"),
                format!(
                    "{} events/s, {:.0} in a transaction; the last row {} after the last event, 2 s of it settling",
                    thousands(rate),
                    median(per_commit),
                    seconds(median(behind))
                ),
            )
            .beside(format!(
                "wrk, as many connections, `/healthz` of the collector: {} answers/s",
                thousands(pages)
            ))
            .ratio(format!("collect/{name}"), rate / pages),
        );
    }
    Ok(rows)
}
