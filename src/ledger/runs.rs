//! The record of runs.

use std::ops::Range;

use rusqlite::{OptionalExtension, Row};

use super::error::Fault;
use super::store::Store;
use crate::fault;

/// Number of a run, unique in its ledger. A reader's runs are not recorded and have the number that would come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// `incremental`, `full`, … as the report names it.
    pub mode: String,
    /// The window, Unix seconds.
    pub window: Range<i64>,
    /// What zone, rules and rendering are, as one text without secrets; equal texts are equal settings.
    pub settings: String,
    /// Unix seconds.
    pub started: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Unix seconds.
    pub ended: i64,
    /// The process's exit code.
    pub exit_code: u8,
    /// The sentence that goes with it.
    pub reason: String,
    /// The counts of the report, as one JSON object.
    pub counts: String,
    /// Requests that left.
    pub requests_sent: u64,
    /// Of these, repetitions.
    pub requests_retried: u64,
}

/// A run as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What it set out to do.
    pub start: RunStart,
    /// `None`: still under way, or killed.
    pub end: Option<RunRecord>,
}

pub(super) const SELECT: &str = "SELECT r.id, r.mode, r.since, r.until, s.fingerprint, r.started, r.ended, r.exit_code, r.reason, \
     r.counts, r.requests_sent, r.requests_retried FROM runs r JOIN settings s ON s.id = r.settings";

/// The same without what is long.
pub(super) const BRIEF: &str = "SELECT r.id, r.mode, r.since, r.until, '', r.started, r.ended, r.exit_code, r.reason, '', r.requests_sent, \
     r.requests_retried FROM runs r";

pub(super) fn start(store: &mut Store, run: &RunStart) -> Result<RunId, Fault> {
    let next: i64 = store.db.query_row(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'runs'), 0) + 1",
        [],
        |row| row.get(0),
    )?;
    store.write(fault::step!("ledger.run_start"), RunId(next), |tx, job| {
        tx.execute(
            "INSERT OR IGNORE INTO settings (fingerprint) VALUES (?1)",
            [&run.settings],
        )?;
        tx.execute(
            "INSERT INTO runs (job, mode, since, until, started, settings) \
             SELECT ?1, ?2, ?3, ?4, ?5, id FROM settings WHERE fingerprint = ?6",
            (
                job,
                &run.mode,
                run.window.start,
                run.window.end,
                run.started,
                &run.settings,
            ),
        )?;
        Ok(RunId(tx.last_insert_rowid()))
    })
}

pub(super) fn finish(store: &mut Store, run: RunId, record: &RunRecord) -> Result<(), Fault> {
    store.write(fault::step!("ledger.run_finish"), (), |tx, job| {
        let changed = tx.execute(
            "UPDATE runs SET ended = ?3, exit_code = ?4, reason = ?5, counts = ?6, requests_sent = ?7, \
             requests_retried = ?8 WHERE id = ?1 AND job = ?2",
            (
                run.0,
                job,
                record.ended,
                record.exit_code,
                &record.reason,
                &record.counts,
                record.requests_sent.cast_signed(),
                record.requests_retried.cast_signed(),
            ),
        )?;
        if changed == 0 {
            return Err(Fault::Wrong("the end of a run that was not started".into()));
        }
        Ok(())
    })
}

pub(super) fn latest(store: &Store, limit: usize) -> Result<Vec<Run>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "{SELECT} WHERE r.job = ?1 ORDER BY r.id DESC LIMIT ?2"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let runs = statement
        .query_map((store.job, limit), run)?
        .collect::<Result<_, _>>()?;
    Ok(runs)
}

pub(super) fn last_success(store: &Store, mode: Option<&str>) -> Result<Option<Run>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "{SELECT} WHERE r.job = ?1 AND r.exit_code IN (0, 3) AND (?2 IS NULL AND r.mode <> 'rebuild' OR r.mode = ?2) ORDER BY r.id DESC LIMIT 1"
    ))?;
    Ok(statement.query_row((store.job, mode), run).optional()?)
}

pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let ended: Option<i64> = row.get(6)?;
    let end = match ended {
        None => None,
        Some(ended) => Some(RunRecord {
            ended,
            exit_code: row.get(7)?,
            reason: row.get(8)?,
            counts: row.get(9)?,
            requests_sent: row.get::<_, i64>(10)?.cast_unsigned(),
            requests_retried: row.get::<_, i64>(11)?.cast_unsigned(),
        }),
    };
    Ok(Run {
        id: RunId(row.get(0)?),
        start: RunStart {
            mode: row.get(1)?,
            window: row.get(2)?..row.get(3)?,
            settings: row.get(4)?,
            started: row.get(5)?,
        },
        end,
    })
}
