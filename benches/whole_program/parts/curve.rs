//! Whether a row costs the same, however many there are.

use anyhow::ensure;

use crate::job::{Job, Sync};
use crate::lab::{IN_FLIGHT, Lab, MANY};
use crate::table::{Row, median, seconds, thousands};

const ROWS: [u64; 3] = [10_000, 100_000, MANY];

/// With `--long`.
const LONG: u64 = 10_000_000;

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut before: Option<Point> = None;
    let long = lab.long.then_some(LONG);
    for count in ROWS.into_iter().chain(long) {
        let count = lab.rows(count);
        let point = point(lab, count)?;
        for (what, name, of) in [
            ("first run", "first", Point::first as fn(&Point) -> &Leg),
            ("second run", "again", Point::again),
        ] {
            let (leg, earlier) = (of(&point), before.as_ref().map(of));
            let row = Row::alone(
                format!("{what} over {} rows", thousands(count as f64)),
                leg.shown(),
            );
            rows.push(match earlier {
                Some(earlier) => row
                    .beside("a tenth of the rows")
                    .ratio(format!("curve/{name}/{count}"), leg.rate / earlier.rate),
                None => row,
            });
        }
        before = Some(point);
    }
    Ok(rows)
}

/// One size.
struct Point {
    first: Leg,
    again: Leg,
}

impl Point {
    fn first(&self) -> &Leg {
        &self.first
    }

    fn again(&self) -> &Leg {
        &self.again
    }
}

/// One kind of run over it.
struct Leg {
    seconds: f64,
    rate: f64,
    mib: f64,
}

impl Leg {
    fn of(rows: u64, runs: &[Sync]) -> Self {
        let took = median(runs.iter().map(Sync::seconds));
        Self {
            seconds: took,
            rate: rows as f64 / took,
            mib: median(runs.iter().map(|run| run.took.mib())),
        }
    }

    fn shown(&self) -> String {
        format!(
            "{}, {} rows/s, {:.0} MiB",
            seconds(self.seconds),
            thousands(self.rate),
            self.mib
        )
    }
}

/// Sizes up to 100,000 are run three times from the beginning, larger ones once.
fn point(lab: &mut Lab, rows: u64) -> anyhow::Result<Point> {
    if rows == lab.rows(MANY) {
        let settled = lab.settled()?;
        return Ok(Point {
            first: Leg::of(rows, std::slice::from_ref(&settled.first)),
            again: Leg::of(rows, &again(&settled.job, rows, 3)?),
        });
    }
    let table = lab.table(rows);
    let times = if rows < lab.rows(MANY) { 3 } else { 1 };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let crm = lab.crm(None)?;
        let job = lab.job(&table, &crm.url, IN_FLIGHT)?;
        first.push(job.sync(&["--full"])?.created(rows)?);
        second.extend(again(&job, rows, 1)?);
    }
    Ok(Point {
        first: Leg::of(rows, &first),
        again: Leg::of(rows, &second),
    })
}

fn again(job: &Job, rows: u64, times: usize) -> anyhow::Result<Vec<Sync>> {
    let mut runs = Vec::new();
    for _ in 0..times {
        let run = job.sync(&["--full"])?.nothing_sent()?;
        ensure!(run.report["calls"]["unchanged"] == rows, "{}", run.report);
        runs.push(run);
    }
    Ok(runs)
}
