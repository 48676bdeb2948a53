//! How long ago a run last succeeded, and whether a person has to know.

use std::time::Duration;

use chrono::DateTime;

use crate::command::now;
use crate::config::Config;
use crate::ledger::{Access, Ledger, LedgerError};
use crate::report::exit::{Code, Exit};
use crate::text::span;

/// How long the ledger may take to say so: a run that has ended waits for nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

/// Since when there has been no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Since the last one, which ended then.
    Last(i64),
    /// There never was one: since the first run, or since the ledger was made.
    Birth(i64),
}

/// Marks an exit that heals by itself, once the last success is older than `monitor.alert_after`.
pub(super) async fn overdue(config: &Config, exit: Exit) -> Exit {
    if exit.alert || !matches!(exit.code, Code::Incomplete | Code::Locked) {
        return exit;
    }
    // What cannot be found out says nothing: the run's own exit does.
    let Ok(Ok(Some(since))) = tokio::time::timeout(PATIENCE, last_success(config)).await else {
        return exit;
    };
    let (Since::Last(at) | Since::Birth(at)) = since;
    let age = Duration::from_secs(u64::try_from(now().timestamp() - at).unwrap_or(0));
    if age <= config.monitor.alert_after {
        return exit;
    }
    let zone = config.source.timezone;
    let when = DateTime::from_timestamp(at, 0).map_or_else(
        || at.to_string(),
        |at| {
            at.with_timezone(&zone)
                .format("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    );
    let what = match since {
        Since::Last(_) => format!("the last success was at {when} ({zone}), {} ago", span(age)),
        Since::Birth(_) => format!(
            "no run has succeeded since the first at {when} ({zone}), {} ago",
            span(age)
        ),
    };
    let mend = if exit.code == Code::Locked {
        "`cdrelay status` shows the runs; if the one that is under way does not get on, end it"
    } else {
        "`cdrelay check` says what is not ready, `cdrelay status` shows the runs"
    };
    exit.overdue(&format!("{what}: {mend}"))
}

async fn last_success(config: &Config) -> Result<Option<Since>, LedgerError> {
    let now = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
    let since = match ledger.last_success(None).await? {
        Some(run) => run.end.map(|end| Since::Last(end.ended)),
        None => ledger.born().await?.map(Since::Birth),
    };
    ledger.close().await?;
    Ok(since)
}
