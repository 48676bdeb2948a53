//! What a run costs the phone system: processor time of its database, statements, rows looked at.

use crate::lab::{IN_FLIGHT, Lab};
use crate::pbx::Work;
use crate::table::{Row, median, seconds, thousands};

const ROWS: u64 = 100_000;

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let rows = lab.rows(ROWS);
    let table = lab.table(rows);
    let (mut first, mut again, mut dump) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let crm = lab.crm(None)?;
        let job = lab.job(&table, &crm.url, IN_FLIGHT)?;
        first.push(work(lab, || job.sync(&["--full"])?.created(rows))?);
        again.push(work(lab, || job.sync(&["--full"])?.nothing_sent())?);
        dump.push(work(lab, || table.dump(""))?);
    }
    let dumped = cpu(&dump);
    let row = |what: &str, name: &str, work: &[Work]| {
        let last = |of: fn(&Work) -> f64| thousands(median(work.iter().map(of)));
        Row::alone(
            format!(
                "{what}: the database's part, {} rows",
                thousands(rows as f64)
            ),
            format!(
                "{} CPU, {} SELECTs, rows read: {} by index, {} by scan",
                seconds(cpu(work)),
                last(|work| work.selects),
                last(|work| work.by_index),
                last(|work| work.by_scan),
            ),
        )
        .beside(format!(
            "mariadb --quick, same columns and order: {} CPU",
            seconds(dumped)
        ))
        .ratio(name, dumped / cpu(work))
    };
    Ok(vec![
        row("first run", "pbx/first", &first),
        row("second run", "pbx/again", &again),
    ])
}

fn work<T>(lab: &Lab, of: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Work> {
    Ok(lab.pbx.work(of)?.1)
}

fn cpu(work: &[Work]) -> f64 {
    median(work.iter().map(|work| work.cpu_s))
}
