//! What a person asks a large ledger, and how long he waits.

use chrono::Days;

use crate::child::{Measured, Stdout, measure};
use crate::job::Job;
use crate::lab::{Lab, text};
use crate::pbx::Table;
use crate::table::{Row, median, seconds, thousands};

const RUNS: usize = 3;

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let settled = lab.settled()?;
    let (job, table) = (&settled.job, &settled.table);
    let page = text(&lab.work.join("report.html"));
    let mut rows = vec![asked(job, table, &["status"])?];
    for (verb, flag, arguments) in [
        ("calls", Some("--limit"), vec!["calls", "--limit", "20"]),
        (
            "calls",
            Some("--number"),
            vec!["calls", "--number", "02125550142"],
        ),
        ("unmatched", None, vec!["unmatched"]),
        ("report", Some("--html"), vec!["report", "--html", &page]),
    ] {
        if job.offers(verb, flag) {
            rows.push(asked(job, table, &arguments)?);
        }
    }
    let day = table.day(100);
    let (since, until) = (day.to_string(), (day + Days::new(1)).to_string());
    rows.push(beside_dump(job, table, "lists/calls", &["calls"], "")?);
    rows.push(beside_dump(
        job,
        table,
        "lists/calls-of-a-day",
        &["calls", "--since", &since, "--until", &until],
        &Table::on(day),
    )?);
    // The last, because it changes the ledger: three days, once each.
    let mut deletions = Vec::new();
    for number in 0..3 {
        let day = table.day(110 + 10 * number).to_string();
        deletions.push(answer(
            job,
            &["delete", "--from", &day, "--to", &day, "--yes"],
        )?);
    }
    lab.unsettle();
    let what = ["delete", "--from", "DAY", "--to", "DAY", "--yes"];
    rows.push(row(&what, table, &deletions));
    Ok(rows)
}

fn answer(job: &Job, arguments: &[&str]) -> anyhow::Result<Measured> {
    measure(&mut job.command(arguments), Stdout::Dropped)
}

fn asked(job: &Job, table: &Table, arguments: &[&str]) -> anyhow::Result<Row> {
    let mut answers = Vec::new();
    for _ in 0..RUNS {
        answers.push(answer(job, arguments)?);
    }
    Ok(row(arguments, table, &answers))
}

/// In turn with the same rows out of the database, whose client shows fewer columns and no state.
fn beside_dump(
    job: &Job,
    table: &Table,
    name: &str,
    arguments: &[&str],
    condition: &str,
) -> anyhow::Result<Row> {
    let (mut answers, mut dumps) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        answers.push(answer(job, arguments)?);
        dumps.push(table.dump(condition)?);
    }
    let wall = |of: &[Measured]| median(of.iter().map(|one| one.wall.as_secs_f64()));
    Ok(row(arguments, table, &answers)
        .beside(format!(
            "mariadb --quick, the same rows: {}",
            seconds(wall(&dumps))
        ))
        .ratio(name, wall(&dumps) / wall(&answers)))
}

fn row(arguments: &[&str], table: &Table, answers: &[Measured]) -> Row {
    let arguments: Vec<&str> = arguments
        .iter()
        // The page's folder is nobody's business.
        .map(|argument| {
            if argument.ends_with(".html") {
                "FILE"
            } else {
                argument
            }
        })
        .collect();
    Row::alone(
        format!(
            "`{}`, ledger of {} calls",
            arguments.join(" "),
            thousands(table.rows as f64)
        ),
        format!(
            "{}, {:.0} MiB",
            seconds(median(answers.iter().map(|one| one.wall.as_secs_f64()))),
            median(answers.iter().map(Measured::mib))
        ),
    )
}
