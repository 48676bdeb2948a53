//! Runs that find everything settled: what cron starts, day after day.

use crate::child::Measured;
use crate::job::Sync;
use crate::lab::Lab;
use crate::table::{Row, median, seconds, thousands};

const RUNS: usize = 3;

const HOURLY_RUNS: usize = 10;

/// The whole table, as a backfill and as the nightly run.
pub(super) fn again(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let settled = lab.settled()?;
    let since = settled.table.before().to_string();
    let ways: [(&str, &str, Vec<&str>); 2] = [
        ("sync --since DAY", "again/since", vec!["--since", &since]),
        ("sync --full", "again/full", vec!["--full"]),
    ];
    let mut ours = [Vec::new(), Vec::new()];
    let mut dumps = Vec::new();
    for _ in 0..RUNS {
        for ((_, _, arguments), runs) in ways.iter().zip(&mut ours) {
            runs.push(settled.job.sync(arguments)?.nothing_sent()?);
        }
        dumps.push(settled.table.dump("")?);
    }
    let dump = median(dumps.iter().map(|dump| dump.wall.as_secs_f64()));
    let dump_mib = median(dumps.iter().map(Measured::mib));
    let rows = ways.iter().zip(&ours).map(|((what, name, _), runs)| {
        let took = median(runs.iter().map(Sync::seconds));
        Row::alone(
            format!(
                "`{what}` over {} settled calls, no request",
                thousands(settled.table.rows as f64)
            ),
            format!(
                "{}, {} CPU, {:.0} MiB",
                seconds(took),
                seconds(median(runs.iter().map(|run| run.took.cpu.as_secs_f64()))),
                median(runs.iter().map(|run| run.took.mib())),
            ),
        )
        .beside(format!(
            "mariadb --quick, the same rows to /dev/null: {}, {dump_mib:.0} MiB",
            seconds(dump)
        ))
        .ratio(*name, dump / took)
    });
    Ok(rows.collect())
}

/// The last 200 hours, with nothing new in them.
pub(super) fn hourly(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let settled = lab.settled()?;
    let (mut ours, mut dumps) = (Vec::new(), Vec::new());
    for _ in 0..HOURLY_RUNS {
        ours.push(settled.job.sync(&[])?.nothing_sent()?.seconds());
        let rows = "calldate >= NOW() - INTERVAL 200 HOUR";
        dumps.push(settled.table.dump(rows)?.wall.as_secs_f64());
    }
    let (ours, dump) = (median(ours), median(dumps));
    Ok(vec![
        Row::alone(
            format!(
                "hourly `sync`, nothing new, ledger of {} calls, start to exit",
                thousands(settled.table.rows as f64)
            ),
            seconds(ours),
        )
        .beside(format!(
            "mariadb --quick, the rows of its window to /dev/null: {}",
            seconds(dump)
        ))
        .ratio("hourly/nothing-new", dump / ours),
    ])
}
