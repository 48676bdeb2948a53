//! How long ago a run last succeeded, and whether a person has to know.

use std::time::Duration;

use crate::command::now;
use crate::config::Config;
use crate::ledger::{Access, Ledger, LedgerError};
use crate::report::exit::{Code, Exit};

/// Marks an exit that heals by itself, once the last success is older than `monitor.alert_after`.
pub(super) async fn overdue(config: &Config, exit: Exit) -> Exit {
    if exit.alert || !matches!(exit.code, Code::Incomplete | Code::Locked) {
        return exit;
    }
    match last_success(config).await {
        Ok(Some((what, age))) if age > config.monitor.alert_after => {
            exit.overdue(&format!("{what} {} ago", humantime::format_duration(age)))
        }
        Ok(_) | Err(_) => exit,
    }
}

/// How long ago the last run succeeded; where none ever did, how long ago the first of the latest thousand began.
async fn last_success(config: &Config) -> Result<Option<(&'static str, Duration)>, LedgerError> {
    let now = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
    let since = match ledger.last_success(None).await? {
        Some(run) => run.end.map(|end| ("the last success was", end.ended)),
        None => ledger
            .runs(1000)
            .await?
            .last()
            .map(|run| ("no run has succeeded since the first,", run.start.started)),
    };
    ledger.close().await?;
    Ok(since.map(|(what, at)| {
        let age = u64::try_from(now - at).unwrap_or(0);
        (what, Duration::from_secs(age))
    }))
}
