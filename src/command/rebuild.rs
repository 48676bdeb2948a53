//! `rebuild`: deletes days from the CRM and sends them again by today's settings, as one operation.
//!
//! It is on record before its request leaves, and stays open until every affected call was sent again. Whatever stops it,
//! the next `sync` goes on where it stood: an unconfirmed deletion is asked for again, which deletes nothing twice, and
//! then the days are sent.

use std::ops::Range;

use super::delete::{self, Affected, ToldDeletion, Wanted};
use super::sync::{Pass, Stage, connect_source};
use super::{Context, Ended, now};
use crate::cdr::window::Window;
use crate::cli::RebuildArgs;
use crate::delivery::Stop;
use crate::fault;
use crate::ledger::{DeletionId, Purpose, Stage as Progress, UnfinishedDeletion};
use crate::report::exit::{Code, Exit};
use crate::report::text::Remarks;
use crate::report::{Mode, Rebuilt, RunReport};
use crate::target::Deletion;
use crate::text::mask::Privacy;
use crate::text::{Shown, count};

/// Deletes and sends again, after showing and asking.
pub async fn run(context: &Context, args: &RebuildArgs) -> Ended {
    let wanted = Wanted {
        from: &args.from,
        to: &args.to,
        purpose: Purpose::Rebuild,
        allow_loss: args.allow_loss,
        yes: args.yes,
        dry_run: args.dry_run,
        wait: args.wait,
    };
    delete::perform(context, &wanted).await
}

/// Sends what a confirmed rebuild deleted, and closes it once everything is settled.
///
/// # Errors
/// The exit, where the ledger or the program failed and there is nothing to report.
pub(super) async fn send(
    stage: &Stage<'_>,
    id: DeletionId,
    window: Range<i64>,
) -> Result<(RunReport, Remarks), Exit> {
    let pass = Pass {
        mode: Mode::Rebuild,
        window: Window {
            since: window.start,
            until: window.end,
        },
        undated: false,
        resend: false,
        fail_on_unmatched: false,
    };
    let (report, remarks) = stage.pass(&pass).await?;
    fault::moment!("rebuild.sent");
    if is_finished(&report.exit) {
        stage.ledger.close_rebuild(id, now().timestamp()).await?;
    }
    Ok((report, remarks))
}

/// How a rebuild ends whose sending ended so.
pub(super) fn exit(report: &RunReport) -> Exit {
    if is_finished(&report.exit) {
        return report.exit.clone();
    }
    Exit {
        reason: format!(
            "{}; the next `cdrelay sync` finishes the rebuild",
            report.exit.reason
        ),
        ..report.exit.clone()
    }
}

/// Goes on with every rebuild that is open, the oldest first: asks for the deletions that the CRM has not confirmed, then
/// sends.
///
/// # Errors
/// The exit, where the ledger or the program failed and there is nothing to report.
pub(super) async fn finish_open(stage: &Stage<'_>) -> Result<Vec<Rebuilt>, Exit> {
    let mut done = Vec::new();
    for open in open_rebuilds(stage).await? {
        if stage.context.stopped() != Stop::No {
            break;
        }
        let mut rebuilt = Rebuilt {
            from: *open.days.start(),
            to: *open.days.end(),
            deleted: None,
            sync: None,
            exit: Exit::new(Code::Settled, "nothing is left to do"),
        };
        if open.stage == Progress::Asked {
            match ask_again(stage, &open).await? {
                Ok(Deletion::Deleted { count }) => rebuilt.deleted = Some(count),
                // It may have been done before: its calls are sent again as they were.
                Ok(Deletion::Refused { reason }) => {
                    rebuilt.exit = Exit::new(
                        Code::Look,
                        format!(
                            "the CRM refused to repeat the deletion of {}: {}; their calls are sent again as they were; rebuild them \
                             once more",
                            days(&open),
                            Shown(&stage.context.privacy.text(&reason))
                        ),
                    );
                }
                Ok(deletion) => {
                    rebuilt.exit = unanswered(&open, &deletion, stage.context.privacy);
                    done.push(rebuilt);
                    continue;
                }
                Err(exit) => {
                    rebuilt.exit = exit;
                    done.push(rebuilt);
                    continue;
                }
            }
        }
        let window = open_rebuilds(stage)
            .await?
            .into_iter()
            .find(|now| now.id == open.id)
            .map(|now| now.window);
        // Closed by now: a younger rebuild has done its work.
        let Some(window) = window else { continue };
        let (report, _) = send(stage, open.id, window).await?;
        rebuilt.exit = rebuilt.exit.worse(exit(&report));
        rebuilt.sync = Some(Box::new(report));
        done.push(rebuilt);
    }
    Ok(done)
}

/// One sentence for the report of the run that took it up.
pub(super) fn sentence(rebuilt: &Rebuilt) -> String {
    let (from, to) = (rebuilt.from, rebuilt.to);
    match &rebuilt.sync {
        Some(report) if is_finished(&report.exit) => format!(
            "the rebuild of {from} to {to}, which was interrupted, is finished: {} sent",
            count(report.calls.created + report.calls.existing, "call")
        ),
        Some(_) | None => format!(
            "the rebuild of {from} to {to}, which was interrupted, is not finished: {}",
            rebuilt.exit.reason
        ),
    }
}

fn is_finished(exit: &Exit) -> bool {
    matches!(exit.code, Code::Settled | Code::Look)
}

fn days(open: &UnfinishedDeletion) -> String {
    format!("{} to {}", open.days.start(), open.days.end())
}

async fn open_rebuilds(stage: &Stage<'_>) -> Result<Vec<UnfinishedDeletion>, Exit> {
    let mut open = stage.ledger.unfinished_deletions().await?;
    open.retain(|deletion| deletion.purpose == Purpose::Rebuild);
    Ok(open)
}

/// Asks the CRM for a deletion once more. The inner error: it could not be asked, because the source was not there.
async fn ask_again(
    stage: &Stage<'_>,
    open: &UnfinishedDeletion,
) -> Result<Result<Deletion, Exit>, Exit> {
    let affected = Affected::new(open.days.clone(), Purpose::Rebuild, stage.config);
    let (first, last) = affected.asked.clone().into_inner();
    let Some(bounds) = stage.crm.delete_bounds(first, last) else {
        let exit = Exit::new(Code::Crm, "the CRM offers no deletion any more");
        return Ok(Err(exit));
    };
    let kind = match connect_source(stage.config).await {
        Ok((_, profile)) => profile.time,
        Err(error) => return Ok(Err(Exit::from(error))),
    };
    let at = now().timestamp();
    let of_told = ToldDeletion::begin(stage.ledger, &stage.config.job, &affected, at).await?;
    let plan = affected.plan(kind, at);
    stage.ledger.repeat_deletion(open.id, plan).await?;
    fault::moment!("rebuild.asked_again");
    let deletion = delete::answered(stage.context, stage.config, stage.crm.delete(bounds)).await;
    fault::moment!("rebuild.answered_again");
    stage
        .ledger
        .finish_deletion(open.id, now().timestamp(), deletion.clone())
        .await?;
    of_told.finish(stage.ledger, &deletion).await?;
    Ok(Ok(deletion))
}

/// The exit where nobody knows yet what became of the deletion.
fn unanswered(open: &UnfinishedDeletion, deletion: &Deletion, privacy: Privacy) -> Exit {
    let (code, reason) = match deletion {
        Deletion::Broken { reason } => (Code::Crm, reason.as_str()),
        Deletion::NotSent { reason }
        | Deletion::Unknown { reason }
        | Deletion::Refused { reason } => (Code::Incomplete, reason.as_str()),
        Deletion::Deleted { .. } => (Code::Incomplete, "it was confirmed, and is not sent yet"),
    };
    Exit::new(
        code,
        format!(
            "the deletion for the rebuild of {} is not confirmed: {}; the next `cdrelay sync` goes on with it",
            days(open),
            Shown(&privacy.text(reason))
        ),
    )
}
