//! `purge`: shortens the ledger, and gives the space back.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::sync::{asked, stopped_before, utc};
use super::{Context, Ended, now, seconds};
use crate::call::ColumnTime;
use crate::cli::{Output, PurgeArgs};
use crate::config::{Config, span};
use crate::ledger::{Access, Doomed, Ledger, LedgerError, LedgerLock, State};
use crate::report::exit::{Code, Exit};
use crate::text::count;

/// What a ledger must keep beyond the longest lookback.
const MARGIN: Duration = Duration::from_secs(31 * 86_400);

/// The instant before which calls are older than `span`: a day more, because the column's own clock may be that far from
/// the instant.
pub(super) fn horizon(now: i64, span: Duration) -> i64 {
    now.saturating_sub(seconds(span)).saturating_sub(86_400)
}

/// What a purge came to.
struct Purged {
    dry_run: bool,
    span: Duration,
    before: i64,
    doomed: Doomed,
    /// Bytes on disk, before and after.
    bytes: (u64, u64),
    /// Why the space could not be given back.
    kept: Option<LedgerError>,
}

/// Removes what is older than asked for; shows it first with `--dry-run`, and nothing else then.
pub async fn run(context: &Context, args: &PurgeArgs) -> Ended {
    let config = context.load()?;
    let span = args.older_than.unwrap_or(config.ledger.retention);
    refuse_short(&config, span, args.force)?;
    let now = now().timestamp();
    let before = horizon(now, span);
    let path = &config.ledger.path;
    let (ledger, _) = Ledger::open(path, &config.job, Access::ReadOnly, now).await?;
    let doomed = ledger.doomed(ColumnTime(before), before).await?;
    let size = ledger.size().await?;
    ledger.close().await?;
    let mut purged = Purged {
        dry_run: args.dry_run,
        span,
        before,
        doomed,
        bytes: (size, size),
        kept: None,
    };
    if !args.dry_run && path.exists() {
        purge(context, args, &config, &mut purged).await?;
    }
    let mut exit = Exit::new(Code::Settled, "purged");
    if let Some(error) = purged.kept.take() {
        exit = Exit::from(error);
        exit.reason = format!(
            "what is old was removed, and its space serves new calls, but it could not be given back to the disk, which takes \
             as much room again for a moment, beside the ledger and in the temporary directory: {}",
            exit.reason
        );
    }
    if exit.alert || !context.quiet {
        match context.output {
            Output::Text => context.print(&purged.text(&config)),
            Output::Json => context.print_json(&purged.object(&config, &exit)),
        }
    }
    Ok(exit)
}

async fn purge(
    context: &Context,
    args: &PurgeArgs,
    config: &Config,
    purged: &mut Purged,
) -> Result<(), Exit> {
    let path = &config.ledger.path;
    let mut stop = context.stop.clone();
    let _lock = tokio::select! {
        biased;
        asked = asked(&mut stop) => return Err(stopped_before(asked)),
        lock = LedgerLock::acquire(path, args.wait) => lock?,
    };
    let at = now().timestamp();
    let (ledger, _) = Ledger::open(path, &config.job, Access::ReadWrite, at).await?;
    // A run may have ended since they were counted.
    let before = ColumnTime(purged.before);
    purged.doomed = ledger.doomed(before, purged.before).await?;
    tokio::select! {
        biased;
        asked = asked(&mut stop) => {
            let stopped = stopped_before(asked);
            return Err(Exit::new(
                stopped.code,
                "stopped while purging: what was removed stays removed, and the next purge goes on",
            ));
        }
        removed = ledger.purge(before, purged.before) => { removed?; }
    }
    // One statement, done wholly or not at all.
    purged.kept = ledger.compact().await.err();
    purged.bytes.1 = ledger.size().await?;
    ledger.close().await?;
    Ok(())
}

/// A call must be known for as long as any run can look at it.
fn refuse_short(config: &Config, span: Duration, force: bool) -> Result<(), Exit> {
    let least = config.select.lookback.max(config.select.full_lookback) + MARGIN;
    if span >= least || force {
        return Ok(());
    }
    Err(Exit::new(
        Code::Usage,
        format!(
            "--older-than {} is shorter than select.full_lookback and 31 days ({}): the next full run would send calls again \
             that the ledger has forgotten. A CRM that knows a call by start and numbers keeps it once, if rules and zone \
             are what they were; any other CRM would have it twice. Give a longer span, shorten select.full_lookback first, or \
             add --force if that is what you want",
            span::render(span),
            span::render(least)
        ),
    ))
}

impl Purged {
    fn text(&self, config: &Config) -> String {
        let doomed = &self.doomed;
        let total = doomed.total();
        let when = utc(self.before);
        let mut text = String::new();
        let rest = format!(
            "{} that started before {when}, and {}, {} and {}",
            count(total, "call"),
            count(doomed.attempts, "attempt"),
            count(doomed.runs, "run"),
            count(doomed.deletions, "deletion")
        );
        let _ = if self.dry_run {
            writeln!(
                text,
                "Would remove from {}: {rest}. Nothing was written.",
                config.ledger.path.display()
            )
        } else {
            writeln!(
                text,
                "Removed from {}: {rest}. It takes {} now, {} before.",
                config.ledger.path.display(),
                bytes(self.bytes.1),
                bytes(self.bytes.0)
            )
        };
        if total > 0 {
            let states: Vec<String> = doomed
                .calls
                .iter()
                .filter(|(_, n)| **n > 0)
                .map(|(state, n)| format!("{n} {}", state.as_str()))
                .collect();
            let _ = writeln!(text, "\n  calls     {}", states.join(", "));
        }
        text
    }

    fn object(&self, config: &Config, exit: &Exit) -> Value {
        let mut calls: Map<String, Value> = State::ALL
            .iter()
            .map(|state| {
                let n = self.doomed.calls.get(state).copied().unwrap_or(0);
                (state.as_str().to_owned(), json!(n))
            })
            .collect();
        calls.insert("total".to_owned(), json!(self.doomed.total()));
        json!({
            "job": config.job,
            "ledger": config.ledger.path,
            "dry_run": self.dry_run,
            "older_than": span::render(self.span),
            "before": utc(self.before),
            "calls": calls,
            "attempts": self.doomed.attempts,
            "runs": self.doomed.runs,
            "deletions": self.doomed.deletions,
            "bytes": {"before": self.bytes.0, "after": self.bytes.1},
            "exit": exit,
        })
    }
}

/// `4.2 MiB`.
fn bytes(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let kib = n as f64 / 1024.0;
    if kib < 1024.0 {
        format!("{kib:.0} KiB")
    } else {
        format!("{:.1} MiB", kib / 1024.0)
    }
}
