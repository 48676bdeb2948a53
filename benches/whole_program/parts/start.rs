//! How long it takes until something happens, and how much program that needs.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::bare::{self, Kind};
use crate::child;
use crate::lab::{IN_FLIGHT, Lab};
use crate::table::{Row, median, seconds};

const CALLS: u64 = 10_000;

const RUNS: usize = 10;

/// Longest wait for a request.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(lab: &mut Lab) -> anyhow::Result<Vec<Row>> {
    let table = lab.table(lab.rows(CALLS));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let crm = format!("http://{}", listener.local_addr()?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // A ledger is made on the way, too.
        let job = lab.job(&table, &crm, IN_FLIGHT)?;
        let mut command = job.command(&["sync", "--full"]);
        ours.push(to_first_request(&listener, &mut command)?);
        let mut command = bare::command(Kind::Hyper, &table, &crm, IN_FLIGHT)?;
        theirs.push(to_first_request(&listener, &mut command)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(vec![
        Row::alone(
            "start of the program to its first request, new ledger",
            seconds(ours),
        )
        .beside(format!("bare client, hyper-util: {}", seconds(theirs)))
        .ratio("start/first-request", theirs / ours),
    ])
}

/// Seconds from before its start until the first line of its first request is there. The process is ended then.
fn to_first_request(listener: &TcpListener, command: &mut Command) -> anyhow::Result<f64> {
    // Connections that the one before had begun.
    while listener.accept().is_ok() {}
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{command:?} cannot be started"))?;
    let arrived = first_line(listener, begin);
    child::end(&mut child);
    let (line, after) = arrived?;
    ensure!(line.starts_with("GET /"), "the first request is `{line}`");
    Ok(after.as_secs_f64())
}

fn first_line(listener: &TcpListener, begin: Instant) -> anyhow::Result<(String, Duration)> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let mut line = String::new();
                BufReader::new(stream).read_line(&mut line)?;
                return Ok((line, begin.elapsed()));
            }
            Err(_) if begin.elapsed() > PATIENCE => bail!("no request came"),
            // Fine enough for milliseconds, and leaves the processor to who is measured.
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
