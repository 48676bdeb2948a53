//! Calls that were told while they happened: taken up from their files, and sent where they are still due.
//!
//! It comes before the window, because a run passes over rows of channels that were told. The lock is held, so nobody else
//! takes them up; a file whose call is being told right now is left alone.

mod import;
mod send;

use std::collections::HashSet;

use crate::agi;
use crate::agi::channels::Channels;
use crate::agi::spool::Spool;
use crate::call::{ColumnTime, Identity};
use crate::command::{Context, now, seconds};
use crate::config::Config;
use crate::delivery::Ending;
use crate::ledger::{Access, Filter, Ledger, LedgerError, RunRecord, RunStart, State};
use crate::report::Agi;
use crate::report::exit::{Code, Exit};
use crate::target::CrmTarget;
use crate::text::{Shown, count};

/// Files that are open at a time, and calls that are read from the ledger at a time.
const PAGE: usize = 256;

/// Calls whose channels are read at a time.
const LOOK: usize = 4_096;

/// What taking up needs.
pub(super) struct Taking<'a> {
    pub(super) context: &'a Context,
    pub(super) config: &'a Config,
    pub(super) crm: &'a dyn CrmTarget,
    pub(super) deadline: Option<tokio::time::Instant>,
    pub(super) full: bool,
    pub(super) dry_run: bool,
    /// Rows that start before this instant (Unix seconds) are not read.
    pub(super) since: i64,
}

/// What it came to.
pub(super) struct Taken {
    /// The channels that were told: their rows are passed over.
    pub(super) channels: Channels,
    /// `None`: no call was ever told.
    pub(super) report: Option<Agi>,
    /// The worst of it; `None` where all is settled.
    pub(super) exit: Option<Exit>,
}

impl Taking<'_> {
    /// Takes up what there is, and sends what is due.
    ///
    /// # Errors
    /// The exit, where the ledger or a file failed.
    pub(super) async fn take_up(&self) -> Result<Taken, Exit> {
        let path = &self.config.ledger.path;
        let spool = Spool::beside(path);
        let (report, exit) = match (spool.exists(), self.dry_run) {
            (false, _) => (None, None),
            (true, true) => (Some(Agi::default()), None),
            (true, false) => {
                let job = agi::job(&self.config.job);
                let at = now().timestamp();
                let (ledger, _) = Ledger::open(path, &job, Access::ReadWrite, at).await?;
                let (report, exit) = self.work(&spool, &ledger).await?;
                ledger.close().await?;
                (Some(report), exit)
            }
        };
        Ok(Taken {
            // Now that the ledger has what the files had.
            channels: channels(self.config, self.since).await?,
            report,
            exit,
        })
    }

    async fn work(&self, spool: &Spool, ledger: &Ledger) -> Result<(Agi, Option<Exit>), Exit> {
        let begun = now().timestamp();
        let files = spool.files().map_err(unusable)?;
        let counts = ledger.counts().await?;
        let open = [
            State::Pending,
            State::InFlight,
            State::Unmatched,
            State::Rejected,
        ];
        let open: u64 = open.into_iter().map(|state| counts.of(state)).sum();
        if files.is_empty() && open == 0 {
            let report = Agi {
                held: counts.of(State::Held),
                ..Agi::default()
            };
            return Ok((report, None));
        }
        let run = ledger
            .start_run(RunStart {
                mode: "agi".to_owned(),
                window: begun..begun,
                settings: self.config.settings_fingerprint(),
                started: begun,
            })
            .await?;
        let mut report = Agi::default();
        for page in files.chunks(PAGE) {
            self.import(spool, page, ledger, run, &mut report).await?;
        }
        if self.crm.keying().holds_unknown() {
            ledger.hold_in_flight(run, begun).await?;
        }
        let (ending, trouble) = self.send(ledger, run, begun, &mut report).await?;
        let counts = ledger.counts().await?;
        report.held = counts.of(State::Held);
        report.pending = counts.of(State::Pending) + counts.of(State::InFlight);
        let exit = verdict(&report, &ending, trouble.as_deref());
        ledger
            .finish_run(
                run,
                RunRecord {
                    ended: now().timestamp(),
                    exit_code: exit.as_ref().map_or(0, |exit| exit.code.number()),
                    reason: exit.as_ref().map_or_else(
                        || "everything that was told is settled".to_owned(),
                        |exit| exit.reason.clone(),
                    ),
                    counts: serde_json::json!({ "agi": report }).to_string(),
                    requests_sent: report.sent,
                    requests_retried: 0,
                },
            )
            .await?;
        if self.full {
            let before = begun.saturating_sub(seconds(self.config.ledger.retention));
            ledger.purge(ColumnTime(before), before).await?;
        }
        Ok((report, exit))
    }
}

/// The channels that were told while they happened, as far as rows that start at `since` (Unix seconds) or later can be of
/// them. Nothing is written, and no lock is needed.
///
/// # Errors
/// [`LedgerError`]
pub(in crate::command) async fn channels(
    config: &Config,
    since: i64,
) -> Result<Channels, LedgerError> {
    let path = &config.ledger.path;
    let spool = Spool::beside(path);
    if !spool.exists() {
        return Ok(Channels::new(HashSet::new(), spool));
    }
    let at = now().timestamp();
    let job = agi::job(&config.job);
    let (ledger, _) = Ledger::open(path, &job, Access::ReadOnly, at).await?;
    let filter = Filter {
        // A day more: a row may be of the channel's later life.
        since: Some(ColumnTime(since.saturating_sub(86_400))),
        ..Filter::default()
    };
    let mut recorded = HashSet::new();
    let mut after: Option<Identity> = None;
    loop {
        let page = ledger.list(filter.clone(), after, LOOK).await?;
        let last = page.len() < LOOK;
        after = page.last().map(|call| call.identity.clone());
        recorded.extend(page.into_iter().filter_map(|call| call.origin.uniqueid));
        if last {
            break;
        }
    }
    ledger.close().await?;
    Ok(Channels::new(recorded, spool))
}

/// What it means where the spool cannot be read: as much as where the ledger cannot.
pub(in crate::command) fn unusable(error: std::io::Error) -> LedgerError {
    LedgerError::Unusable {
        what: "the calls that were told while they happened cannot be read from the directory beside the ledger (its name \
               ends in `.agi`); it must belong to the user who runs cdrelay"
            .to_owned(),
        source: Some(error.into()),
    }
}

fn verdict(report: &Agi, ending: &Ending, trouble: Option<&str>) -> Option<Exit> {
    let told = |n| format!("{} from `cdrelay agi`", count(n, "call"));
    let mut exit: Option<Exit> = None;
    let mut add = |code, reason: String| {
        let new = Exit::new(code, reason);
        exit = Some(match exit.take() {
            Some(worst) => worst.worse(new),
            None => new,
        });
    };
    if let Ending::Broken(why) = ending {
        add(Code::Crm, Shown(why).to_string());
    }
    if report.pending > 0 {
        let why = match ending {
            Ending::Down(why) => Shown(why).to_string(),
            Ending::OutOfTime => "--max-runtime passed".to_owned(),
            Ending::Done | Ending::Unheard | Ending::Broken(_) | Ending::Stopped(_) => {
                trouble.map_or_else(|| "no verdict yet".to_owned(), |why| Shown(why).to_string())
            }
        };
        add(
            Code::Incomplete,
            format!("{} pending: {why}", told(report.pending)),
        );
    }
    if report.rejected > 0 {
        add(
            Code::Look,
            format!(
                "{} rejected for good; `cdrelay calls --state rejected` lists them",
                told(report.rejected)
            ),
        );
    }
    if report.unreadable > 0 {
        add(
            Code::Look,
            format!(
                "{} cannot be read; it must belong to the user who runs cdrelay",
                told(report.unreadable)
            ),
        );
    }
    if report.held > 0 {
        add(
            Code::Look,
            format!(
                "{} held, outcome unknown; `cdrelay held` lists them and says what to do",
                told(report.held)
            ),
        );
    }
    exit
}
