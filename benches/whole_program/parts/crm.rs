//! Whether the practice CRM is fast enough to measure others on.

use crate::lab::{IN_FLIGHT, Lab};
use crate::table::{Row, median, thousands};
use crate::wrk;

/// Creates a second that it must answer on a machine that does nothing else.
const NEEDED: f64 = 100_000.0;

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let mut rates = Vec::new();
    for _ in 0..3 {
        let crm = lab.crm(None)?;
        rates.push(wrk::creates_per_second(
            &crm,
            &lab.work,
            IN_FLIGHT,
            lab.lasting(),
        )?);
    }
    let rate = median(rates);
    let row = Row::alone(
        format!("practice CRM under wrk, {IN_FLIGHT} connections"),
        format!("{} creates/s", thousands(rate)),
    );
    let needed = format!("needed: {}", thousands(NEEDED));
    Ok(vec![row.beside(needed).ratio_here(rate / NEEDED)])
}
